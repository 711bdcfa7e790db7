"""Affine facts about entry quantities as `Predicate`s, and their truth at one entry.

In: `Affine` forms without counters.  Out: predicates in the tidy shape the prologue prints
(`n <= a.shape[0]`, not `a.shape[0] - n >= 0`), and `holds`, exact with Python's ints.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from typing import Any

from alpyna_hook.ir.affine import (
    Affine,
    Env,
    PAll,
    PAny,
    PCompare,
    PFinite,
    Predicate,
    QConst,
    QParam,
    Quantity,
    affine,
    evaluate,
    simplify,
)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq,
    "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def holds(predicate: Predicate, entry: Env) -> bool:
    """Whether `predicate` is true at `entry`; False if a quantity it needs is not known there."""
    match predicate:
        case PCompare(op=op, left=left, right=right):
            try:
                return _COMPARE[op](evaluate(left, entry), evaluate(right, entry))
            except (KeyError, ZeroDivisionError):
                return False
        case PAll(parts=parts):
            return all(holds(p, entry) for p in parts)
        case PAny(parts=parts):
            return any(holds(p, entry) for p in parts)
        case PFinite(name=name, nonzero=nonzero):
            value = entry.get(QParam(name))
            return value is not None and math.isfinite(value) and not (nonzero and value == 0)


def is_entry(form: Affine) -> bool:
    """True if no counter or symbol occurs in `form`."""
    return not any(isinstance(k, str) for k, _ in form.terms)


def value_of(form: Affine, entry: Env) -> int | None:
    """The value of an entry form, None if a quantity is unknown or a counter occurs."""
    total = form.const
    for key, c in form.terms:
        if isinstance(key, str):
            return None
        try:
            total += c * evaluate(key, entry)
        except (KeyError, ZeroDivisionError):
            return None
    return total


def quantity(form: Affine) -> Quantity:
    """An entry form as a `Quantity`, positive terms first."""
    positive, negative = _sides(form)
    left = _sum(positive, max(form.const, 0))
    right = _sum(negative, max(-form.const, 0))
    return left if right == QConst(0) else simplify("-", left, right)


def nonnegative(form: Affine) -> Predicate | bool:
    """`form >= 0` as a predicate, or its truth if it is constant."""
    if not form.terms:
        return form.const >= 0
    g = math.gcd(*(c for _, c in form.terms))
    form = affine({k: c // g for k, c in form.terms}, form.const // g)  # floor: integers only
    positive, negative = _sides(form)
    if form.const == -1 and negative:
        return PCompare("<", _sum(negative, 0), _sum(positive, 0))
    if not negative:
        return PCompare(">=", _sum(positive, 0), QConst(-form.const))
    if not positive:
        return PCompare("<=", _sum(negative, 0), QConst(form.const))
    return PCompare("<=", _sum(negative, max(-form.const, 0)), _sum(positive, max(form.const, 0)))


def negative(form: Affine) -> Predicate | bool:
    """`form < 0` as a predicate, or its truth if it is constant."""
    return nonnegative(form.scale(-1) - affine({}, 1))


def every(parts: Iterable[Predicate]) -> Predicate:
    """The conjunction, flattened and without repetitions."""
    flat: dict[Predicate, None] = {}
    for p in parts:
        flat.update(dict.fromkeys(p.parts if isinstance(p, PAll) else (p,)))
    return next(iter(flat)) if len(flat) == 1 else PAll(tuple(flat))


def some(parts: Iterable[Predicate]) -> Predicate:
    """The disjunction, flattened and without repetitions."""
    flat: dict[Predicate, None] = {}
    for p in parts:
        flat.update(dict.fromkeys(p.parts if isinstance(p, PAny) else (p,)))
    return next(iter(flat)) if len(flat) == 1 else PAny(tuple(flat))


def _sides(form: Affine) -> tuple[list[tuple[Quantity, int]], list[tuple[Quantity, int]]]:
    terms = [(k, c) for k, c in form.terms if not isinstance(k, str)]
    if len(terms) != len(form.terms):
        raise ValueError("a loop counter is no entry quantity")
    return [(k, c) for k, c in terms if c > 0], [(k, -c) for k, c in terms if c < 0]


def _sum(terms: list[tuple[Quantity, int]], const: int) -> Quantity:
    total: Quantity | None = None
    for key, c in terms:
        term = simplify("*", QConst(c), key)
        total = term if total is None else simplify("+", total, term)
    if total is None:
        return QConst(const)
    return simplify("+", total, QConst(const)) if const >= 0 else simplify("-", total, QConst(-const))
