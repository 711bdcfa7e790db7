"""Guard entries: from a recipe, which is plain data, and one call's checks.

In: a `Recipe` (specials.py makes it from a specialisation and a decision, or warm.py finds it in the disk cache), the
checks of the live-ins, the address of a kernel.  Out: a `guard.Entry`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from alpyna_hook import settings
from alpyna_hook.ir.abi import STOPPED
from alpyna_hook.runtime import guard, resume
from alpyna_hook.runtime.heads import Head

# Gets (return code, out[0].i, args, where to go on or None); its result is the site's.
Failed = Callable[[int, int, "tuple[Any, ...]", "Halfway | None"], object]
Place = tuple[int, int]  # line and column of a Python loop


class Recipe(NamedTuple):
    """Of an entry: all but what belongs to one process. Numbers of live-ins, plain values.

    extra       (kind, name, representation) of the params that follow the live-ins: see ir.plan.KernelParam
    ranges      (input slot, lowest, highest)
    values      (input slot, value)
    disjoint, overlapping, same, journal, outs, calls_left, time_always, release_gil   as guard.Entry takes them
    resume      (loops, skipped, carried) of each point where the interpreter may go on: see ir.plan.ResumePoint
    record      output slot of the resume record; -1: none
    """

    extra: tuple[tuple[str, str, str], ...]
    ranges: tuple[tuple[int, int, int], ...]
    values: tuple[tuple[int, int], ...]
    disjoint: tuple[tuple[int, int], ...]
    overlapping: tuple[tuple[int, int], ...]
    same: tuple[tuple[int, int], ...]
    journal: tuple[int, ...]
    outs: tuple[tuple[tuple[str, ...], int, int, int], ...]
    resume: tuple[tuple[tuple[Place, ...], tuple[Place, ...], bool], ...]
    record: int
    calls_left: int
    time_always: bool
    release_gil: bool


def build(
    head: Head, checks: Sequence[tuple[Any, ...]], recipe: Recipe, address: int, keep: object, failed: Failed
) -> Any:
    """The entry. `address`: of the kernel, 0 for the interpreter; `keep`: what must live as long as it does; `failed`
    gets what `guard.Entry` says, and where to go on."""
    params: list[Any] = [(live[1], live[2], check) for live, check in zip(head.live_ins, checks, strict=True)]
    for kind, name, rep in recipe.extra:
        if kind == "poll":
            params.append((-1, (), ("poll",)))
        elif kind == "fp_mask":
            from alpyna_hook.runtime import errstate  # here and below: a warm start counts milliseconds

            errstate.watch()
            params.append((-1, (), ("fp_mask",)))
        else:
            from alpyna_hook.runtime import ufuncs

            params.append((-1, (), ("const", ufuncs.address(name, rep))))
    points = recipe.resume
    return guard.Entry(
        params,
        address,
        threads=settings.current().threads,
        ranges=recipe.ranges,
        values=recipe.values,
        disjoint=recipe.disjoint,
        overlapping=recipe.overlapping,
        same=recipe.same,
        journal=recipe.journal,
        outs=recipe.outs,
        record=recipe.record,
        failed=lambda rc, detail, args, stopped: (
            failed(rc, detail, args, _halfway(points, stopped)) if rc != STOPPED else _stopped(stopped)
        ),
        calls_left=recipe.calls_left,
        time_always=recipe.time_always,
        release_gil=recipe.release_gil,
        device=getattr(keep, "device", None),
        data=keep,
    )


class Halfway(NamedTuple):
    """Where the interpreter goes on: Python loops -> trips to skip, and the live-outs there (None: as at entry)."""

    skip: dict[Place, int]
    live_outs: tuple[Any, ...] | None


def _halfway(
    points: tuple[Any, ...], stopped: tuple[tuple[Any, ...], tuple[int, ...]] | None
) -> Halfway | None:
    """Where the kernel has stopped, by its live-outs and its resume record; None if the arrays are as they were at
    entry."""
    if stopped is None:
        return None
    live_outs, record = stopped
    loops, skipped, carried = points[record[0]]
    done = dict.fromkeys(skipped, resume.ALL)
    skip = {**done, **{place: record[1 + depth] for depth, place in enumerate(loops)}}
    return Halfway(skip, live_outs if carried else None)


def _stopped(stopped: tuple[tuple[Any, ...], tuple[int, ...]] | None) -> bool:
    """A signal handler has raised between two iterations: the program is to assign the live-outs, and to raise that."""
    assert stopped is not None
    resume.note({}, stopped[0])
    return False


def measured_ns(entry: Any) -> float:
    """Nanoseconds of all calls. Of short ones the guard times every TIMING_PERIOD-th, for itself and those before
    it; the calls after the last timed one are taken to be like the others."""
    if entry.time_always or not entry.calls:
        return float(entry.total_ns)
    accounted = (entry.calls - 1) // guard.TIMING_PERIOD * guard.TIMING_PERIOD + 1
    return float(entry.total_ns * entry.calls / accounted)
