"""Memory traffic: which bytes of a nest come from which level of the memory hierarchy, and how long that takes.

In: priced loops whose trip counts have just been evaluated, the levels of the profile.  Out: seconds.

A reference group's footprint over some loops is the number of distinct cache lines it touches there (Ferrante,
Sarkar, Thrash, LCPC 1991).  A cache keeps what one trip of a loop touches if that fits; the loop then brings in
each distinct line once per entry (the "layer condition" of Stengel, Treibig, Hager, Wellein, ICS 2015, for
any nest).  A nest whose whole footprint fits is taken to find it there: programs loop over what they have just made.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alpyna_hook.cost.machine import Level, Profile
from alpyna_hook.cost.priced import Group, PricedLoop
from alpyna_hook.cost.tape import larger, smaller

LINE = 64  # bytes of a cache line
SHARED = 2  # level of the first cache that cores share: L1 and L2 belong to one core
APART = 2 * LINE  # from this stride on the hardware's stream prefetchers do not help


@dataclass(slots=True)
class _Reach:
    """A group at one call: bytes that each counter moves it by, and the distances between its members."""

    group: Group
    strides: dict[str, float]
    gaps: list[float]
    steps: list[tuple[float, float]]  # (stride, trips) of the loops passed so far, by rising stride


@dataclass(slots=True)
class Placed:
    """Footprints of one loop in bytes by group (its number in preorder): `one` trip, `all` trips of one entry; of a
    loop inside a strip-mined one, for all lanes together."""

    entries: float
    one: dict[int, float]
    all: dict[int, float]
    reach: dict[int, _Reach]
    apart: set[int]  # groups whose innermost loop strides over lines
    inner: list[Placed]


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes that each level serves in streams, that it takes back in streams, and in scattered lines, seconds of
    data-dependent accesses, bytes of footprints that fit into the caches of one core, and bytes that threads exchange
    (`_exchanged`)."""

    levels: Sequence[Level]
    measured_with: int  # threads that the levels' joint bandwidth is for
    read: tuple[float, ...]
    back: tuple[float, ...]
    scattered: tuple[float, ...]
    indirect_s: float
    private: float
    exchanged: float

    def handed_over(self, threads: int) -> float:
        """Seconds that it takes threads to get what lies in the caches of the one that made it: each its share, through
        the first cache that they share."""
        return self.private / threads / self.levels[min(SHARED, len(self.levels) - 1)].bandwidth

    def exchange(self) -> float:
        """Seconds that threads wait for what others wrote since they last had it. A line that another core has changed
        comes at the latency of the first cache that they share, or worse, and prefetchers do not know which it is
        (Molka, Hackenberg, Schoene, Nagel, "Cache coherence protocol and memory performance of the Intel Haswell-EP
        architecture", ICPP 2015)."""
        return self.exchanged / LINE * self.levels[min(SHARED, len(self.levels) - 1)].random_s

    def seconds(self, threads: int) -> float:
        """Time of the slowest level, streams by its bandwidth and scattered lines by its random access time, and of the
        data-dependent accesses. A core waits for the lines that it reads, of which it can have asked for some ten at a
        time (Little's law: Bailey, "Little's law and high performance computing", RNR technical report, 1997), and not
        for those that it writes back: streams take at least the time that reading takes."""
        slowest = 0.0
        for level, read, back, scatter in zip(self.levels, self.read, self.back, self.scattered):
            bandwidth = _joint(level.bandwidth, level.bandwidth_t, threads, self.measured_with)
            reading = _joint(level.read, level.read_t, threads, self.measured_with)
            streams = (read + back) / bandwidth
            if reading < bandwidth:
                streams = larger(streams, read / reading)
            lines = larger(scatter / bandwidth, scatter / LINE * level.random_s / threads)
            slowest = larger(slowest, streams + lines)
        return slowest + self.indirect_s / threads


def traffic(
    top: Sequence[PricedLoop], sizes: Mapping[str, float], profile: Profile, geometry: Sequence[float]
) -> Traffic:
    """Traffic of the loops `top`, whose trip counts are those of the last walk.

    sizes     array -> bytes
    geometry  values of the strides and offsets that the groups refer to, with all counters at zero
    """
    levels = profile.levels
    read, back, scattered = ([0.0] * len(levels) for _ in range(3))
    indirect = private = exchanged = 0.0
    for loop in top:
        tree = _place(loop, geometry, [0], ("", 1.0))
        whole = sum(tree.all.values())
        for index in range(1, len(levels)):
            capacity = levels[index - 1].size or 0
            if whole > capacity:
                _cross(tree, capacity, index, (read, back, scattered))
        if whole <= (levels[min(SHARED, len(levels)) - 1].size or 0):
            private += whole
        indirect += _indirect(loop, sizes, levels)
        exchanged += _exchanged(loop, tree, levels[min(SHARED, len(levels)) - 1].size or 0)
    moved = tuple(read), tuple(back), tuple(scattered)
    return Traffic(levels, profile.threads, *moved, indirect, private, exchanged)


def _joint(one: float, together: float, threads: int, measured_with: int) -> float:
    """Bytes per second of `threads` threads, from those of one and of `measured_with`: never more than one by one, and
    beyond what was measured as before."""
    alone = threads * one
    if threads <= measured_with:
        return min(alone, together) if threads > 1 else alone
    return alone * min(together / (measured_with * one), 1.0) if measured_with > 1 else alone


def _place(loop: PricedLoop, geometry: Sequence[float], number: list[int], strip: tuple[str, float]) -> Placed:
    """`strip`: counter of the enclosing loop whose iterations run side by side, the innermost ones here, and how many:
    transform/strips.py makes of `for j: for k` a loop over blocks of j, one over k, and the lanes of j in it."""
    entries = loop.entries / strip[1]
    if loop.strip > 1.0:
        strip = (loop.counter, smaller(loop.strip, larger(loop.trips, 1.0)))
    reach: dict[int, _Reach] = {}
    apart: set[int] = set()
    one: dict[int, float] = {}
    for group in loop.groups:
        if group.strides is None:
            continue
        k = number[0]
        number[0] += 1
        reach[k] = found = _reach(group, geometry)
        lane = found.strides.get(strip[0], 0.0)
        if lane > 0.0:
            found.steps.append((lane, strip[1]))
        one[k] = _distinct(found)
        run = lane * strip[1] if lane <= LINE else 0.0
        if found.strides.get(loop.counter, 0.0) >= APART and run < APART:
            apart.add(k)
    inner = [_place(child, geometry, number, strip) for child in loop.inner]
    for child in inner:
        one.update(child.all)
        apart |= child.apart
        reach.update(child.reach)
    every = {}
    for k, found in reach.items():
        stride, trips = found.strides.get(loop.counter, 0.0), loop.trips
        if loop.counter == strip[0]:
            stride, trips = stride * strip[1], trips / strip[1]
        if stride > 0.0 and trips > 1.0:
            insort(found.steps, (stride, trips))
            every[k] = _distinct(found)
        else:
            every[k] = one[k]
    return Placed(entries, one, every, reach, apart, inner)


def _reach(group: Group, geometry: Sequence[float]) -> _Reach:
    strides = {counter: abs(geometry[term]) for counter, term in group.strides or ()}
    if len(group.offsets) < 2:
        return _Reach(group, strides, [], [])
    offsets = sorted(geometry[term] for term in group.offsets)
    return _Reach(group, strides, [b - a for a, b in zip(offsets, offsets[1:])], [])


def _distinct(reach: _Reach) -> float:
    """Bytes of the distinct lines that a group touches over the loops of `reach.steps`, by weight.

    Strides in rising order: one that stays within what is already touched lengthens it, a longer one repeats it.
    """
    span, pieces = float(reach.group.itemsize), 1.0
    for stride, trips in reach.steps:
        if pieces == 1.0 and stride <= larger(span, LINE):
            span += stride * (trips - 1.0)
        elif pieces > 1.0 and stride < span * pieces:
            pieces += trips - 1.0  # overlaps what the shorter strides touch
        else:
            pieces *= trips
    size = pieces * larger(span, LINE) * reach.group.weight
    return size * _spread(reach) if reach.gaps else size


def _spread(reach: _Reach) -> float:
    """How much larger the union over the members' offsets is than one member's footprint (stencils share most)."""
    factor = 1.0
    for gap in reach.gaps:
        exposed = 0.0 if gap < LINE else 1.0
        for stride, trips in reach.steps:
            exposed = smaller(exposed, gap / stride / trips)
        factor += exposed
    return factor


def _cross(tree: Placed, capacity: float, index: int, moved: tuple[list[float], list[float], list[float]]) -> None:
    """Add what the loops of `tree` bring into a cache of `capacity` bytes from the level `index` behind it. moved: read
    in streams, written back in streams, in scattered lines."""
    read, back, scattered = moved
    fits = not tree.inner or sum(tree.one.values()) <= capacity
    inside = set() if fits else {k for child in tree.inner for k in child.all}
    for k, size in tree.all.items():
        if k not in inside:
            brought = tree.entries * size
            passes = tree.reach[k].group.passes
            if k in tree.apart:
                scattered[index] += brought * passes
            else:
                read[index] += brought
                if passes > 1.0:
                    back[index] += brought * (passes - 1.0)
    if not fits:
        for child in tree.inner:
            _cross(child, capacity, index, moved)


def _exchanged(loop: PricedLoop, tree: Placed, capacity: float) -> float:
    """Bytes that go from core to core because one thread does a part of each trip of `loop` alone and all threads share
    another part, where both use an array that one of them writes: that thread gets the others' shares of it, and each
    of the others gets its share back, side by side. With shares of 1 / threads that takes as long as moving all of what
    both use once. Of what does not fit into the `capacity` of a core's caches the shared one has the newest anyway."""
    if loop.parallel or not _threads_meet(loop) or loop.total <= 0.0:
        return 0.0
    below = sum(_exchanged(child, inner, capacity) for child, inner in zip(loop.inner, tree.inner))
    shared: dict[str, float] = {}
    alone: dict[str, float] = {}
    nested = {k for inner in tree.inner for k in inner.all}
    for k, size in tree.one.items():
        if k not in nested:
            _use(alone, tree.reach[k].group.array, size)
    for child, inner in zip(loop.inner, tree.inner):
        use = shared if _threads_meet(child) else alone
        for k, size in inner.all.items():
            _use(use, inner.reach[k].group.array, size * inner.entries / loop.total)
    written = {found.group.array for found in tree.reach.values() if found.group.passes > 1.0}
    both = [smaller(alone[array], size) for array, size in shared.items() if array in alone and array in written]
    return below + loop.total * smaller(sum(both), capacity)


def _use(uses: dict[str, float], array: str, size: float) -> None:
    """Note a footprint: references to one array mostly share lines, so the largest counts."""
    uses[array] = larger(uses.get(array, 0.0), size)


def _threads_meet(loop: PricedLoop) -> bool:
    """Whether threads share this loop or one in it."""
    return loop.parallel and loop.trips > loop.threshold or any(map(_threads_meet, loop.inner))


def _indirect(loop: PricedLoop, sizes: Mapping[str, float], levels: Sequence[Level]) -> float:
    """Seconds of data-dependent accesses: each costs what the level that holds the whole array takes."""
    total = 0.0
    for group in loop.groups:
        if group.strides is None:
            size = sizes[group.array]
            level = next((x for x in levels if x.size is None or size <= x.size), levels[-1])
            total += loop.total * group.weight * level.random_s
    return total + sum(_indirect(child, sizes, levels) for child in loop.inner)
