"""Loop fusion: neighbouring parallel loops over the same range become one.

    for k in range(n):                               for k in range(n):
        for i in range(k + 1, n):         # parallel     for i in range(k + 1, n):         # parallel
            a[i, k] /= a[k, k]                ->             a[i, k] /= a[k, k]
        for i in range(k + 1, n):         # parallel         for j in range(k + 1, n):
            for j in range(k + 1, n):                            a[i, j] -= a[i, k] * a[k, j]
                a[i, j] -= a[i, k] * a[k, j]

Threads then start once where they started twice, a device gets one launch for two, and what the first part has brought
to the cache the second one finds there.  It is only done inside a sequential loop, which repeats that again and again.

Two parallel loops may be fused if the result is parallel: a dependence between different iterations of the two, which
alone could be turned around, would be carried by the fused loop (Kennedy & McKinley, Maximizing Loop Parallelism and
Improving Data Locality via Loop Fusion and Distribution, LCPC 1993, section 3).  The two share no scalar but their loop
variable.  The order of faults changes; a fault rolls the whole nest back, so that cannot be seen.

In: a typed nest and what analysis found of its loops.  Out: an equal nest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from alpyna_hook.ir.flow import assigned, mentions, own_level
from alpyna_hook.ir.nodes import (
    Assign, Call, Continue, Expr, Load, Loop, Nest, Stmt, Var, While, blocks_of, exprs_of, walk, walk_exprs,
    walk_stmts,
)  # fmt: skip
from alpyna_hook.transform.rebuild import replaced, with_counters
from alpyna_hook.transform.schedule import LoopFacts

Facts = Mapping[str, LoopFacts]


def fuse(nest: Nest, facts: Facts, analysed: Callable[[Nest], Facts]) -> tuple[Nest, Facts]:
    """`nest` with loops fused where that can be done, and what is known of its loops; both as they are, if nowhere.

    facts     of the loops of `nest`, by counter
    analysed  gives those of another nest
    """
    refused: set[tuple[str, str]] = set()
    while True:
        pair = next((p for p in _candidates(nest.body, facts, False) if _key(*p) not in refused), None)
        if pair is None:
            return nest, facts
        joined = _joined(nest, *pair)
        found = analysed(joined)
        if _plain(found[pair[0].counter]):
            nest, facts = joined, found
        else:
            refused.add(_key(*pair))


def _key(first: Loop, second: Loop) -> tuple[str, str]:
    return first.counter, second.counter


def _candidates(body: tuple[Stmt, ...], facts: Facts, repeated: bool) -> list[tuple[Loop, Loop]]:
    """Neighbours that may be worth a try, in program order. repeated: a sequential loop is around `body`."""
    found: list[tuple[Loop, Loop]] = []
    for stmt in body:
        if isinstance(stmt, Loop) and facts[stmt.counter].parallel:
            continue
        for block in blocks_of(stmt):
            found += _candidates(block, facts, repeated or isinstance(stmt, (Loop, While)))
    if repeated:
        for first, second in zip(body, body[1:]):
            if isinstance(first, Loop) and isinstance(second, Loop) and _alike(first, second, facts):
                found.append((first, second))
    return found


def _alike(first: Loop, second: Loop, facts: Facts) -> bool:
    """Whether both are parallel, count over the same range, and hand each other nothing but through arrays."""
    if not _plain(facts[first.counter]) or not _plain(facts[second.counter]):
        return False
    bounds = exprs_of(first)
    if bounds != exprs_of(second) or any(isinstance(e, Load) for bound in bounds for e in walk(bound)):
        return False
    if any(isinstance(s, Continue) for s in own_level(first.body)) or not _of_one_kind(first, second):
        return False
    shared = (assigned(first.body) & _names(second)) | (assigned(second.body) & _names(first))
    return all(_is_loop_variable(name, loop) for name in shared for loop in (first, second))


def _plain(fact: LoopFacts) -> bool:
    """Parallel, and nothing has to be put together after it."""
    return fact.parallel and not (fact.reductions or fact.bounded or fact.array_reductions)


def _names(loop: Loop) -> set[str]:
    return set(mentions((loop,)))


def _is_loop_variable(name: str, loop: Loop) -> bool:
    """Whether `loop` does nothing with `name` but assign its counter, before all else, and read that."""
    head, *rest = loop.body
    copies = isinstance(head, Assign) and head.name == name and head.value == _counter(loop, head.value)
    bounds = {e.name for bound in exprs_of(loop) for e in walk(bound) if isinstance(e, Var)}
    return copies and name not in assigned(tuple(rest)) and name not in bounds


def _counter(loop: Loop, like: Expr) -> Expr | None:
    return like if isinstance(like, Var) and like.name == loop.counter else None


def _of_one_kind(first: Loop, second: Loop) -> bool:
    """A loop without others in it may be one that the C compiler vectorises. It had better stay alone if it calls
    functions, unless both are such."""
    inner = [any(isinstance(s, (Loop, While)) for s in walk_stmts(loop.body)) for loop in (first, second)]
    calls = [any(isinstance(e, Call) for e in walk_exprs(loop.body)) for loop in (first, second)]
    return inner[0] == inner[1] or not any(call and not deep for call, deep in zip(calls, inner))


def _joined(nest: Nest, first: Loop, second: Loop) -> Nest:
    """`nest` with the two in one loop, which has the first one's counter."""
    own = {s.counter: s.counter for s in walk_stmts((second,)) if isinstance(s, Loop)}
    moved = with_counters(second, {**own, second.counter: first.counter})
    assert isinstance(moved, Loop)
    heads = {s.name for s in first.body if isinstance(s, Assign) and s.value == _counter(first, s.value)}
    rest = tuple(
        s for s in moved.body
        if not (isinstance(s, Assign) and s.name in heads and s.value == _counter(first, s.value))
    )  # fmt: skip
    body = replaced(nest.body, second, ())
    again = next(s for s in walk_stmts(body) if isinstance(s, Loop) and s.counter == first.counter)
    types = tuple((name, kind) for name, kind in nest.types if name != second.counter)
    return replace(nest, body=replaced(body, again, (replace(first, body=(*first.body, *rest)),)), types=types)
