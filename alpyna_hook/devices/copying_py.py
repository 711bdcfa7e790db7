"""The Python twin of the extension `_copying`; copying.py says what is meant. It has no threads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpyna_hook.devices.memory import Array


def fill(array: Array, slot: Any, shadow: Any, first: int, threads: int, past_caches: bool) -> None:
    at = 0
    for part in _parts(array, first // array.itemsize, (first + slot.size) // array.itemsize):
        slot[at : at + part.nbytes].view(array.dtype).reshape(part.shape)[...] = part
        at += part.nbytes
    if shadow is not None:
        shadow[:] = slot


def spread(array: Array, slot: Any, shadow: Any, first: int, threads: int, past_caches: bool) -> None:
    at = 0
    for part in _parts(array, first // array.itemsize, (first + slot.size) // array.itemsize):
        part[...] = slot[at : at + part.nbytes].view(array.dtype).reshape(part.shape)
        at += part.nbytes
    if shadow is not None:
        shadow[:] = slot


def differing(
    array: Array, slot: Any, shadow: Any, first: int, piece: int, threads: int, past_caches: bool
) -> list[tuple[int, int]]:  # fmt: skip
    import numpy as np

    piece = max(piece // array.itemsize, 1) * array.itemsize
    reference = slot if shadow is None else shadow
    found: list[tuple[int, int]] = []
    for start in range(0, slot.size, piece):
        end = min(start + piece, slot.size)
        new = np.empty(end - start, np.uint8)
        fill(array, new, None, first + start, threads, past_caches)
        if np.array_equal(new, reference[start:end]):
            continue
        for target in (slot, shadow):
            if target is not None:
                target[start:end] = new
        if found and found[-1][1] == first + start:
            found[-1] = (found[-1][0], first + end)
        else:
            found.append((first + start, first + end))
    return found


def _parts(array: Array, begin: int, end: int) -> Iterator[Array]:
    """The subarrays that elements [begin, end) make up, in C order: part of a row, whole rows, part of a row."""
    if begin == end:
        return
    if array.ndim < 2:
        yield array[begin:end] if array.ndim else array
        return
    row = array.size // len(array)
    head, tail = -(-begin // row), end // row
    if head > tail:
        yield from _parts(array[tail], begin - tail * row, end - tail * row)
        return
    if begin < head * row:
        yield from _parts(array[head - 1], begin - (head - 1) * row, row)
    if head < tail:
        yield array[head:tail]
    if tail * row < end:
        yield from _parts(array[tail], 0, end - tail * row)
