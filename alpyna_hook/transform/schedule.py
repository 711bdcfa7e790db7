"""Typed nest + verdicts -> one plan per host variant.

`seq` keeps the loops as they are and tells the C compiler which innermost loops carry no dependence.
`omp` also shares out the outermost parallel loop of each loop tree; a parallel loop within a sequential
one becomes a parallel region per trip.  Collapsing costs vectorisation of the collapsed loops (the index
is recovered by divisions), so it is only done where the outer loop alone could not feed the threads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from alpyna_hook.ir.affine import Predicate
from alpyna_hook.ir.flow import reads_of
from alpyna_hook.ir.nodes import (
    Binary, Call, Cast, Const, Dim, Expr, If, Loop, Nest, Stmt, Store, Unary, Var, While,
    exprs_of, walk, walk_exprs, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.plan import LoopPlan, Plan, Variant
from alpyna_hook.ir.types import PY_CLASSES, Rep

# A parallel loop inside a sequential one is entered again and again: below so many operations (some 20 us of work)
# waking the threads costs more than they save.
MIN_WORK = 60_000
INNER_TRIPS = 64
# Fewer outer trips than this many per thread: collapse with the loop below where that is possible.
TRIPS_PER_THREAD = 4


@dataclass(frozen=True, slots=True)
class LoopFacts:
    """What analysis has proved about one loop, in the form that scheduling needs it.

    trips  trip count at this call, None if it cannot be told
    """

    parallel: bool
    independent: bool
    preconditions: tuple[Predicate, ...] = ()
    reductions: tuple[tuple[str, str], ...] = ()
    bounded: tuple[str, ...] = ()
    array_reductions: tuple[tuple[str, str], ...] = ()
    private: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()
    conditional: frozenset[str] = frozenset()
    trips: int | None = None


def schedule(
    nest: Nest, facts: Mapping[str, LoopFacts], preconditions: tuple[Predicate, ...], restrict: frozenset[str],
    threads: int,
) -> Mapping[Variant, Plan]:  # fmt: skip
    """Plans for "seq" and, where some loop is parallel, "omp".

    facts          per loop counter
    preconditions  what the checks that were dropped from `nest` rest on
    restrict       arrays proved to overlap no other
    """
    base = Plan("seq", nest, (), preconditions, restrict, watches_fp(nest))
    vector = {c: LoopPlan(c, independent=True) for c, f in facts.items() if f.independent and not f.preconditions}
    plans: dict[Variant, Plan] = {"seq": replace(base, loops=tuple(vector.values()))}
    shared = _share(nest.body, facts, threads)
    outermost = {stmt.counter for stmt in nest.body if isinstance(stmt, Loop)}
    shared = {
        c: p if c in outermost else replace(p, min_work=MIN_WORK, work=work_of(_loop_of(nest, c)))
        for c, p in shared.items()
    }
    if shared:
        used = [p for c in shared for p in facts[c].preconditions]
        loops = {**vector, **{c: replace(p, independent=c in vector) for c, p in shared.items()}}
        conditions = tuple(dict.fromkeys([*preconditions, *used]))
        plans["omp"] = replace(base, variant="omp", loops=tuple(loops.values()), preconditions=conditions)
    return plans


def _loop_of(nest: Nest, counter: str) -> Loop:
    return next(s for s in walk_stmts(nest.body) if isinstance(s, Loop) and s.counter == counter)


def work_of(loop: Loop, trips: Callable[[Loop], int] = lambda loop: INNER_TRIPS) -> int:
    """Operations of one iteration, very roughly, if inner loops make so many trips."""
    total = 0
    for stmt in loop.body:
        own = sum(1 for e in exprs_of(stmt) for _ in walk(e))
        match stmt:
            case Loop():
                total += own + trips(stmt) * work_of(stmt, trips)
            case While(body=body):
                total += own + INNER_TRIPS * len(list(walk_exprs(body)))
            case If(then=then, other=other):
                total += own + len(list(walk_exprs(then))) + len(list(walk_exprs(other)))
            case _:
                total += own
    return max(total, 1)


def _share(body: tuple[Stmt, ...], facts: Mapping[str, LoopFacts], threads: int) -> dict[str, LoopPlan]:
    """Plans of the outermost parallel loops in `body`."""
    found: dict[str, LoopPlan] = {}
    for stmt in body:
        match stmt:
            case Loop(counter=counter, body=inner):
                fact = facts.get(counter)
                if fact is not None and fact.parallel:
                    found[counter] = _parallel_plan(stmt, fact, facts, threads)
                else:
                    found |= _share(inner, facts, threads)
            case While(body=inner):
                found |= _share(inner, facts, threads)
            case If(then=then, other=other):
                found |= _share(then, facts, threads)
                found |= _share(other, facts, threads)
            case _:
                pass
    return found


def _parallel_plan(loop: Loop, fact: LoopFacts, facts: Mapping[str, LoopFacts], threads: int) -> LoopPlan:
    uneven = _uneven(loop)
    return LoopPlan(
        loop.counter,
        parallel=True,
        collapse=1 if uneven != "static" else _collapse(loop, fact, facts, threads),
        schedule=uneven,
        private=tuple(sorted(fact.private - fact.last - fact.conditional)),
        reductions=fact.reductions,
        bounded=fact.bounded,
        array_reductions=fact.array_reductions,
        last=tuple(sorted(fact.last)),
        conditional=tuple(sorted(fact.conditional)),
    )


def _uneven(loop: Loop) -> Literal["static", "guided", "dynamic"]:
    """Iterations that differ in work: an inner `while` (unknown), or inner bounds that move with the counter."""
    inner = list(walk_stmts(loop.body))
    if any(isinstance(s, While) for s in inner):
        return "dynamic"
    for stmt in inner:
        if isinstance(stmt, Loop) and loop.counter in reads_of(stmt.start) | reads_of(stmt.stop) | reads_of(stmt.step):
            return "guided"
    return "static"


def _collapse(loop: Loop, fact: LoopFacts, facts: Mapping[str, LoopFacts], threads: int) -> int:
    if fact.trips is None or fact.trips >= TRIPS_PER_THREAD * threads or fact.conditional or fact.array_reductions:
        return 1
    if len(loop.body) != 1 or not isinstance(inner := loop.body[0], Loop):
        return 1
    below = facts.get(inner.counter)
    if below is None or not below.parallel or below.preconditions or below.conditional or below.array_reductions:
        return 1
    if not _plain(inner.start) or not _plain(inner.stop):
        return 1  # a bound that must be evaluated once would stand between the loops
    deeper = any(isinstance(s, Loop) for s in walk_stmts(inner.body))
    return 2 if deeper else 1


def _plain(expr: Expr) -> bool:
    """A bound that the C loop may hold as it is."""
    match expr:
        case Const() | Var() | Dim():
            return True
        case Binary(op="+" | "-", left=left, right=right, checks=checks):
            return not checks and _plain(left) and _plain(right)
    return False


def watches_fp(nest: Nest) -> bool:
    """True if CPython could warn from a NumPy scalar operation in this nest."""
    return any(may_warn(e) for e in walk_exprs(nest.body))


def may_warn(expr: Expr) -> bool:
    """True if NumPy may warn where it evaluates the operation `expr` itself (not its operands)."""
    kind = expr.type
    if kind is None or not (kind.rep.is_float or kind.rep.is_complex):
        return False
    match expr:
        case Cast(operand=operand):
            narrow = kind.rep in (Rep.F32, Rep.C64)
            return narrow and operand.type is not None and operand.type.rep is not kind.rep
        case Binary() | Unary():
            return not all(c in PY_CLASSES for c in kind.classes)
        case Call(fn=fn):
            return fn.startswith("np.")
        case _:
            return False


def written_arrays(nest: Nest) -> tuple[str, ...]:
    """Arrays that some statement of `nest` stores into, in live-in order."""
    stored = {s.array for s in walk_stmts(nest.body) if isinstance(s, Store)}
    return tuple(x.name for x in nest.live_ins if x.name in stored)
