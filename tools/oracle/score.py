"""Scores: how much slower what was chosen is than the best, per platform and strategy.

In: `Point`s.  Out: `Score` per platform and strategy, and text. The best at a point is the fastest of all that was
timed there: each legal variant, and the mixtures that an oracle chose.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from oracle.measuring import Choice, Platform, Point

WRONG = 1.05  # from this slowdown on a choice counts as a misprediction
CHOICES = ("first", "settled")  # of the oracle: with nothing learned, after many calls
Chooser = Callable[[Point], "float | None"]  # seconds of what a strategy runs at a point


@dataclass
class Score:
    """One strategy on one platform.

    mean, geometric  slowdown against the best; 1 is perfect
    of_best          mean share of the best variant's speed, in per cent
    right            per cent of points within WRONG
    intervals        kernel -> (smallest size, largest size that was mispredicted, worst slowdown there)
    """

    platform: str
    strategy: str
    points: int
    mean: float
    geometric: float
    of_best: float
    right: float
    worst: float
    worst_at: str
    intervals: dict[str, Any] = field(default_factory=dict)


def scores(points: Sequence[Point], platforms: Sequence[Platform]) -> list[Score]:
    """Of both of the oracle's choices, of each variant always, and of the threshold."""
    found = []
    for platform in platforms:
        strategies: dict[str, Chooser] = {
            f"oracle, {choice}": lambda p, choice=choice: _chosen(p, platform, choice)  # type: ignore[misc]
            for choice in CHOICES
        }
        for variant in platform.variants:
            strategies[f"always {variant}"] = _always(variant)
        strategies["threshold"] = _threshold(points, platform)
        for name, choose in strategies.items():
            score = _score(points, platform, name, choose)
            if score is not None:
                found.append(score)
    return found


def _chosen(point: Point, platform: Platform, choice: str) -> float | None:
    """Seconds of what was chosen. A mixture that is the first choice, too, took what was measured of that, as a variant
    takes what was measured of it: the same code in two processes is no difference between choices."""
    made: Choice | None = getattr(point, choice).get(platform.name)
    first: Choice | None = point.first.get(platform.name)
    if made is not None and first is not None and made.variant == "mixed" and made.sites == first.sites:
        made = first
    return made.seconds if made is not None else None


def slowdown(point: Point, platform: Platform, choice: str) -> float | None:
    """Of the oracle's `choice` ("first", "settled") against the best; None where either is unknown."""
    return _factor(point, platform, _chosen(point, platform, choice))


def _factor(point: Point, platform: Platform, seconds: float | None) -> float | None:
    least = best(point, platform)
    return seconds / least if least and seconds and not _shaky(point, platform) else None


def _always(variant: str) -> Chooser:
    """`variant` wherever it is legal, else sequential code, else the interpreter."""
    return lambda p: next((p.times_s[v] for v in (variant, "seq", "interp") if v in p.times_s), None)


def best(point: Point, platform: Platform) -> float | None:
    """Seconds of the fastest that was timed for this platform."""
    times = [point.times_s[v] for v in platform.variants if v in point.times_s]
    times += [seconds for choice in CHOICES if (seconds := _chosen(point, platform, choice))]
    return min(times, default=None)


def _score(points: Sequence[Point], platform: Platform, name: str, choose: Chooser) -> Score | None:
    slow: list[tuple[Point, float]] = []
    for point in points:
        factor = _factor(point, platform, choose(point))
        if factor is not None:
            slow.append((point, factor))
    if not slow:
        return None
    factors = [f for _, f in slow]
    point, worst = max(slow, key=lambda pair: pair[1])
    return Score(
        platform.name, name, len(slow), statistics.fmean(factors),
        math.exp(statistics.fmean(math.log(f) for f in factors)), 100.0 * statistics.fmean(1.0 / f for f in factors),
        100.0 * sum(f <= WRONG for f in factors) / len(factors), worst, f"{point.kernel} {point.size}",
        _intervals(slow),
    )  # fmt: skip


def _shaky(point: Point, platform: Platform) -> bool:
    """A point with an error that leaves one of the variants without a time, or nothing but the interpreter."""
    timed = [v for v in platform.variants if v in point.times_s]
    return not timed or timed == ["interp"]


def _intervals(slow: Iterable[tuple[Point, float]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for point, factor in slow:
        if factor > WRONG:
            low, _, worst = found.get(point.kernel, (point.size, point.size, 1.0))
            found[point.kernel] = (low, point.size, max(worst, round(factor, 2)))
    return found


def _threshold(points: Sequence[Point], platform: Platform) -> Chooser:
    """A threshold on the instruction count: the interpreter below one, plain C up to another, then the last variant of
    the platform. Both fitted to all *other* programs (leave one program out)."""
    kernels = {p.kernel for p in points}
    fitted = {k: _fit([p for p in points if p.kernel != k], platform) for k in kernels}

    def choose(point: Point) -> float | None:
        count = point.predicted_s.get("interp")
        return None if count is None else _by_thresholds(point, platform, count, *fitted[point.kernel])

    return choose


def _by_thresholds(point: Point, platform: Platform, count: float, low: float, high: float) -> float | None:
    variant = "interp" if count < low else "seq" if count < high else platform.variants[-1]
    return _always(variant)(point)


def _fit(points: Sequence[Point], platform: Platform) -> tuple[float, float]:
    """The pair of thresholds with the least mean slowdown. The instruction count is in seconds of the interpreter."""
    grid = [10.0 ** (k / 2.0) for k in range(-14, 5)]
    known = [(p, p.predicted_s.get("interp"), best(p, platform)) for p in points if not _shaky(p, platform)]

    def cost(pair: tuple[float, float]) -> float:
        total = 0.0
        for point, count, least in known:
            if count is not None and least:
                total += min((_by_thresholds(point, platform, count, *pair) or least) / least, 1e3)
        return total

    return min(((a, b) for a in grid for b in grid if a <= b), key=cost)


def decision_times(points: Sequence[Point], part: str) -> list[float]:
    """Seconds of uncached decisions. part: choose_s, decide_s."""
    known = (getattr(choice, part) for point in points for choice in point.first.values())
    return sorted(seconds for seconds in known if seconds is not None)


def to_json(score: Score) -> dict[str, Any]:
    """Plain data."""
    return asdict(score)


def markdown(found: Sequence[Score], points: Sequence[Point]) -> list[str]:
    """Tables: a row per platform and strategy; then the mispredictions of the oracle's first choices."""
    lines = [
        "| platform | strategy | points | mean slowdown | geometric | % of best | within 5 % | worst | at |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for s in found:
        lines.append(
            f"| {s.platform} | {s.strategy} | {s.points} | {100 * (s.mean - 1):.1f} % "
            f"| {100 * (s.geometric - 1):.1f} % | {s.of_best:.1f} | {s.right:.0f} % "
            f"| {s.worst:.2f} x | {s.worst_at} |"
        )
    for strategy in (f"oracle, {choice}" for choice in CHOICES):
        lines += ["", f"Mispredictions ({strategy}; more than 5 % from the best):", ""]
        lines += ["| platform | kernel | from size | to size | worst |", "|---|---|---|---|---|"]
        for s in (s for s in found if s.strategy == strategy):
            for kernel, (low, high, worst) in sorted(s.intervals.items()):
                lines.append(f"| {s.platform} | {kernel} | {low} | {high} | {worst:.2f} x |")
    for part, words in (("choose_s", "An uncached choice"), ("decide_s", "With the sizes for which it stands")):
        times = decision_times(points, part)
        if times:
            middle, last = times[len(times) // 2], times[int(0.95 * (len(times) - 1))]
            lines += ["", f"{words}: median {middle * 1e6:.1f} us, 95 % within {last * 1e6:.1f} us."]
    extrapolated = sum("interp" in p.extrapolated for p in points)
    lines += ["", f"Interpreter times extrapolated (too long to measure; never the best): {extrapolated}."]
    return lines
