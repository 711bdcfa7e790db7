"""Memory on both sides: the program's arrays as the guard describes them, and a pool of device buffers.

In:  addresses, dimensions, strides; requests for device memory.
Out: NumPy views; buffers that are used again and again (allocation on a GPU waits for it and takes 0.1 ms and more).
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from alpyna_hook import signals
from alpyna_hook.ir.types import NP_CLASS_OF_REP, Rep

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

_WRITEABLE: Final = 0x200  # PyBUF_WRITE of CPython's object.h; PyBUF_READ is 0x100
_SMALLEST: Final = 256  # bytes
KEPT: Final = 1 << 30  # bytes that a pool keeps while nobody uses them
JOURNALS_KEPT: Final = 1 << 28


@cache
def dtype_of(rep: Rep) -> Any:
    """NumPy's dtype of a representation."""
    import numpy as np

    return np.dtype(NP_CLASS_OF_REP[rep])


@cache
def _from_memory() -> Any:
    function = ctypes.pythonapi.PyMemoryView_FromMemory
    function.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
    function.restype = ctypes.py_object
    return function


def bytes_at(address: int, size: int) -> memoryview:
    """`size` writeable bytes at `address`; the caller knows that they stay there."""
    view: memoryview = _from_memory()(address, size, _WRITEABLE)
    return view


def span(address: int, dims: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> tuple[int, int]:
    """First byte of an array and the first one behind it. Strides in elements; no dimension is 0."""
    low = high = 0
    for dim, stride in zip(dims, strides):
        reach = (dim - 1) * stride
        low, high = low + min(reach, 0), high + max(reach, 0)
    return address + low * itemsize, address + (high + 1) * itemsize


def view(address: int, dims: tuple[int, ...], strides: tuple[int, ...], rep: Rep) -> Array:
    """The array whose first element is at `address`; strides in elements, of any sign."""
    import numpy as np

    dtype = dtype_of(rep)
    first, behind = span(address, dims, strides, dtype.itemsize)
    memory = bytes_at(first, behind - first)
    return np.ndarray(dims, dtype, memory, address - first, tuple(s * dtype.itemsize for s in strides))


def packed_strides(dims: tuple[int, ...]) -> tuple[int, ...]:
    """Strides, in elements, of a C-contiguous array."""
    found, step = [], 1
    for dim in reversed(dims):
        found.append(step)
        step *= dim
    return tuple(reversed(found))


def is_packed(dims: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the array is C-contiguous."""
    return all(dim == 1 or a == b for dim, a, b in zip(dims, strides, packed_strides(dims)))


@dataclass(frozen=True, slots=True)
class Operand:
    """An array of the call. `overwritten`: every element is written whatever it held before. `there`: its memory is the
    device's, and another library's."""

    name: str
    address: int
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    rep: Rep
    read: bool
    written: bool
    overwritten: bool
    there: bool = False

    @property
    def span(self) -> tuple[int, int]:
        return span(self.address, self.dims, self.strides, self.rep.itemsize)

    @property
    def bytes(self) -> int:
        """Of all elements."""
        return math.prod(self.dims) * self.rep.itemsize


def flat(operand: Operand) -> Array:
    """All the memory that the array lies in, as bytes."""
    import numpy as np

    first, behind = operand.span
    return np.frombuffer(bytes_at(first, behind - first), np.uint8)


def stands_alone(operand: Operand, operands: Sequence[Operand]) -> bool:
    """Kernels can use its memory as it is: it begins with its first element, and shares no byte with another array of
    the run if one of the two is written."""
    first, behind = operand.span
    if first != operand.address:
        return False
    for other in operands:
        if other is not operand and (operand.written or other.written):
            low, high = other.span
            if first < high and low < behind:
                return False
    return True


class Pool:
    """Device buffers by size class. Sizes are rounded up by at most an eighth, so that loops whose sizes change a
    little find their buffers again.

    allocate, release  of the device
    reserve            gives back buffers that could be done without
    """

    def __init__(
        self, allocate: Callable[[int], Any], release: Callable[[Any], None], kept: int = KEPT
    ) -> None:
        self._allocate, self._release, self._kept = allocate, release, kept
        self._free: dict[int, list[Any]] = {}
        self._free_bytes = 0
        self.reserve: Callable[[], None] = lambda: None

    def take(self, size: int) -> tuple[int, Any]:
        """(size class, buffer) of at least `size` bytes. What `allocate` raises passes if nothing can be freed."""
        rounded = size_class(size)
        free = self._free.get(rounded)
        if free:
            self._free_bytes -= rounded
            return rounded, free.pop()
        try:
            return rounded, self._allocate(rounded)
        except Exception as error:
            if signals.from_handler(error):
                raise
        self.reserve()  # what does not fit into the pool goes back to the device at once
        self.drain()
        return rounded, self._allocate(rounded)

    def give(self, taken: tuple[int, Any]) -> None:
        """The buffer can be taken again: what was asked of the device before is done before."""
        size, buffer = taken
        if self._free_bytes + size > self._kept:
            self._release(buffer)
            return
        self._free.setdefault(size, []).append(buffer)
        self._free_bytes += size

    def drain(self) -> None:
        """Gives back to the device all that nobody uses."""
        free, self._free, self._free_bytes = self._free, {}, 0
        for buffers in free.values():
            for buffer in buffers:
                self._release(buffer)


@cache
def journals() -> Pool:
    """Host memory for what a run must be able to undo. New memory would cost a page fault per 4 KiB each time. For
    runs on a device that shares the host's memory, of which there is one: they take turns."""
    import numpy as np

    return Pool(lambda size: np.empty(size, np.uint8), lambda _: None, JOURNALS_KEPT)


def size_class(size: int) -> int:
    """The least number of at least `size` bytes of the form k * 2^e with 8 <= k <= 15."""
    if size <= _SMALLEST:
        return _SMALLEST
    unit = 1 << ((size - 1).bit_length() - 4)
    return -(-size // unit) * unit
