"""Copies of the program's arrays that stay on a device from one call to the next, of any loop.

In:  arrays as the guard describes them, a device with memory of its own, its pool of buffers.
Out: `Resident`s: a device buffer, and beside it its *shadow*, memory of the host that holds what the buffer holds, so
that a copy to the device (staging.py) makes both what the array is now and sends only what is not there yet.

Nothing is assumed about what the program did in between. The array is compared with its shadow, byte for byte, and the
pieces that differ go through the shadow to the device: that a piece is still there is proved each time. A copy is found
by address, shape and strides. The memory may be another array's by now, or have other views that were written to; the
comparison covers that, too, which is why no owner has to be watched.

A comparison reads two arrays at the speed of the host's memory; what it saves is a copy at the same speed, and the
link. Shadows are within a budget; what was not used for longest makes room. And a copy that was not used for so long
that to send it again would be nothing against that time is given up: most often its array is gone. (Arrays could tell
of their end by weak references, but one that has any cannot be resized: the program would notice.)

The shadow is also the way back while results arrive, which go straight into the program's array: it is what the array
was. So the results' own shadow is other memory, which takes its place when all has arrived.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from alpyna_hook import signals
from alpyna_hook.devices import memory
from alpyna_hook.devices.staging import STAGED, Staging
from alpyna_hook.ir.types import Rep

Key: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...], Rep]  # address, dimensions, strides in elements, type

DEVICE_SHARE: Final = 4  # a quarter of the device's memory may hold copies,
HOST_SHARE: Final = 8  # and an eighth of the host's their shadows
IDLE_S: Final = 2.0  # a copy may be unused for these seconds,
SHARE: Final = 100.0  # and for so many times as long as it takes to send: what is given up in vain costs 1 % of a run
SEND_RATE: Final = 5e9  # bytes per second: of an ordinary link, PCI Express 3.0 x8
SPARE: Final = 1 << 30  # bytes of shadows that are kept while nobody uses them: new memory costs page faults


@dataclass(slots=True)
class Resident:
    """One array on the device.

    taken   the buffer, as the pool gave it
    shadow  its size class and the memory, as bytes
    spare   where the results' shadow is made, if the array's is needed meanwhile
    sound   the buffer holds what the shadow holds
    used    seconds (time.monotonic) when it was last kept
    """

    key: Key
    size: int
    taken: tuple[int, Any]
    shadow: tuple[int, Any]
    spare: tuple[int, Any] | None = None
    sound: bool = False
    used: float = 0.0

    @property
    def before(self) -> Any:
        """What was sent: the elements in C order, as bytes."""
        return self.shadow[1][: self.size]

    @property
    def results(self) -> Any:
        """What is to hold the same of the results."""
        return (self.spare or self.shadow)[1][: self.size]

    def arrived(self) -> None:
        """The results are the array's now, and in `results`."""
        if self.spare is not None:
            self.shadow, self.spare = self.spare, self.shadow
        self.sound = True


class Residents:
    """The copies on one device, least recently used first. Used with the device's lock held.

    budget   bytes of all copies
    staging  what arrays come and go through
    """

    def __init__(self, device: Any, pool: memory.Pool, budget: int) -> None:
        self._device, self._pool, self._budget = device, pool, budget
        pool.reserve = self.forget
        self._shadows = memory.Pool(_ordinary, lambda buffer: None, min(SPARE, budget))
        self.staging = Staging(device)
        self._kept: OrderedDict[Key, Resident] = OrderedDict()
        self._looked = 0.0  # when copies were last looked through for old ones

    def claim(self, key: Key, size: int, way_back: bool, claimed: int = 0) -> Resident | None:
        """The copy of an array of `size` bytes, sound or new; it is the caller's until `keep`. None: it is to go
        without one. What the pool raises passes. `way_back`: results will come, and the array may have to be what it
        was. `claimed`: bytes of the copies that are the caller's already."""
        self._give_up_old(key)
        found = self._kept.pop(key, None)
        if found is None:
            if claimed + size > self._budget:
                return None
            self._make_room(claimed + size)
            found = Resident(key, size, self._pool.take(size), (0, None))
        try:
            if found.shadow[1] is None:
                found.shadow = self._shadows.take(size)
            if way_back:
                found.spare = self._shadows.take(size)
            return found
        except Exception as error:  # no memory is to be had
            self._drop(found)
            if signals.from_handler(error):
                raise
            return None

    def keep(self, resident: Resident) -> None:
        """It is there for the next call, if it is sound."""
        if resident.spare is not None:
            spare, resident.spare = resident.spare, None
            self._shadows.give(spare)
        if resident.sound and resident.key not in self._kept:
            resident.used = time.monotonic()
            self._kept[resident.key] = resident
        else:
            self._drop(resident)

    def forget(self) -> None:
        """Gives all copies back. The device may still be at work on copies that it was asked for, so it is waited for;
        if it fails, they are not needed any more."""
        interrupt = None
        try:
            if self._kept:
                self._device.finish()
        except Exception as error:
            interrupt = error if signals.from_handler(error) else None
        while self._kept:
            self._drop(self._kept.popitem()[1])
        if interrupt is not None:
            raise interrupt

    def drain(self) -> None:
        """Gives all copies back, and all memory of the host."""
        self.forget()
        self._shadows.drain()
        self.staging.drain()

    def _give_up_old(self, wanted: Key) -> None:
        now = time.monotonic()
        if now - self._looked < IDLE_S:
            return
        self._looked = now
        old = [
            one for one in self._kept.values()
            if one.key != wanted and now - one.used > IDLE_S + SHARE * one.size / SEND_RATE
        ]  # fmt: skip
        if old:
            self._device.finish()
        for one in old:
            del self._kept[one.key]
            self._drop(one)

    def _make_room(self, size: int) -> None:
        used = sum(one.size for one in self._kept.values())
        if used + size <= self._budget:
            return
        self._device.finish()
        while self._kept and used + size > self._budget:
            oldest = self._kept.popitem(last=False)[1]
            used -= oldest.size
            self._drop(oldest)

    def _drop(self, resident: Resident) -> None:
        if resident.shadow[1] is not None:
            self._shadows.give(resident.shadow)
        self._pool.give(resident.taken)


def _ordinary(size: int) -> Any:
    """Memory of the host for a shadow. If it is large, none of what the program's arrays come from: their addresses
    would be others at each turn of a loop, and no copy would be found again."""
    import mmap

    import numpy as np

    if size < STAGED or os.name == "nt":
        return np.empty(size, np.uint8)
    pages = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE)  # fewer page faults, as NumPy does it
    return np.frombuffer(pages, np.uint8)


def budget_of(device: Any) -> int:
    """Bytes that copies may take on `device`, and their shadows on the host."""
    return min(int(device.memory) // DEVICE_SHARE, host_memory() // HOST_SHARE)


def host_memory() -> int:
    """Bytes of memory that this process may use, by the machine and by its control group (cgroup v2)."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this platform
        found = 8 << 30
    with suppress(OSError, ValueError), open("/sys/fs/cgroup/memory.max", "rb") as limit:
        found = min(found, int(limit.read()))
    return found
