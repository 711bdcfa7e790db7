"""Measuring single poor choices again, to tell a wrong choice from a noisy measurement.

In: the points of an evaluation, its platforms.  Out: `Suspect`s, with how much slower the choice was in each run.

A choice that was much slower than the best, in one experiment, may be wrong or may have been measured while the machine
was different from what it was when the choice was made. Each such experiment is run again, all of it: new processes
that know nothing, at another time. What remains in the median of all runs is beyond noise. The points themselves, and
the means over them, stay those of the first run: what is looked at again because it was poor would be better by
selection alone (regression toward the mean).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from oracle.measuring import Middle, Platform, Point, measure
from oracle.score import slowdown

LIMITS = {"first": 2.0, "settled": 1.2}  # no single choice is to be slower than this beyond noise


@dataclass(frozen=True)
class Suspect:
    """One experiment above its limit. choice: "first" or "settled"; factors: slowdown against the best in each run, the
    first one being that of the evaluation."""

    platform: str
    choice: str
    kernel: str
    size: object
    factors: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.factors)

    @property
    def beyond_noise(self) -> bool:
        return self.median > LIMITS[self.choice]


def suspects(points: Sequence[Point], platforms: Sequence[Platform], repeats: Sequence[Point] = ()) -> list[Suspect]:
    """Every experiment of `points` above its limit, with what `repeats` of the same kernel and size say of it."""
    found = []
    for point in points:
        for platform in platforms:
            for choice, limit in LIMITS.items():
                factor = slowdown(point, platform, choice)
                if factor is not None and factor > limit:
                    again = (slowdown(p, platform, choice) for p in repeats if _same(p, point))
                    factors = (factor, *(f for f in again if f is not None))
                    found.append(Suspect(platform.name, choice, point.kernel, point.size, factors))
    return found


def _same(a: Point, b: Point) -> bool:
    return a.kernel == b.kernel and list(_axes(a.size)) == list(_axes(b.size))


def _axes(size: object) -> Sequence[object]:
    return size if isinstance(size, (list, tuple)) else [size]


def again(
    points: Sequence[Point], platforms: Sequence[Platform], seconds: float, middle: Middle, times: int
) -> Iterator[Point]:
    """The suspects' points, measured so many times more, `seconds` each. All kernels have their turn before the first
    has its second one, so that runs of a point are far apart."""
    found = suspects(points, platforms)
    for _ in range(times):
        for kernel in dict.fromkeys(s.kernel for s in found):
            own = [s for s in found if s.kernel == kernel]
            sizes = list({str(s.size): s.size for s in own}.values())
            needed = [p for p in platforms if any(s.platform == p.name for s in own)]
            yield from measure(kernel, sizes, needed, seconds * len(sizes), middle)


def markdown(found: Sequence[Suspect]) -> list[str]:
    """A table of the suspects, and how many of them are beyond noise."""
    limits = ", ".join(f"{choice} {limit} x" for choice, limit in LIMITS.items())
    beyond = sum(s.beyond_noise for s in found)
    count = f"{len(found)}, {beyond} of them in the median of all runs."
    lines = ["", f"Single choices above the limits ({limits}): {count}", ""]
    if found:
        lines += ["| platform | choice | kernel | size | slowdown in each run | median |", "|---|---|---|---|---|---|"]
    for s in sorted(found, key=lambda s: -s.median):
        runs = ", ".join(f"{f:.2f}" for f in s.factors)
        lines.append(f"| {s.platform} | {s.choice} | {s.kernel} | {s.size} | {runs} | {s.median:.2f} x |")
    return lines


def to_json(suspect: Suspect) -> dict[str, object]:
    """Plain data."""
    return {**asdict(suspect), "median": suspect.median, "beyond_noise": suspect.beyond_noise}
