"""Types of expressions at one program point.

In: an untyped expression and a `Scope`: what each name is here.  Out: the typed expression, with casts and
checks; `Unsupported` is raised where the interpreter has to keep the loop.  Where an operand may have several
classes, the rules of all combinations must agree on one machine operation; their checks are united.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from alpyna_hook.analysis import opsem
from alpyna_hook.analysis.opsem import Operand, Refusal, Rule
from alpyna_hook.analysis.promotion import is_integer, is_python
from alpyna_hook.analysis.unions import cast, hold, int_constant, join, operand, type_of
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.nodes import (
    Binary, BinaryOp, Call, Cast, Check, Compare, Const, Dim, Expr, Load, Logical, Mode, Select, Unary, Var,
)  # fmt: skip
from alpyna_hook.ir.types import BOOL, INT, ArrayType, Rep, ScalarType, Type, element, scalar
from alpyna_hook.source import Span


class Unsupported(Exception):
    """Carries a `Rejection` out of the depths of an expression to `infer`, which returns it."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.title)
        self.rejection = rejection


@dataclass(frozen=True, slots=True)
class Conflict:
    """What a name is where incompatible types meet: an error only if it is read."""

    left: ScalarType
    right: ScalarType


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


def reject(code: str, title: str, label: str, span: Span, help: str = "") -> Unsupported:
    """The exception to raise for a construct that cannot be typed."""
    return Unsupported(Rejection(code, title, label, span, help))


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
        case Binary():
            return _binary(expr, scope)
        case Compare():
            return _compare(expr, scope)
        case Logical():
            return _logical(expr, scope)
        case Select():
            return _select(expr, scope)
        case Call():
            from alpyna_hook.analysis.calltypes import infer_call

            return infer_call(expr, scope)
        case Cast():
            raise reject("cast-unexpected", "a cast before type inference", "here", expr.span)


def infer_test(expr: Expr, scope: Scope) -> Expr:
    """`expr` typed as a truth value: the result has representation BOOL."""
    if isinstance(expr, Logical):
        left, right = infer_test(expr.left, scope), infer_test(expr.right, scope)
        return replace(expr, left=left, right=right, type=BOOL)
    return truth(infer_expr(expr, scope))


def truth(expr: Expr) -> Expr:
    """The truth of a typed scalar: itself if it is a bool, else `expr != 0`."""
    have = type_of(expr)
    if have.rep is Rep.BOOL:
        return expr
    zero = Const(_zero(have.rep), expr.span, ScalarType(have.rep, have.classes))
    return Compare("!=", expr, zero, expr.span, BOOL)


def _zero(rep: Rep) -> int | float | complex:
    return 0 if rep.is_int else 0.0 if rep.is_float else 0j


def _const(expr: Const) -> Expr:
    value = expr.value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise reject("int-too-large", "an integer constant does not fit 64 bits", "this constant", expr.span)
    return replace(expr, type=scalar(type(value).__name__))


def _var(expr: Var, scope: Scope) -> Expr:
    slot = scope.scalars.get(expr.name)
    if slot is None:
        return _not_scalar(expr, scope)
    if isinstance(slot.type, Conflict):
        raise unstable(expr.name, slot.type, expr.span)
    return replace(expr, name=version(expr.name, slot.type.rep), type=slot.type)


def _not_scalar(expr: Var, scope: Scope) -> Expr:
    if isinstance(scope.entry.get(expr.name), ArrayType):
        raise reject(
            "array-as-scalar", f"`{expr.name}` is an array and is used as a whole", "whole array", expr.span,
            "write the loop over its elements out",
        )  # fmt: skip
    if expr.name in scope.entry:
        raise reject("type-unsupported", f"`{expr.name}` is not a number", str(scope.entry[expr.name]), expr.span)
    raise reject("maybe-unbound", f"`{expr.name}` may be read before it is assigned", "unbound here", expr.span)


def unstable(name: str, conflict: Conflict, span: Span) -> Unsupported:
    """The rejection for a scalar that has incompatible types on different paths."""
    names = " or ".join(sorted({*conflict.left.classes, *conflict.right.classes}))
    return reject(
        "type-unstable", f"`{name}` has a different type on different paths", names, span,
        "give it one type, for instance by converting explicitly",
    )  # fmt: skip


def _array(name: str, scope: Scope, span: Span, least_ndim: int) -> ArrayType:
    array = scope.entry.get(name)
    if not isinstance(array, ArrayType) or name in scope.scalars:
        raise reject("not-an-array", f"`{name}` is subscripted but is not an array", str(array), span)
    if array.ndim < least_ndim:
        raise reject("axis-out-of-range", f"`{name}` has {array.ndim} dimensions", "no such dimension", span)
    return array


def infer_access(
    name: str, index: tuple[Expr, ...], scope: Scope, span: Span
) -> tuple[ArrayType, tuple[Expr, ...]]:
    """The array's type and its subscripts as int64 expressions."""
    array = _array(name, scope, span, 0)
    if len(index) != array.ndim:
        raise reject(
            "subscript-count", f"`{name}` has {array.ndim} dimensions and {len(index)} subscripts",
            "a row, not an element" if len(index) < array.ndim else "IndexError", span,
        )  # fmt: skip
    return array, tuple(infer_index(i, scope) for i in index)


def checked(index: tuple[Expr, ...]) -> tuple[Mode, ...]:
    """The modes of subscripts about which nothing is known."""
    return ("checked",) * len(index)


def infer_index(expr: Expr, scope: Scope) -> Expr:
    """A subscript or range bound: an int of any class, as I64."""
    typed = infer_expr(expr, scope)
    classes = type_of(typed).classes
    if any(not is_integer(c) for c in classes):
        what = ", ".join(sorted(classes))
        raise reject("index-type", "a subscript or range bound must be an integer", what, expr.span)
    return cast(typed, Rep.I64, frozenset(("range",)), "int", expr.span)


def _unary(expr: Unary, scope: Scope) -> Expr:
    if expr.op == "not":
        return replace(expr, operand=infer_test(expr.operand, scope), checks=frozenset(), type=BOOL)
    folded = fold_sign(expr)
    if isinstance(folded, Const):
        return _const(folded)
    x = infer_expr(expr.operand, scope)
    rules = {(c, ""): opsem.unary(expr.op, c) for c in type_of(x).classes}
    rule = agree(rules, f"`{expr.op}`", expr.span)
    x = convert(x, rule, rule.left, expr.span)
    return replace(expr, operand=x, checks=rule.checks, type=_result(rules, rule.rep))


def fold_sign(expr: Expr) -> Expr:
    """`-5` as a constant; any other expression unchanged."""
    match expr:
        case Unary(op="-", operand=Const(value=v)) if not isinstance(v, bool):
            return Const(-v, expr.span)
        case _:
            return expr


def _binary(expr: Binary, scope: Scope) -> Expr:
    x, y = infer_expr(expr.left, scope), infer_expr(expr.right, scope)
    return binary(expr.op, x, y, expr.span)


def binary(op: BinaryOp, x: Expr, y: Expr, span: Span) -> Expr:
    """`x op y` of typed operands, still in their own representations."""
    exponent = int_constant(y)
    rules: Rules = {
        (a, b): opsem.binary(op, a, b, exponent) for a in type_of(x).classes for b in type_of(y).classes
    }
    rule = agree(rules, f"`{op}`", span)
    checks = rule.checks
    if exponent is not None and _count_is_safe(op, exponent, rule.rep):
        checks -= {"negative"}
    left, right = convert(x, rule, rule.left, span), convert(y, rule, rule.right, span)
    return Binary(rule.op or op, left, right, checks, span, _result(rules, rule.rep))


def _count_is_safe(op: BinaryOp, count: int, rep: Rep) -> bool:
    return count >= 0 if op == "**" else op in ("<<", ">>") and 0 <= count < rep.bits


def _compare(expr: Compare, scope: Scope) -> Expr:
    x, y = infer_expr(expr.left, scope), infer_expr(expr.right, scope)
    rules: Rules = {
        (a, b): opsem.compare(expr.op, a, b) for a in type_of(x).classes for b in type_of(y).classes
    }
    rule = agree(rules, f"`{expr.op}`", expr.span, comparison=True)
    left, right = convert(x, rule, rule.left, expr.span), convert(y, rule, rule.right, expr.span)
    return replace(expr, left=left, right=right, type=_result(rules, Rep.BOOL))


def _logical(expr: Logical, scope: Scope) -> Expr:
    """`and`/`or` as a value: one of the operands, so both must be bools already."""
    x, y = infer_expr(expr.left, scope), infer_expr(expr.right, scope)
    union = join(type_of(x), type_of(y))
    if union is None or union.rep is not Rep.BOOL:
        raise reject("logical-value", f"`{expr.op}` gives one of its operands here, not a bool", "as a value", expr.span)
    return replace(expr, left=x, right=y, type=union)


def _select(expr: Select, scope: Scope) -> Expr:
    test = infer_test(expr.test, scope)
    x, y = infer_expr(expr.then, scope), infer_expr(expr.other, scope)
    union = unite(x, y, expr.span)
    then, other = hold(x, union.rep, expr.span), hold(y, union.rep, expr.span)
    return replace(expr, test=test, then=then, other=other, type=union)


def unite(x: Expr, y: Expr, span: Span) -> ScalarType:
    """The type of an expression that yields one of two values."""
    union = join(type_of(x), type_of(y))
    if union is None:
        raise unstable("this value", Conflict(type_of(x), type_of(y)), span)
    return union


Rules = dict[tuple[str, str], opsem.Verdict]


def agree(rules: Rules, what: str, span: Span, comparison: bool = False) -> Rule:
    """The one machine operation that all class combinations of an operation come down to."""
    accepted = [r for r in rules.values() if isinstance(r, Rule)]
    for pair, verdict in rules.items():
        if isinstance(verdict, Refusal):
            label = " and ".join(filter(None, pair))
            raise reject("operation-unsupported", f"cannot compile: {verdict.why}", label, span)
    reps = {r.rep for r in accepted}
    if len(reps) > 1:
        accepted = _reconcile(accepted, comparison)
    if not accepted or len({r.op for r in accepted}) > 1:
        names = ", ".join(sorted({c for pair in rules for c in pair if c}))
        raise reject(
            "type-unstable", f"{what} means different machine operations here, depending on the path taken", names, span,
            "give the operands one type, for instance by starting from 0.0 instead of 0",
        )  # fmt: skip
    first = accepted[0]
    checks: frozenset[Check] = frozenset().union(*(r.checks for r in accepted))
    left, right = _operand([r.left for r in accepted]), _operand([r.right for r in accepted])
    return Rule(first.result, first.rep, checks, left, right, first.op)


def _operand(ways: list[Operand]) -> Operand:
    vias = {w.via for w in ways if w.via is not None}
    checks: frozenset[Check] = frozenset().union(*(w.checks for w in ways))
    return Operand(vias.pop() if vias else None, checks)


def _reconcile(rules: list[Rule], comparison: bool) -> list[Rule]:
    """Rules carried out in different representations, brought to one where that gives equal values or a fault.

    Python-int arithmetic is narrowed to the NumPy integer type it is mixed with: what does not fit is a fault.
    Comparisons of exactly converted values agree in every representation.  Empty if there is no such way.
    """
    exact = frozenset[Check](("range", "exact53"))
    narrow = {r.rep for r in rules if not is_python(r.result)}
    if comparison:
        reps = {r.rep for r in rules}
        targets = [r for r in reps if r.is_float] or [r for r in reps if r is not Rep.I64 and r is not Rep.BOOL] or [Rep.I64]
        if len(targets) > 1:
            return []
        return [
            replace(r, rep=targets[0], left=replace(r.left, checks=exact), right=replace(r.right, checks=exact))
            for r in rules
        ]
    if len(narrow) != 1:
        return []
    target = narrow.pop()
    if not target.is_int or any(is_python(r.result) and r.result != "int" for r in rules):
        return []
    fits = frozenset[Check](("range",))
    return [
        r if r.rep is target
        else replace(r, rep=target, checks=r.checks | {"overflow"}, left=Operand(None, fits), right=Operand(None, fits))
        for r in rules
    ]  # fmt: skip


def convert(expr: Expr, rule: Rule, way: Operand, span: Span) -> Expr:
    """`expr` in the representation `rule` computes in."""
    have = type_of(expr)
    if have.rep is rule.rep:
        return expr
    if way.via is not None:
        expr = operand(expr, way.via, way.checks, span)
    return operand(expr, rule.rep, way.checks, span)


def _result(rules: Rules, rep: Rep) -> ScalarType:
    """The type of an operation's result, held in `rep`."""
    classes = frozenset(r.result for r in rules.values() if isinstance(r, Rule))
    return ScalarType(rep, classes)
