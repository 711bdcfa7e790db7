"""The accelerators of this process: opened at the first use, one per variant, and closed at its end.

In:  a variant's name.  Out: the opened device and its pool of memory, or why there is none.

A forked child uses none: a context belongs to the process that made it, and OpenCL drivers have worker threads, which a
fork does not copy. What its parent opened is neither used nor released there.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib
import os
import threading
from dataclasses import dataclass
from typing import Any, Final

from alpyna_hook.devices.base import Accelerator, Cache
from alpyna_hook.devices.memory import Pool
from alpyna_hook.devices.resident import Residents, budget_of

_IN_CHILD: Final = "this is a forked process, and the device belongs to its parent"
_ENDED: Final = "the program has ended"
_NEEDS: Final = {
    "fp64": "it has no double precision",
    "denorm32": "its single precision has no denormal numbers",
    "atomics64": "it has no atomic addition of 64-bit integers",
    "div32": "it does not round single-precision division correctly",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A device that is ready, its memory, and the arrays that are there (None: it works where they lie)."""

    device: Any
    pool: Pool
    residents: Residents | None = None

    def drain(self) -> None:
        """Gives back all memory that no call uses. With the device's lock held, and the device current."""
        if self.residents is not None:
            self.residents.drain()
        self.pool.drain()


_opened: dict[str, Opened | str] = {}
_state = {"forked": False, "registered": False}
_opening = threading.RLock()  # two threads that open one device would have two, and lose one


def get(variant: str, cache: Cache) -> Opened | str:
    """The device that runs `variant`, opened at the first call; or why there is none."""
    if variant not in _opened:
        if _state["forked"] and any(isinstance(o, Opened) for o in _opened.values()):
            return _IN_CHILD
        _open(variant, cache)
    found = _opened[variant]
    if isinstance(found, Opened) and found.device.failure:
        return f"{found.device.name}: {found.device.failure}"
    return found


def _open(variant: str, cache: Cache) -> None:
    """Opens the device for good, unless another thread has done so meanwhile."""
    with _opening:
        if variant in _opened:
            return
        _watch()
        module = importlib.import_module(f"alpyna_hook.devices.{variant}")
        device: Accelerator | str = module.open_device(cache)
        _opened[variant] = device if isinstance(device, str) else use(variant, device)


def is_open(variant: str) -> bool:
    """Whether `get` has opened the device that runs `variant`."""
    return isinstance(_opened.get(variant), Opened)


def told(variant: str) -> bool:
    """Whether the user knows why the device that runs `variant` is not used any more."""
    found = _opened.get(variant)
    return isinstance(found, Opened) and bool(found.device.told)


def use(variant: str, device: Any) -> Opened:
    """From now on `device` runs `variant` (tests put devices here that fail)."""
    pool = Pool(device.allocate, device.release)
    residents = None if device.shares_memory else Residents(device, pool, budget_of(device))
    opened = _opened[variant] = Opened(device, pool, residents)
    return opened


def unmet(opened: Opened, needs: tuple[str, ...]) -> str:
    """Why the device cannot run a program that needs all this; empty if it can."""
    return next((_NEEDS.get(need, need) for need in needs if need not in opened.device.abilities), "")


def describe() -> list[dict[str, str]]:
    """The devices in use, for the report."""
    return [{"name": found.device.name} for found in _opened.values() if isinstance(found, Opened)]


def _watch() -> None:
    if _state["registered"]:
        return
    _state["registered"] = True
    atexit.register(close)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def close() -> None:
    """Gives everything back, in order, while Python can still do it. A second call does nothing."""
    for found in _opened.values():
        if not isinstance(found, Opened) or found.device.failure in (_ENDED, _IN_CHILD):
            continue
        if found.device.failure:  # the driver would only complain, on the program's stderr
            _keep_for_ever(found)
            continue
        found.device.failure, found.device.told = _ENDED, True
        with contextlib.suppress(Exception), found.device.lock, found.device.current():
            found.drain()
        found.device.close()


def _after_fork() -> None:
    global _opening
    _opening = threading.RLock()  # another thread may have held it
    _state["forked"] = True
    for found in _opened.values():
        if isinstance(found, Opened):
            found.device.failure, found.device.told = _IN_CHILD, True
            _keep_for_ever(found)  # the driver would wait for threads that this process does not have


def _keep_for_ever(found: Opened) -> None:
    """Nothing of the device is released, not even when the interpreter ends."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(found))
