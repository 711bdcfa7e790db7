"""OpenMP and fork(): a parallel region hangs in a child whose parent had libgomp loaded, because the runtime's worker
threads exist only in the parent.

In: `watch()`, before a first kernel is loaded.  Out: `omp_unsafe()`, to be asked before an OpenMP kernel is run.
"""

from __future__ import annotations

import os
from functools import cache

_forked = False


@cache
def watch() -> None:
    """From now on, forked children know what they are."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    global _forked
    _forked = True
    _omp_inherited.cache_clear()


def omp_unsafe() -> bool:
    """True in a forked child whose parent had libgomp loaded: run sequential kernels instead."""
    return _forked and _omp_inherited()


@cache
def _omp_inherited() -> bool:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return any("libgomp" in line for line in maps)
    except OSError:
        return True  # cannot tell: assume the worst
