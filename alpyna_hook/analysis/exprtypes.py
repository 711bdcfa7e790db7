"""Types of expressions at one program point.

In: an untyped expression and a `Scope`: what each name is here.  Out: the typed expression, with casts and
checks; `Unsupported` is raised where the interpreter has to keep the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from alpyna_hook.analysis.calltypes import infer_call
from alpyna_hook.analysis.operations import Conflict, binary, comparison, reject, truth, unary, unite, unstable
from alpyna_hook.analysis.promotion import is_integer, words
from alpyna_hook.analysis.unions import cast, hold, join, type_of
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import (
    Binary, Call, Cast, Compare, Const, Dim, Expr, Load, Logical, Mode, Select, Unary, Var,
)  # fmt: skip
from alpyna_hook.ir.types import BOOL, INT, ArrayType, Rep, ScalarType, Type, element, scalar
from alpyna_hook.source import Span


@dataclass(frozen=True, slots=True)
class Slot:
    """What is known of a scalar at one point: its type, and its value if it was just set to a constant."""

    type: ScalarType | Conflict
    const: bool | int | float | complex | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Names at one program point: `scalars` flow-sensitively, `entry` all live-ins by their signature types."""

    scalars: Mapping[str, Slot]
    entry: Mapping[str, Type]


def version(name: str, rep: Rep) -> str:
    """The IR name, until the final renaming, of scalar `name` while it is held in `rep`."""
    return f"{name}:{rep.value}"


def infer_expr(expr: Expr, scope: Scope) -> Expr:
    """`expr` typed, as a value."""
    match expr:
        case Const():
            return _const(expr)
        case Var():
            return _var(expr, scope)
        case Dim():
            _array(expr.array, scope, expr.span, expr.axis + 1)
            return replace(expr, type=INT)
        case Load():
            array, index = infer_access(expr.array, expr.index, scope, expr.span)
            return replace(expr, index=index, modes=checked(index), type=element(array))
        case Unary():
            return _unary(expr, scope)
        case Binary(op=op, left=x, right=y):
            return binary(op, infer_expr(x, scope), infer_expr(y, scope), expr.span)
        case Compare(op=op, left=x, right=y):
            return comparison(op, infer_expr(x, scope), infer_expr(y, scope), expr.span)
        case Logical():
            return _logical(expr, scope)
        case Select():
            return _select(expr, scope)
        case Call():
            return infer_call(expr, tuple(infer_expr(a, scope) for a in expr.args))
        case Cast():
            raise InternalError(f"a cast before type inference: {expr}")


def infer_test(expr: Expr, scope: Scope) -> Expr:
    """`expr` typed as a truth value: the result has representation BOOL."""
    if isinstance(expr, Logical):
        left, right = infer_test(expr.left, scope), infer_test(expr.right, scope)
        return replace(expr, left=left, right=right, type=BOOL)
    return truth(infer_expr(expr, scope))


def _const(expr: Const) -> Expr:
    """A constant of Python's class; an int too wide for I64 must be converted before the nest is finished."""
    return replace(expr, type=scalar(type(expr.value).__name__))


def _var(expr: Var, scope: Scope) -> Expr:
    slot = scope.scalars.get(expr.name)
    if slot is None:
        return _not_scalar(expr, scope)
    if isinstance(slot.type, Conflict):
        raise unstable(f"`{expr.name}`", slot.type, expr.span)
    return replace(expr, name=version(expr.name, slot.type.rep), type=slot.type)


def _not_scalar(expr: Var, scope: Scope) -> Expr:
    if isinstance(scope.entry.get(expr.name), ArrayType):
        raise reject(
            "whole-array", f"The array `{expr.name}` is used as a whole.", "whole array", expr.span,
            "Write it as a loop over its elements.",
        )  # fmt: skip
    if expr.name in scope.entry:
        raise reject("not-a-number", f"`{expr.name}` is not a number.", str(scope.entry[expr.name]), expr.span)
    raise reject("maybe-unbound", f"`{expr.name}` may be read before it is assigned.", "unbound here", expr.span)


def _array(name: str, scope: Scope, span: Span, least_ndim: int) -> ArrayType:
    array = scope.entry.get(name)
    if not isinstance(array, ArrayType) or name in scope.scalars:
        raise reject("not-an-array", f"`{name}` is subscripted and is not an array.", "not an array", span)
    if array.ndim < least_ndim:
        raise reject("shape-axis", f"`{name}` has {_dimensions(array.ndim)}.", "no such dimension", span)
    return array


def _dimensions(ndim: int) -> str:
    return f"{ndim} dimension" + "s" * (ndim != 1)


def infer_access(
    name: str, index: tuple[Expr, ...], scope: Scope, span: Span
) -> tuple[ArrayType, tuple[Expr, ...]]:
    """The array's type and its subscripts as int64 expressions."""
    array = _array(name, scope, span, 0)
    if len(index) != array.ndim:
        raise reject(
            "rank-mismatch", f"`{name}` has {_dimensions(array.ndim)} and {len(index)} subscripts here.",
            "a row, not an element" if len(index) < array.ndim else "too many", span,
            "Subscript it down to one element." if len(index) < array.ndim else "",
        )  # fmt: skip
    return array, tuple(infer_index(i, scope) for i in index)


def checked(index: tuple[Expr, ...]) -> tuple[Mode, ...]:
    """The modes of subscripts about which nothing is known."""
    mode: Mode = "checked"
    return (mode,) * len(index)


def infer_index(expr: Expr, scope: Scope) -> Expr:
    """A subscript or range bound: an int of any class, as I64."""
    typed = infer_expr(expr, scope)
    classes = type_of(typed).classes
    if any(not is_integer(c) for c in classes):
        raise reject("index-type", "A subscript or range bound is not an integer.", words(classes), expr.span)
    return cast(typed, Rep.I64, frozenset(("range",)), "int", expr.span)


def _unary(expr: Unary, scope: Scope) -> Expr:
    if expr.op == "not":
        return replace(expr, operand=infer_test(expr.operand, scope), checks=frozenset(), type=BOOL)
    folded = fold_sign(expr)
    if isinstance(folded, Const):
        return _const(folded)
    return unary(expr.op, infer_expr(expr.operand, scope), expr.span)


def fold_sign(expr: Expr) -> Expr:
    """`-5` as a constant; any other expression unchanged."""
    match expr:
        case Unary(op="-", operand=Const(value=v)) if not isinstance(v, bool):
            return Const(-v, expr.span)
        case _:
            return expr


def _logical(expr: Logical, scope: Scope) -> Expr:
    """`and`/`or` as a value: one of the operands, so both must be bools already."""
    x, y = infer_expr(expr.left, scope), infer_expr(expr.right, scope)
    union = join(type_of(x), type_of(y))
    if union is None or union.rep is not Rep.BOOL:
        title = f"`{expr.op}` gives one of its operands, not a bool."
        raise reject("logical-value", title, "used as a value", expr.span)
    return replace(expr, left=x, right=y, type=union)


def _select(expr: Select, scope: Scope) -> Expr:
    test = infer_test(expr.test, scope)
    x, y = infer_expr(expr.then, scope), infer_expr(expr.other, scope)
    union = unite(x, y, expr.span)
    then, other = hold(x, union.rep, expr.span), hold(y, union.rep, expr.span)
    return replace(expr, test=test, then=then, other=other, type=union)
