"""Checked int arithmetic with constants: one range test in place of a check per operation.

    3 * x + 1        ->   alp_linear_i64(x, 3, 1, low, high, &fault)     low <= x <= high: then it fits

In: a typed expression that is checked for overflow.  Out: `Linear`: the operand, factor and term, and the operand's
range in which the result fits 64 bits. Only Python's ints are combined over several operations: what lies in between
may be as large as it likes there, while NumPy's warn at each operation. The test is a plain comparison, which (unlike
a multiplication's overflow flag) C compilers vectorise, and on which the next iteration does not wait.
"""

from __future__ import annotations

from typing import NamedTuple

from alpyna_hook.ir.nodes import Binary, Cast, Const, Expr
from alpyna_hook.ir.types import Rep

_MIN, _MAX = -(2**63), 2**63 - 1


class Linear(NamedTuple):
    """factor * operand + term, with factor != 0; all constants are 64-bit."""

    operand: Expr
    factor: int
    term: int

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest operand whose result is a 64-bit int."""
        ends = (_MIN - self.term, _MAX - self.term)
        low, high = ends if self.factor > 0 else (ends[1], ends[0])
        return max(-(-low // self.factor), _MIN), min(high // self.factor, _MAX)


def linear_of(expr: Expr) -> Linear | None:
    """`expr` as a Linear; None if it has another form, or is not checked for overflow."""
    if not isinstance(expr, Binary) or expr.op not in ("+", "-", "*") or "overflow" not in expr.checks:
        return None
    if expr.type is None or expr.type.rep is not Rep.I64:
        return None
    left, right = int_of(expr.left), int_of(expr.right)
    if (left is None) == (right is None):
        return None
    operand, value = (expr.left, right) if left is None else (expr.right, left)
    assert value is not None
    inner = linear_of(operand) if expr.type.is_python and operand.type is not None and operand.type.is_python else None
    operand, factor, term = inner or Linear(operand, 1, 0)
    match expr.op:
        case "*":
            factor, term = factor * value, term * value
        case "+":
            term += value
        case _ if left is None:
            term -= value
        case _:
            factor, term = -factor, value - term
    fits = factor != 0 and all(_MIN <= n <= _MAX for n in (factor, term))
    return Linear(operand, factor, term) if fits else None


def int_of(expr: Expr) -> int | None:
    """The value of an int constant, which a cast leaves as it is."""
    match expr:
        case Const(value=int() as value):
            return int(value)
        case Cast(operand=operand) if expr.type is not None and expr.type.rep.is_int:
            rep, inner = expr.type.rep, int_of(operand)
            low = -(2 ** (rep.bits - 1)) if rep.is_signed else 0
            return inner if inner is not None and low <= inner < low + 2**rep.bits else None
    return None


def power_of_two(expr: Expr) -> int | None:
    """k if `expr` is the constant 2**k."""
    value = int_of(expr)
    return value.bit_length() - 1 if value is not None and value > 0 and value & (value - 1) == 0 else None
