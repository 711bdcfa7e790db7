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
- accelerators: `offload.py`;
- OpenMP: fork/join + work / effective threads; static chunks of triangular work as in Bull, EWOMP 1999; what one
  thread has just made comes to the others through the cache that they share (Hackenberg et al., MICRO 2009), line by
  line where one thread and all of them take turns at it (traffic.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from alpyna_hook.cost import offload
from alpyna_hook.cost.counts import Counts
from alpyna_hook.cost.machine import FOREIGN, Profile
from alpyna_hook.cost.priced import Candidate, Eval, PricedLoop, Pricer, candidate_of, counters_of, slots_of
from alpyna_hook.cost.symbolic import ZERO, compiled, compiled_all
from alpyna_hook.cost.tape import larger, number, smaller, square_root
from alpyna_hook.cost.traffic import traffic
from alpyna_hook.cost.unroll import unrolled
from alpyna_hook.devices.base import ITEMS_PER_CORE
from alpyna_hook.ir.affine import QConst, QParam, Quantity, simplify

__all__ = ["Bound", "Candidate", "Env", "bind", "candidate_of", "predict"]

INNER_TRIPS = 32.0  # `while` inside a loop, until something better is known
DEVICES = ("opencl", "cuda")
OUTER_TRIPS = 1000.0  # `while` as the outermost loop
VECTOR_REMAINDER = 1.5  # trips that vector code of four lanes leaves to its scalar remainder, in the mean

Parts = tuple[float, float]  # seconds of the kernel, and of what is around it: guard, journal

Env = Mapping[Quantity, int]  # leaves -> value at entry; "@while<k>" leaves may be given too


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
class Bound:
    """A candidate bound to a profile: call `seconds`."""

    variant: str
    profile: Profile
    slots: dict[Quantity, int]
    defaults: list[float]
    known: list[tuple[Quantity, int]]
    estimated: list[tuple[Quantity, int]]  # leaves that nobody knows at entry, but may be given
    top: list[PricedLoop]
    root_s: float
    counters: tuple[int, ...]  # places of the loop counters among the values
    geometry: Callable[[Sequence[float]], tuple[float, ...]]
    sizes: dict[str, Eval]
    journal: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    rows: dict[str, Eval]  # counter of a loop in blocks -> bytes that one iteration saves
    block_bytes: int  # that one work item saves in a block
    slowness: float = 1.0  # of the interpreter's operations, against the profile's figures

    def seconds(self, env: Env, threads: int = 1) -> float:
        """Predicted seconds of one call with these entry values."""
        kernel, overhead = self.parts(env, threads)
        return kernel + overhead

    def parts(self, env: Env, threads: int = 1) -> Parts:
        """Predicted seconds of the kernel (the loop in the interpreter), and of what is around it."""
        values = list(self.defaults)
        for leaf, slot in self.known:
            values[slot] = number(env[leaf])
        for leaf, slot in self.estimated:
            if leaf in env:
                values[slot] = number(env[leaf])
        for loop in self.top:
            _reset(loop)
        _trips(self.top, values, 1.0)
        _lanes(self.top, 1.0)
        if self.variant == "interp":
            return self.slowness * (self.root_s + sum(map(_total, self.top))), self.profile.decline_s
        if self.variant in DEVICES:
            return self._offloaded(values, threads), self.profile.call_s
        return self._compiled(values, threads)

    def _compiled(self, values: list[float], threads: int) -> Parts:
        profile = self.profile
        threads = threads if self.variant == "omp" else 1
        serial, shared, forks, speedup = 0.0, 0.0, 0.0, 1.0
        for loop in self.top:
            a, b, f, s = _split(loop, values, threads)
            serial, shared, forks = serial + a, shared + b, forks + f
            speedup = larger(speedup, s)
        if threads > 1:
            serial += profile.scalar_of("region") * sum(_alone(loop) for loop in self.top)
        speedup = smaller(speedup, _cores(profile, threads))
        compute, saving = serial + shared, self._saving(values)
        sizes = {name: size(values) for name, size in self.sizes.items()}
        for slot in self.counters:
            values[slot] = 0.0
        moved = traffic(self.top, sizes, profile, self.geometry(values))
        memory = moved.seconds(1)
        if compute > 0.0 and forks > 0.0:
            part = shared / compute
            memory = part * larger(moved.seconds(threads), memory / speedup) + (1.0 - part) * memory
            compute = serial + shared / speedup
            saving = saving / speedup + part * moved.handed_over(threads) + moved.exchange()
        kernel = self.root_s + larger(compute, memory) + saving + forks * profile.fork_hot_s
        return kernel, profile.call_s + _journal_seconds(sum(sizes[name] for name in self.journal), profile)

    def _offloaded(self, values: list[float], threads: int) -> float:
        """Seconds on an accelerator."""
        profile, device = self.profile, self.profile.device(self.variant)
        split = [_split(loop, values, 2) for loop in self.top]
        sizes = {name: size(values) for name, size in self.sizes.items()}
        for slot in self.counters:
            values[slot] = 0.0
        moved = traffic(self.top, sizes, profile, self.geometry(values))
        grids = [loop for loop in _all(self.top) if loop.parallel and loop.entries > 0.0]
        launches = sum(loop.entries for loop in grids)
        used = threads if grids else 1  # else it is all done by one work item
        undone = self.journal or (self.writes if launches > 1.0 and not self.rows else ())  # devices/run.py
        a_block = self.block_bytes * ITEMS_PER_CORE * threads
        saving = sum(sizes[a] for a in undone) / profile.journal_bps
        saving += self._saving(values) / _cores(profile, threads) + (offload.DRIVER_BLOCKS_S if a_block else 0.0)
        work = offload.Work(
            serial_s=sum(s[0] for s in split) + self.root_s, shared_s=sum(s[1] for s in split),
            memory_s=moved.seconds(used) + moved.handed_over(used), launches=launches,
            saving_s=saving if device.shares_memory else 0.0,
            placed=len({*self.reads, *self.writes}),
            blocks=1.0 + self._saved(values) / a_block if a_block else 0.0,
            items=sum(loop.entries * _items(loop) for loop in grids) / larger(sum(g.entries for g in grids), 1.0),
            moved=moved.read[-1] + moved.back[-1] + moved.scattered[-1], sent=sum(sizes[a] for a in self.reads),
            fetched=sum(sizes[a] for a in self.writes), arrays=(len(self.reads), len(self.writes)),
        )  # fmt: skip
        return offload.seconds(work, device, profile, _cores(profile, threads))

    def _saved(self, values: list[float]) -> float:
        """Bytes of the rows that loops in blocks save."""
        return sum(
            self.rows[loop.counter](values) * loop.total for loop in _all(self.top) if loop.counter in self.rows
        )

    def _saving(self, values: list[float]) -> float:
        """Seconds of saving rows by blocks, before the loop runs over them: read, write-allocate and write back, in the
        cache that holds the block (transform/blocks.py keeps it within L2)."""
        if not self.rows:
            return 0.0
        return 3.0 * self._saved(values) / self.profile.levels[min(1, len(self.profile.levels) - 1)].bandwidth


def bind(candidate: Candidate, profile: Profile, variant: str) -> Bound:
    """Fold `profile` into the counts of `candidate` as `variant` runs them."""
    counts = candidate.counts
    root = counts.root if variant == "interp" else unrolled(counts.root)
    slots = slots_of(root, () if variant == "interp" else counts.arrays)
    counters = counters_of(counts.root)
    defaults = [0.0] * len(slots)
    outer = {loop.stop for loop in root.loops if loop.start is None}
    known = []
    for leaf, slot in slots.items():
        if isinstance(leaf, QParam) and leaf.name.startswith("@while"):
            defaults[slot] = OUTER_TRIPS if leaf in outer else INNER_TRIPS
        elif not (isinstance(leaf, QParam) and (leaf.name in counters or "@" in leaf.name)):
            known.append((leaf, slot))
    journal = counts.can_fault if candidate.journal is None else candidate.journal
    lanes = variant in DEVICES and profile.device(variant).style == "grid"
    price = Pricer(profile, variant, candidate, slots, lanes)
    top = [price.loop(loop) for loop in root.loops]
    return Bound(
        variant=variant,
        profile=profile,
        slots=slots,
        defaults=defaults,
        known=known,
        estimated=[(q, k) for q, k in slots.items() if isinstance(q, QParam) and q.name.startswith("@")],
        top=top,
        root_s=price.block(root, "", False),
        counters=tuple(slots[q] for q in map(QParam, counters) if q in slots),
        geometry=compiled_all(tuple(price.terms), slots),
        sizes={a.name: compiled(a.size, slots) for a in counts.arrays} if variant != "interp" else {},
        journal=tuple(a.name for a in counts.arrays if a.written) if journal and variant != "interp" else (),
        reads=tuple(a for a in candidate.reads if a in {info.name for info in counts.arrays}),
        writes=tuple(a for a in candidate.writes if a in {info.name for info in counts.arrays}),
        rows={c: compiled(_row_bytes(counts, arrays), slots) for c, arrays in candidate.saved}
        if variant != "interp"
        else {},
        block_bytes=candidate.block_bytes,
        slowness=FOREIGN if candidate.foreign else 1.0,
    )


def _row_bytes(counts: Counts, arrays: tuple[str, ...]) -> Quantity:
    """Bytes of one row, along the first dimension, of all `arrays` together."""
    total: Quantity = ZERO
    for array in counts.arrays:
        if array.name in arrays:
            row: Quantity = QConst(array.itemsize)
            for dim in array.dims[1:]:
                row = simplify("*", row, dim)
            total = simplify("+", total, row)
    return total


def _all(loops: Sequence[PricedLoop]) -> Iterator[PricedLoop]:
    for loop in loops:
        yield loop
        yield from _all(loop.inner)


def _cores(profile: Profile, threads: int) -> float:
    """Work per second of `threads` threads over that of one: fewer than threads where two of them share a core."""
    if profile.threads <= 1 or threads <= 1:
        return float(threads)
    each = (profile.compute_t - 1.0) / (profile.threads - 1.0)
    return 1.0 + each * (threads - 1.0)


def _journal_seconds(size: float, profile: Profile) -> float:
    """Saving `size` bytes: read, write-allocate and write back, from the level that holds source and copy."""
    for level in profile.levels[1:-1]:
        if level.size is not None and 2.0 * size <= level.size:
            return 3.0 * size / level.bandwidth
    return size / profile.journal_bps


def _reset(loop: PricedLoop) -> None:
    loop.entries = loop.total = 0.0
    for inner in loop.inner:
        _reset(inner)


def _range(loop: PricedLoop, v: list[float]) -> tuple[float, float, float]:
    """(start, step, trips) of the loop for these values of the counters outside it."""
    assert loop.stop is not None
    stop = loop.stop(v)
    if loop.start is None or loop.step is None:
        return 0.0, 1.0, larger(stop, 0.0) * loop.share
    start, step = loop.start(v), loop.step(v)
    if step == 0.0:
        return start, 1.0, 0.0
    trips = (stop - start) / step
    if abs(step) != 1.0:
        trips = math.ceil(trips - 1e-9)
    return start, step, larger(trips, 0.0) * loop.share


def _trips(loops: list[PricedLoop], v: list[float], times: float) -> None:
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
        spread = step * square_root(larger(trips * trips - 1.0, 0.0) / 12.0)
        for point in (middle - spread, middle + spread):
            v[loop.slot] = point
            _trips(loop.inner, v, entered * trips / 2.0)


def _lanes(loops: list[PricedLoop], lanes: float) -> None:
    """Tell each loop how many iterations of an enclosing strip-mined loop run side by side in it, by the last walk."""
    for loop in loops:
        loop.lanes = smaller(loop.strip, larger(loop.trips, 1.0)) if loop.strip > 1.0 else lanes
        _lanes(loop.inner, loop.lanes)


def _total(loop: PricedLoop) -> float:
    """Seconds of the loop and all inside, by the last walk. Vector code runs its remainder in scalar form; in a wide
    strip each trip is a loop over its lanes."""
    own = loop.total * loop.body
    if loop.lane_loop:
        own += loop.total / loop.lanes * (loop.entry + _remainder(loop, loop.lanes))
    elif loop.vector and loop.total > 0.0:
        own += loop.entries * _remainder(loop, loop.trips)
    return own + loop.entries / loop.lanes * loop.entry + sum(map(_total, loop.inner))


def _remainder(loop: PricedLoop, trips: float) -> float:
    """Seconds that the scalar remainder of vector code takes more than vectors would."""
    return smaller(trips, VECTOR_REMAINDER) * (loop.scalar_body - loop.body)


def _split(loop: PricedLoop, v: list[float], threads: int) -> tuple[float, float, float, float]:
    """(serial seconds, seconds to be shared by threads, parallel regions entered, effective threads)."""
    if loop.parallel and threads > 1 and loop.trips > loop.threshold:
        entering = loop.entries * loop.entry
        return entering, _total(loop) - entering, loop.entries, _effective(loop, v, threads)
    own = _total(loop) - sum(map(_total, loop.inner))
    shared, forks, speedup = 0.0, 0.0, 1.0
    for inner in loop.inner:
        a, b, f, s = _split(inner, v, threads)
        own, shared, forks, speedup = own + a, shared + b, forks + f, larger(speedup, s)
    return own, shared, forks, speedup


def _alone(loop: PricedLoop) -> float:
    """Parallel regions entered for so little work that one thread does it: OpenMP makes a team of one."""
    if loop.parallel:
        return 0.0 if loop.trips > loop.threshold else loop.entries
    return sum(map(_alone, loop.inner))


def _items(loop: PricedLoop) -> float:
    """Iterations of a grid: of its loop and of those collapsed into it."""
    trips, inner = loop.trips, loop.inner
    while len(inner) == 1 and inner[0].collapsed:
        trips *= inner[0].trips
        inner = inner[0].inner
    return trips


def _effective(loop: PricedLoop, v: list[float], threads: int) -> float:
    """Threads that really share the work: whole iterations only, and static chunks of uneven work."""
    trips = _items(loop)
    if trips <= 1.0:
        return 1.0
    effective = trips / math.ceil(trips / threads)
    if loop.varies and not loop.balanced and loop.inner:
        effective /= _imbalance(loop, v, threads)
    return larger(smaller(effective, float(threads)), 1.0)


def _imbalance(loop: PricedLoop, v: list[float], threads: int) -> float:
    """Work of the heaviest static chunk over the mean chunk, for work that changes linearly with the counter."""
    start, step, trips = _range(loop, v)
    ends = []
    for point in (start, start + step * larger(trips - 1.0, 0.0)):
        v[loop.slot] = point
        ends.append(sum(_range(inner, v)[2] for inner in loop.inner))
    low, high = smaller(*ends), larger(*ends)
    mean = (low + high) / 2.0
    return (high - (high - low) / (2.0 * threads)) / mean if mean > 0.0 else 1.0
