"""Arrays that a nest overwrites whole: what they held before need not be brought to the device.

    for i in range(n):
        for j in range(m):
            ...                     # neither a[..] nor a jump
            a[i, j] = x             # covers a, if n == a.shape[0] and m == a.shape[1]

In: a typed nest and its steps.  Out: per such array, the stop of the loop that counts each of its subscripts; the array
is covered at a call where they all are the array's dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator

from alpyna_hook.ir.flow import assigned, reads_of
from alpyna_hook.ir.nodes import (
    Break, Const, Continue, Expr, Load, Loop, Nest, Store, Var, While, walk_exprs, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.steps import Launch, Steps, host_can


def overwritten(nest: Nest, steps: Steps) -> dict[str, tuple[Expr, ...]]:
    """Array -> stops of the loops over its axes."""
    loaded = {e.array for e in walk_exprs(nest.body) if isinstance(e, Load)}
    found: dict[str, tuple[Expr, ...]] = {}
    for step in steps.steps:
        if isinstance(step, Launch):
            for store, path in _stores(step.loops[0], ()):
                stops = _covering(store, path, nest)
                if stops and store.array not in loaded:
                    found.setdefault(store.array, stops)
    return found


def _stores(loop: Loop, outer: tuple[Loop, ...]) -> Iterator[tuple[Store, tuple[Loop, ...]]]:
    """The stores that each iteration of the loops around them carries out, with these loops."""
    if any(isinstance(s, (Break, Continue, While)) for s in walk_stmts(loop.body)):
        return
    for stmt in loop.body:
        if isinstance(stmt, Store):
            yield stmt, (*outer, loop)
        elif isinstance(stmt, Loop):
            yield from _stores(stmt, (*outer, loop))


def _covering(store: Store, path: tuple[Loop, ...], nest: Nest) -> tuple[Expr, ...]:
    """The stops of the loops that count the subscripts of `store`, if each of `path` counts one from 0; else ()."""
    loops = {loop.counter: loop for loop in path}
    counters = [e.name for e in store.index if isinstance(e, Var)]
    if sorted(counters) != sorted(loops) or len(counters) != len(store.index):
        return ()
    stops = tuple(loops[c].stop for c in counters)
    changed = assigned(nest.body) | loops.keys()
    plain = all(_is(loops[c].start, 0) and _is(loops[c].step, 1) for c in counters)
    known = all(host_can(e, dict(nest.types), frozenset()) and not reads_of(e) & changed for e in stops)
    return stops if plain and known else ()


def _is(expr: Expr, value: int) -> bool:
    return isinstance(expr, Const) and expr.value == value
