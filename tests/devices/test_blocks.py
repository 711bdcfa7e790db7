"""Blocks that overlap, on an imitation of a device that takes what it may in any order: the arrays show the trips that
are said to be done, and no others."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from alpyna_hook.devices.blocks import INT32_MAX, Blocks, SavedRows, Shared
from alpyna_hook.ir.plan import BLOCKS_AT_ONCE, BLOCKS_NOTED

ROWS, TRIPS, FIRST = 3, 23, 2
COUNT = -(-TRIPS // ROWS)


class Device:
    """Runs what codegen/grid.py generates, a work item per row. never: blocks that are lost on their way."""

    def __init__(self, array: Any, copies: list[Any], faulty: set[int], never: set[int], launched: int) -> None:
        self.array, self.copies, self.faulty, self.never, self.launched = array, copies, faulty, never, launched
        self.state = [0] * (1 + BLOCKS_NOTED)

    def run(self, order: random.Random) -> None:
        done: set[int] = set()
        work: dict[int, list[int]] = {}  # rows of blocks that have begun
        waiting = [b for b in range(self.launched) if b not in self.never]
        while waiting or work:
            ready = [b for b in waiting if {b - BLOCKS_AT_ONCE, b - BLOCKS_AT_ONCE - 1} <= done | set(range(-5, 0))]
            if not ready and not work:
                break  # what they wait for has failed
            block = order.choice([*ready, *work])
            if block not in work:
                waiting.remove(block)
                begin = block * ROWS
                work[block] = order.sample(range(begin, min(begin + ROWS, TRIPS)), min(ROWS, TRIPS - begin))
            self.item(block, work[block].pop())
            if not work[block]:
                del work[block]
                done.add(block)

    def item(self, block: int, trip: int) -> None:
        state = self.state
        if state[0] and INT32_MAX - state[0] + BLOCKS_AT_ONCE <= block:
            return
        state[1 + block % BLOCKS_NOTED] = block + 1
        self.copies[block % BLOCKS_AT_ONCE][trip - block * ROWS] = self.array[FIRST + trip]
        self.array[FIRST + trip] = 100.0 + trip
        if trip in self.faulty:
            state[0] = max(state[0], INT32_MAX - block)

    def finish(self) -> None:
        pass

    def unwrap(self, buffer: Any) -> None:
        pass


@pytest.mark.parametrize("seed", range(300))
def test_the_arrays_show_what_is_done(seed: int) -> None:
    order = random.Random(seed)
    array = np.arange(FIRST + TRIPS + 1.0)
    before = array.copy()
    copies = [np.full(ROWS, np.nan) for _ in range(BLOCKS_AT_ONCE)]
    faulty = {t for t in range(TRIPS) if order.random() < order.choice((0.0, 0.05, 0.3))}
    never = {order.randrange(COUNT)} if order.random() < 0.3 else set()
    launched = order.choice((COUNT, COUNT, order.randrange(COUNT + 1)))
    device: Any = Device(array, copies, faulty, never, launched)
    device.run(order)
    blocks = Blocks(TRIPS, ROWS, [SavedRows(array, FIRST, (), [Shared(c, None) for c in copies])])
    expected = min([t // ROWS for t in faulty] + sorted(never) + [launched]) * ROWS
    for _ in range(2):  # it may have to try again
        assert blocks.settle(device, [], lambda: device.state) == min(expected, TRIPS) == blocks.done
        shown = before.copy()
        shown[FIRST : FIRST + blocks.done] = 100.0 + np.arange(blocks.done)
        assert array.tolist() == shown.tolist()
