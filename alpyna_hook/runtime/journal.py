"""What saving arrays before a faulting nest costs, and the saving itself for the pure-Python guard.

In:  NumPy arrays that a nest writes.
Out: bytes to copy (for the cost model), or a saved state that `restore` puts back bit for bit.

The C guard does its own saving (see _guard_memory.h): packed copies, so the byte counts agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]


def bytes_to_save(arrays: Sequence[Array]) -> int:
    """Bytes copied to save `arrays`: elements times item size; axes of stride 0 hold one element."""
    return sum(_elements(array) * array.itemsize for array in arrays)


def _elements(array: Array) -> int:
    count = 1
    for dim, stride in zip(array.shape, array.strides):
        if stride != 0 or dim == 0:
            count *= dim
    return count


def save(arrays: Sequence[Array]) -> list[Array]:
    """Copies that keep each array's memory order. Raises MemoryError."""
    return [array.copy(order="K") for array in arrays]


def restore(arrays: Sequence[Array], saved: Sequence[Array]) -> None:
    """Puts back what `save(arrays)` returned. The arrays must be writeable."""
    for array, copy in zip(arrays, saved):
        array[...] = copy
