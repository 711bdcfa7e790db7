"""OpenMP and fork(): a parallel region hangs in a child whose parent had a team of threads, because those exist only in
the parent; and from 3.12 on CPython warns of a fork with threads, which the program itself never started.

In:  `watch()`, before a first kernel is loaded; `loaded(library)`, for each kernel.
Out: `omp_unsafe()`, to be asked before an OpenMP kernel is run.

So the team is dismissed before a fork (omp_pause_resource_all, OpenMP API 5.0, section 3.2.44), and is made anew by the
next parallel region, in parent and child. Where the runtime cannot do that, children do without OpenMP.
"""

from __future__ import annotations

import os
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_HARD = 2  # omp_pause_hard
_EXIT_S = 0.02  # threads leave on their own; CPython counts them right after the fork

_pause: Callable[[int], int] | None = None  # omp_pause_resource_all
_dismissed = False
_unsafe = False


@cache
def watch() -> None:
    """From now on, forked children know what they are."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def loaded(library: object) -> None:
    """A kernel has been loaded, perhaps with an OpenMP runtime."""
    global _pause
    if _pause is None:
        _pause = getattr(library, "omp_pause_resource_all", None)


def _before_fork() -> None:
    global _dismissed
    threads = _threads()
    _dismissed = _pause is not None and _pause(_HARD) == 0
    if _dismissed and threads > 1:
        _wait(threads)


def _wait(before: int) -> None:
    """Until the team is gone, if there was one."""
    import time

    from alpyna_hook import settings

    others, until = before - (settings.current().threads - 1), time.perf_counter() + _EXIT_S
    while _threads() > max(others, 1) and time.perf_counter() < until:
        time.sleep(5e-5)


def _threads() -> int:
    """Of this process; 1 where that cannot be told."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def _after_fork() -> None:
    global _unsafe
    _unsafe = not _dismissed
    _omp_inherited.cache_clear()


def omp_unsafe() -> bool:
    """True in a forked child that inherited an OpenMP runtime with a team: run sequential kernels instead."""
    return _unsafe and _omp_inherited()


@cache
def _omp_inherited() -> bool:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return any("libgomp" in line for line in maps)
    except OSError:
        return True  # cannot tell: assume the worst
