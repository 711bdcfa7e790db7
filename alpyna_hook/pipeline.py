"""The only list of passes, in order: nest + signature -> specialisation.

    unbound      drops live-ins that have no value              transform/unbound.py
    foreign      is it the same for other libraries' arrays?    analysis/foreign.py
    infer        untyped nest -> typed nest                     analysis/inference.py
    prove        drops the checks that entry conditions imply   analysis/bounds.py
    distribute   splits loops where that exposes a parallel one transform/distribute.py
    split        cuts loops where all their dependences meet    transform/split.py
    parallelism  a verdict per loop                             analysis/parallel.py
    schedule     one plan per variant                           transform/schedule.py
    outward      parallel loops over sequential ones            transform/strips.py
    fuse         neighbouring parallel loops in one             transform/fuse.py
    strips       iterations side by side                        transform/strips.py
    stops        loops that can be left between iterations      transform/stops.py
    blocks       restartable loops save what they write         transform/blocks.py
    devices      loops become grids of work items               transform/device.py
    render       plan -> kernel text                            codegen/kernel.py, device.py
    count        typed nest -> counts for the cost model        cost/counts.py

In: a `Request`.  Out: a `Specialisation` (picklable: the disk cache keeps it), or the `Rejection` that says
why this signature stays in the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from alpyna_hook.analysis.bounds import prove
from alpyna_hook.analysis.dependence import interchange_legal
from alpyna_hook.analysis.foreign import Judged, is_foreign, judge
from alpyna_hook.analysis.inference import infer
from alpyna_hook.analysis.parallel import Parallelism, Verdict, parallelism
from alpyna_hook.codegen.accelerators import DIALECTS
from alpyna_hook.codegen.device import render_device
from alpyna_hook.codegen.kernel import render_kernel, wide_safe
from alpyna_hook.cost.counts import count
from alpyna_hook.cost.priced import Candidate, candidate_of
from alpyna_hook.cost.trips import middling, trips_of
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.affine import (
    NO_NAN_COMPARED, Env, PAll, PAny, PCompare, PFinite, Predicate, QBinary, QConst, QDim, QParam, QStride, Quantity,
)  # fmt: skip
from alpyna_hook.ir.nodes import (
    Assign, Binary, Const, Dim, Expr, If, Load, Loop, Nest, Stmt, Store, Var, While,
    blocks_of, map_stmt_exprs, rewrite_expr, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.plan import KernelSource, Plan, Variant
from alpyna_hook.ir.types import UNBOUND, ArrayType, ScalarType, Type
from alpyna_hook.ir.verify import verify
from alpyna_hook.specialisation import LoopVerdict, Specialisation
from alpyna_hook.transform.blocks import MAX_SWEEPS, Blocks, choose_blocks, sweeps, with_blocks
from alpyna_hook.transform.device import Target, device_plan, in_blocks
from alpyna_hook.transform.distribute import distribute
from alpyna_hook.transform.fuse import fuse
from alpyna_hook.transform.schedule import LoopFacts, may_warn, schedule, written_arrays
from alpyna_hook.transform.split import split_ranges
from alpyna_hook.transform.stops import can_stop
from alpyna_hook.transform.strips import outward, with_strips
from alpyna_hook.transform.unbound import without_unbound


@dataclass(frozen=True, slots=True)
class Request:
    """What a specialisation is made for.

    types      type of each live-in, by IR name
    entry      values at this call: scalar live-ins as QParam (ints and floats), dimensions, strides (elements)
    same       array -> the other array that it is at this call (same memory, shape and strides)
    may_alias  pairs of arrays whose memory may overlap
    banned     preconditions that failed at earlier calls and are not to be relied on
    lines      source lines of the user's file
    restartable  the guarded loop can be resumed in the middle (rewrite.py)
    devices      kinds of device to make programs for: "opencl:rows", "opencl:grid", "cuda"; one per variant
    """

    nest: Nest
    types: Mapping[str, Type]
    entry: Env
    same: Mapping[str, str]
    may_alias: frozenset[frozenset[str]]
    banned: frozenset[Predicate]
    fp: Literal["strict", "relaxed"]
    threads: int
    lines: tuple[str, ...]
    restartable: bool = False
    devices: tuple[str, ...] = ()


_Facts: TypeAlias = Mapping[str, LoopFacts]
_Shaped: TypeAlias = tuple[Nest, _Facts]


def specialise(request: Request) -> Specialisation | Rejection:
    """Runs the passes. InternalError for a bug of ours."""
    merged = without_unbound(merge_arrays(request.nest, request.same), request.types)
    if isinstance(merged, Rejection):
        return merged
    request = replace(request, types={name: kind for name, kind in request.types.items() if kind != UNBOUND})
    foreign = any(map(is_foreign, request.types.values()))
    judged = judge(merged, request.types) if foreign else Judged(merged, False)
    if isinstance(judged, Rejection):
        return judged
    values = {q.name: v for q, v in request.entry.items() if isinstance(q, QParam)}
    typed = infer(judged.nest, request.types, values)
    if isinstance(typed, Rejection):
        return typed
    verify(typed)
    proved, conditions, banned = _prove(typed, request)
    conditions = tuple(dict.fromkeys((*merged.requires, *conditions)))
    proved = distribute(proved, request.entry, banned, request.fp, request.may_alias)
    proved = split_ranges(proved, request.entry, banned, request.fp, request.may_alias)
    verify(proved)

    def analysed(nest: Nest) -> dict[str, LoopFacts]:
        found = parallelism(nest, request.entry, banned, request.fp, request.may_alias)
        return {loop.counter: _facts(loop, nest, found, request) for loop in _loops(nest.body)}

    verdicts = parallelism(proved, request.entry, banned, request.fp, request.may_alias)
    facts = {loop.counter: _facts(loop, proved, verdicts, request) for loop in _loops(proved.body)}
    arrays = [n for n, t in proved.types if isinstance(t, ArrayType)]
    free = frozenset(a for a in arrays if not any(a in pair for pair in request.may_alias))
    blocks = _blocks(facts, proved, request) if request.restartable else None
    swapped, joined = _shared(proved, facts, analysed, blocks is not None, request)
    plans = _plans(proved, facts, joined, conditions, free, request)
    nans = NO_NAN_COMPARED in banned
    plans = {v: replace(plan, nans=nans, stops=can_stop(plan, request.nest)) for v, plan in plans.items()}
    sources = {v: render_kernel(plan, request.types, request.lines) for v, plan in plans.items()}
    if any(source.faults for source in sources.values()) and blocks is not None:
        plans = {v: with_blocks(p, blocks, may_warn) if p.nest == proved else p for v, p in plans.items()}
        sources = {v: render_kernel(plan, request.types, request.lines) for v, plan in plans.items()}
    plans = {v: replace(plan, faults=sources[v].faults and not plan.resume) for v, plan in plans.items()}
    counts = count(proved)
    as_written = request.restartable and not foreign
    programs = _programs(swapped, joined, conditions, free, request, proved if as_written else None, judged.silent)
    if foreign and isinstance(programs.get("cuda", ""), str):
        return _not_there(merged, programs)
    plans = {**plans, **{v: p[0] for v, p in programs.items() if not isinstance(p, str)}}
    devices = {v: p[1].device for v, p in programs.items() if not isinstance(p, str)}
    there = frozenset(name for name, kind in request.types.items() if is_foreign(kind))
    candidates = {
        v: candidate_of(p, counts if p.nest is proved else count(p.nest), devices.get(v), there)
        for v, p in plans.items() if v == "cuda" or not there
    }  # fmt: skip
    return Specialisation(
        proved,
        plans,
        {**sources, **{v: p[1] for v, p in programs.items() if not isinstance(p, str)}},
        {"interp": Candidate(count(typed), journal=False, foreign=foreign), **candidates},
        _one_each(_verdicts(proved, proved.body, facts, verdicts, 0)),
        _disjoint(request, arrays, written_arrays(proved)),
        tuple(sorted(request.same.items())),
        written_arrays(proved),
        {v: why for v, why in programs.items() if isinstance(why, str)},
    )


def _programs(
    swapped: _Shaped, joined: _Shaped, conditions: tuple[Predicate, ...], free: frozenset[str], request: Request,
    restartable: Nest | None, silent: bool,
) -> dict[Variant, tuple[Plan, KernelSource] | str]:  # fmt: skip
    """Per variant of a device that is asked for: its plan and text, or why there are none. Accelerators would lose axes
    of their grids by fusion. restartable: the nest that the interpreter can go on with in the middle. silent: nothing
    warns."""
    found: dict[Variant, tuple[Plan, KernelSource] | str] = {}
    for target in map(Target.of, request.devices):
        nest, facts = joined if target.style == "rows" else swapped
        plan = device_plan(nest, facts, conditions, free, target, request.fp, middling(nest.body, request.entry))
        if isinstance(plan, str):
            found[target.variant] = plan
            continue
        plan = replace(plan, watch_fp=plan.watch_fp and not silent)
        source = render_device(plan, request.types, request.lines, DIALECTS[target.variant])
        blocked = in_blocks(plan, request.may_alias) if source.faults and nest is restartable else plan
        if blocked.resume:
            again = render_device(blocked, request.types, request.lines, DIALECTS[target.variant])
            plan, source = (blocked, again) if again.resume else (plan, source)
        found[target.variant] = replace(plan, faults=source.faults and not source.resume), source
    return found


def _not_there(nest: Nest, programs: Mapping[Variant, tuple[Plan, KernelSource] | str]) -> Rejection:
    """Arrays of another library lie on a CUDA device, and nothing else can run the loop there."""
    why = programs.get("cuda", "CUDA is not available to Alpyna, was not calibrated, or another variant is forced")
    return Rejection(
        "foreign-array", f"Its CuPy arrays lie on a CUDA device, where the loop cannot run: {why}.", "this loop",
        nest.span, "`alpyna doctor` tells what there is; for a loop on the host copy the arrays, cupy.asnumpy(...).",
    )  # fmt: skip


def _shared(
    nest: Nest, facts: _Facts, analysed: Callable[[Nest], _Facts], blocked: bool, request: Request
) -> tuple[_Shaped, _Shaped]:
    """For threads and devices: the nest with parallel loops interchanged outward, and that with neighbours fused, each
    with what is known of its loops. blocked: the nest as it is can be run in blocks, which is worth more."""
    swapped = outward(nest, facts, lambda a, b: interchange_legal(nest, a, b, request.entry, request.may_alias))
    if swapped == nest:
        swapped = nest
    else:
        facts = analysed(swapped)
    return (swapped, facts), (swapped, facts) if blocked and swapped is nest else fuse(swapped, facts, analysed)


def _plans(
    nest: Nest, facts: _Facts, joined: _Shaped, conditions: tuple[Predicate, ...], restrict: frozenset[str],
    request: Request,
) -> Mapping[Variant, Plan]:  # fmt: skip
    """A plan per variant of the host; that for threads is of the nest `joined`."""
    plans = with_strips(schedule(nest, facts, conditions, restrict, request.threads), nest, facts)
    if joined[0] is nest:
        return plans
    threaded = with_strips(schedule(*joined, conditions, restrict, request.threads), *joined)
    return {**plans, "omp": threaded["omp"]} if "omp" in threaded else plans


def _blocks(facts: _Facts, nest: Nest, request: Request) -> Blocks | None:
    """What to run in blocks, with journals in place of a copy of all written arrays, where that is possible and
    cheaper."""

    def parallel(loop: Loop) -> bool:
        return facts[loop.counter].parallel and not facts[loop.counter].preconditions

    found = choose_blocks(nest, parallel, request.may_alias)
    if found is None:
        return None
    entered = sweeps(nest, found, lambda loop: trips_of(loop, request.entry))
    return found if entered is not None and entered <= MAX_SWEEPS else None


def merge_arrays(nest: Nest, same: Mapping[str, str]) -> Nest:
    """The nest with one name for arrays that are one and the same at this call."""
    if not same:
        return nest

    def one_name(expr: Expr) -> Expr:
        if isinstance(expr, (Load, Dim)) and expr.array in same:
            return replace(expr, array=same[expr.array])
        return expr

    def statements(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        return tuple(map(_stores, (map_stmt_exprs(s, lambda e: rewrite_expr(e, one_name)) for s in body)))

    def _stores(stmt: Stmt) -> Stmt:
        if isinstance(stmt, Store) and stmt.array in same:
            stmt = replace(stmt, array=same[stmt.array])
        return _with_blocks(stmt, tuple(tuple(map(_stores, b)) for b in blocks_of(stmt)))

    requires = tuple(_same_predicate(p, same) for p in nest.requires)
    return replace(nest, body=statements(nest.body), requires=requires)


def _same_predicate(predicate: Predicate, same: Mapping[str, str]) -> Predicate:
    match predicate:
        case PCompare(left=left, right=right):
            return replace(predicate, left=_same_quantity(left, same), right=_same_quantity(right, same))
        case PAll(parts=parts) | PAny(parts=parts):
            return replace(predicate, parts=tuple(_same_predicate(p, same) for p in parts))
        case PFinite():
            return predicate


def _same_quantity(quantity: Quantity, same: Mapping[str, str]) -> Quantity:
    match quantity:
        case QDim(array=array) | QStride(array=array):
            return quantity._replace(array=same.get(array, array))
        case QBinary(left=left, right=right):
            return quantity._replace(left=_same_quantity(left, same), right=_same_quantity(right, same))
        case QConst() | QParam():
            return quantity


def _with_blocks(stmt: Stmt, blocks: tuple[tuple[Stmt, ...], ...]) -> Stmt:
    match stmt:
        case If():
            return replace(stmt, then=blocks[0], other=blocks[1])
        case Loop() | While():
            return replace(stmt, body=blocks[0])
        case _:
            return stmt


def _prove(typed: Nest, request: Request) -> tuple[Nest, tuple[Predicate, ...], frozenset[Predicate]]:
    """`prove`, repeated without the conditions that 128-bit arithmetic could not evaluate."""
    banned = request.banned
    while True:
        result = prove(typed, request.entry, banned)
        unsafe = frozenset(p for p in result.preconditions if not wide_safe(p))
        if not unsafe:
            return result.nest, result.preconditions, banned
        banned |= unsafe


def _loops(body: tuple[Stmt, ...]) -> list[Loop]:
    return [s for s in walk_stmts(body) if isinstance(s, Loop)]


def _facts(loop: Loop, nest: Nest, verdicts: Parallelism, request: Request) -> LoopFacts:
    """A verdict as scheduling wants it; what the code generator has no form for is sequential."""
    verdict = verdicts.verdicts[loop.counter]
    parallel = verdict.parallel and not _unsupported(loop, nest, verdict)
    if parallel and not all(map(wide_safe, verdict.preconditions)):
        parallel = False
    scalars_free = not verdict.reductions and not verdict.array_reductions
    return LoopFacts(
        parallel=parallel,
        independent=verdict.parallel and scalars_free,
        preconditions=verdict.preconditions,
        reductions=tuple((r.name, r.op) for r in verdict.reductions),
        bounded=tuple(r.name for r in verdict.reductions if r.checked),
        array_reductions=tuple((r.array, r.op) for r in verdict.array_reductions),
        private=verdict.private,
        last=verdict.lastprivate,
        conditional=verdict.conditional,
        trips=trips_of(loop, request.entry),
    )


def _unsupported(loop: Loop, nest: Nest, verdict: Verdict) -> str:
    """Why a parallel verdict is not made use of; empty if it is."""
    types = dict(nest.types)
    if any(r.checked and not _bounded_sum(loop, r.name, types[r.name]) for r in verdict.reductions):
        return "the overflow check of an integer reduction needs the order of the operations"
    for r in verdict.array_reductions:
        kind = types[r.array]
        if r.op != "+" or not isinstance(kind, ArrayType) or kind.layout != "C":
            return f"updates of {r.array} cannot be merged over the threads"
        if r.checked and not _constant_updates(loop, r.array):
            return f"the overflow check of {r.array} needs the order of the additions"
    if verdict.conditional and not isinstance(loop.step, Const):
        return "the last iteration that assigned a name cannot be told"
    return ""


def _bounded_sum(loop: Loop, name: str, kind: Type) -> bool:
    """All updates are `name = name + e` (or `- e` of a signed type): overflow then follows from magnitudes."""
    if not isinstance(kind, ScalarType) or not kind.rep.is_int:
        return False
    signed = kind.rep.is_signed
    for stmt in walk_stmts(loop.body):
        if not isinstance(stmt, Assign) or stmt.name != name:
            continue
        value = stmt.value
        if not isinstance(value, Binary) or value.op not in (("+", "-") if signed else ("+",)):
            return False
        first = isinstance(value.left, Var) and value.left.name == name
        second = value.op == "+" and isinstance(value.right, Var) and value.right.name == name
        if not first and not second:
            return False
    return True


def _constant_updates(loop: Loop, array: str) -> bool:
    """All updates of `array` add positive constants: partial sums then overflow only if the whole does."""
    stores = [s for s in walk_stmts(loop.body) if isinstance(s, Store) and s.array == array]
    return all(
        isinstance(s.value, Binary) and s.value.op == "+" and isinstance(s.value.right, Const)
        and not isinstance(s.value.right.value, complex) and s.value.right.value > 0
        for s in stores
    )  # fmt: skip


def _verdicts(
    nest: Nest, body: tuple[Stmt, ...], facts: Mapping[str, LoopFacts], verdicts: Parallelism, depth: int
) -> list[LoopVerdict]:
    found: list[LoopVerdict] = []
    for stmt in body:
        deeper = depth
        if isinstance(stmt, Loop):
            verdict, fact = verdicts.verdicts[stmt.counter], facts[stmt.counter]
            why = verdict.why
            if verdict.parallel and not fact.parallel:
                unchecked = "the conditions of its parallel form cannot be checked at entry"
                why = _unsupported(stmt, nest, verdict) or unchecked
            found.append(LoopVerdict(stmt.span.line, stmt.var, depth, fact.parallel, why))
            deeper = depth + 1
        for block in blocks_of(stmt):
            found += _verdicts(nest, block, facts, verdicts, deeper)
    return found


def _one_each(found: list[LoopVerdict]) -> tuple[LoopVerdict, ...]:
    """One verdict for each loop as written: `distribute` and `split` make several loops of one."""
    parts: dict[tuple[int, str], list[LoopVerdict]] = {}
    for verdict in found:
        parts.setdefault((verdict.line, verdict.var), []).append(verdict)
    return tuple(map(_merged, parts.values()))


def _merged(parts: list[LoopVerdict]) -> LoopVerdict:
    sequential = [p for p in parts if not p.parallel]
    if not sequential or len(sequential) == len(parts):
        return parts[0]
    count = f"in {len(sequential)} of the {len(parts)} parts it is split into"
    return replace(sequential[0], depth=parts[0].depth, why=f"{count}: {sequential[0].why}")


def _disjoint(request: Request, arrays: list[str], written: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs with a written member that are neither known to be one array nor assumed to overlap."""
    live = [a for a in arrays if a not in request.same]
    return tuple(
        (a, b)
        for k, a in enumerate(live)
        for b in live[k + 1 :]
        if (a in written or b in written) and frozenset((a, b)) not in request.may_alias
    )
