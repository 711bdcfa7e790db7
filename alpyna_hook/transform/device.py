"""Typed nest + what analysis found of its loops -> the plan for a device, or why there is none.

`grid` (accelerators): the outermost parallel loop and the parallel loops perfectly nested in it, three at most, become
the axes of a grid with a work item per iteration, and the axis x goes to the counter that walks through memory with
unit stride most often, so that neighbouring items touch neighbouring elements (coalescing: CUDA C++ Best Practices
Guide, section 10.2.1).  Statements between two of these loops may compute scalars: every item then computes them again.

`rows` (OpenCL on a CPU): only the outermost parallel loop is spread, each item takes a run of its iterations, and
what is inside stays as the host has it, strips included; loads that an inner loop repeats are moved out of it where
more strips come of that (transform/hoist.py).  Short loops inside sequential ones are not spread: one item does all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from alpyna_hook.analysis.reproducible import obstacle
from alpyna_hook.ir.affine import Predicate
from alpyna_hook.ir.flow import assigned, reads_of
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Continue, Expr, If, Load, Loop, Nest, Stmt, Store, While, blocks_of, exprs_of, walk_exprs,
    walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.plan import LoopPlan, Plan, Style, Variant
from alpyna_hook.ir.steps import Compute, Launch, counter_copies, range_follows, reads_counter, steps_of
from alpyna_hook.ir.types import INT, ArrayType, ScalarType, Type
from alpyna_hook.transform.blocks import choose_blocks
from alpyna_hook.transform.hoist import hoisted
from alpyna_hook.transform.schedule import INNER_TRIPS, LoopFacts, watches_fp, work_of
from alpyna_hook.transform.strips import stride, with_strips

MAX_AXES = 3
# Operations (see schedule.work_of) for which waking the threads of a CPU pays: some 10 us of vector code, which is what
# a launch takes where nobody waits for it.
LAUNCH_WORK = 500_000
ITEM_BYTES = 1 << 17  # that one work item saves in one block


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of device: the variant that it runs and how its work items take the iterations."""

    variant: Variant
    style: Style

    @staticmethod
    def of(name: str) -> Target:
        """From the name that a `Request` has for it: "opencl:rows", "opencl:grid" or "cuda"."""
        variant, _, style = name.partition(":")
        return Target(variant, style or "grid")  # type: ignore[arg-type]


def device_plan(
    nest: Nest, facts: Mapping[str, LoopFacts], conditions: tuple[Predicate, ...], restrict: frozenset[str],
    target: Target, fp: Literal["strict", "relaxed"], trips: Mapping[str, int],
) -> Plan | str:  # fmt: skip
    """The plan of `nest` for `target`, or a sentence for the report.

    facts       per loop counter
    conditions  what the checks that were dropped from `nest` rest on
    restrict    arrays proved to overlap no other
    trips       per loop counter, at this call and about in the mean; none if that is not known
    """
    why = obstacle(nest, fp) or _overlap(nest, restrict)
    if why:
        return why
    if target.style == "rows":
        nest, facts = hoisted(nest, facts)
    types = types_of(nest)
    loops = _grids(nest.body, facts, types, target.style)
    if not loops:
        return _no_grid(nest, facts, types, target.style)
    short: tuple[str, ...] = ()
    if target.style == "rows" and all_short(nest, loops, trips) and not isinstance(steps_of(nest, {}), str):
        short, loops = tuple(loops), {}
    steps = steps_of(nest, loops)
    if isinstance(steps, str):
        return steps
    used = [p for c in loops for p in facts[c].preconditions]
    free = {
        c: LoopPlan(c, independent=True)
        for c, f in facts.items() if f.independent and set(f.preconditions) <= {*conditions, *used} and c not in loops
    }  # fmt: skip
    plan = Plan(
        target.variant, nest, (*free.values(), *loops.values()), tuple(dict.fromkeys((*conditions, *used))), restrict,
        watches_fp(nest), style=target.style, short=short,
    )  # fmt: skip
    if target.style == "rows":
        return with_strips({target.variant: plan}, nest, facts)[target.variant]
    return plan


def in_blocks(plan: Plan, may_alias: Collection[frozenset[str]] = ()) -> Plan:
    """A plan of style "rows" launched block by block, so that a fault can be undone without a copy of whole arrays:
    each work item first saves the rows that it is about to write. That takes a nest that is one grid, launched once,
    and that the interpreter can go on with (blocks.py). Else the plan as it is.

    The nest's loops are those of the source, not interchanged ones.
    """
    grids = [p for p in plan.loops if p.grid]
    steps = steps_of(plan.nest, {p.counter: p for p in plan.loops})
    if plan.style != "rows" or len(grids) != 1 or grids[0].reductions or isinstance(steps, str) or steps.resident:
        return plan
    *before, last = steps.steps
    if not isinstance(last, Launch) or not all(isinstance(step, Compute) for step in before):
        return plan
    counter = grids[0].counter
    found = choose_blocks(plan.nest, lambda loop: loop.counter == counter, may_alias)
    if found is None or found.saved.keys() != {counter}:
        return plan
    loops = tuple(replace(p, saved=found.saved[counter]) if p is grids[0] else p for p in plan.loops)
    return replace(plan, loops=loops, resume=found.points, block_bytes=ITEM_BYTES)


def types_of(nest: Nest) -> dict[str, Type]:
    """The types of all names of `nest`, loop counters included."""
    types = dict(nest.types)
    for loop in (s for s in walk_stmts(nest.body) if isinstance(s, Loop)):
        types.setdefault(loop.counter, INT)
    return types


def _overlap(nest: Nest, restrict: frozenset[str]) -> str:
    """An array that may share memory with another one cannot have a buffer of its own."""
    written = {s.array for s in walk_stmts(nest.body) if isinstance(s, Store)}
    used = written | {e.array for e in walk_exprs(nest.body) if isinstance(e, Load)}
    shared = sorted(used - restrict) if written else []
    return f"{shared[0]} may share memory with another array" if shared else ""


def _grids(
    body: tuple[Stmt, ...], facts: Mapping[str, LoopFacts], types: Mapping[str, Type], style: Style
) -> dict[str, LoopPlan]:
    """Plans of the loops that form grids: the outermost parallel ones, and below them what `_chain` finds."""
    found: dict[str, LoopPlan] = {}
    for stmt in body:
        if isinstance(stmt, Loop) and not _unfit(stmt, facts[stmt.counter], types, style):
            loops = [stmt] if style == "rows" else _chain(stmt, facts, types)
            axes = _axes(loops, types)
            for loop in loops:
                found[loop.counter] = _plan(loop, facts[loop.counter], axes[loop.counter])
        else:
            for block in blocks_of(stmt):
                found |= _grids(block, facts, types, style)
    return found


def all_short(nest: Nest, loops: Collection[str], trips: Mapping[str, int]) -> bool:
    """Whether all grids, those of these counters, are launched again and again by loops around them, each time for so
    little, with these trips, that one work item had better do all of it, outer loops included. A grid of unknown extent
    is long."""
    outermost = {s.counter for s in nest.body if isinstance(s, Loop)}
    for loop in (s for s in walk_stmts(nest.body) if isinstance(s, Loop) and s.counter in loops):
        work = work_of(loop, lambda inner: trips.get(inner.counter, INNER_TRIPS))
        if loop.counter in outermost or trips.get(loop.counter, LAUNCH_WORK) * work >= LAUNCH_WORK:
            return False
    return True


def _plan(loop: Loop, fact: LoopFacts, axis: int) -> LoopPlan:
    return LoopPlan(
        loop.counter,
        grid=axis,
        private=tuple(sorted(fact.private - fact.last - fact.conditional)),
        reductions=fact.reductions,
        bounded=fact.bounded,
        array_reductions=fact.array_reductions,
        last=tuple(sorted(fact.last)),
        conditional=tuple(sorted(fact.conditional)),
        independent=fact.independent,
    )


def _unfit(loop: Loop, fact: LoopFacts, types: Mapping[str, Type], style: Style = "grid") -> str:
    """Why the iterations of `loop` do not become work items; empty if they may."""
    if not fact.parallel:
        return "it is not parallel"
    for array, op in fact.array_reductions:
        if style == "rows":
            return f"updates of {array} would have to be atomic, which does not pay on a CPU"
        if not _atomic(loop, array, op, types[array]):
            return f"updates of {array} have no atomic form"
    lost = fact.conditional - counter_copies((loop,)).keys()
    if lost:
        return f"the value that {min(lost)} has after the loop is known to one work item only"
    for name, _ in fact.reductions:
        kind = types[name]
        if not isinstance(kind, ScalarType):
            return f"{name} is no scalar"
    return ""


def _atomic(loop: Loop, array: str, op: str, kind: Type) -> bool:
    """All updates of `array` are plain additions of 32 or 64 bits."""
    stores = [s for s in walk_stmts((loop,)) if isinstance(s, Store) and s.array == array]
    wide = isinstance(kind, ArrayType) and kind.elem.is_int and kind.elem.bits >= 32
    return op == "+" and wide and all(isinstance(s.value, Binary) for s in stores)


def _no_grid(nest: Nest, facts: Mapping[str, LoopFacts], types: Mapping[str, Type], style: Style) -> str:
    parallel = [s for s in walk_stmts(nest.body) if isinstance(s, Loop) and facts[s.counter].parallel]
    if not parallel:
        return "no loop is parallel"
    return _unfit(parallel[0], facts[parallel[0].counter], types, style)


def _chain(outer: Loop, facts: Mapping[str, LoopFacts], types: Mapping[str, Type]) -> list[Loop]:
    """`outer` and the parallel loops perfectly nested in it but for scalars computed in between."""
    loops = [outer]
    while len(loops) < MAX_AXES:
        above = loops[-1]
        inner = above.body[-1] if above.body else None
        if not isinstance(inner, Loop) or not _extends(above.body[:-1], inner, loops, facts, types):
            break
        loops.append(inner)
    return loops


def _extends(
    before: tuple[Stmt, ...], inner: Loop, loops: list[Loop], facts: Mapping[str, LoopFacts], types: Mapping[str, Type]
) -> bool:
    """May `inner`, after the statements `before`, be an axis of the grid of `loops`?"""
    fact, outer = facts[inner.counter], facts[loops[0].counter]
    if _unfit(inner, fact, types) or fact.reductions != outer.reductions or fact.bounded != outer.bounded:
        return False
    inside = (inner,)
    computed = assigned((loops[0],))
    if any(reads_of(e) & computed for e in exprs_of(inner)):
        return False
    counters = frozenset(loop.counter for loop in loops)
    if not range_follows(inner, counters, types, frozenset()):
        return False
    copies = counter_copies((*loops, inner))
    if fact.conditional - copies.keys() or (fact.conditional and reads_counter(inner, counters)):
        return False
    stored = {s.array for s in walk_stmts((loops[0],)) if isinstance(s, Store)}
    return all(_repeatable(s, stored) for s in before) and not assigned(before) & assigned(inside)


def _repeatable(stmt: Stmt, stored: set[str]) -> bool:
    """A statement that only computes scalars, from what the grid does not change."""
    allowed = isinstance(stmt, Assign) or (isinstance(stmt, If) and not _leaves(stmt))
    if not allowed or any(isinstance(s, (Store, Loop, While)) for s in walk_stmts((stmt,))):
        return False
    return not any(isinstance(e, Load) and e.array in stored for e in walk_exprs((stmt,)))


def _leaves(stmt: Stmt) -> bool:
    return any(isinstance(s, (Break, Continue)) for s in walk_stmts((stmt,)))


def _axes(loops: list[Loop], types: Mapping[str, Type]) -> dict[str, int]:
    """Counter -> axis (1: x). x is the counter of most accesses with unit stride, the innermost if there is a tie;
    the others follow from the inside outwards."""
    body = (loops[0],)
    accesses = [(e.array, e.index) for e in walk_exprs(body) if isinstance(e, Load)]
    accesses += [(s.array, s.index) for s in walk_stmts(body) if isinstance(s, Store)]
    inward = list(reversed(loops))
    x = max(inward, key=lambda loop: _walks(loop.counter, accesses, types))
    order = [x, *(loop for loop in inward if loop is not x)]
    return {loop.counter: axis for axis, loop in enumerate(order, 1)}


def _walks(counter: str, accesses: list[tuple[str, tuple[Expr, ...]]], types: Mapping[str, Type]) -> int:
    """Accesses that move by one element with `counter`, less those that jump."""
    strides = [stride(array, index, counter, types) for array, index in accesses]
    return strides.count(1) - strides.count(None)
