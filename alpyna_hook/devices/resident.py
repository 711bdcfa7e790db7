"""Copies of the program's arrays that stay on a device from one call to the next, of any loop.

In:  arrays as the guard describes them, a device with memory of its own, its pool of buffers.
Out: `Resident`s: a device buffer, and beside it its *shadow*, staging memory of the host that holds what the buffer
holds; `refresh` makes both what the array is now and sends only what is not there yet.

Nothing is assumed about what the program did in between. The array is compared with its shadow, byte for byte, and the
pieces that differ go through the shadow to the device: that a piece is still there is proved each time. A copy is found
by address, shape and strides. The memory may be another array's by now, or have other views that were written to; the
comparison covers that, too, which is why no owner has to be watched.

A comparison reads two arrays at the speed of the host's memory; what it saves is a copy at the same speed, and the
link. Shadows are within a budget; what was not used for longest makes room.
"""

from __future__ import annotations

import ctypes
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from alpyna_hook import signals
from alpyna_hook.devices import memory
from alpyna_hook.ir.types import Rep

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from alpyna_hook.devices.memory import Array

Key: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...], Rep]  # address, dimensions, strides in elements, type
Work: TypeAlias = Callable[[int], list[tuple[int, int]]]  # first of a batch of pieces -> the bytes to be sent
Piece: TypeAlias = tuple[tuple[int | slice, ...], int, int]  # where in the array; its first byte when packed, its size

PIECE: Final = 1 << 20  # bytes that are compared, and sent if any of them differs
DEVICE_SHARE: Final = 4  # a quarter of the device's memory may hold copies,
HOST_SHARE: Final = 8  # and an eighth of the host's their shadows
SPARE: Final = 1 << 28  # bytes of staging memory that are kept while nobody uses them
_BATCH: Final = 16  # pieces that a thread takes at a time
_THREADS: Final = 4  # more do not read memory faster


@dataclass(slots=True)
class Resident:
    """One array on the device.

    taken   the buffer, as the pool gave it
    shadow  its size class and the staging memory, as bytes
    sound   the buffer holds what the shadow holds
    """

    key: Key
    size: int
    taken: tuple[int, Any]
    shadow: tuple[int, Any]
    sound: bool = False

    @property
    def bytes(self) -> Any:
        """What the device holds or will hold: the elements in C order, as bytes."""
        return self.shadow[1][: self.size]

    @property
    def array(self) -> Array:
        """The same in the array's shape."""
        found: Array = self.bytes.view(memory.dtype_of(self.key[3])).reshape(self.key[1])
        return found

    def refresh(self, host: Array, threads: int) -> Iterator[tuple[int, int]]:
        """Makes the shadow what the array is; (first byte, byte behind) of what the caller has to send, in order. It
        is sound again when all that is sent, and may not be used if that fails."""
        whole, self.sound = not self.sound, False
        yield from refresh(self.array, host, whole, threads)
        self.sound = True


class Residents:
    """The copies on one device, least recently used first. Used with the device's lock held.

    budget  bytes of all copies
    """

    def __init__(self, device: Any, pool: memory.Pool, budget: int) -> None:
        self._device, self._pool, self._budget = device, pool, budget
        pool.reserve = self.forget
        self._shadows = memory.Pool(device.staging, lambda buffer: None, min(SPARE, budget))
        self._kept: OrderedDict[Key, Resident] = OrderedDict()

    def claim(self, key: Key, size: int) -> Resident | None:
        """The copy of an array of `size` bytes, sound or new; it is the caller's until `keep`. None: it is to go
        without one. What the pool raises passes."""
        found = self._kept.pop(key, None)
        if found is not None:
            return found
        if size > self._budget:
            return None
        self._make_room(size)
        taken = self._pool.take(size)
        try:
            return Resident(key, size, taken, self._shadows.take(size))
        except Exception as error:  # no staging memory is to be had
            self._pool.give(taken)
            if signals.from_handler(error):
                raise
            return None

    def keep(self, resident: Resident) -> None:
        """It is there for the next call, if it is sound."""
        if resident.sound and resident.key not in self._kept:
            self._kept[resident.key] = resident
        else:
            self._drop(resident)

    def forget(self) -> None:
        """Gives all copies back. The device may still be at work on copies that it was asked for, so it is waited for;
        if it fails, they are not needed any more."""
        if self._kept:
            with suppress(Exception):
                self._device.finish()
        while self._kept:
            self._drop(self._kept.popitem()[1])

    def drain(self) -> None:
        """Gives all copies back, and the staging memory."""
        self.forget()
        self._shadows.drain()

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
        self._shadows.give(resident.shadow)
        self._pool.give(resident.taken)


def budget_of(device: Any) -> int:
    """Bytes that copies may take on `device`, and their shadows on the host."""
    return min(int(device.memory) // DEVICE_SHARE, host_memory() // HOST_SHARE)


def host_memory() -> int:
    """Bytes of memory that this process may use, by the machine and by its control group (cgroup v2)."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not on this platform
        found = 8 << 30
    with suppress(OSError, ValueError), open("/sys/fs/cgroup/memory.max") as limit:
        found = min(found, int(limit.read()))
    return found


# ---- comparing ----


def refresh(shadow: Array, host: Array, whole: bool, threads: int) -> Iterator[tuple[int, int]]:
    """Makes the shadow what the array is; (first byte, byte behind) of what was not so, or of all if `whole`. Ranges
    come in order, as soon as they are known."""
    pieces = list(_pieces(host))
    if whole:
        check = partial(_copied, host, shadow)
    elif host.flags.c_contiguous:
        check = partial(_differing_bytes, host.ctypes.data, shadow.ctypes.data)
    else:
        check = partial(_differing, host, shadow)

    def work(first: int) -> list[tuple[int, int]]:
        return [(p[1], p[1] + p[2]) for p in pieces[first : first + _BATCH] if check(p)]

    batches = range(0, len(pieces), _BATCH)
    if threads > 1 and len(batches) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(threads, _THREADS, len(batches)), "alpyna") as executor, suppress(_NoThreads):
            yield from _joined(_started(executor, work, batches))
            return
        check = partial(_copied, host, shadow)  # what the threads that there were have found is not known
    yield from _joined(map(work, batches))


class _NoThreads(Exception):
    """None can be started: the interpreter is about to end, or the system has no more."""


def _started(executor: Executor, work: Work, batches: range) -> Iterator[list[tuple[int, int]]]:
    """The results of the threads, which are at work now."""
    try:
        return executor.map(work, batches)
    except RuntimeError as error:
        raise _NoThreads from error


def _joined(batches: Iterator[list[tuple[int, int]]]) -> Iterator[tuple[int, int]]:
    """Neighbours within a batch in one range."""
    for batch in batches:
        waiting: tuple[int, int] | None = None
        for first, behind in batch:
            if waiting is not None and waiting[1] == first:
                waiting = (waiting[0], behind)
                continue
            if waiting is not None:
                yield waiting
            waiting = (first, behind)
        if waiting is not None:
            yield waiting


def _pieces(host: Array) -> Iterator[Piece]:
    """The array in pieces of at most PIECE bytes, in the order in which they lie on the device."""
    if host.nbytes <= PIECE:
        yield (), 0, host.nbytes
        return
    axis, row = host.ndim - 1, host.itemsize
    while axis > 0 and row * host.shape[axis] <= PIECE:
        row *= host.shape[axis]
        axis -= 1
    rows = max(PIECE // row, 1)
    first = 0
    for outer in product(*map(range, host.shape[:axis])):
        for start in range(0, host.shape[axis], rows):
            stop = min(start + rows, host.shape[axis])
            yield (*outer, slice(start, stop)), first, (stop - start) * row
            first += (stop - start) * row


def _copied(host: Array, shadow: Array, piece: Piece) -> bool:
    shadow[piece[0]] = host[piece[0]]
    return True


def _differing_bytes(host: int, shadow: int, piece: Piece) -> bool:
    """Of contiguous arrays, by their addresses; brings the shadow up to date."""
    _, first, size = piece
    if not _memcmp()(host + first, shadow + first, size):
        return False
    ctypes.memmove(shadow + first, host + first, size)
    return True


def _differing(host: Array, shadow: Array, piece: Piece) -> bool:
    """The same of any arrays. Bits are compared: a NaN equals itself, and zeros have signs."""
    ours, theirs = host[piece[0]], shadow[piece[0]]
    if host.dtype.kind == "c":
        pairs = [(ours.real, theirs.real), (ours.imag, theirs.imag)]
    else:
        pairs = [(ours, theirs)]
    if not any((a.view(f"u{a.itemsize}") != b.view(f"u{b.itemsize}")).any() for a, b in pairs):
        return False
    theirs[...] = ours
    return True


@cache
def _memcmp() -> Any:
    """C's, which does not hold the GIL while it compares."""
    function = (ctypes.CDLL("msvcrt") if os.name == "nt" else ctypes.CDLL(None)).memcmp
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    function.restype = ctypes.c_int
    return function
