"""Arrays and rows of arrays, as the source names them.

In: a name or attribute that is subscripted, iterated or asked for its shape.  Out: its `Place`, an array live-in
and the subscripts already applied: `row` in `for row in grid` is `grid[k]`, k being the loop's counter, and
`row = grid[i]` is `grid[i]` as long as `i` means the same.  A row has no IR of its own: each access through it
is one to the array, which is what a NumPy view means.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import NoReturn

from alpyna_hook.frontend.context import Context, Place, dotted, fail, live_in, seen_after
from alpyna_hook.ir.affine import PCompare, Predicate, QConst, QDim, QParam, Quantity, simplify
from alpyna_hook.ir.nodes import Binary, Const, Dim, Expr, Load, Var


@dataclass(frozen=True, slots=True)
class Rows:
    """What a loop over `place` yields: elements if it has one dimension, else rows."""

    place: Place
    node: ast.expr


def place_of(ctx: Context, node: ast.expr) -> Place:
    """The array or row that `node` names; rejects what is no name, or an array that the loop rebinds."""
    parts = dotted(node)
    if parts is None:
        fail(
            ctx, node, "subscript-base", "Only a named array can be subscripted in a compiled loop.", "not a name",
            "Assign it to a local variable before the loop.",
        )  # fmt: skip
    if len(parts) == 1 and parts[0] in ctx.rows:
        return ctx.rows[parts[0]]
    if len(parts) == 1 and parts[0] in ctx.assigned:
        rebound(ctx, node, parts[0])
    return Place(live_in(ctx, node, "array"), ())


def rebound(ctx: Context, node: ast.AST, name: str) -> NoReturn:
    """Reject an array that the nest assigns."""
    fail(
        ctx, node, "array-rebound", f"`{name}` is subscripted and also assigned in the loop.", "assigned in the loop",
        "Use another name, or move the assignment out of the loop.",
    )  # fmt: skip


def length(ctx: Context, place: Place, node: ast.AST) -> Dim:
    """`len` of an array or row."""
    return Dim(place.array, len(place.index), ctx.span(node))


def expect_rank(ctx: Context, node: ast.AST, array: str, rank: int) -> None:
    """Note that `array` has `rank` dimensions; rejects if it was used with another number of them."""
    known = ctx.arrays.get(array)
    if known is not None and known != rank:
        fail(
            ctx, node, "rank-mismatch", f"`{array}` has {known} subscripts elsewhere in the loop and {rank} here.",
            "not the same depth", "Subscript it down to one element.",
        )  # fmt: skip
    ctx.arrays[array] = rank


def element_of(ctx: Context, rows: Rows, counter: Var) -> Load:
    """The element that a loop over a one-dimensional array or row yields."""
    place = rows.place
    known = ctx.arrays.get(place.array)
    if known is not None and known != len(place.index) + 1:
        fail(
            ctx, rows.node, "iterable-rows", f"The loop runs over rows of `{place.array}` that it does not subscript.",
            "an array of rows", "Subscript each row down to one element, or unpack it.",
        )  # fmt: skip
    expect_rank(ctx, rows.node, place.array, len(place.index) + 1)
    return Load(place.array, (*place.index, counter), span=ctx.span(rows.node))


def items_of(ctx: Context, node: ast.AST, place: Place, count: int) -> list[Expr]:
    """The elements of a row that is unpacked into `count` targets; at entry it must have that many."""
    axis = len(place.index)
    expect_rank(ctx, node, place.array, axis + 1)
    require(ctx, PCompare("==", QDim(place.array, axis), QConst(count)))
    return [Load(place.array, (*place.index, Const(k)), span=ctx.span(node)) for k in range(count)]


def require(ctx: Context, condition: Predicate) -> None:
    """Have the site decline calls at whose entry `condition` does not hold."""
    if condition not in ctx.requires:
        ctx.requires.append(condition)


def bind_row(ctx: Context, loop: ast.AST, target: ast.Name, place: Place) -> None:
    """Let the name `target` stand for the row `place` until its block ends; rejects if the row itself may be seen
    after `loop`, or if the name is bound elsewhere too."""
    name = target.id
    if len(ctx.assigned[name]) != 1 or seen_after(ctx, loop, name):
        fail(
            ctx, target, "row-escapes", f"`{name}`, a row of `{place.array}`, is more than a name for it in the loop.",
            "assigned twice, or seen elsewhere", "Subscript the array itself.",
        )  # fmt: skip
    ctx.rows[name] = place


def require_inside(ctx: Context, node: ast.AST, place: Place) -> None:
    """Make sure at entry that the row `place` exists; rejects if that depends on what the loop computes.

    NumPy raises an IndexError when a row is made, even if no element of it is ever used.
    """
    for axis, index in enumerate(place.index):
        dim = QDim(place.array, axis)
        bounds = _bounds(ctx, index, dim)
        if bounds is None:
            fail(
                ctx, node, "row-index", "Whether this row exists is not known before the loop.", "computed in the loop",
                "Subscript the array down to an element where it is used.",
            )  # fmt: skip
        low, high = bounds
        for condition in (PCompare(">=", low, QConst(0)), PCompare("<=", high, dim)):
            if not _is_true(condition):
                require(ctx, condition)


def _bounds(ctx: Context, index: Expr, dim: QDim) -> tuple[Quantity, Quantity] | None:
    """`low` and `high` such that low <= index < high, in entry quantities; negative constants are wrapped.

    A bare name is no bound: that it is an int is only known of names in a `range`.
    """
    match index:
        case Const(value=int(value)) if value < 0:
            return simplify("+", dim, QConst(value)), dim
        case Var(name=name) if name in ctx.ranges:
            start, stop = (_quantity(ctx, e) for e in ctx.ranges[name])
            return None if start is None or stop is None else (start, stop)
        case Binary(op="+" | "-" as op, left=left, right=Const(value=int(value))):
            bounds = _bounds(ctx, left, dim)
            if bounds is None or isinstance(left, Const):
                return None
            low, high = bounds
            return simplify(op, low, QConst(value)), simplify(op, high, QConst(value))
        case Const(value=int(value)):
            return QConst(value), QConst(value + 1)
    return None


def _quantity(ctx: Context, expr: Expr) -> Quantity | None:
    """`expr` as an entry quantity: made of int constants, dimensions and names that the nest leaves alone."""
    match expr:
        case Const(value=int(value)):
            return QConst(value)
        case Dim(array=array, axis=axis):
            return QDim(array, axis)
        case Var(name=name) if name in ctx.live_ins and name not in ctx.assigned:
            return QParam(name)
        case Binary(op="+" | "-" | "*" as op, left=left, right=right):
            a, b = _quantity(ctx, left), _quantity(ctx, right)
            return None if a is None or b is None else simplify(op, a, b)
    return None


def _is_true(condition: PCompare) -> bool:
    """True if the comparison needs no evaluation."""
    if condition.left == condition.right:
        return condition.op in ("<=", ">=", "==")
    if isinstance(condition.left, QConst) and isinstance(condition.right, QConst):
        return condition.op == ">=" and condition.left.value >= condition.right.value
    return False


def is_row_like(ctx: Context, name: str) -> bool:
    """True if the nest subscripts, iterates, unpacks or measures `name`."""
    return name in ctx.sequences
