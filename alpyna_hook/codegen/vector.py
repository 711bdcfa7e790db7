"""What a compiler is told of a loop whose trips do not depend on each other.

In: the loop.  Out: the pragma in front of it.
"""

from __future__ import annotations

from alpyna_hook.codegen.expr import Scope
from alpyna_hook.codegen.watch import WATCH
from alpyna_hook.ir.flow import reads_of
from alpyna_hook.ir.nodes import Call, Expr, Loop, map_stmt_exprs, rewrite_expr
from alpyna_hook.transform.strips import accesses, heavy


def vector_pragma(loop: Loop, scope: Scope) -> str:
    """`ivdep`, which clang takes for an order to vectorise; the dialect may have another word for loops that gather."""
    dialect = scope.dialect
    if dialect.strided and not heavy(_unwatched(loop)):
        if any(_jumps(array, index, loop.counter, scope) for array, index in accesses(loop)):
            return dialect.strided
    return dialect.ivdep


def _unwatched(loop: Loop) -> Loop:
    """`loop` without the looks at its values, which are no calls."""
    def plain(e: Expr) -> Expr:
        return e.args[0] if isinstance(e, Call) and e.fn == WATCH else e

    found = map_stmt_exprs(loop, lambda e: rewrite_expr(e, plain))
    assert isinstance(found, Loop)
    return found


def _jumps(array: str, index: tuple[Expr, ...], counter: str, scope: Scope) -> bool:
    """Whether the access moves from row to row with `counter`."""
    along = [axis for axis, e in enumerate(index) if counter in reads_of(e)]
    return bool(along) and scope.array(array).layout == "C" and along[0] < len(index) - 1
