"""Operations on typed operands: one machine operation for all classes the operands may have.

In: typed expressions in their own representations.  Out: a typed expression with the casts and checks that
Python's meaning asks for.  Where an operand may have several classes, the rules (`opsem`) of all combinations
must come down to one machine operation; their checks are united.  `Unsupported` is raised where they do not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from alpyna_hook.analysis import opsem
from alpyna_hook.analysis.opsem import Operand, Refusal, Rule
from alpyna_hook.analysis.promotion import is_python, words
from alpyna_hook.analysis.unions import int_constant, join, operand, type_of
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.nodes import Binary, BinaryOp, Check, Compare, CompareOp, Const, Expr, Unary, UnaryOp
from alpyna_hook.ir.types import BOOL, Rep, ScalarType
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


def reject(code: str, title: str, label: str, span: Span, help: str = "") -> Unsupported:
    """The exception to raise for a construct that cannot be typed."""
    return Unsupported(Rejection(code, title, label, span, help))


def unstable(what: str, conflict: Conflict, span: Span) -> Unsupported:
    """The rejection for `what`, a scalar or value, that has incompatible types on different paths."""
    return reject(
        "type-unstable", f"{what} has different types on different paths.",
        words(conflict.left.classes | conflict.right.classes), span, "Convert it to one type explicitly.",
    )  # fmt: skip


def truth(expr: Expr) -> Expr:
    """The truth of a typed scalar: itself if it is a bool, else `expr != 0`."""
    have = type_of(expr)
    if have.rep is Rep.BOOL:
        return expr
    zero = Const(_zero(have.rep), expr.span, ScalarType(have.rep, have.classes))
    return Compare("!=", expr, zero, expr.span, BOOL)


def _zero(rep: Rep) -> int | float | complex:
    return 0 if rep.is_int else 0.0 if rep.is_float else 0j


def unary(op: UnaryOp, x: Expr, span: Span) -> Expr:
    """`-x`, `+x`, `~x` of a typed operand."""
    rules: Rules = {(c, ""): opsem.unary(op, c) for c in type_of(x).classes}
    rule = agree(rules, f"`{op}`", span)
    return Unary(op, convert(x, rule, rule.left, span), rule.checks, span, result_type(rules, rule.rep))


def binary(op: BinaryOp, x: Expr, y: Expr, span: Span) -> Expr:
    """`x op y` of typed operands, still in their own representations."""
    exponent = int_constant(y)
    rules: Rules = {
        (a, b): opsem.binary(op, a, b, exponent) for a in type_of(x).classes for b in type_of(y).classes
    }
    rule = agree(rules, f"`{op}`", span, _sum if op in ("+", "-") else _narrow)
    checks = rule.checks
    if exponent is not None and _count_is_safe(op, exponent, rule.rep):
        checks -= {"negative"}
    left, right = convert(x, rule, rule.left, span), convert(y, rule, rule.right, span)
    return Binary(rule.op or op, left, right, checks, span, result_type(rules, rule.rep))


def _count_is_safe(op: BinaryOp, count: int, rep: Rep) -> bool:
    return count >= 0 if op == "**" else op in ("<<", ">>") and 0 <= count < rep.bits


def comparison(op: CompareOp, x: Expr, y: Expr, span: Span) -> Expr:
    """`x op y` as a truth value."""
    rules: Rules = {(a, b): opsem.compare(op, a, b) for a in type_of(x).classes for b in type_of(y).classes}
    rule = agree(rules, f"`{op}`", span, _compare_exactly)
    left, right = convert(x, rule, rule.left, span), convert(y, rule, rule.right, span)
    return Compare(op, left, right, span, result_type(rules, Rep.BOOL))


def unite(x: Expr, y: Expr, span: Span) -> ScalarType:
    """The type of an expression that yields one of two values."""
    union = join(type_of(x), type_of(y))
    if union is None:
        raise unstable("This value", Conflict(type_of(x), type_of(y)), span)
    return union


Rules: TypeAlias = dict[tuple[str, str], opsem.Verdict]


Reconcile: TypeAlias = Callable[[list[Rule]], list[Rule]]  # to one representation; empty if there is no way


def agree(rules: Rules, what: str, span: Span, reconcile: Reconcile | None = None) -> Rule:
    """The one machine operation that all class combinations of an operation come down to.

    `reconcile` brings rules of different representations to one where that gives equal values or a fault.
    """
    accepted = [r for r in rules.values() if isinstance(r, Rule)]
    if len(rules) == len(accepted) == 1:
        return accepted[0]
    for pair, verdict in rules.items():
        if isinstance(verdict, Refusal):
            label = " and ".join(words((c,)) for c in pair if c)
            raise reject("operation-unsupported", verdict.why, label, span)
    if len({r.rep for r in accepted}) > 1:
        accepted = reconcile(accepted) if reconcile else []
    vias = {via for r in accepted for side in (r.left, r.right) if (via := side.via)}
    if not accepted or len({r.op for r in accepted}) > 1 or len(vias) > 1:
        raise reject(
            "type-unstable", f"An operand of {what} has different types on different paths.",
            words({c for pair in rules for c in pair if c}), span,
            "Give it one type from the start, for instance np.float64(0) instead of 0.",
        )  # fmt: skip
    first = accepted[0]
    checks: frozenset[Check] = frozenset().union(*(r.checks for r in accepted))
    left, right = _operand([r.left for r in accepted]), _operand([r.right for r in accepted])
    return Rule(first.result, first.rep, checks, left, right, first.op)


def _operand(ways: list[Operand]) -> Operand:
    vias = {w.via for w in ways if w.via is not None}
    checks: frozenset[Check] = frozenset().union(*(w.checks for w in ways))
    return Operand(vias.pop() if vias else None, checks)


_EXACT = Operand(checks=frozenset(("range", "exact53")))
_FITS = Operand(checks=frozenset(("range",)))


def _compare_exactly(rules: list[Rule]) -> list[Rule]:
    """Comparisons of exactly converted values agree in every representation: the narrowest that was asked for."""
    reps = {r.rep for r in rules}
    floats, ints = [r for r in reps if r.is_float], [r for r in reps if r not in (Rep.I64, Rep.BOOL)]
    targets = floats or ints or [Rep.I64]
    if len(targets) > 1:
        return []
    return [replace(r, rep=targets[0], left=_EXACT, right=_EXACT) for r in rules]


def _sum(rules: list[Rule]) -> list[Rule]:
    """Sums of what may be Python ints or floats are carried out on floats: the result is small enough to be exact,
    or a fault.  (Not products: the int 0 has no sign.)  Sums of integers as in `_narrow`."""
    targets = {r.rep for r in rules if r.rep is not Rep.I64}
    if len(targets) != 1 or not min(targets, key=lambda rep: rep.bits).is_float:
        return _narrow(rules)
    (target,) = targets
    if any(r.rep is Rep.I64 and r.result != "int" for r in rules):
        return []
    exact = frozenset[Check](("exact53",))
    return [r if r.rep is target else Rule(r.result, target, exact, _EXACT, _EXACT) for r in rules]


def _narrow(rules: list[Rule]) -> list[Rule]:
    """Python-int arithmetic in the NumPy integer type it is mixed with: what does not fit is a fault."""
    targets = {r.rep for r in rules if not is_python(r.result)}
    if len(targets) != 1:
        return []
    (target,) = targets
    if not target.is_int or any(is_python(r.result) and r.result != "int" for r in rules):
        return []
    return [
        r if r.rep is target else replace(r, rep=target, checks=r.checks | {"overflow"}, left=_FITS, right=_FITS)
        for r in rules
    ]


def convert(expr: Expr, rule: Rule, way: Operand, span: Span) -> Expr:
    """`expr` in the representation `rule` computes in."""
    have = type_of(expr)
    if have.rep is rule.rep:
        return expr
    if way.via is not None:
        expr = operand(expr, way.via, way.checks, span)
    return operand(expr, rule.rep, way.checks, span)


def result_type(rules: Rules, rep: Rep) -> ScalarType:
    """The type of an operation's result, held in `rep`."""
    classes = frozenset(r.result for r in rules.values() if isinstance(r, Rule))
    return ScalarType(rep, classes)
