"""The guard in pure Python: same behaviour as _guard.c, some ten times slower. The contract is in guard.py.

In:  what `Site` and `Entry` of the C extension take.
Out: the same results; kernels are called through ctypes, which is imported with the first kernel.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Final

from alpyna_hook.ir.abi import HALF_WAY, RESUME_SLOTS
from alpyna_hook.runtime import guard_values, journal
from alpyna_hook.runtime.guard_entry import MAX_IN, MAX_OUT, MAX_PARAMS, Entry
from alpyna_hook.runtime.guard_values import UNSET, describe, distinct, follow, overlap, set_error_state

__all__ = [
    "MAX_IN", "MAX_OUT", "MAX_PARAMS", "UNSET", "Entry", "Site", "describe", "distinct", "follow", "overlap",
    "raise_held", "set_error_state", "set_main_thread", "set_on_error",
]  # fmt: skip

MAX_ENTRIES: Final = 32
GIL_NS: Final = 5_000_000  # an entry with a timed call that took longer lets other threads run in later ones
TIMING_PERIOD: Final = 16  # calls between two timed ones

_on_error: Callable[[str, BaseException], object] | None = None


def set_on_error(callback: Callable[[str, BaseException], object] | None) -> None:
    """`callback(key, exception)` is told of every exception that a site is about to swallow. True: it is the program's,
    and passes."""
    global _on_error
    _on_error = callback


def set_main_thread(ident: int) -> None:
    """Here kernels look for no signals."""


def raise_held() -> None:
    """So there is never anything to raise."""


def _swallow(key: str, error: Exception) -> None:
    passes = False
    if _on_error is not None:
        try:
            passes = _on_error(key, error) is True
        except Exception:
            pass  # as in C: a site declines whatever the callback does
    if passes:
        raise error


def _is_traced() -> bool:
    if sys.gettrace() is not None or sys.getprofile() is not None:
        return True
    monitoring = getattr(sys, "monitoring", None)  # CPython 3.12+
    return monitoring is not None and any(monitoring.get_tool(tool) is not None for tool in range(6))


class Site:
    """The callable behind one rewritten loop: `site(*roots)` -> None or the tuple of live-outs."""

    __slots__ = ("__weakref__", "_entries", "_key", "slow")

    def __init__(self, key: str, slow: Callable[[tuple[Any, ...]], object]) -> None:
        self._key = key
        self.slow = slow
        self._entries: list[Entry] = []

    @property
    def key(self) -> str:
        return self._key

    def __repr__(self) -> str:
        return f"<Site {self._key}>"

    def install(self, entry: Entry) -> None:
        """Puts `entry` first; the least recently matched of 32 makes room."""
        if type(entry) is not Entry:
            raise TypeError("install() takes an Entry")
        if len(self._entries) == MAX_ENTRIES:
            self._entries.pop()
        self._entries.insert(0, entry)

    def remove(self, entry: Entry) -> bool:
        """Whether it was there."""
        for at, other in enumerate(self._entries):
            if other is entry:
                del self._entries[at]
                return True
        return False

    def clear(self) -> None:
        self._entries.clear()

    def entries(self) -> tuple[Entry, ...]:
        """Most recently matched first."""
        return tuple(self._entries)

    def __call__(self, *args: Any) -> object:
        if _is_traced():
            return None
        at = 0
        while at < len(self._entries):
            entry = self._entries[at]
            values = entry.match(args)
            if values is None:
                at += 1
                continue
            if 0 < at < len(self._entries) and self._entries[at] is entry:
                self._entries.insert(0, self._entries.pop(at))
            if entry.calls_left == 0:
                return self._call_slow(args)
            if entry.calls_left > 0:
                entry.calls_left -= 1
            if entry.kernel != 0:
                return self._run(entry, values, args)
            entry.calls += 1
            return None
        return self._call_slow(args)

    def _call_slow(self, args: tuple[Any, ...]) -> object:
        try:
            return self.slow(args)
        except Exception as error:
            _swallow(self._key, error)
            return None

    def _run(self, entry: Entry, call: guard_values.Call, args: tuple[Any, ...]) -> object:
        arrays = [call.values[param] for param in entry.journal]
        try:
            saved = journal.save(arrays)
        except MemoryError:
            return None
        out = bytearray(8 * MAX_OUT)
        try:
            rc = _call_kernel(entry, call.slots, out)
        except Exception as error:  # a device's kernel that could not be entered: nothing is done
            _swallow(self._key, error)
            return None
        if rc > 1:
            journal.restore(arrays, saved)
        del saved
        if rc == 0:
            return _live_outs(entry, out)
        if rc == 1:
            entry.declines += 1
        else:
            entry.faults += 1
        if entry.failed is None:
            return None
        stopped = (_live_outs(entry, out), _record(entry, out)) if rc == HALF_WAY else None
        try:
            return entry.failed(rc, guard_values.INT.unpack_from(out, 0)[0], args, stopped)
        except Exception as error:
            _swallow(self._key, error)
            return None


def _live_outs(entry: Entry, out: bytearray) -> tuple[object, ...]:
    return tuple(spec.value(out) for spec in entry.out_specs)


def _record(entry: Entry, out: bytearray) -> tuple[int, ...]:
    slots = range(entry.record, entry.record + RESUME_SLOTS) if entry.record >= 0 else ()
    return tuple(guard_values.INT.unpack_from(out, 8 * slot)[0] for slot in slots)


def _call_kernel(entry: Entry, slots: bytearray, out: bytearray) -> int:
    if entry.function is None:
        if entry.device is None:
            entry.function = _ctypes_function(entry.kernel, entry.release_gil)
        else:
            entry.function = _of_addresses(entry.device)
    timed = entry.time_always or entry.calls % TIMING_PERIOD == 0
    weight = entry.calls + 1 - entry.last_timed  # this call stands for those since the last timed one
    entry.calls += 1
    start = time.perf_counter_ns()
    rc: int = entry.function(slots, out)
    if timed:
        took = time.perf_counter_ns() - start
        entry.total_ns += took * weight
        entry.last_timed += weight
        if took > GIL_NS and not entry.release_gil:
            entry.release_gil, entry.function = True, None
    return rc


def _of_addresses(device: Callable[[int, int], int]) -> Callable[[bytearray, bytearray], int]:
    import ctypes

    byte, at = ctypes.c_char, ctypes.addressof
    return lambda slots, out: device(at(byte.from_buffer(slots)), at(byte.from_buffer(out)))


def _ctypes_function(address: int, release_gil: bool) -> Callable[[bytearray, bytearray], int]:
    """The kernel at `address` as a function of input and output slots."""
    import ctypes

    prototype = ctypes.CFUNCTYPE if release_gil else ctypes.PYFUNCTYPE
    kernel = prototype(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(address)
    byte, at = ctypes.c_char, ctypes.byref

    def call(slots: bytearray, out: bytearray) -> int:
        return int(kernel(at(byte.from_buffer(slots)), at(byte.from_buffer(out))))

    return call
