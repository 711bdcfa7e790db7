"""One grid launched block by block on a device that works in the program's arrays: what `Run.blocks` keeps of it.

In:  the arrays that are written, how many trips a block has, what each block's work items have saved (codegen/grid.py).
Out: the trips that are done, and arrays that show these and no more.

Two blocks may be at work at a time: a block begins when all but the last one before it are done, so that cores that
have nothing left to do of one block begin with the next. The device notes the blocks that it begins and the first one
that faulted; blocks that begin after that one is done do nothing. So whatever ends the launches, a fault, an error or a
signal, it is known afterwards where the loop stands: what a later block has written is taken back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from alpyna_hook.devices.base import Accelerator
from alpyna_hook.ir.plan import BLOCKS_AT_ONCE

if TYPE_CHECKING:
    from alpyna_hook.devices.memory import Array

INT32_MAX = 2**31 - 1
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
    copies where the kernel saves the rows of a block: of block b, in number b modulo BLOCKS_AT_ONCE
    """

    array: Array
    first: int
    box: tuple[slice, ...]
    copies: Sequence[Shared]


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

    def settle(self, device: Accelerator, written: Sequence[Any], noted: Callable[[], Sequence[int]]) -> int:
        """Waits, undoes the block that faulted and any after it, and gives `done`. It can be called again if it did not
        get through.

        written  buffers that are the program's arrays
        noted    gives what the device has noted once all is done: the first block that faulted, b, as
                 INT32_MAX - b (0: none), and the last ones begun, counted from 1
        """
        device.finish()
        faulted, *marks = noted()
        for buffer in (*written, *(copy.buffer for saved in self.saved for copy in saved.copies)):
            device.unwrap(buffer)
        begun = {mark - 1 for mark in marks if mark}
        last = max(begun, default=-1)
        stop = min(b for b in range(max(last + 1 - BLOCKS_AT_ONCE, 0), last + 2) if b not in begun)
        if faulted:
            stop = min(stop, INT32_MAX - faulted)
        for block in begun:
            if block >= stop:
                self._restore(block)
        self.done = min(stop * self.rows, self.trips)
        return self.done

    def _restore(self, block: int) -> None:
        """Puts the rows of a block back."""
        import numpy as np

        begin = block * self.rows
        for saved in self.saved:
            copy = saved.copies[block % BLOCKS_AT_ONCE].array
            assert copy is not None
            low, high = saved.first + begin, saved.first + min(begin + self.rows, self.trips)
            outside = max(-low, 0)  # rows that no iteration writes
            here = saved.array[low + outside : max(high, 0)]
            kept = copy[outside : outside + len(here)]
            box = (slice(None), *saved.box)
            np.copyto(here[box], kept[box])


def rows_of_a_block(shapes: Sequence[tuple[tuple[int, ...], int]], trips: int, lanes: int, item_bytes: int) -> int:
    """Trips of one block, for arrays of these (dimensions, bytes of an element): each of `lanes` work items saves
    `item_bytes`, if rows are not longer than that."""
    row = sum(math.prod(dims[1:]) * size for dims, size in shapes)
    return max(min(max(lanes * item_bytes // max(row, 1), lanes // FEWEST), trips), 1)
