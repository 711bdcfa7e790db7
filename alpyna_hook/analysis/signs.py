"""Signs of floats: enough to see that a divisor is not zero or an argument not negative.

In: an operation and the signs of its operands.  Out: the sign of its result, NaN always possible.
"""

from __future__ import annotations

from enum import IntFlag

from alpyna_hook.ir.nodes import Binary, Const, Expr


class Sign(IntFlag):
    """What is known of a float that is not NaN."""

    ANY = 0
    NONNEGATIVE = 1
    NONZERO = 2
    POSITIVE = 3


def known_by(relation: str, limit: Sign, e: Expr) -> Sign:
    """What `x relation e` says about a float x."""
    zero = isinstance(e, Const) and e.value == 0
    if zero and relation == "!=":
        return Sign.NONZERO
    if zero and relation == "<":
        return Sign.NONZERO
    if relation == ">" and limit & Sign.NONNEGATIVE:
        return Sign.POSITIVE
    if relation in (">=", "==") and limit & Sign.NONNEGATIVE:
        return limit
    return Sign.ANY


def sign_of_binary(e: Binary, x: Sign, y: Sign) -> Sign:
    """Rounding is monotone: sums and products of non-negative floats are non-negative; a sum with a positive
    one is positive, a product may underflow to zero."""
    if e.type is None or not e.type.rep.is_float:
        return Sign.ANY
    both = x & y & Sign.NONNEGATIVE
    match e.op:
        case "+":
            return both | ((x | y) & Sign.NONZERO if both else Sign.ANY)
        case "*":
            return Sign.NONNEGATIVE if both or e.left == e.right else Sign.ANY
        case "/":
            return both
        case "**":
            even = isinstance(e.right, Const) and e.right.value in (2, 4)
            return Sign.NONNEGATIVE if even or x & Sign.NONNEGATIVE else Sign.ANY
        case _:
            return Sign.ANY


def sign_of_call(name: str, x: Sign) -> Sign:
    match name:
        case "sqrt":
            return Sign.NONNEGATIVE | (x & Sign.NONZERO if x & Sign.NONNEGATIVE else Sign.ANY)
        case "exp" | "exp2":
            return Sign.NONNEGATIVE
        case "cosh":
            return Sign.POSITIVE
        case "abs" | "fabs" | "absolute":
            return Sign.NONNEGATIVE | (x & Sign.NONZERO)
        case "float" | "float64":
            return x
        case _:
            return Sign.ANY
