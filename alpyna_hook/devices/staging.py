"""Copies of whole arrays to and from a device with memory of its own, at the speed of its link.

In:  an array of the program, with any strides, a buffer; perhaps the array's *shadow* (resident.py).
Out: the buffer's, or the array's, content, the elements in C order.

A GPU reads and writes only page-locked memory by itself, and the program's arrays are not: so there are a few
page-locked *slots* that live as long as the device, and a copy goes through them by pieces. While one piece is on the
link, several threads copy the next one into a slot, or the last one out of it (CUDA C++ Best Practices Guide, 10.1.2,
"Asynchronous and Overlapping Transfers with Computation"). A slot is used again after the event behind its last copy.

The arrays themselves are not page-locked (cuMemHostRegister): it would have to be undone before their memory goes, and
nothing tells of that in general (resize, a mapped file that is closed, memory of another library).
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from alpyna_hook import settings
from alpyna_hook.devices import copying

if TYPE_CHECKING:
    from alpyna_hook.devices.base import Accelerator
    from alpyna_hook.devices.memory import Array

STAGED: Final = 1 << 20  # bytes from which on pieces pay: below, one copy takes less than starting threads and waiting
LEAST: Final = 1 << 19  # bytes of the piece at whose copy nothing is overlapped: the first one up, the last one down
MOST: Final = 8 << 20  # bytes of a piece, and of a slot: 0.16 ms at 50 GB/s, long against the 10 to 20 us of asking
SLOTS: Final = 3  # one is copied by the host, one is on the link, one is waiting for it
PIECE: Final = 1 << 18  # bytes that are compared with the shadow, and sent if any of them differs
# One core copies 7 to 20 GB/s (measured, copying.py), and PCI Express 5.0 x16 carries 50 to 55 of its nominal 63.
MOST_THREADS: Final = 12
# Bytes of an array from which on it is written around the caches. Measured with one thread and 32 MiB of L3, GB/s
# without and with that: 4 MiB 35, 23; 8 MiB 25, 24; 16 MiB 15, 22. With a shadow 17, 12; 7, 12; 6, 11. With the sum of
# the array taken right afterwards 17, 13; 11, 12; 10, 12.
PAST_CACHES: Final = 8 << 20


@dataclass
class _Slot:
    """Staging memory, and what waits until the device is done with it."""

    memory: Any
    wait: Callable[[], object]


class Staging:
    """The slots of one device. Used with the device's lock held, inside its `current()`."""

    def __init__(self, device: Accelerator) -> None:
        self._device = device
        self._slots: list[_Slot] = []
        self._locked = True  # the slots are page-locked
        self._interrupted = False  # a copy was not finished, and the device may be at work on the slots

    def upload(self, buffer: Any, array: Array, shadow: Any = None, known: bool = False) -> None:
        """Copies the array into the buffer, and into its shadow. `known`: the buffer holds what the shadow holds, and
        only pieces that differ are sent. The array may be changed when this returns; the copy itself is perhaps still
        under way. If it raises, buffer and shadow hold anything."""
        size, threads, past = array.nbytes, threads_of(array.nbytes), array.nbytes >= PAST_CACHES
        if size < STAGED:
            self._upload_at_once(buffer, array, shadow, known)
            return
        with self._ring() as slots:
            if shadow is None and not self._locked and array.flags.c_contiguous:
                self._device.upload(buffer, array)
                return
            for number, (first, behind) in enumerate(pieces(size)):
                slot = slots[number % len(slots)]
                slot.wait()
                part = slot.memory[: behind - first]
                twin = None if shadow is None else shadow[first:behind]
                if known:
                    spans = copying.differing(array, part, twin, first, PIECE, threads, past)
                else:
                    copying.fill(array, part, twin, first, threads, past)
                    spans = [(first, behind)]
                for low, high in spans:
                    slot.wait = self._device.send(buffer, low, part[low - first : high - first])

    def download(self, array: Array, buffer: Any, shadow: Any = None) -> None:
        """Copies the buffer into the array, and into its shadow, and waits. If it raises, a part of them is written,
        and no more will be."""
        size, threads, past = array.nbytes, threads_of(array.nbytes), array.nbytes >= PAST_CACHES
        if size < STAGED:
            self._download_at_once(array, buffer, shadow)
            return
        with self._ring() as slots:
            if shadow is None and not self._locked and array.flags.c_contiguous:
                self._device.download(array, buffer)
                return
            coming: deque[tuple[int, int, Any, Callable[[], object]]] = deque()

            def take() -> None:
                first, behind, part, wait = coming.popleft()
                wait()
                copying.spread(array, part, None if shadow is None else shadow[first:behind], first, threads, past)

            for number, (first, behind) in enumerate(pieces(size, falling=True)):
                if len(coming) == len(slots):
                    take()
                part = slots[number % len(slots)].memory[: behind - first]
                coming.append((first, behind, part, self._device.fetch(part, buffer, first)))
            while coming:
                take()

    def drain(self) -> None:
        """Gives the slots back."""
        if self._slots:
            with contextlib.suppress(Exception):  # of a device that fails, which then uses them no more
                self._device.finish()
        self._slots.clear()

    def _upload_at_once(self, buffer: Any, array: Array, shadow: Any, known: bool) -> None:
        import numpy as np

        if shadow is None:
            self._device.upload(buffer, np.ascontiguousarray(array))
        elif known:
            for first, behind in copying.differing(array, shadow, None, 0, PIECE, 1, False):
                self._device.upload(buffer, shadow[first:behind], first)
        else:
            copying.fill(array, shadow, None, 0, 1, False)
            self._device.upload(buffer, shadow)

    def _download_at_once(self, array: Array, buffer: Any, shadow: Any) -> None:
        import numpy as np

        arrived = np.empty(array.nbytes, np.uint8) if shadow is None else shadow
        self._device.download(arrived, buffer)
        copying.spread(array, arrived, None, 0, 1, False)

    @contextlib.contextmanager
    def _ring(self) -> Iterator[list[_Slot]]:
        """The slots, which nothing uses that is not in their `wait`."""
        import numpy as np

        if self._interrupted:
            self._device.finish()
            for slot in self._slots:
                slot.wait = _nothing
        while len(self._slots) < SLOTS:
            memory = self._device.locked(MOST) if self._locked else None
            if memory is None and self._locked:
                self._locked = False
                self._slots.clear()
                continue
            self._slots.append(_Slot(np.empty(MOST, np.uint8) if memory is None else memory, _nothing))
        self._interrupted = True
        yield self._slots
        self._interrupted = False


def _nothing() -> None:
    pass


def pieces(size: int, falling: bool = False) -> list[tuple[int, int]]:
    """(first byte, byte behind) of each piece of a copy, in order. Pieces begin small and double, so that the link
    waits little for the first one; `falling`: they end small, so that the host is soon done when the last one is here.
    None is more than a quarter of all, to have something to overlap."""
    most = max(min(MOST, size // 4 // LEAST * LEAST), LEAST)
    sizes, left, step = [], size, LEAST
    while left > 0:
        sizes.append(min(step, left))
        left -= sizes[-1]
        step = min(2 * step, most)
    found, first = [], 0
    for step in reversed(sizes) if falling else sizes:
        found.append((first, first + step))
        first += step
    return found


def threads_of(size: int) -> int:
    """Threads that copy an array of so many bytes."""
    return max(min(settings.current().threads, MOST_THREADS, size // PIECE), 1)
