"""Predicted seconds of one variant: counts x entry values x machine profile.

In: a `Candidate` (counts of the nest as that variant runs it, and how), the entry values, a `Profile`.
Out: seconds.  `bind` folds the profile into per-block figures once; a prediction then walks the loops
once for trip counts and once for memory traffic, tens of microseconds in all.

Sources, by term:
- the parts: interpreter time is the sum over operation classes (measured: within 15 % on whole loops); compiled
  time is the larger of computing and memory, Williams, Waterman, Patterson, "Roofline" (CACM 2009), with one roof per
  cache level as in Ilic, Pratas, Sousa, "Cache-aware roofline" (IEEE CAL 2014);
- computing: the larger of throughput and the loop-carried latency chain (Laukemann et al., "OSACA", PMBS 2019);
- traffic per level: distinct lines of each reference group over the outermost loop whose single iteration
  still fits into the level above (Ferrante, Sarkar, Thrash, LCPC 1991; Carr, McKinley, Tseng, ASPLOS 1994; the "layer
  condition" of Stengel et al., ICS 2015);
- triangular loops: two-point quadrature over the discrete uniform counter (mean +- standard deviation, variance
  (n^2-1)/12), exact for polynomial work up to degree 3 because it matches the first three moments;
- OpenMP: fork/join + work / effective threads; static chunks of triangular work as in Bull, EWOMP 1999.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from alpyna_hook.cost.chains import Amounts
from alpyna_hook.cost.counts import Access, Block, Counts, LoopCount
from alpyna_hook.cost.machine import Profile
from alpyna_hook.cost.symbolic import compiled
from alpyna_hook.ir.affine import QParam, Quantity, leaves
from alpyna_hook.ir.plan import Plan

LINE = 64  # bytes of a cache line
INNER_TRIPS = 16.0  # `while` inside a loop, until something better is known
OUTER_TRIPS = 1000.0  # `while` as the outermost loop
SHORT_VECTOR = 4.0  # trips below which vector code runs its scalar remainder only

Env = Mapping[Quantity, "int | float"]  # leaves -> value at entry; "@while<k>" leaves may be given too
Eval = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One variant of a specialisation as the model sees it.

    parallel    counters whose iterations are shared among threads
    collapse    counters collapsed into an enclosing parallel loop's iteration space
    balanced    counters of parallel loops with a dynamic or guided schedule
    vectorised  counters of loops that run as vector code; None: judge by structure
    journal     None: journal if the counts say that the nest can fault
    """

    counts: Counts
    parallel: frozenset[str] = frozenset()
    collapse: frozenset[str] = frozenset()
    balanced: frozenset[str] = frozenset()
    vectorised: frozenset[str] | None = None
    journal: bool | None = None


def candidate_of(plan: Plan, counts: Counts) -> Candidate:
    """What a plan says about its loops; `counts` are those of `plan.nest`."""
    parallel = frozenset(p.counter for p in plan.loops if p.parallel)
    collapsed: set[str] = set()
    for p in plan.loops:
        if p.parallel and p.collapse > 1:
            collapsed.update(_inside(counts.root, p.counter, p.collapse - 1))
    balanced = frozenset(p.counter for p in plan.loops if p.parallel and p.schedule != "static")
    return Candidate(counts, parallel, frozenset(collapsed), balanced, None, plan.faults)


def _inside(block: Block, counter: str, depth: int) -> list[str]:
    """Counters of the `depth` loops directly nested in the loop `counter`."""
    for loop in block.loops:
        if loop.counter == counter:
            found: list[str] = []
            while len(found) < depth and len(loop.body.loops) == 1:
                loop = loop.body.loops[0]
                found.append(loop.counter)
            return found
        deeper = _inside(loop.body, counter, depth)
        if deeper:
            return deeper
    return []


def predict(
    counts: Counts,
    env: Env,
    profile: Profile,
    variant: str,
    threads: int = 1,
    parallel: frozenset[str] = frozenset(),
    vectorised: frozenset[str] | None = None,
) -> float:
    """Seconds of one call. KeyError if `env` lacks a leaf that is known at entry. `variant`: interp, seq or omp."""
    candidate = Candidate(counts, parallel, vectorised=vectorised)
    return bind(candidate, profile, variant).seconds(env, threads)


@dataclass
class _Loop:
    """A loop with its figures folded in. `body` seconds per trip in the variant's way of running it."""

    counter: str
    slot: int
    start: Eval | None
    stop: Eval | None
    step: Eval | None
    weight: float
    share: float
    varies: bool  # bounds of a loop inside depend on this counter
    body: float
    entry: float
    parallel: bool
    collapsed: bool
    balanced: bool
    vector: bool
    scalar_body: float
    groups: list[_Group]
    inner: list[_Loop] = field(default_factory=list)
    entries: float = 0.0
    total: float = 0.0

    @property
    def trips(self) -> float:
        """Mean trips per entry, from the last walk."""
        return self.total / self.entries if self.entries > 0 else 0.0


@dataclass
class _Group:
    """References to one array with the same strides: a stencil's loads, say. Strides and offsets by compiled text."""

    array: str
    strides: tuple[tuple[str, Eval], ...] | None
    offsets: tuple[Eval, ...]
    itemsize: int
    passes: float  # times each line crosses a level: 1 read, 2 if written (write-allocate, write back)
    weight: float


@dataclass
class Bound:
    """A candidate bound to a profile: call `seconds`."""

    variant: str
    profile: Profile
    slots: dict[Quantity, int]
    defaults: list[float]
    known: list[tuple[Quantity, int]]
    top: list[_Loop]
    root_s: float
    sizes: dict[str, Eval]
    journal: tuple[str, ...]

    def seconds(self, env: Env, threads: int = 1) -> float:
        """Predicted seconds of one call with these entry values."""
        values = list(self.defaults)
        for leaf, slot in self.known:
            values[slot] = float(env[leaf])
        for leaf, slot in self.slots.items():
            if isinstance(leaf, QParam) and leaf.name.startswith("@") and leaf in env:
                values[slot] = float(env[leaf])
        for loop in self.top:
            _reset(loop)
        _trips(self.top, values, 1.0)
        if self.variant == "interp":
            return self.root_s + self.profile.decline_s + sum(map(_total, self.top))
        return self._compiled(values, threads)

    def _compiled(self, values: list[float], threads: int) -> float:
        profile = self.profile
        serial, shared, forks, speedup = 0.0, 0.0, 0.0, 1.0
        for loop in self.top:
            a, b, f, s = _split(loop, values, threads if self.variant == "omp" else 1)
            serial, shared, forks = serial + a, shared + b, forks + f
            speedup = max(speedup, s)
        compute = serial + shared
        memory = _traffic_seconds(self, values, 1)
        if shared + forks > 0 and self.variant == "omp":
            all_memory = _traffic_seconds(self, values, threads)
            part = shared / (compute or 1.0)
            memory = part * max(all_memory, memory / speedup) + (1.0 - part) * memory
            compute = serial + shared / speedup
        seconds = self.root_s + max(compute, memory) + forks * profile.fork_hot_s + profile.call_s
        return seconds + sum(self.sizes[name](values) for name in self.journal) / profile.journal_bps


def bind(candidate: Candidate, profile: Profile, variant: str) -> Bound:
    """Fold `profile` into the counts of `candidate` as `variant` runs them."""
    counts = candidate.counts
    slots: dict[Quantity, int] = {}
    _collect(counts, slots)
    counters = _counters(counts.root)
    defaults = [0.0] * len(slots)
    outer = {loop.stop for loop in counts.root.loops if loop.start is None}
    known = []
    for leaf, slot in slots.items():
        if isinstance(leaf, QParam) and leaf.name.startswith("@while"):
            defaults[slot] = OUTER_TRIPS if leaf in outer else INNER_TRIPS
        elif not (isinstance(leaf, QParam) and (leaf.name in counters or "@" in leaf.name)):
            known.append((leaf, slot))
    journal = counts.can_fault if candidate.journal is None else candidate.journal
    price = _Pricer(profile, variant, candidate, slots)
    return Bound(
        variant=variant,
        profile=profile,
        slots=slots,
        defaults=defaults,
        known=known,
        top=[price.loop(loop) for loop in counts.root.loops],
        root_s=price.block(counts.root, False),
        sizes={a.name: compiled(a.size, slots) for a in counts.arrays},
        journal=tuple(a.name for a in counts.arrays if a.written) if journal and variant != "interp" else (),
    )


def _counters(block: Block) -> set[str]:
    found: set[str] = set()
    for loop in block.loops:
        found.add(loop.counter)
        found |= _counters(loop.body)
    return found


def _collect(counts: Counts, slots: dict[Quantity, int]) -> None:
    """Give every leaf of the counts, loop counters included, a place in the list of values."""

    def add(q: Quantity | None) -> None:
        for leaf in sorted(leaves(q), key=str) if q is not None else ():
            slots.setdefault(leaf, len(slots))

    def visit(block: Block) -> None:
        for access in block.accesses:
            add(access.offset)
            for _, stride in access.strides or ():
                add(stride)
        for loop in block.loops:
            for q in (QParam(loop.counter), loop.start, loop.stop, loop.step):
                add(q)
            visit(loop.body)

    visit(counts.root)
    for array in counts.arrays:
        add(array.size)


@dataclass
class _Pricer:
    """Turns counts into `_Loop`s for one profile and variant."""

    profile: Profile
    variant: str
    candidate: Candidate
    slots: dict[Quantity, int]

    def block(self, block: Block, vector: bool) -> float:
        """Seconds per execution of the block's own work: the larger of throughput and carried chain."""
        if self.variant == "interp":
            return sum(n * self.profile.interp.get(name, 0.0) for name, n in block.interp)
        work = self._throughput(block.ops, vector)
        cost = self.profile.vector_of if vector else self.profile.scalar_of
        for access in block.accesses:
            work += access.weight * cost("store" if access.store else "load")
        chain = sum(n * self.profile.latency_of(name) for name, n in block.chain)
        return max(work, chain)

    def _throughput(self, ops: Amounts, vector: bool) -> float:
        of = self.profile.vector_of if vector else self.profile.scalar_of
        return sum(n * of(name) for name, n in ops)

    def loop(self, loop: LoopCount) -> _Loop:
        candidate, profile = self.candidate, self.profile
        compiled_code = self.variant != "interp"
        vector = loop.vectorisable if candidate.vectorised is None else loop.counter in candidate.vectorised
        vector = vector and compiled_code
        trip = profile.vector_of("trip") if vector else profile.scalar_of("trip")
        scalar_trip = profile.scalar_of("trip")
        dependent = {leaf for inner in _all_loops(loop.body) for q in _bounds(inner) for leaf in leaves(q)}
        bounds = [compiled(q, self.slots) if q is not None else None for q in (loop.start, loop.stop, loop.step)]
        return _Loop(
            counter=loop.counter,
            slot=self.slots[QParam(loop.counter)],
            start=bounds[0],
            stop=bounds[1],
            step=bounds[2],
            weight=loop.weight,
            share=loop.trip_share,
            varies=QParam(loop.counter) in dependent,
            body=self.block(loop.body, vector) + (trip if compiled_code else 0.0),
            entry=profile.scalar_of("loop") * (2.0 if vector else 1.0) if compiled_code else 0.0,
            parallel=loop.counter in candidate.parallel,
            collapsed=loop.counter in candidate.collapse,
            balanced=loop.counter in candidate.balanced,
            vector=vector,
            scalar_body=self.block(loop.body, False) + (scalar_trip if compiled_code else 0.0),
            groups=self._groups(loop.body.accesses) if compiled_code else [],
            inner=[self.loop(inner) for inner in loop.body.loops],
        )

    def _groups(self, accesses: tuple[Access, ...]) -> list[_Group]:
        merged: dict[object, list[Access]] = {}
        for number, access in enumerate(accesses):
            key = (access.array, access.strides) if access.strides is not None else (access.array, number)
            merged.setdefault(key, []).append(access)
        groups = []
        for members in merged.values():
            first = members[0]
            stored = any(a.store for a in members)
            offsets = dict.fromkeys(a.offset for a in members if a.offset is not None)
            strides = None
            if first.strides is not None:
                strides = tuple((c, compiled(q, self.slots)) for c, q in first.strides)
            weight = min(1.0, max(a.weight for a in members)) if strides is not None else first.weight
            groups.append(
                _Group(
                    first.array,
                    strides,
                    tuple(compiled(q, self.slots) for q in offsets),
                    first.itemsize,
                    2.0 if stored else 1.0,
                    weight,
                )
            )
        return groups


def _bounds(loop: LoopCount) -> list[Quantity]:
    return [q for q in (loop.start, loop.stop, loop.step) if q is not None]


def _all_loops(block: Block) -> list[LoopCount]:
    found = []
    for loop in block.loops:
        found.append(loop)
        found.extend(_all_loops(loop.body))
    return found


def _reset(loop: _Loop) -> None:
    loop.entries = loop.total = 0.0
    for inner in loop.inner:
        _reset(inner)


def _range(loop: _Loop, v: list[float]) -> tuple[float, float, float]:
    """(start, step, trips) of the loop for these values of the counters outside it."""
    assert loop.stop is not None
    stop = loop.stop(v)
    if loop.start is None or loop.step is None:
        return 0.0, 1.0, max(stop, 0.0) * loop.share
    start, step = loop.start(v), loop.step(v)
    if step == 0.0:
        return start, 1.0, 0.0
    trips = (stop - start) / step
    if abs(step) != 1.0:
        trips = math.ceil(trips - 1e-9)
    return start, step, max(trips, 0.0) * loop.share


def _trips(loops: list[_Loop], v: list[float], times: float) -> None:
    """Add entries and trips of `loops`, entered `times` times with the outer counters as in `v`."""
    for loop in loops:
        start, step, trips = _range(loop, v)
        entered = times * loop.weight
        loop.entries += entered
        loop.total += entered * trips
        if not loop.inner or trips <= 0.0:
            continue
        middle = start + step * (trips - 1.0) / 2.0
        if not loop.varies:
            v[loop.slot] = middle
            _trips(loop.inner, v, entered * trips)
            continue
        spread = step * math.sqrt(max(trips * trips - 1.0, 0.0) / 12.0)
        for point in (middle - spread, middle + spread):
            v[loop.slot] = point
            _trips(loop.inner, v, entered * trips / 2.0)


def _total(loop: _Loop) -> float:
    """Seconds of the loop and all inside, by the last walk. Vector code runs its remainder in scalar form."""
    own = loop.total * loop.body
    if loop.vector and loop.total > 0.0:
        trips = loop.trips
        scalar = min(trips, SHORT_VECTOR - 1.0) / 2.0 if trips >= SHORT_VECTOR else trips
        own += loop.entries * scalar * (loop.scalar_body - loop.body)
    return own + loop.entries * loop.entry + sum(map(_total, loop.inner))


def _split(loop: _Loop, v: list[float], threads: int) -> tuple[float, float, float, float]:
    """(serial seconds, seconds to be shared by threads, parallel regions entered, effective threads)."""
    if loop.parallel and threads > 1:
        return 0.0, _total(loop), loop.entries, _effective(loop, v, threads)
    own = _total(loop) - sum(map(_total, loop.inner))
    shared, forks, speedup = 0.0, 0.0, 1.0
    for inner in loop.inner:
        a, b, f, s = _split(inner, v, threads)
        own, shared, forks, speedup = own + a, shared + b, forks + f, max(speedup, s)
    return own, shared, forks, speedup


def _effective(loop: _Loop, v: list[float], threads: int) -> float:
    """Threads that really share the work: whole iterations only, and static chunks of uneven work."""
    trips = loop.trips
    inner = loop.inner
    while len(inner) == 1 and inner[0].collapsed:
        trips *= inner[0].trips
        inner = inner[0].inner
    if trips <= 1.0:
        return 1.0
    effective = trips / math.ceil(trips / threads)
    if loop.varies and not loop.balanced and loop.inner:
        effective /= _imbalance(loop, v, threads)
    return max(min(effective, float(threads)), 1.0)


def _imbalance(loop: _Loop, v: list[float], threads: int) -> float:
    """Work of the heaviest static chunk over the mean chunk, for work that changes linearly with the counter."""
    start, step, trips = _range(loop, v)
    ends = []
    for point in (start, start + step * max(trips - 1.0, 0.0)):
        v[loop.slot] = point
        ends.append(sum(_range(inner, v)[2] for inner in loop.inner))
    low, high = min(ends), max(ends)
    mean = (low + high) / 2.0
    return (high - (high - low) / (2.0 * threads)) / mean if mean > 0.0 else 1.0


def _traffic_seconds(bound: Bound, v: list[float], threads: int) -> float:
    """Seconds of the slowest memory level: bytes that cross it by its bandwidth, random accesses besides."""
    levels = bound.profile.levels
    moved = [0.0] * len(levels)  # bytes served by each level
    random = [0.0]
    placed = [_place(loop, v) for loop in bound.top]
    for tree in placed:
        fits = sum(tree.all.values())
        for index in range(1, len(levels)):
            capacity = levels[index - 1].size or 0
            if fits > capacity:
                _cross(tree, capacity, index, moved)
        _random(tree, bound, v, random)
    slowest = 0.0
    for level, traffic in zip(levels, moved):
        slowest = max(slowest, traffic / (level.bandwidth_t if threads > 1 else level.bandwidth))
    return slowest + random[0] / max(threads, 1)


@dataclass
class _Placed:
    """Footprints of one loop in bytes by group (its number in preorder): `one` trip, `all` trips of one entry."""

    loop: _Loop
    one: dict[int, float]
    all: dict[int, float]
    groups: dict[int, tuple[_Group, list[_Loop]]]
    inner: list[_Placed]


def _place(loop: _Loop, v: list[float], number: list[int] | None = None) -> _Placed:
    number = number if number is not None else [0]
    v[loop.slot] = 0.0
    groups: dict[int, tuple[_Group, list[_Loop]]] = {}
    for group in loop.groups:
        if group.strides is not None:
            groups[number[0]] = (group, [loop])
            number[0] += 1
    one = {k: _distinct(g, [], v) for k, (g, _) in groups.items()}
    inner = [_place(child, v, number) for child in loop.inner]
    for child in inner:
        one.update(child.all)
        for k, (g, chain) in child.groups.items():
            groups[k] = (g, [*chain, loop])
    every = {k: _distinct(g, chain, v) for k, (g, chain) in groups.items()}
    return _Placed(loop, one, every, groups, inner)


def _distinct(group: _Group, chain: list[_Loop], v: list[float]) -> float:
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
    size = pieces * max(span, LINE)
    return size * _spread(group, steps, v) * group.weight


def _spread(group: _Group, steps: list[tuple[float, float]], v: list[float]) -> float:
    """How much larger the union over the members' offsets is than one member's footprint (stencils share most)."""
    if len(group.offsets) < 2:
        return 1.0
    offsets = sorted(offset(v) for offset in group.offsets)
    factor = 1.0
    for a, b in zip(offsets, offsets[1:]):
        gap = b - a
        exposed = 0.0 if gap < LINE and not steps else 1.0
        for stride, trips in steps:
            exposed = min(exposed, max(gap / stride, 0.0) / trips)
        factor += exposed
    return factor


def _cross(tree: _Placed, capacity: float, index: int, moved: list[float]) -> None:
    """Add to `moved[index]` what the loops of `tree` bring into a cache of `capacity` bytes."""
    if sum(tree.one.values()) <= capacity or not tree.inner:
        entries = tree.loop.entries
        for k, size in tree.all.items():
            moved[index] += entries * size * tree.groups[k][0].passes
        return
    inside = {k for child in tree.inner for k in child.all}
    for k, size in tree.one.items():
        if k not in inside:
            moved[index] += tree.loop.entries * tree.all[k] * tree.groups[k][0].passes
    for child in tree.inner:
        _cross(child, capacity, index, moved)


def _random(tree: _Placed, bound: Bound, v: list[float], total: list[float]) -> None:
    """Add the seconds of data-dependent accesses: each costs what the level that holds the whole array takes."""
    levels = bound.profile.levels
    for group in tree.loop.groups:
        if group.strides is None:
            size = bound.sizes[group.array](v)
            level = next((x for x in levels if x.size is None or size <= x.size), levels[-1])
            total[0] += tree.loop.total * group.weight * level.random_s
    for child in tree.inner:
        _random(child, bound, v, total)
