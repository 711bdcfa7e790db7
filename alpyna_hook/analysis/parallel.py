"""Which loops of a nest may run their iterations in any order, and what each scalar is to them.

In: a typed nest, the entry quantities of one call, predicates that may not be assumed, the floating
point contract and the pairs of arrays that may overlap.  Out: a `Verdict` per loop counter, with
the reason in words and the preconditions it rests on.

Array dependences come from dependence.py.  Scalars (Kennedy & Allen, ch. 5.3 and 5.4) are private (written
before read in each iteration), reductions, or carried.  Faults never stand in the way: a fault rolls
the whole nest back, so the order in which iterations fault cannot be seen.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from alpyna_hook.analysis.access import Access, NestAccesses, nest_accesses
from alpyna_hook.analysis.dependence import carried_pairs
from alpyna_hook.analysis.nonempty import surely_assigned, without_exposure
from alpyna_hook.analysis.question import Answer, Question
from alpyna_hook.analysis.scalars import (
    ArrayReduction,
    Flow,
    Reduction,
    array_reductions,
    flow_of,
    reduction_of,
    upward_exposed,
)
from alpyna_hook.ir.affine import Env, Predicate
from alpyna_hook.ir.flow import leaves_early
from alpyna_hook.ir.nodes import Assign, Loop, Nest, walk_stmts
from alpyna_hook.ir.types import Rep, ScalarType

Fp = Literal["strict", "relaxed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one loop allows.

    parallel          its iterations may run in any order, given `preconditions` and the lists below
    why               one short sentence for the report
    reductions        scalars to be combined over iterations
    array_reductions  arrays only updated by one commutative operation on ints
    private           scalars each iteration writes before it reads them
    lastprivate       private scalars needed afterwards, assigned in every iteration: the value of the last one
    conditional       private scalars needed afterwards, assigned on some paths only: the value of the last
                      iteration that assigned, or the value from before the loop
    preconditions     what `parallel` rests on
    """

    parallel: bool
    why: str
    reductions: tuple[Reduction, ...] = ()
    array_reductions: tuple[ArrayReduction, ...] = ()
    private: frozenset[str] = frozenset()
    lastprivate: frozenset[str] = frozenset()
    conditional: frozenset[str] = frozenset()
    preconditions: tuple[Predicate, ...] = ()


@dataclass(frozen=True, slots=True)
class Parallelism:
    """A verdict per loop counter (`For` loops only: a `while` is never parallel)."""

    verdicts: Mapping[str, Verdict]

    @property
    def preconditions(self) -> Mapping[str, tuple[Predicate, ...]]:
        """Per counter, what its verdict rests on."""
        return {counter: v.preconditions for counter, v in self.verdicts.items()}


def parallelism(
    nest: Nest,
    entry: Env,
    banned: frozenset[Predicate] = frozenset(),
    fp: Fp = "strict",
    may_alias: frozenset[frozenset[str]] = frozenset(),
    only: Collection[str] | None = None,
) -> Parallelism:
    """A verdict for every `Loop` of `nest`, or for the counters in `only`.

    entry      values of the entry quantities at this call; a precondition is only used if true for them
    banned     predicates that may not be used as preconditions (they failed at other calls)
    fp         under "strict" a float reduction keeps its order, so its loop is not parallel
    may_alias  pairs of array names whose memory may overlap although the names differ
    """
    question = Question(nest_accesses(nest), entry, banned, may_alias)
    flow = flow_of(nest)
    loops = [stmt for stmt in walk_stmts(nest.body) if isinstance(stmt, Loop)]
    names = {loop.counter: loop.var for loop in loops}
    wanted = [loop for loop in loops if only is None or loop.counter in only]
    found = {loop.counter: _verdict(nest, loop, question, flow, fp) for loop in wanted}
    return Parallelism({counter: replace(v, why=_in_own_names(v.why, names)) for counter, v in found.items()})


def _in_own_names(text: str, names: Mapping[str, str]) -> str:
    """`text` with the loop variables as written in place of the nest's unique counters ("i", not "i_1")."""
    return re.sub(r"[^\W\d]\w*", lambda word: names.get(word[0], word[0]), text)


def _verdict(nest: Nest, loop: Loop, question: Question, flow: Flow, fp: Fp) -> Verdict:
    leaving = leaves_early(loop.body)
    if leaving is not None:
        return Verdict(False, f"the loop may be left early (line {leaving.span.line})")
    scalars = _scalars(nest, loop, flow, question, fp)
    if not scalars.parallel:
        return scalars
    inside = [a for a in question.nest.accesses if loop.counter in a.loops]
    updates = tuple(
        r for r in array_reductions(nest, loop) if not _touches_others(r.array, inside, question.may_alias)
    )
    kept = [a for a in inside if a.array not in {r.array for r in updates}]
    pairs = carried_pairs(question, kept, loop.counter)
    for src, dst, answer in pairs:
        if answer.dependent:
            return Verdict(False, _carried(question.nest, loop, src, dst, answer))
    # An update is only worth its cost where the plain dependence test fails.
    needed = tuple(r for r in updates if _carries(question, inside, r.array, loop.counter))
    if len(needed) < len(updates):
        names = {r.array for r in needed}
        pairs = carried_pairs(question, [a for a in inside if a.array not in names], loop.counter)
    conditions = tuple(dict.fromkeys(p for *_, answer in pairs for p in answer.conditions))
    why = _no_dependence(scalars, needed, conditions)
    conditions += tuple(p for p in scalars.preconditions if p not in conditions)
    return replace(scalars, why=why, array_reductions=needed, preconditions=conditions)


def _carries(question: Question, inside: list[Access], array: str, counter: str) -> bool:
    pairs = carried_pairs(question, [a for a in inside if a.array == array], counter)
    return any(answer.dependent for *_, answer in pairs)


def _touches_others(array: str, inside: list[Access], may_alias: frozenset[frozenset[str]]) -> bool:
    return any(a.array != array and frozenset((a.array, array)) in may_alias for a in inside)


def _scalars(nest: Nest, loop: Loop, flow: Flow, question: Question, fp: Fp) -> Verdict:
    """The scalar side of a verdict: not parallel if a scalar is carried."""
    assigns = [s for s in walk_stmts(loop.body) if isinstance(s, Assign)]
    # the first one that the user wrote, if there is one: conversions have no line
    assigned = {s.name: s for s in sorted(reversed(assigns), key=lambda s: s.span.line > 0)}
    exposed = upward_exposed(loop.body)
    live = flow.live_after[loop.counter]
    reductions: list[Reduction] = []
    carried: dict[str, str] = {}
    for name in (n for n in assigned if n in exposed):
        found = reduction_of(name, loop)
        if found is None:
            carried[name] = f"{name} (line {assigned[name].span.line}) is carried from one iteration to the next"
        elif not _is_integer(nest, name) and fp == "strict":
            carried[name] = f"float reduction of {name}: order must be kept under fp=strict"
        else:
            reductions.append(found)
    fresh, conditions = without_exposure(loop.body, question, frozenset(carried))
    for name, why in carried.items():
        if name not in fresh:
            return Verdict(False, why)
    private = assigned.keys() - {r.name for r in reductions}
    needed = frozenset(private & live)
    definite, more = surely_assigned(loop.body, question, needed)
    return Verdict(
        True, "", tuple(reductions), (), frozenset(private), definite, needed - definite,
        tuple(dict.fromkeys((*conditions, *more))),
    )  # fmt: skip


def _is_integer(nest: Nest, name: str) -> bool:
    kind = dict(nest.types).get(name)
    return isinstance(kind, ScalarType) and (kind.rep.is_int or kind.rep is Rep.BOOL)


def _no_dependence(verdict: Verdict, updates: tuple[ArrayReduction, ...], conditions: tuple[Predicate, ...]) -> str:
    parts = [f"{r.op} reduction of {r.name}" for r in verdict.reductions]
    parts += [f"{r.op} updates of {r.array}" for r in updates]
    text = ", ".join(parts) if parts else "no dependence"
    return text + (", given what is checked at entry" if conditions else "")


def _carried(nest: NestAccesses, loop: Loop, src: Access, dst: Access, answer: Answer) -> str:
    """`src` ran in an earlier iteration than `dst`."""
    first, second = f"{src} (line {src.span.line})", f"{dst} (line {dst.span.line})"
    if src.array != dst.array:
        return f"carried: {first} and {second} may overlap in memory"
    if src.stmt is dst.stmt and first == second and src.is_write != dst.is_write:
        return f"carried: {first} is updated in several iterations"
    match answer.distance:
        case None:
            when = "in an earlier iteration"
        case 1:
            when = "one iteration before"
        case n:
            when = f"{n} iterations before"
    if src.is_write and dst.is_write:
        if first == second:
            return f"carried: {first} is written in several iterations"
        return f"carried: {second} overwrites what {first} wrote {when}"
    if src.is_write:
        return f"carried: {second} reads what {first} wrote {when}"
    return f"carried: {second} overwrites what {first} read {when}"
