"""What a `for` loop runs over, as a counted loop.

In: the iterable of a `for` loop.  Out: `Iteration`: the counter's start, stop and step, and the value of the
loop target as a function of the counter.  Arrays are iterated by position, as ndarray's own iterator does, so
that an element stored during the loop is seen by later iterations.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

from alpyna_hook.frontend.arrays import Rows, length, place_of
from alpyna_hook.frontend.context import Context, dotted, fail, function_of, guard_function
from alpyna_hook.frontend.intrinsics import Intrinsic
from alpyna_hook.frontend.lower_expr import MAX_ITEMS, lower_expr
from alpyna_hook.frontend.scope import mentioned
from alpyna_hook.frontend.syntax import walk
from alpyna_hook.ir.nodes import Binary, Call, Compare, Const, Expr, Select

# What the target gets, given the counter: a value, an array's element or row, or a tuple of these to be unpacked.
Value: TypeAlias = "Callable[[Expr], Expr] | Rows | tuple[Value, ...]"


@dataclass(frozen=True, slots=True)
class Iteration:
    start: Expr
    stop: Expr
    step: Expr
    value: Value

    @property
    def is_range(self) -> bool:
        """True if the target is the counter itself."""
        return self.value is itself

    @property
    def surely_runs(self) -> bool:
        """True if the loop makes at least one trip whatever the program's data."""
        match self:
            case Iteration(Const(value=int(a)), Const(value=int(b)), Const(value=int(c))):
                return len(range(a, b, c)) > 0 if c else False
        return False

    @property
    def from_zero(self) -> bool:
        return self.start == Const(0) and self.step == Const(1)


def itself(counter: Expr) -> Expr:
    """The value of a `range` loop's target."""
    return counter


def iteration(ctx: Context, node: ast.expr) -> Iteration:
    """How `for ... in node` runs; rejects what is neither a range nor an array."""
    if isinstance(node, ast.Call):
        row = function_of(ctx, node.func)
        if row is not None and row.name in _ITERATORS:
            _check_arguments(ctx, node, row)
            guard_function(ctx, node.func, row)
            return _ITERATORS[row.name](ctx, node)
    if isinstance(node, (ast.Tuple, ast.List)):
        return _items(ctx, node)
    if dotted(node) is None:
        fail(
            ctx, node, "iterable", "The loop runs over something that is neither a `range` nor an array.", "here",
            "Loop over `range(...)`, or over an array that has a name.",
        )  # fmt: skip
    place = place_of(ctx, node)
    return Iteration(Const(0), length(ctx, place, node), Const(1), Rows(place, node))


def _check_arguments(ctx: Context, node: ast.Call, row: Intrinsic) -> None:
    allowed = ("start",) if row.name == "enumerate" and len(node.args) == 1 else ()
    plain = all(k.arg in allowed for k in node.keywords) and not any(isinstance(a, ast.Starred) for a in node.args)
    if not plain or not row.low <= len(node.args) <= row.high:
        fail(ctx, node, "call-arguments", f"This form of `{row.name}` is not compiled.", "here")


def _range(ctx: Context, node: ast.Call) -> Iteration:
    args = [lower_expr(ctx, a) for a in node.args]
    zero, one = Const(0, ctx.span(node)), Const(1, ctx.span(node))
    match args:
        case [stop]:
            return Iteration(zero, stop, one, itself)
        case [start, stop]:
            return Iteration(start, stop, one, itself)
        case _:
            return Iteration(args[0], args[1], args[2], itself)


def _reversed(ctx: Context, node: ast.Call) -> Iteration:
    """`reversed` of a range with step 1 or -1, or of an array."""
    it = iteration(ctx, node.args[0])
    one = Const(1)
    if it.step not in (Const(1), Const(-1)):
        fail(ctx, node, "iterable", "`reversed` of this is not compiled.", "here", "Write the range backwards.")
    step = -1 if it.step == one else 1
    return Iteration(_plus(it.stop, step), _plus(it.start, step), Const(step), it.value)


def _plus(expr: Expr, one: int) -> Expr:
    """`expr + 1` or `expr - 1`."""
    if isinstance(expr, Const) and isinstance(expr.value, int):
        return Const(expr.value + one, expr.span)
    return Binary("+" if one > 0 else "-", expr, Const(1), span=expr.span)


def _enumerate(ctx: Context, node: ast.Call) -> Iteration:
    it = _positions(ctx, node.args[0])
    first = node.args[1] if len(node.args) > 1 else node.keywords[0].value if node.keywords else None
    if first is None:
        return Iteration(it.start, it.stop, it.step, (itself, it.value))
    _check_invariant(ctx, first)
    offset = lower_expr(ctx, first)
    return Iteration(it.start, it.stop, it.step, (lambda c: Binary("+", c, offset, span=offset.span), it.value))


def _zip(ctx: Context, node: ast.Call) -> Iteration:
    parts = [_positions(ctx, a) for a in node.args]
    stop = reduce(lambda x, y: Call("min", (x, y), span=ctx.span(node)), [p.stop for p in parts])
    return Iteration(Const(0), stop, Const(1), tuple(p.value for p in parts))


def _positions(ctx: Context, node: ast.expr) -> Iteration:
    """The iteration of `node` counted 0, 1, 2, ..."""
    it = iteration(ctx, node)
    if it.from_zero:
        return it
    if it.value is not itself or it.step != Const(1):
        fail(ctx, node, "iterable", "Items of this are not counted in a compiled loop.", "here")
    _check_invariant(ctx, node)
    start, span = it.start, ctx.span(node)
    length = Binary("-", it.stop, start, span=span)
    return Iteration(Const(0), length, Const(1), lambda c: Binary("+", start, c, span=span))


def _check_invariant(ctx: Context, node: ast.expr) -> None:
    """Python evaluates `node` once; we repeat it in each iteration, so the loop may not change its names."""
    if not mentioned(node).isdisjoint(ctx.assigned) or any(isinstance(n, ast.Subscript) for n in walk(node)):
        fail(
            ctx, node, "iterable", "The loop would have to evaluate this anew in each iteration.", "not constant",
            "Use a `range` loop.",
        )  # fmt: skip


def _items(ctx: Context, node: ast.Tuple | ast.List) -> Iteration:
    """`for d in (-1, 0, 1)`, `for dx, dy in ((0, 1), (1, 0))`: items written out, counted through."""
    elements = [e.elts if isinstance(e, (ast.Tuple, ast.List)) else [e] for e in node.elts]
    widths = {len(e) if isinstance(at, (ast.Tuple, ast.List)) else 0 for e, at in zip(elements, node.elts)}
    if len(widths) != 1 or not len(elements) <= MAX_ITEMS:
        fail(
            ctx, node, "iterable", f"The loop runs over items that are not alike, or not 1 to {MAX_ITEMS} of them.",
            "here", "Loop over a `range`, and take the items from an array.",
        )  # fmt: skip
    for item in (item for e in elements for item in e):
        _check_invariant(ctx, item)
    rows = [[lower_expr(ctx, item) for item in e] for e in elements]
    span = ctx.span(node)
    columns = [list(column) for column in zip(*rows)]
    if widths == {0}:
        steps = _steps(columns[0])
        if steps is not None:
            first, step = steps
            return Iteration(Const(first, span), Const(first + step * len(rows), span), Const(step, span), itself)
        return Iteration(Const(0, span), Const(len(rows), span), Const(1, span), _nth(columns[0]))
    return Iteration(Const(0, span), Const(len(rows), span), Const(1, span), tuple(map(_nth, columns)))


def _steps(items: list[Expr]) -> tuple[int, int] | None:
    """First item and step, if the items are ints in equal steps."""
    values = [e.value for e in items if isinstance(e, Const) and type(e.value) is int]
    step = values[1] - values[0] if len(values) > 1 else 1
    alike = len(values) == len(items) and step and all(b - a == step for a, b in zip(values, values[1:]))
    return (values[0], step) if alike else None


def _nth(items: list[Expr]) -> Callable[[Expr], Expr]:
    """The item that a counter from 0 selects: affine in the counter if the items are, else chosen by comparisons."""
    steps = _steps(items)
    if steps is not None:
        first, step = (Const(value, items[0].span) for value in steps)
        return lambda c: Binary("+", first, Binary("*", step, c, span=first.span), span=first.span)

    def select(counter: Expr) -> Expr:
        chosen = items[-1]
        for k in range(len(items) - 2, -1, -1):
            span = items[k].span
            chosen = Select(Compare("==", counter, Const(k, span), span), items[k], chosen, span)
        return chosen

    return select


_ITERATORS = {"range": _range, "enumerate": _enumerate, "zip": _zip, "reversed": _reversed}
