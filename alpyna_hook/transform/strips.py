"""Which parallel loops run in strips (codegen/strip.py), and loops interchanged to get there.

A loop gains from strips if its body holds inner loops whose trips depend on each other (a chain of additions), or
that stride through memory where the loop itself would walk: the strip then gives the C compiler independent
lanes with unit stride.  Nothing is assumed but that the loop is parallel; the order of operations of each
iteration stays as it is.

In: a typed nest and what analysis found of its loops.  Out: strip widths per counter; `outward` moves a
parallel loop over a sequential one that encloses it, where dependences allow it (Kennedy & Allen, section 5.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from alpyna_hook.ir.flow import assigned, reads_of, uniform_names
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Const, Continue, Expr, If, Load, Loop, Nest, Select, Stmt, Store, Var, While,
    blocks_of, walk, walk_exprs, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.plan import LoopPlan, Plan, Variant
from alpyna_hook.ir.types import ArrayType
from alpyna_hook.transform.schedule import LoopFacts

SCALAR_LANES = 64  # accumulators live in small local arrays, which should stay in the first-level cache
MEMORY_LANES = 256  # they live in the program's arrays: longer runs through memory
JAM_LANES = 8  # lanes far apart in memory: only the chains gain
MIN_TRIPS = 16  # inner loops with fewer (constant) trips are unrolled by the C compiler anyway


def strip_widths(nest: Nest, facts: Mapping[str, LoopFacts]) -> dict[str, int]:
    """Counter -> iterations per strip, for the loops that gain from strips."""
    types = dict(nest.types)
    found: dict[str, int] = {}
    _visit(nest.body, types, facts, found)
    return found


def with_strips(plans: Mapping[Variant, Plan], nest: Nest, facts: Mapping[str, LoopFacts]) -> dict[Variant, Plan]:
    """`plans`, all of `nest`, with the strips marked. A loop that rests on preconditions is only stripped where the
    plan checks them."""
    widths = strip_widths(nest, facts)
    result: dict[Variant, Plan] = {}
    for variant, plan in plans.items():
        loops = {loop.counter: loop for loop in plan.loops}
        for counter, width in widths.items():
            assumed = set(facts[counter].preconditions) <= set(plan.preconditions)
            if assumed and not any(p.collapse > 1 for p in plan.loops):
                loops[counter] = replace(loops.get(counter, LoopPlan(counter)), strip=width)
                if not loops[counter].last:
                    loops[counter] = replace(loops[counter], last=tuple(sorted(facts[counter].last)))
        result[variant] = replace(plan, loops=tuple(loops.values()))
    return result


def _visit(
    body: tuple[Stmt, ...], types: Mapping[str, object], facts: Mapping[str, LoopFacts], found: dict[str, int]
) -> bool:
    """Fills `found`, innermost loops first; True if a loop in `body` is stripped."""
    any_inside = False
    for stmt in body:
        inside = any([_visit(block, types, facts, found) for block in blocks_of(stmt)])
        if isinstance(stmt, Loop) and not inside:
            lanes = width(stmt, types, facts)
            if lanes:
                found[stmt.counter] = lanes
                inside = True
        any_inside |= inside
    return any_inside


def width(loop: Loop, types: Mapping[str, object], facts: Mapping[str, LoopFacts]) -> int:
    """Iterations of `loop` per strip; 0: it does not gain from strips."""
    fact = facts[loop.counter]
    if not fact.parallel or fact.reductions or fact.array_reductions or not strippable(loop, fact):
        return 0
    inner = [s for s in walk_stmts(loop.body) if isinstance(s, Loop)]
    chains = [s for s in inner if not facts[s.counter].parallel and not _short(s)]
    if not chains or any(facts[s.counter].parallel and not _short(s) for s in inner):
        return 0
    if gathers(loop, types, facts):
        return JAM_LANES if _chained(chains) and not heavy(loop) else 0
    scalars = any(isinstance(s, Assign) for c in chains for s in walk_stmts(c.body))
    return SCALAR_LANES if scalars else MEMORY_LANES


def gathers(loop: Loop, types: Mapping[str, object], facts: Mapping[str, LoopFacts]) -> bool:
    """Whether the lanes of a strip of `loop` would be far apart in memory in its chains."""
    chains = [s for s in walk_stmts(loop.body) if isinstance(s, Loop) and not facts[s.counter].parallel]
    return any(
        stride(array, index, loop.counter, types) is None
        for s in chains if not _short(s) for array, index in accesses(s)
    )  # fmt: skip


def _short(loop: Loop) -> bool:
    """A constant number of trips, and few."""
    bounds = (loop.start, loop.stop, loop.step)
    values = [e.value for e in bounds if isinstance(e, Const) and isinstance(e.value, int)]
    return len(values) == 3 and values[2] != 0 and len(range(*values)) < MIN_TRIPS


def strippable(loop: Loop, fact: LoopFacts) -> bool:
    """Whether codegen/strip.py can render the loop: step 1, and control inside that is the same in all lanes."""
    if not isinstance(loop.step, Const) or loop.step.value != 1:
        return False
    uniform = uniform_names(loop)
    varying = {loop.counter} | (assigned(loop.body) - uniform)
    if (fact.conditional - uniform) or (assigned(loop.body) - uniform - fact.private):
        return False
    return _same_control(loop.body, varying)


def _same_control(body: tuple[Stmt, ...], varying: set[str] | frozenset[str]) -> bool:
    for stmt in body:
        match stmt:
            case Loop(start=a, stop=b, step=c, body=inner):
                bounds = reads_of(a) | reads_of(b) | reads_of(c)
                loads = any(isinstance(e, Load) for x in (a, b, c) for e in walk(x))
                if bounds & varying or loads or not _same_control(inner, varying):
                    return False
            case If():
                if any(isinstance(s, (Loop, While, Break, Continue)) for s in walk_stmts((stmt,))):
                    return False
            case While() | Break() | Continue():
                return False
            case _:
                pass
    return True


def accesses(loop: Loop) -> list[tuple[str, tuple[Expr, ...]]]:
    """(array, subscripts) of all loads and stores in `loop`."""
    loads = [(e.array, e.index) for e in walk_exprs(loop.body) if isinstance(e, Load)]
    return loads + [(s.array, s.index) for s in walk_stmts(loop.body) if isinstance(s, Store)]


def stride(array: str, index: tuple[Expr, ...], counter: str, types: Mapping[str, object]) -> int | None:
    """0 if the access does not depend on `counter`, 1 if it moves by one element with it; None for anything else."""
    using = [axis for axis, e in enumerate(index) if counter in reads_of(e)]
    if not using:
        return 0
    kind = types[array]
    if not isinstance(kind, ArrayType) or len(using) > 1:
        return None
    last = kind.ndim - 1 if kind.layout == "C" else 0 if kind.layout == "F" else -1
    return 1 if using[0] == last and _slope_one(index[last], counter) else None


def _slope_one(expr: Expr, counter: str) -> bool:
    match expr:
        case Var(name=name):
            return name == counter
        case Binary(op="+", left=a, right=b):
            once = (counter in reads_of(a)) != (counter in reads_of(b))
            return once and (_slope_one(a, counter) or _slope_one(b, counter))
        case Binary(op="-", left=a, right=b):
            return counter not in reads_of(b) and _slope_one(a, counter)
    return False


def _chained(chains: list[Loop]) -> bool:
    """The innermost chains are plain additions or multiplications: worth running several at once."""
    return all(any(isinstance(s, (Assign, Store)) for s in walk_stmts(c.body)) for c in chains)


def heavy(loop: Loop) -> bool:
    """Divisions, calls or branches: the units that they keep busy are the limit, not the chain of additions."""
    busy = any(isinstance(e, (Call, Select)) or (isinstance(e, Binary) and e.op in ("/", "//", "%", "**"))
               for e in walk_exprs(loop.body))  # fmt: skip
    return busy or any(isinstance(s, If) for s in walk_stmts(loop.body))


def outward(nest: Nest, facts: Mapping[str, LoopFacts], legal: Callable[[str, str], bool]) -> Nest:
    """`nest` with parallel loops moved over the sequential loops that perfectly enclose them, where they then run
    in strips. `legal(outer, inner)`: whether the two loops may change places."""
    types = dict(nest.types)

    def visit(stmt: Stmt) -> Stmt:
        if isinstance(stmt, Loop) and len(stmt.body) == 1 and isinstance(inner := stmt.body[0], Loop):
            if _worth_swapping(stmt, inner, types, facts) and legal(stmt.counter, inner.counter):
                return replace(inner, body=(replace(stmt, body=inner.body),))
        if isinstance(stmt, Loop) and not facts[stmt.counter].parallel:
            return replace(stmt, body=tuple(map(visit, stmt.body)))
        return stmt

    return replace(nest, body=tuple(map(visit, nest.body)))


def _worth_swapping(outer: Loop, inner: Loop, types: Mapping[str, object], facts: Mapping[str, LoopFacts]) -> bool:
    fact = facts[inner.counter]
    if facts[outer.counter].parallel or not fact.parallel or fact.preconditions or fact.reductions:
        return False
    if outer.counter in reads_of(inner.start) | reads_of(inner.stop) | reads_of(inner.step):
        return False
    if any(isinstance(s, (Loop, While)) for s in walk_stmts(inner.body)) or assigned(inner.body):
        return False
    return all(stride(a, i, inner.counter, types) is not None for a, i in accesses(inner))
