"""Counts with a profile folded in: per loop, seconds per trip and per entry as one variant runs it.

In: a `Candidate`, a `Profile`, the variant's name.  Out: `PricedLoop`s, whose trip counts and footprints the
model then evaluates for the entry values of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from alpyna_hook.cost.accesses import Access, ArrayInfo
from alpyna_hook.cost.counts import Block, Counts, LoopCount, blocks, loops
from alpyna_hook.cost.machine import Profile
from alpyna_hook.cost.symbolic import ZERO, compiled
from alpyna_hook.cost.unroll import MOST_TRIPS
from alpyna_hook.ir.affine import QConst, QParam, Quantity, leaves
from alpyna_hook.ir.plan import DeviceProgram, Plan

Eval = Callable[[Sequence[float]], float]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One variant of a specialisation as the model sees it.

    parallel    counters whose iterations are shared among threads
    collapse    counters collapsed into an enclosing parallel loop's iteration space
    balanced    counters of parallel loops with a dynamic or guided schedule
    vectorised  counters of loops that run as vector code; None: judge by structure
    strips      (counter, width) of parallel loops whose neighbouring iterations run side by side in vector lanes
    journal     None: journal if the counts say that the nest can fault
    saved       (counter, arrays) of loops in blocks: each iteration saves a row of each of these arrays
    block_bytes on a device, what one work item saves in a block; 0: its grids are launched as a whole
    reads, writes  arrays that are brought to a device and back
    min_work    (counter, threshold, work) of parallel loops that threads share only where trip count * work exceeds it
    foreign     elements of another library's arrays take part: each operation of the interpreter is a launch
    short       parallel loops are left to one work item of a device, at the sizes of the call that it was made for
    """

    counts: Counts
    parallel: frozenset[str] = frozenset()
    collapse: frozenset[str] = frozenset()
    balanced: frozenset[str] = frozenset()
    vectorised: frozenset[str] | None = None
    strips: tuple[tuple[str, int], ...] = ()
    journal: bool | None = None
    saved: tuple[tuple[str, tuple[str, ...]], ...] = ()
    min_work: tuple[tuple[str, int, int], ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    block_bytes: int = 0
    foreign: bool = False
    short: bool = False

    @property
    def sized(self) -> bool:
        """Whether what suits few trips of a loop may not suit many (runtime/specials.py, `outgrown`)."""
        outermost = {loop.counter for loop in self.counts.root.loops}
        return bool(self.collapse) or self.short or any(counter not in outermost for counter, _ in self.saved)


def candidate_of(
    plan: Plan, counts: Counts, program: DeviceProgram | None = None, there: frozenset[str] = frozenset()
) -> Candidate:
    """What a plan says about its loops; `counts` are those of `plan.nest`; `program` if it is for a device; `there`:
    arrays that lie on it anyway."""
    if program is not None:
        return _on_device(plan, counts, program, there)
    parallel = frozenset(p.counter for p in plan.loops if p.parallel)
    collapsed: set[str] = set()
    for p in plan.loops:
        if p.parallel and p.collapse > 1:
            collapsed.update(_inside(counts.root, p.counter, p.collapse - 1))
    balanced = frozenset(p.counter for p in plan.loops if p.parallel and p.schedule != "static")
    strips = tuple((p.counter, p.strip) for p in plan.loops if p.strip)
    blocked = [p for p in plan.loops if p.saved and not (p.quiet and _cannot_fault(counts.root, p.counter))]
    saved = tuple((p.counter, tuple(array for array, _ in p.saved)) for p in blocked)
    min_work = tuple((p.counter, p.min_work, p.work) for p in plan.loops if p.min_work)
    return Candidate(counts, parallel, frozenset(collapsed), balanced, None, strips, plan.faults, saved, min_work)


def _cannot_fault(root: Block, counter: str) -> bool:
    """Whether nothing in the loop is checked: code generation then saves nothing for it (codegen/blocks.py)."""
    loop = next(loop for loop in loops(root) if loop.counter == counter)
    return not any(name in ("check", "bounds") for block in blocks(Block(loops=(loop,))) for name, _ in block.ops)


def _on_device(plan: Plan, counts: Counts, program: DeviceProgram, there: frozenset[str]) -> Candidate:
    """Grid loops are shared; of those nested in each other the outermost one is launched, the others widen it."""
    grids = [p.counter for p in plan.loops if p.grid]
    below = {c for g in grids for c in _inside(counts.root, g, len(grids))}
    strips = tuple((p.counter, p.strip) for p in plan.loops if p.strip)
    sent = tuple(a for a in program.reads + program.writes if a not in {*program.overwritten, *there})
    fetched = tuple(a for a in program.writes if a not in there)
    saved = tuple((p.counter, tuple(array for array, _ in p.saved)) for p in plan.loops if p.saved)
    return Candidate(
        counts, frozenset(g for g in grids if g not in below), frozenset(g for g in grids if g in below),
        strips=strips, journal=plan.faults, saved=saved, reads=tuple(dict.fromkeys(sent)), writes=fetched,
        block_bytes=plan.block_bytes, short=bool(plan.short),
    )  # fmt: skip


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


@dataclass
class PricedLoop:
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
    groups: list[Group]
    threshold: float = 0.0  # trips per entry up to which one thread does it all
    strip: float = 1.0  # neighbouring iterations that run side by side
    lane_loop: bool = False  # each trip is a loop over such iterations: too many of them to be unrolled
    inner: list[PricedLoop] = field(default_factory=list)
    entries: float = 0.0
    total: float = 0.0
    lanes: float = 1.0  # iterations of the enclosing strip-mined loop that run side by side

    @property
    def trips(self) -> float:
        """Mean trips per entry, from the last walk."""
        return self.total / self.entries if self.entries > 0 else 0.0


@dataclass
class Group:
    """References to one array with the same strides: a stencil's loads, say. Strides and offsets are places in the
    geometry, `Pricer.terms`; strides is None for data-dependent subscripts."""

    array: str
    strides: tuple[tuple[str, int], ...] | None
    offsets: tuple[int, ...]
    itemsize: int
    passes: float  # times each line crosses a level: 1 read, 2 if written (write-allocate, write back)
    weight: float


def counters_of(block: Block) -> set[str]:
    """Counters of all loops below `block`."""
    found: set[str] = set()
    for loop in block.loops:
        found.add(loop.counter)
        found |= counters_of(loop.body)
    return found


def slots_of(root: Block, arrays: tuple[ArrayInfo, ...]) -> dict[Quantity, int]:
    """A place in the list of values for every leaf of the loop bounds, loop counters included, and if there are
    `arrays`, of strides and array sizes too."""
    slots: dict[Quantity, int] = {}

    def add(q: Quantity | None) -> None:
        for leaf in sorted(leaves(q), key=str) if q is not None else ():
            slots.setdefault(leaf, len(slots))

    def visit(block: Block) -> None:
        for access in block.accesses if arrays else ():
            add(access.offset)
            for _, stride in access.strides or ():
                add(stride)
        for loop in block.loops:
            for q in (QParam(loop.counter), loop.start, loop.stop, loop.step):
                add(q)
            visit(loop.body)

    visit(root)
    for array in arrays:
        add(array.size)
    return slots


_ALONE = ("libm.", "npy.", "pow.", "fmod.", "branch")  # operations that little else overlaps with
_DIVIDER = ("div.", "idiv.", "sqrt.")  # those of the one unit that is not pipelined

Strip = tuple[str, int]  # counter of a strip-mined loop and its width


@dataclass
class Pricer:
    """Turns counts into `PricedLoop`s for one profile and variant."""

    profile: Profile
    variant: str
    candidate: Candidate
    slots: dict[Quantity, int]
    scalar_lanes: bool = False  # each work item computes one element after the other
    terms: dict[Quantity, int] = field(default_factory=dict)  # the geometry: strides and offsets, and their places

    def _term(self, q: Quantity) -> int:
        return self.terms.setdefault(q, len(self.terms))

    def block(self, block: Block, counter: str, vector: bool, strip: Strip = ("", 1), trip: float = 0.0) -> float:
        """Seconds per execution of the block's own work: the largest of what loads, stores, the divider, all other
        arithmetic, the loop's own jump and the carried chain take, each of which has units of its own (Fog,
        "Microarchitecture"), and in addition what nothing overlaps with (calls, mispredicted branches).

        counter  of the loop whose body this is: what does not move with it stays in a register
        strip    counter and number of the neighbouring iterations of an outer loop that run side by side, hiding each
                 other's latency
        trip     seconds of the jump
        """
        profile = self.profile
        if self.variant == "interp":
            return sum(n * profile.interp.get(name, 0.0) for name, n in block.interp)
        of = profile.vector_of if vector else profile.scalar_of
        alone = sum(n * of(name) for name, n in block.ops if name.startswith(_ALONE))
        divider = sum(n * of(name) for name, n in block.ops if name.startswith(_DIVIDER))
        others = sum(n * of(name) for name, n in block.ops if not name.startswith(_ALONE + _DIVIDER))
        loads = stores = 0.0
        for access in block.accesses:
            if access.strides is None or not counter or counter in dict(access.strides):
                seconds = access.weight * self._moved(access, vector, strip if strip[0] else (counter, 1))
                loads, stores = (loads, stores + seconds) if access.store else (loads + seconds, stores)
        chain = sum(n * profile.latency_of(name) for name, n in block.chain)
        return max(loads, stores, divider, others, chain / strip[1], trip) + alone

    def _moved(self, access: Access, vector: bool, lanes: Strip) -> float:
        """Seconds per element of a load or a store. Vector code takes elements that are not side by side one by one,
        and puts them into place; one element for all lanes of a strip is loaded once.

        lanes  counter of the iterations that become lanes, and how many of them share what does not move with it
        """
        profile, name = self.profile, "store" if access.store else "load"
        if not vector:
            return profile.scalar_of(name)
        stride = dict(access.strides or ()).get(lanes[0], ZERO)
        if access.strides is not None and stride == QConst(access.itemsize) and lanes[0] not in access.bent:
            return profile.vector_of(name)
        if access.strides is not None and stride == ZERO:
            return profile.scalar_of(name) / lanes[1]
        return profile.scalar_of(name) + profile.scalar_of("bit.f64")

    def loop(self, loop: LoopCount, strip: Strip = ("", 1)) -> PricedLoop:
        """`loop` and all inside. `strip` as for `block`: the enclosing strip-mined loop."""
        candidate, profile = self.candidate, self.profile
        native = self.variant != "interp"
        width = dict(candidate.strips).get(loop.counter, 0)
        strip = (loop.counter, width) if width else strip
        dependent = {leaf for inner in _all_loops(loop.body) for q in _bounds(inner) for leaf in leaves(q)}
        bounds = [compiled(q, self.slots) if q is not None else None for q in (loop.start, loop.stop, loop.step)]
        scalar = self.block(loop.body, loop.counter, False, trip=profile.scalar_of("trip") if native else 0.0)
        body, vector = scalar, False
        if native and self._lanes(loop, strip):
            trip = profile.vector_of("trip")
            wide = self.block(loop.body, loop.counter, True, strip, trip)
            body, vector = (wide, True) if strip[1] > 1 else min((wide, True), (scalar, False))
        return PricedLoop(
            counter=loop.counter,
            slot=self.slots[QParam(loop.counter)],
            start=bounds[0],
            stop=bounds[1],
            step=bounds[2],
            weight=loop.weight,
            share=loop.trip_share,
            varies=QParam(loop.counter) in dependent,
            body=body,
            entry=profile.scalar_of("loop") * (2.0 if vector and strip[1] == 1 else 1.0) if native else 0.0,
            parallel=loop.counter in candidate.parallel,
            collapsed=loop.counter in candidate.collapse,
            balanced=loop.counter in candidate.balanced,
            vector=vector and strip[1] == 1,
            scalar_body=scalar,
            groups=self._groups(loop.body.accesses) if native else [],
            threshold=self._threshold(loop.counter),
            strip=float(width or 1),
            lane_loop=native and strip[1] > MOST_TRIPS,
            inner=[self.loop(inner, strip) for inner in loop.body.loops],
        )

    def _lanes(self, loop: LoopCount, strip: Strip) -> bool:
        """Whether the loop's body may run in vector lanes."""
        given = self.candidate.vectorised
        vector = loop.vectorisable if given is None else loop.counter in given
        return (vector or strip[1] > 1) and not self.scalar_lanes

    def _threshold(self, counter: str) -> float:
        for name, least, work in self.candidate.min_work:
            if name == counter:
                return least / max(work, 1)
        return 0.0

    def _groups(self, accesses: tuple[Access, ...]) -> list[Group]:
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
                strides = tuple((c, self._term(q)) for c, q in first.strides)
            weight = min(1.0, max(a.weight for a in members)) if strides is not None else first.weight
            groups.append(
                Group(
                    first.array,
                    strides,
                    tuple(self._term(q) for q in offsets),
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
