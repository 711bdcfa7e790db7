"""The guard in front of every compiled loop: chooses the C extension or its pure-Python twin.

In:  `Site(key, slow)` and `Entry(...)` from the dispatcher; calls `site(*roots)` from rewritten modules.
Out: None (run the original loop), or the tuple of live-outs with `UNSET` for names never assigned.

A call checks the entries in turn, the one matched last first; the first whose params, ranges, values and alias
conditions all hold is taken.  An entry without kernel (decision "interp") counts the call and declines.  One with a
kernel fills the input slots, saves the journaled arrays and runs it; rc 0 gives the live-outs, rc 1 (a precondition
failed, nothing written) and rc >= 2 (a fault, arrays restored) ask `entry.failed(rc, out0, args, live_outs)`, with the
live-outs if the kernel stopped half-way (rc 3), or because a signal handler has raised (rc 4), else None.  If no entry
matches, `slow(args)` decides.  While a tracer, profiler or sys.monitoring tool is active every call declines.

A site does not raise: an Exception of `slow` or `failed` goes to the `set_on_error` callback and the call declines.
KeyboardInterrupt, SystemExit and their like belong to the program and pass, as does MemoryError while live-outs are
built (the kernel has then run, so the loop can no longer be left to the interpreter).

`describe(value)` gives the check tuple a value meets or ("other", what it is); `follow(object, path)` reads attributes
by the guard's rule (UNSET where that could run code of the program); `overlap(a, b)` compares two arrays' memory,
`distinct(a)` says whether each subscript has an element of its own, as an array must that is written.

Kernels with a check ("poll",) look for signals while they run in the main thread, which `set_main_thread(ident)` names.
What a handler raises then comes out of the call if there are no live-outs; else the site returns what `failed` returned
for rc 4, False, and the program calls `raise_held()` once its names are assigned.  Loops that a handler meets decline.
The twin's kernels look for none.

`set_error_state(variable, get, flags)` says where NumPy keeps its error state, for checks ("fp_mask",).

`Entry.total_ns` is the time spent in kernels: of every call with `time_always`, else of every TIMING_PERIOD-th call,
which stands for those since the one timed before.

`ALPYNA_PURE=1` selects the twin; it is also used where the extension was not built.  `IMPLEMENTATION` says which.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident

TYPE_CHECKING = False  # the constant of typing, whose import costs more than all of this
if TYPE_CHECKING:
    from alpyna_hook.runtime import guard_py as _implementation
else:
    try:
        # Loading the extension into a free-threaded interpreter would switch its GIL on, with a warning.
        if os.environ.get("ALPYNA_PURE") == "1" or not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise ImportError
        from alpyna_hook.runtime import _guard as _implementation
    except ImportError:
        from alpyna_hook.runtime import guard_py as _implementation

IMPLEMENTATION = "c" if _implementation.__name__.endswith("._guard") else "python"
TIMING_PERIOD = _implementation.TIMING_PERIOD
GIL_NS = _implementation.GIL_NS  # calls that take longer, by prediction or because one has, let other threads run
MAX_PARAMS, MAX_IN, MAX_OUT = _implementation.MAX_PARAMS, _implementation.MAX_IN, _implementation.MAX_OUT  # of an Entry
UNSET = _implementation.UNSET
Entry = _implementation.Entry
Site = _implementation.Site
describe = _implementation.describe
distinct = _implementation.distinct
follow = _implementation.follow
overlap = _implementation.overlap
raise_held = _implementation.raise_held
set_error_state = _implementation.set_error_state
set_main_thread = _implementation.set_main_thread
set_on_error = _implementation.set_on_error

__all__ = [
    "GIL_NS", "IMPLEMENTATION", "MAX_IN", "MAX_OUT", "MAX_PARAMS", "TIMING_PERIOD", "UNSET", "Entry", "Site",
    "describe", "distinct", "follow", "overlap", "raise_held", "set_error_state", "set_main_thread", "set_on_error",
]  # fmt: skip


def _know_main_thread() -> None:
    threading = sys.modules.get("threading")  # where it is not imported yet, nothing but _thread starts any
    set_main_thread(threading.main_thread().ident if threading is not None else get_ident())


_know_main_thread()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: set_main_thread(get_ident()))
