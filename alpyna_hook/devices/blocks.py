"""One grid launched block by block on a device that works in the program's arrays: what `Run.blocks` keeps of it.

In:  the arrays that are written, how many trips a block has, what each block's work items have saved (codegen/grid.py).
Out: the trips that are done, and arrays that show these and no more.

The device counts the blocks that it begins and notes the one that faulted, after which none does anything. So whatever
ends the launches, a fault, an error or a signal, it is known afterwards where the loop stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpyna_hook.devices.base import Accelerator

if TYPE_CHECKING:
    from alpyna_hook.devices.memory import Array

FEWEST = 8  # where rows are long, a block has one for every so many work items


@dataclass(frozen=True, slots=True)
class Shared:
    """A buffer, and the host's memory that it is; None: it is memory of the device."""

    array: Array | None
    buffer: Any


@dataclass(frozen=True, slots=True)
class SavedRows:
    """array  as the program has it; trip t of the grid writes its row `first` + t
    box    what of a row the kernel saves, by the array's axes but the first; all, if empty
    copy   where the kernel saves the rows of a block
    """

    array: Array
    first: int
    box: tuple[slice, ...]
    copy: Shared


@dataclass
class Blocks:
    """trips: of the grid; rows: of a block. done: the trips that the arrays show, once that is known."""

    trips: int
    rows: int
    saved: Sequence[SavedRows]
    done: int | None = None

    @property
    def count(self) -> int:
        return -(-self.trips // self.rows)

    def settle(self, device: Accelerator, written: Sequence[Any], noted: Callable[[], tuple[int, int]]) -> int:
        """Waits, undoes the block that faulted, and gives `done`. It can be called again if it did not get through.

        written  buffers that are the program's arrays
        noted    gives what the device has noted once all is done: the block that faulted (0: none) and the last one
                 begun, counted from 1
        """
        device.finish()
        faulted, begun = noted()
        for buffer in (*written, *(saved.copy.buffer for saved in self.saved)):
            device.unwrap(buffer)
        if faulted:
            self._restore((faulted - 1) * self.rows)
        self.done = (faulted - 1) * self.rows if faulted else min(begun * self.rows, self.trips)
        return self.done

    def _restore(self, begin: int) -> None:
        """Puts the rows of the block whose first trip is `begin` back."""
        import numpy as np

        for saved in self.saved:
            assert saved.copy.array is not None
            low, high = saved.first + begin, saved.first + min(begin + self.rows, self.trips)
            outside = max(-low, 0)  # rows that no iteration writes
            here = saved.array[low + outside : max(high, 0)]
            kept = saved.copy.array[outside : outside + len(here)]
            box = (slice(None), *saved.box)
            np.copyto(here[box], kept[box])


def rows_of_a_block(shapes: Sequence[tuple[tuple[int, ...], int]], trips: int, lanes: int, item_bytes: int) -> int:
    """Trips of one block, for arrays of these (dimensions, bytes of an element): each of `lanes` work items saves
    `item_bytes`, if rows are not longer than that."""
    row = sum(math.prod(dims[1:]) * size for dims, size in shapes)
    return max(min(max(lanes * item_bytes // max(row, 1), lanes // FEWEST), trips), 1)
