"""Optional live-ins, once it is known whether they have a value: the nest without those that have none.

    for x in range(w):              # `k` has no value before the loop
        for k in range(m):
            ...
        steps[x] = k

becomes the same nest with `k` as a name of its own, and `0 < m` as a requirement: then nothing reads `k` before it is
assigned. A call where the requirement fails is the interpreter's, which raises where CPython does.

In: an untyped nest and the types of its live-ins.  Out: a nest without live-ins of type UNBOUND, whose other live-ins
are handed back if they are live-outs; or the Rejection that says which name may be read too early. Neither depends on
the values at this call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alpyna_hook.analysis.access import nest_accesses
from alpyna_hook.analysis.nonempty import without_exposure
from alpyna_hook.analysis.question import Question
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.nodes import Expr, Nest, Var, exprs_of, walk, walk_stmts
from alpyna_hook.ir.types import UNBOUND, Type
from alpyna_hook.source import Span


def without_unbound(nest: Nest, types: Mapping[str, Type]) -> Nest | Rejection:
    """`nest` for a call at which live-ins have no value."""
    unbound = frozenset(v.name for v in nest.live_ins if types.get(v.name) == UNBOUND)
    bound = {v.name for v in nest.live_ins} - unbound
    outs = tuple(replace(out, definite=out.definite or out.name in bound) for out in nest.live_outs)
    nest = replace(nest, live_outs=outs)
    if not unbound:
        return nest
    own = replace(nest, live_ins=tuple(v for v in nest.live_ins if v.name not in unbound))
    free, conditions = without_exposure(own.body, Question(nest_accesses(own), {}), unbound, lambda predicate: True)
    for name in sorted(unbound - free):
        return Rejection(
            "name-unbound",
            f"`{name}` has no value when the loop is reached, and may be read before it gets one.",
            "read here",
            _first_read(nest, name),
            "Give it a value before the loop.",
        )
    return replace(own, requires=tuple(dict.fromkeys((*nest.requires, *conditions))))


def _first_read(nest: Nest, name: str) -> Span:
    reads: list[Expr] = [
        e for stmt in walk_stmts(nest.body) for expr in exprs_of(stmt) for e in walk(expr)
        if isinstance(e, Var) and e.name == name
    ]  # fmt: skip
    return reads[0].span if reads else nest.span
