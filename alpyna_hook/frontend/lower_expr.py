"""Expressions: from Python's AST to the nest IR.

In: an `ast.expr` in the context of its nest.  Out: an IR expression of the same meaning, or a rejection.
All accepted expressions are pure, so that an operand may be repeated (`0 <= i < n` reads `i` twice).

A *truth context* (the test of `if`, `while`, a conditional expression, and operands of `not`, `and`, `or`
in one) only asks whether the value is true; there a scalar of any type may stand and `Logical` is used.
Elsewhere `x and y` has the value of one operand: a `Select`.
"""

from __future__ import annotations

import ast
from functools import reduce

from alpyna_hook.frontend.arrays import expect_rank, length, place_of, rebound, require_inside
from alpyna_hook.frontend.context import (
    MAX_DEPTH, Context, Place, dotted, fail, function_of, guard_function, is_shape, live_in, path_of,
)  # fmt: skip
from alpyna_hook.frontend.intrinsics import CONSTANTS, Intrinsic, canonical_name, lookup
from alpyna_hook.frontend.scope import is_module, mentioned
from alpyna_hook.frontend.wording import (
    UNSUPPORTED, call_help, comparison_help, constant_help, constant_words,
)  # fmt: skip
from alpyna_hook.ir.nodes import (
    Binary, BinaryOp, Call, Compare, CompareOp, Const, Dim, Expr, Load, Logical, LogicalOp, Select, Unary, Var, walk,
)  # fmt: skip

_BINARY: dict[type[ast.operator], BinaryOp] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip
_COMPARE: dict[type[ast.cmpop], CompareOp] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip
_MAX_REPEATED = 24  # nodes of an operand that is written twice
MAX_ITEMS = 16  # items of a tuple that are compared or counted through one by one
_INT_LIMIT = 2**64  # wider literals have no machine representation


def lower_expr(ctx: Context, node: ast.expr) -> Expr:
    """`node` as a value."""
    ctx.depth += 1
    if ctx.depth > MAX_DEPTH:
        fail(ctx, node, "too-deep", "The expression is nested too deeply.", "here", "Split it into several statements.")
    try:
        return _lower(ctx, node)
    finally:
        ctx.depth -= 1


def _lower(ctx: Context, node: ast.expr) -> Expr:
    span = ctx.span(node)
    match node:
        case ast.Constant():
            return _constant(ctx, node)
        case ast.Name():
            return _name(ctx, node)
        case ast.Attribute():
            return _attribute(ctx, node)
        case ast.Subscript():
            return _subscript(ctx, node)
        case ast.UnaryOp():
            return _unary(ctx, node)
        case ast.BinOp(left=left, op=op, right=right):
            return binary(ctx, node, op, lower_expr(ctx, left), lower_expr(ctx, right))
        case ast.Compare():
            return _compare(ctx, node, truth=False)
        case ast.BoolOp(op=op, values=values):
            parts = [lower_expr(ctx, v) for v in values]
            return reduce(lambda x, y: _choose(ctx, node, isinstance(op, ast.And), y, x), parts[::-1])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return Select(lower_test(ctx, test), lower_expr(ctx, body), lower_expr(ctx, orelse), span)
        case ast.Call():
            return _call(ctx, node)
    code, title, label, help = UNSUPPORTED.get(type(node).__name__, UNSUPPORTED["expr"])
    fail(ctx, node, code, title, label, help)


def lower_test(ctx: Context, node: ast.expr) -> Expr:
    """`node` in a truth context: an expression whose truth is that of `node`."""
    match node:
        case ast.BoolOp(op=op, values=values):
            word: LogicalOp = "and" if isinstance(op, ast.And) else "or"
            span = ctx.span(node)
            return reduce(lambda x, y: Logical(word, x, y, span), [lower_test(ctx, v) for v in values])
        case ast.Compare():
            return _compare(ctx, node, truth=True)
        case _:
            return lower_expr(ctx, node)


def binary(ctx: Context, node: ast.AST, op: ast.operator, left: Expr, right: Expr) -> Expr:
    """`left op right`; rejects matrix multiplication."""
    if type(op) not in _BINARY:
        fail(
            ctx, node, "matmul", "Matrix multiplication in a loop works on whole arrays.", "`@`",
            "Write the product as loops over elements.",
        )  # fmt: skip
    return Binary(_BINARY[type(op)], left, right, span=ctx.span(node))


def _constant(ctx: Context, node: ast.Constant) -> Expr:
    value = node.value
    if isinstance(value, int) and abs(value) >= _INT_LIMIT:
        fail(ctx, node, "wide-int", "The integer does not fit into 64 bits.", "too large")
    if isinstance(value, (bool, int, float, complex)):
        return Const(value, ctx.span(node))
    title = f"{constant_words(value)} is not a number."
    fail(ctx, node, "constant", title, "not a number", constant_help(value))


def _name(ctx: Context, node: ast.Name) -> Expr:
    name, span = node.id, ctx.span(node)
    if name in ctx.env:
        return Var(ctx.env[name], span)
    if name in ctx.rows or name in ctx.arrays and name not in ctx.assigned:
        fail(
            ctx, node, "whole-array", f"The array `{name}` is used as a whole.", "whole array",
            "Write it as a loop over its elements.",
        )  # fmt: skip
    if name in ctx.assigned:
        if name in ctx.sequences:
            rebound(ctx, node, name)
        if ctx.definite is not None and name not in ctx.definite:
            live_in(ctx, node, "scalar")  # its value from before the nest may be read
        return Var(name, span)
    path = path_of(ctx, node)
    if path is not None and (path.startswith("builtins.") or lookup(path) or is_module(ctx.scope, name)):
        fail(ctx, node, "not-a-number", f"`{name}` is used as a value.", "not a number")
    return Var(live_in(ctx, node, "scalar"), span)


def _unary(ctx: Context, node: ast.UnaryOp) -> Expr:
    span = ctx.span(node)
    if isinstance(node.op, ast.Not):
        return Unary("not", lower_test(ctx, node.operand), span=span)
    operand = lower_expr(ctx, node.operand)
    if isinstance(operand, Const) and not isinstance(operand.value, bool):
        if isinstance(node.op, ast.USub):
            return Const(-operand.value, span)
        if isinstance(node.op, ast.UAdd):
            return Const(operand.value, span)
    op = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~"}[type(node.op)]
    return Unary(op, operand, span=span)  # type: ignore[arg-type]


def _compare(ctx: Context, node: ast.Compare, truth: bool) -> Expr:
    """`a < b <= c`: the pairs in order, joined by `and`."""
    if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
        return _membership(ctx, node, truth)
    for op in node.ops:
        if type(op) not in _COMPARE:
            fail(
                ctx, node, "comparison", f"`{_COMPARE_WORDS[type(op)]}` does not compare numbers.", "here",
                "Decide this before the loop.",
            )  # fmt: skip
    _check_no_text(ctx, node)
    operands = [lower_expr(ctx, e) for e in (node.left, *node.comparators)]
    for written, operand in zip(node.comparators, operands[1:-1]):
        _check_short(ctx, written, operand)
    span = ctx.span(node)
    pairs: list[Expr] = [
        Compare(_COMPARE[type(op)], x, y, span) for op, x, y in zip(node.ops, operands, operands[1:])
    ]  # fmt: skip
    if truth:
        return reduce(lambda x, y: Logical("and", x, y, span), pairs)
    return reduce(lambda y, x: _choose(ctx, node, True, x, y), pairs[::-1])


def _check_no_text(ctx: Context, node: ast.Compare) -> None:
    """Reject a comparison with a string, with what to do about it."""
    for part in (node.left, *node.comparators):
        if isinstance(part, ast.Constant) and isinstance(part.value, (str, bytes)):
            invariant = mentioned(node).isdisjoint(ctx.assigned)
            help = comparison_help(ast.unparse(node), invariant)
            fail(ctx, part, "constant", f"{constant_words(part.value)} is not a number.", "not a number", help)


def _membership(ctx: Context, node: ast.Compare, truth: bool) -> Expr:
    """`x in (1, 2, 3)`: a bool, true if `x` equals one of the numbers (identity adds nothing for these)."""
    span, items = ctx.span(node), node.comparators[0]
    if not isinstance(items, (ast.Tuple, ast.List, ast.Set)) or not 0 < len(items.elts) <= MAX_ITEMS:
        word = _COMPARE_WORDS[type(node.ops[0])]
        fail(
            ctx, node, "comparison", f"`{word}` of this does not compare numbers.", "here",
            "Compare with `==`, or with a few constants: `x in (1, 2)`.",
        )  # fmt: skip
    value = lower_expr(ctx, node.left)
    _check_short(ctx, node.left, value)
    constants = [lower_expr(ctx, e) for e in items.elts]
    if not all(isinstance(c, Const) for c in constants):
        fail(
            ctx, items, "comparison", "The items of `in` are not constants.", "not constant", "Compare with `==`."
        )  # fmt: skip
    pairs: list[Expr] = [Compare("==", value, c, span) for c in constants]
    found = reduce(lambda x, y: Logical("or", x, y, span), pairs)
    if isinstance(node.ops[0], ast.NotIn):
        return Unary("not", found, span=span)
    return found if truth else Unary("not", Unary("not", found, span=span), span=span)


_COMPARE_WORDS = {ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in"}


def _choose(ctx: Context, node: ast.expr, conjunction: bool, left: Expr, right: Expr) -> Expr:
    """The value of `left and right` (`conjunction`) or `left or right`."""
    _check_short(ctx, node, left)
    then, other = (right, left) if conjunction else (left, right)
    return Select(left, then, other, ctx.span(node))


def _check_short(ctx: Context, node: ast.expr, repeated: Expr) -> None:
    """Reject what would be repeated at length (nested, the length would grow exponentially)."""
    if sum(1 for _ in walk(repeated)) > _MAX_REPEATED:
        fail(
            ctx, node, "long-operand", "The operand would have to be written out several times.", "too long",
            "Assign it to a variable first.",
        )  # fmt: skip


def element(ctx: Context, node: ast.Subscript) -> tuple[str, tuple[Expr, ...]]:
    """Array and subscripts of `a[i, j]` or `a[i][j]`, which name the same element of an ndarray."""
    place = subscripted(ctx, node)
    expect_rank(ctx, node, place.array, len(place.index))
    return place.array, place.index


def subscripted(ctx: Context, node: ast.Subscript) -> Place:
    """The element or row that a chain of subscripts names."""
    indices: list[ast.expr] = []
    base: ast.expr = node
    while isinstance(base, ast.Subscript):
        indices[:0] = base.slice.elts if isinstance(base.slice, ast.Tuple) else [base.slice]
        base = base.value
    place = place_of(ctx, base)
    return Place(place.array, (*place.index, *(_index(ctx, i) for i in indices)))


def _index(ctx: Context, node: ast.expr) -> Expr:
    match node:
        case ast.Slice():
            fail(
                ctx, node, "slice", "A slice is a whole array, not an element.", "slice",
                "Write it as a loop over the elements.",
            )  # fmt: skip
        case ast.Constant(value=value) if not isinstance(value, int) or isinstance(value, bool):
            fail(ctx, node, "index-type", f"{constant_words(value)} is not an integer subscript.", "not an integer")
        case ast.Starred():
            code, title, label, help = UNSUPPORTED["Starred"]
            fail(ctx, node, code, title, label, help)
    return lower_expr(ctx, node)


def _subscript(ctx: Context, node: ast.Subscript) -> Expr:
    if is_shape(node.value):
        return _shape(ctx, node, node.value.value)
    array, index = element(ctx, node)
    return Load(array, index, span=ctx.span(node))


def _shape(ctx: Context, node: ast.Subscript, base: ast.expr) -> Expr:
    """`base.shape[k]`."""
    place = place_of(ctx, base)
    axis = node.slice
    sign = 1
    if isinstance(axis, ast.UnaryOp) and isinstance(axis.op, ast.USub):
        axis, sign = axis.operand, -1
    if not isinstance(axis, ast.Constant) or type(axis.value) is not int:
        fail(ctx, node.slice, "shape-axis", "Which axis of the shape is meant is not constant.", "not constant")
    number = sign * axis.value
    if number < 0:
        rank = (ctx.arrays.get(place.array) or 0) - len(place.index)
        if number < -rank:
            fail(
                ctx, node, "shape-axis", f"How many axes `{ast.unparse(base)}` has is not known here.",
                "counts from the last axis", "Read the shape before the loop.",
            )  # fmt: skip
        number += rank
    return Dim(place.array, len(place.index) + number, ctx.span(node))


def _attribute(ctx: Context, node: ast.Attribute) -> Expr:
    parts, span = dotted(node), ctx.span(node)
    if node.attr in ("real", "imag") and (parts is None or len(parts) == 2 and parts[0] not in ("self", "cls")):
        return Call(node.attr, (lower_expr(ctx, node.value),), span=span)
    if parts is None:
        fail(ctx, node, "attribute", f"The attribute `{node.attr}` of a value is not known.", "unknown attribute")
    owner = ".".join(parts[:-1])
    if node.attr in ("shape", "T", "flat") or owner in ctx.arrays:
        rank = ctx.arrays.get(owner)
        if node.attr == "ndim" and rank:
            return Const(rank, span)
        if node.attr == "size" and rank:
            array = place_of(ctx, node.value).array
            dims: list[Expr] = [Dim(array, k, span) for k in range(rank)]
            return reduce(lambda x, y: Binary("*", x, y, span=span), dims)
        fail(
            ctx, node, "array-attribute", f"`{'.'.join(parts)}` is not a number.", "not a number",
            "Take it out of the loop, into local variables.",
        )  # fmt: skip
    text = ".".join(parts)
    if text in ctx.arrays:
        fail(
            ctx, node, "whole-array", f"The array `{text}` is used as a whole.", "whole array",
            "Write it as a loop over its elements.",
        )  # fmt: skip
    path = path_of(ctx, node)
    if path is not None and lookup(path) and canonical_name(path) not in CONSTANTS:
        fail(ctx, node, "not-a-number", f"`{text}` is used as a value.", "not a number")
    return Var(live_in(ctx, node, "scalar"), span)


def _call(ctx: Context, node: ast.Call) -> Expr:
    row = function_of(ctx, node.func)
    if row is None:
        return _method(ctx, node)
    name = ast.unparse(node.func)
    if row.kind == "structural" and row.name != "len":
        fail(ctx, node, "not-a-number", f"`{name}(...)` is used as a value.", "not a number")
    arguments = call_arguments(ctx, node, row)
    if row.name == "len":
        return _len(ctx, node, arguments[0])
    if row.name == "float" and (value := _float_of_text(arguments)) is not None:
        return Const(value, ctx.span(node))
    return _apply(ctx, node, row, [lower_expr(ctx, a) for a in arguments])


def _float_of_text(arguments: list[ast.expr]) -> float | None:
    """The value of `float("inf")` and its like. Not of "-nan": its sign would have to be carried through C."""
    match arguments:
        case [ast.Constant(value=str(text))]:
            try:
                value = float(text)
            except ValueError:
                return None
            return None if value != value and "-" in text else value
    return None


def _len(ctx: Context, node: ast.Call, argument: ast.expr) -> Expr:
    """`len(a)`, and `len(a[i])`."""
    if not isinstance(argument, ast.Subscript) or is_shape(argument.value):
        return length(ctx, place_of(ctx, argument), node)
    place = subscripted(ctx, argument)
    require_inside(ctx, node, place)
    return length(ctx, place, node)


def call_arguments(ctx: Context, node: ast.Call, row: Intrinsic) -> list[ast.expr]:
    """The arguments of a call of the intrinsic `row`, which the guard is told to check."""
    name = ast.unparse(node.func)
    if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
        fail(
            ctx, node, "call-arguments", f"`{name}` is called with keyword or starred arguments.", "here",
            "Pass the arguments one by one, by position.",
        )  # fmt: skip
    if not row.low <= len(node.args) <= row.high:
        one = len(node.args) == 1 and row.name in ("min", "max")
        fail(
            ctx, node, "call-arguments", f"This form of `{name}` is not compiled.",
            "one argument" if len(node.args) == 1 else f"{len(node.args)} arguments",
            "Write it as a loop over the elements." if one else "",
        )  # fmt: skip
    guard_function(ctx, node.func, row)
    return node.args


def _apply(ctx: Context, node: ast.Call, row: Intrinsic, args: list[Expr]) -> Expr:
    span = ctx.span(node)
    if row.name in ("min", "max"):  # the first of equals wins, as in a left fold
        return reduce(lambda x, y: Call(row.name, (x, y), span=span), args)
    if row.name == "pow":
        return Binary("**", args[0], args[1], span=span)
    return Call(row.name, tuple(args), span=span)


def _method(ctx: Context, node: ast.Call) -> Expr:
    """A call of something that is no known function: `z.conjugate()`, or a rejection."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="conjugate"), args=[], keywords=[]):
            return Call("conjugate", (lower_expr(ctx, value),), span=ctx.span(node))
    text = ast.unparse(node.func)
    text = text if len(text) <= 40 else f"{text[:37]}..."
    path = path_of(ctx, node.func) or ""
    fail(ctx, node.func, "call-unknown", f"The loop calls `{text}`, which cannot be compiled.", "not compiled",
         call_help(text, path))  # fmt: skip
