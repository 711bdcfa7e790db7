"""Loads that an inner loop repeats, moved in front of it, so that the loop around it can run in strips.

    for i in range(n):                              for i in range(n):
        s = 0.0                                         s = 0.0
        for j in range(m):                    ->        h = x[i, 0] if 0 < m else 0
            s += w[j] / (x[j, 0] - x[i, 0])             for j in range(m):
        b[i] = s                                            s += w[j] / (x[j, 0] - h)
                                                        b[i] = s

Side by side, iterations of the outer loop would gather their x[i, 0] in each trip of the inner one; and clang, which
never vectorises a sum that has to stay in order, makes scalar code of the inner one (nbody on PoCL: 3 times slower).

And in front of a loop whose trips do not depend on each other, from the array that it stores to: no compiler can tell
that a[i, k] stays what it is (lu on PoCL: 2.8 times slower).

    for j in range(k + 1, n):                     ->    h = a[i, k] if k + 1 < n else 0
        a[i, j] = a[i, j] - a[i, k] * a[k, j]           for j in range(k + 1, n):
                                                            a[i, j] = a[i, j] - h * a[k, j]

In: a typed nest and what analysis found of its loops.  Out: both, with such loads moved where something comes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from alpyna_hook.ir.flow import assigned, reads_of
from alpyna_hook.ir.nodes import (
    Assign, Binary, Cast, Compare, Const, Expr, Load, Logical, Loop, Nest, Select, Stmt, Store, Unary, Var, children,
    map_body, rewrite_expr, walk, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.types import BOOL, ScalarType, Type
from alpyna_hook.transform.rebuild import replaced
from alpyna_hook.transform.schedule import LoopFacts
from alpyna_hook.transform.strips import gathers, stride, width


def hoisted(nest: Nest, facts: Mapping[str, LoopFacts]) -> tuple[Nest, Mapping[str, LoopFacts]]:
    """`nest` and `facts` after the move; the same objects if nothing gains from it."""
    nest, facts = _beside_stores(nest, facts)
    for loop in [s for s in walk_stmts(nest.body) if isinstance(s, Loop)]:
        around = [s for s in walk_stmts(nest.body) if isinstance(s, Loop) and _holds(s, loop)]
        types = dict(nest.types)
        moved = _moved(loop, types, lambda inner, loop=loop, types=types: _repeated(inner, loop, types))  # type: ignore
        if moved is None or not around:  # one around it was taken already
            continue
        new, added = moved
        all_types, all_facts = {**types, **added}, _private(facts, around, added)
        if width(new, all_types, all_facts) and not gathers(new, all_types, all_facts):
            body = replaced(nest.body, loop, (new,))
            nest, facts = replace(nest, body=body, types=tuple(sorted(all_types.items()))), all_facts
    return nest, facts


def _beside_stores(nest: Nest, facts: Mapping[str, LoopFacts]) -> tuple[Nest, Mapping[str, LoopFacts]]:
    """What stays the same moved out of loops that store to its array, below the loop that is spread."""
    for loop in [s for s in walk_stmts(nest.body) if isinstance(s, Loop)]:
        around = [s for s in walk_stmts(nest.body) if isinstance(s, Loop) and _holds(s, loop)]
        moved = _moved(loop, dict(nest.types), lambda inner: _fixed(inner, facts[inner.counter]))
        if moved is None or not any(facts[s.counter].parallel for s in around):
            continue
        new, added = moved
        types, facts = {**dict(nest.types), **added}, _private(facts, around, added)
        nest = replace(nest, body=replaced(nest.body, loop, (new,)), types=tuple(sorted(types.items())))
    return nest, facts


def _fixed(inner: Loop, fact: LoopFacts) -> list[Load]:
    """The loads of one element in all trips, from the array that the one statement of `inner` stores to. If a trip
    stored to that element, another one would depend on it, and a single trip loads before it stores."""
    if not fact.independent or fact.preconditions or len(inner.body) != 1 or not _counts_up(inner):
        return []
    (stmt,) = inner.body
    if not isinstance(stmt, Store):
        return []
    return [
        load for load in dict.fromkeys(_always(stmt.value))
        if load.array == stmt.array and set(load.modes) == {"direct"}
        and all(_plain(e) and inner.counter not in reads_of(e) for e in load.index)
    ]  # fmt: skip


def _private(
    facts: Mapping[str, LoopFacts], around: list[Loop], names: Mapping[str, ScalarType]
) -> Mapping[str, LoopFacts]:
    return {**facts, **{s.counter: replace(f := facts[s.counter], private=f.private | names.keys()) for s in around}}


def _counts_up(loop: Loop) -> bool:
    return isinstance(loop.step, Const) and isinstance(loop.step.value, int) and loop.step.value > 0


def _holds(outer: Loop, loop: Loop) -> bool:
    return any(s is loop for s in walk_stmts((outer,)))


def _moved(
    loop: Loop, types: Mapping[str, Type], chosen: Callable[[Loop], list[Load]]
) -> tuple[Loop, dict[str, ScalarType]] | None:
    """`loop` with the `chosen` loads of the innermost loops directly in it moved, and the types of the new scalars."""
    found: dict[str, ScalarType] = {}
    body: list[Stmt] = []
    for stmt in loop.body:
        loads = chosen(stmt) if isinstance(stmt, Loop) else []
        names: dict[Load, Var] = {}
        for load in loads:
            assert isinstance(stmt, Loop) and load.type is not None
            name = next(n for k in range(10_000) if (n := f"{load.array}.at{k}") not in types and n not in found)
            found[name], names[load] = load.type, Var(name, load.span, load.type)
            body.append(Assign(name, _if_any_trip(load, stmt), load.span))
        if isinstance(stmt, Loop) and names:
            stmt = replace(stmt, body=map_body(stmt.body, lambda e, names=names: rewrite_expr(  # type: ignore[misc]
                e, lambda x: names.get(x, x) if isinstance(x, Load) else x
            )))  # fmt: skip
        body.append(stmt)
    return (replace(loop, body=tuple(body)), found) if found else None


def _repeated(inner: Loop, loop: Loop, types: Mapping[str, Type]) -> list[Load]:
    """The loads that each trip of `inner` surely makes, of the same element in all of them, and that lanes of `loop`
    would gather."""
    if not _counts_up(inner) or any(isinstance(s, Loop) for s in walk_stmts(inner.body)):
        return []
    stored = {s.array for s in walk_stmts(loop.body) if isinstance(s, Store)}
    changing = assigned(loop.body) | {inner.counter}
    loads = [
        load for stmt in inner.body if isinstance(stmt, (Assign, Store))
        for root in (stmt.value, *(stmt.index if isinstance(stmt, Store) else ())) for load in _always(root)
    ]  # fmt: skip
    return [
        load for load in dict.fromkeys(loads)
        if load.array not in stored and set(load.modes) == {"direct"}
        and stride(load.array, load.index, loop.counter, types) is None
        and all(_plain(e) and not reads_of(e) & changing for e in load.index)
    ]  # fmt: skip


def _always(expr: Expr) -> Iterator[Load]:
    """The loads in `expr` that its evaluation surely makes."""
    if isinstance(expr, Load):
        yield expr
    sure = (expr.test,) if isinstance(expr, Select) else (expr.left,) if isinstance(expr, Logical) else children(expr)
    for child in sure:
        yield from _always(child)


def _plain(index: Expr) -> bool:
    """Nothing in `index` is watched or loaded."""
    allowed = all(isinstance(e, (Var, Const, Binary, Unary, Cast)) for e in walk(index))
    return allowed and not any(e.checks for e in walk(index) if isinstance(e, (Binary, Unary, Cast)))


def _if_any_trip(load: Load, inner: Loop) -> Expr:
    """The load, where `inner` makes a trip: what is known of its subscripts may rest on that."""
    start, stop = inner.start, inner.stop
    if isinstance(start, Const) and isinstance(stop, Const) and start.value < stop.value:  # type: ignore[operator]
        return load
    zero = Const(0.0 if load.type is not None and load.type.rep.is_float else 0, load.span, load.type)
    return Select(Compare("<", start, stop, load.span, BOOL), load, zero, load.span, load.type)
