"""Memory traffic: which bytes of a nest come from which level of the memory hierarchy, and how long that takes.

In: priced loops whose trip counts have just been evaluated, the levels of the profile.  Out: seconds.

A reference group's footprint over some loops is the number of distinct cache lines it touches there (Ferrante,
Sarkar, Thrash, LCPC 1991).  A cache keeps what one trip of a loop touches if that fits; the loop then brings in
each distinct line once per entry (the "layer condition" of Stengel, Treibig, Hager, Wellein, ICS 2015, for
any nest).  A nest whose whole footprint fits is taken to find it there: programs loop over what they have just made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alpyna_hook.cost.machine import Level
from alpyna_hook.cost.priced import Eval, Group, PricedLoop

LINE = 64  # bytes of a cache line
APART = 2 * LINE  # from this stride on the hardware's stream prefetchers do not help


@dataclass
class Placed:
    """Footprints of one loop in bytes by group (its number in preorder): `one` trip, `all` trips of one entry."""

    loop: PricedLoop
    one: dict[int, float]
    all: dict[int, float]
    groups: dict[int, tuple[Group, list[PricedLoop]]]
    apart: set[int]  # groups whose innermost loop strides over lines
    inner: list[Placed]


def traffic_seconds(
    top: Sequence[PricedLoop], sizes: Mapping[str, Eval], levels: Sequence[Level], v: list[float], threads: int
) -> float:
    """Seconds of the slowest level, streams by its bandwidth and scattered lines by its random access time, and
    those of data-dependent accesses."""
    streamed = [0.0] * len(levels)  # bytes served by each level
    scattered = [0.0] * len(levels)
    indirect = 0.0
    for loop in top:
        tree = _place(loop, v, [0])
        whole = sum(tree.all.values())
        for index in range(1, len(levels)):
            capacity = levels[index - 1].size or 0
            if whole > capacity:
                _cross(tree, capacity, index, streamed, scattered)
        indirect += _indirect(loop, sizes, levels, v)
    slowest = 0.0
    for level, stream, scatter in zip(levels, streamed, scattered):
        bandwidth = level.bandwidth_t if threads > 1 else level.bandwidth
        seconds = stream / bandwidth + max(scatter / bandwidth, scatter / LINE * level.random_s / threads)
        slowest = max(slowest, seconds)
    return slowest + indirect / threads


def _place(loop: PricedLoop, v: list[float], number: list[int]) -> Placed:
    v[loop.slot] = 0.0
    groups: dict[int, tuple[Group, list[PricedLoop]]] = {}
    apart: set[int] = set()
    for group in loop.groups:
        if group.strides is None:
            continue
        groups[number[0]] = (group, [loop])
        stride = dict(group.strides).get(loop.counter)
        if stride is not None and abs(stride(v)) >= APART:
            apart.add(number[0])
        number[0] += 1
    one = {k: _distinct(g, [], v) for k, (g, _) in groups.items()}
    inner = [_place(child, v, number) for child in loop.inner]
    for child in inner:
        one.update(child.all)
        apart |= child.apart
        for k, (g, chain) in child.groups.items():
            groups[k] = (g, [*chain, loop])
    every = {k: _distinct(g, chain, v) for k, (g, chain) in groups.items()}
    return Placed(loop, one, every, groups, apart, inner)


def _distinct(group: Group, chain: list[PricedLoop], v: list[float]) -> float:
    """Bytes of the distinct lines that `group` touches over the loops of `chain` (innermost first), by weight.

    Strides in rising order: one that stays within what is already touched lengthens it, a longer one repeats it.
    """
    by_counter = dict(group.strides or ())
    steps = []
    for loop in chain:
        if loop.counter in by_counter:
            stride = abs(by_counter[loop.counter](v))
            if stride > 0.0 and loop.trips > 1.0:
                steps.append((stride, loop.trips))
    steps.sort()
    span, pieces = float(group.itemsize), 1.0
    for stride, trips in steps:
        if pieces == 1.0 and stride <= max(span, LINE):
            span += stride * (trips - 1.0)
        elif stride < span * pieces and pieces > 1.0:
            pieces += trips - 1.0  # overlaps what the shorter strides touch
        else:
            pieces *= trips
    return pieces * max(span, LINE) * _spread(group, steps, v) * group.weight


def _spread(group: Group, steps: list[tuple[float, float]], v: list[float]) -> float:
    """How much larger the union over the members' offsets is than one member's footprint (stencils share most)."""
    if len(group.offsets) < 2:
        return 1.0
    offsets = sorted(offset(v) for offset in group.offsets)
    factor = 1.0
    for a, b in zip(offsets, offsets[1:]):
        gap = b - a
        exposed = 0.0 if gap < LINE else 1.0
        for stride, trips in steps:
            exposed = min(exposed, gap / stride / trips)
        factor += exposed
    return factor


def _cross(tree: Placed, capacity: float, index: int, streamed: list[float], scattered: list[float]) -> None:
    """Add what the loops of `tree` bring into a cache of `capacity` bytes from the level `index` behind it."""
    fits = sum(tree.one.values()) <= capacity or not tree.inner
    inside = set() if fits else {k for child in tree.inner for k in child.all}
    for k, size in tree.all.items():
        if k not in inside:
            moved = scattered if k in tree.apart else streamed
            moved[index] += tree.loop.entries * size * tree.groups[k][0].passes
    if not fits:
        for child in tree.inner:
            _cross(child, capacity, index, streamed, scattered)


def _indirect(loop: PricedLoop, sizes: Mapping[str, Eval], levels: Sequence[Level], v: list[float]) -> float:
    """Seconds of data-dependent accesses: each costs what the level that holds the whole array takes."""
    total = 0.0
    for group in loop.groups:
        if group.strides is None:
            size = sizes[group.array](v)
            level = next((x for x in levels if x.size is None or size <= x.size), levels[-1])
            total += loop.total * group.weight * level.random_s
    return total + sum(_indirect(child, sizes, levels, v) for child in loop.inner)
