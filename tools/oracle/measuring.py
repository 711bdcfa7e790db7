"""Timing every legal variant of a kernel at several sizes, and asking the oracle about each.

In: a kernel's name, its sizes, the platforms, a time budget.  Out: a `Point` per size.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contender import Contender, Failed

ROOT = Path(__file__).resolve().parent.parent.parent
ROUNDS = 3
SETTLE_S = 1.0  # of calls that a process is given at least to settle on its choices
OVERTIME = 1.5
INTERP_SHARE = 6.0  # of a round's time that one call in the interpreter may be predicted to take

Middle = Callable[[Sequence[float]], float]


@dataclass(frozen=True)
class Platform:
    """What the oracle may choose from: threads, and variants."""

    name: str
    threads: int
    variants: tuple[str, ...]


@dataclass
class Choice:
    """What one oracle chose at one point.

    sites     line -> variant of each loop nest's decision
    variant   of all of them, "mixed" if they differ
    seconds   measured: of the variant, or of the mixture itself; None: not measured
    choose_s  of one uncached choice, the median over the loop nests; None for settled choices
    decide_s  of the same with the ranges of sizes for which it stands
    """

    sites: dict[str, list[str]]
    variant: str
    seconds: float | None = None
    choose_s: float | None = None
    decide_s: float | None = None


@dataclass
class Point:
    """One kernel at one size. times_s: variant -> median seconds; extrapolated: variants whose time was not measured
    but scaled from the next smaller size by what the model predicts for both."""

    kernel: str
    size: Any
    times_s: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    extrapolated: list[str] = field(default_factory=list)
    predicted_s: dict[str, float] = field(default_factory=dict)
    first: dict[str, Choice] = field(default_factory=dict)  # platform -> choice
    settled: dict[str, Choice] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Run:
    """One of those timed side by side. follows: what the probe is to do in its turn, a platform whose oracle's first
    choices it follows, or "" for its own variant; None: the worker knows only one thing to do."""

    name: str
    worker: Contender
    follows: str | None = None


def sizes_of(kernel: str, count: int) -> list[Any]:
    """`count` sizes from a quarter of the kernel's test size to its large size, in geometric steps."""
    table = _table(kernel)
    low, high = (x if isinstance(x, tuple) else (x,) for x in (table["test"], table["large"]))
    found: list[Any] = []
    for k in range(count):
        share = k / (count - 1)
        start = [max(value // 4, 4) if axis == len(low) - 1 else value for axis, value in enumerate(low)]
        size = tuple(round(a * (b / a) ** share) for a, b in zip(start, high))
        found.append(size if isinstance(table["test"], tuple) else size[0])
    return list(dict.fromkeys(found))


def _table(kernel: str) -> dict[str, Any]:
    import ast

    for node in ast.parse((ROOT / "kernels" / f"{kernel}.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SIZES":
            return dict(ast.literal_eval(node.value))
    raise KeyError(f"kernels/{kernel}.py has no SIZES")


def measure(
    kernel: str, sizes: Sequence[Any], platforms: Sequence[Platform], seconds: float, middle: Middle
) -> list[Point]:
    """All points of a kernel in about `seconds`; `middle`: median or min of the calls' times.

    Sizes go from large to small: a process that has met only tiny calls of a loop may have given it up for good.
    """
    points = []
    with _Workers(platforms) as workers:
        for size in sorted(sizes, reverse=True):
            point = Point(kernel, size)
            _measure(point, workers, platforms, seconds / len(sizes), middle)
            points.append(point)
    points.reverse()
    _extrapolate(points)
    return points


class _Workers:
    """The processes of one kernel: a variant each, the first compiled one is also the probe; an `auto` per platform."""

    def __init__(self, platforms: Sequence[Platform]) -> None:
        self._platforms = platforms
        self.timed: dict[str, Contender] = {}
        self.auto: dict[str, Contender] = {}

    def __enter__(self) -> _Workers:
        threads = max(p.threads for p in self._platforms)
        asked = {p.name: (p.threads, p.variants) for p in self._platforms}
        for variant in dict.fromkeys(v for p in self._platforms for v in p.variants):
            kind = "probe" if variant == "seq" else "timed"
            self.timed[variant] = _start(kind, variant, threads, asked)
        for platform in self._platforms:
            own = {platform.name: asked[platform.name]}
            self.auto[platform.name] = _start("auto", "auto", platform.threads, own)
        return self

    def __exit__(self, *exception: object) -> None:
        for worker in (*self.timed.values(), *self.auto.values()):
            worker.close()


def _start(kind: str, variant: str, threads: int, platforms: Mapping[str, Any]) -> Contender:
    command = [
        sys.executable, "-m", "alpyna", "--variant", variant, "--threads", str(threads), "--modules", "kernels.*",
        str(ROOT / "tools" / "oracle" / "worker.py"), kind, json.dumps(platforms),
    ]  # fmt: skip
    return Contender(command, ROOT, threads)


def _measure(
    point: Point, workers: _Workers, platforms: Sequence[Platform], seconds: float, middle: Middle
) -> None:
    running: dict[str, Contender] = {}
    asked: dict[str, dict[str, list[dict[str, Any]]]] = {}
    share = seconds / (ROUNDS * (len(workers.timed) + len(workers.auto) + 1))
    order = sorted(workers.timed, key=lambda v: v != "seq")  # the probe's predictions say what interp can bear
    for variant in order:
        if variant == "interp" and point.predicted_s.get("interp", math.inf) > INTERP_SHARE * share:
            continue
        reply = _ask(point, variant, workers.timed[variant], op="load", kernel=point.kernel, size=point.size)
        if reply is not None:
            running[variant] = workers.timed[variant]
            if variant == "seq":
                asked = reply["asked"]
                point.predicted_s = _predicted(asked)
    autos = _settle(point, workers.auto, share)
    for platform in platforms:
        point.first[platform.name] = _first(asked.get(platform.name, {}))
    times = _rounds(point, _runs(point, running, autos), share)
    point.times_s = {v: middle(times[v]) for v in running if times.get(v)}
    point.calls = {v: len(times[v]) for v in running if v in times}
    for platform in platforms:
        first = point.first[platform.name]
        first.seconds = point.times_s.get(first.variant)
        if mixed := times.get(f"first {platform.name}"):
            first.seconds = middle(mixed)
        if platform.name in autos:
            reply = _ask(point, "auto", autos[platform.name], op="ran")
            sites = reply["ran"] if reply else {}
            variant = _common(sites)
            own = times.get(f"auto {platform.name}")
            measured = point.times_s.get(variant, middle(own) if own else None)
            point.settled[platform.name] = Choice(sites, variant, measured)


def _settle(point: Point, workers: Mapping[str, Contender], share: float) -> dict[str, Contender]:
    """The `auto` workers that have loaded this point and settled, as far as the time goes."""
    found = {}
    for name, worker in workers.items():
        if _ask(point, f"auto {name}", worker, op="load", kernel=point.kernel, size=point.size) is not None:
            _ask(point, f"auto {name}", worker, op="settle", budget_s=max(3.0 * share, SETTLE_S))
            found[name] = worker
    return found


def _runs(point: Point, running: Mapping[str, Contender], autos: Mapping[str, Contender]) -> list[_Run]:
    """What is to be timed side by side: the variants, the mixtures that oracles chose first, the settled oracles."""
    mixed = [name for name, choice in point.first.items() if choice.variant == "mixed" and "seq" in running]
    follows = {"seq": ""} if mixed else {}  # the probe runs mixtures, too: it is told what each time
    return [
        *(_Run(variant, worker, follows.get(variant)) for variant, worker in running.items()),
        *(_Run(f"first {name}", running["seq"], name) for name in mixed),
        *(_Run(f"auto {name}", worker) for name, worker in autos.items()),
    ]


def _rounds(point: Point, runs: Sequence[_Run], share: float) -> dict[str, list[float]]:
    """Interleaved: seconds of each call, by name. Long calls get fewer rounds, two at least."""
    times: dict[str, list[float]] = {}
    end = time.monotonic() + OVERTIME * ROUNDS * share * len(runs)
    for number in range(ROUNDS):
        if number >= 2 and time.monotonic() > end:
            break
        for run in runs:
            if run.follows is not None:
                if _ask(point, run.name, run.worker, op="follow", platform=run.follows) is None:
                    continue
            reply = _ask(point, run.name, run.worker, op="round", budget_s=share)
            if reply is not None:
                times.setdefault(run.name, []).extend(reply["times_s"])
    return times


def _ask(point: Point, name: str, worker: Contender, **command: Any) -> dict[str, Any] | None:
    try:
        return worker.ask(**command)
    except Failed as failed:
        point.errors.append(f"{name}: {failed}")
        return None


def _first(asked: Mapping[str, list[dict[str, Any]]]) -> Choice:
    sites = {line: sorted({note["variant"] for note in notes}) for line, notes in asked.items()}
    all_notes = [note for notes in asked.values() for note in notes]
    times = (statistics.median(note[key] for note in all_notes) for key in ("choose_s", "decide_s") if all_notes)
    return Choice(sites, _common(sites), None, *times)


def _common(sites: Mapping[str, list[str]]) -> str:
    """The variant of all sites; "interp" if there are none."""
    found = {variant for variants in sites.values() for variant in variants}
    return "mixed" if len(found) > 1 else found.pop() if found else "interp"


def _predicted(asked: Mapping[str, Mapping[str, list[dict[str, Any]]]]) -> dict[str, float]:
    """Predicted seconds of the kernel, by variant: the sum over its sites, for the platform with most variants."""
    best: dict[str, float] = {}
    for sites in asked.values():
        notes = [note["predicted_s"] for notes in sites.values() for note in notes]
        common = set.intersection(*(set(n) for n in notes)) if notes else set()
        if len(common) > len(best):
            best = {v: sum(n[v] for n in notes) for v in common}
    return best


def _extrapolate(points: list[Point]) -> None:
    """The interpreter's time where it was too long to be measured."""
    last: Point | None = None
    for point in points:
        if "interp" in point.times_s:
            last = point
        elif last is not None and last.predicted_s.get("interp") and point.predicted_s.get("interp"):
            ratio = point.predicted_s["interp"] / last.predicted_s["interp"]
            point.times_s["interp"] = ratio * last.times_s["interp"]
            point.extrapolated.append("interp")


def to_json(point: Point) -> dict[str, Any]:
    """Plain data."""
    return asdict(point)
