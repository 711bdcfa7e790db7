"""What the driver of a device program evaluates, as Python text: Python's own ints and floats do the arithmetic.

In: typed expressions that the host can evaluate (ir/steps.py), preconditions.  Out: source text.  Ints are exact; where
the typed nest asks for an overflow check, the value must fit 64 bits when it is stored or passed on.  A division by
zero raises, which the driver takes for a fault.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from alpyna_hook.errors import InternalError
from alpyna_hook.ir.affine import (
    PAll, PAny, PCompare, PFinite, Predicate, QBinary, QConst, QDim, QParam, QStride, Quantity,
)  # fmt: skip
from alpyna_hook.ir.nodes import (
    Binary, Call, Cast, Compare, Const, Dim, Expr, Logical, Select, Unary, Var, walk,
)  # fmt: skip
from alpyna_hook.ir.types import Rep
from alpyna_hook.transform.schedule import may_warn

# Names that the text takes for itself.
WORDS = frozenset(
    """rt run overwritten found abs and_ bool float int isfinite map max min or_ pack prod range reduce slice sum
    unpack xor""".split()
)  # fmt: skip

PRELUDE = '''\
from functools import reduce
from math import isfinite, prod
from operator import and_, or_, xor
from struct import pack, unpack


class AlpFault(Exception):
    """The interpreter is to run the loop."""


def alp_int(value):
    if -(2**63) <= value < 2**63:
        return value
    raise AlpFault


def alp_finite(value):
    if isfinite(value):
        return value
    raise AlpFault


def alp_exact53(value):
    if abs(value) <= 2**53:
        return float(value)
    raise AlpFault


def alp_trips(start, stop, step):
    if step == 0:
        raise AlpFault
    return max(0, (stop - start + step - (1 if step > 0 else -1)) // step)


def alp_range(start, stop, step):
    if step == 0:
        raise AlpFault
    return range(start, stop, step)


def alp_single(value):
    return unpack("<f", pack("<f", value))[0] == value if isfinite(value) and abs(value) < 3.5e38 else False


def alp_value(form, bits):
    """The value in the 64 bits of a slot: form "i", "u", "d" or "f"."""
    bits = int(bits) & 0xFFFFFFFFFFFFFFFF
    if form == "d":
        return unpack("<d", pack("<Q", bits))[0]
    if form == "f":
        return unpack("<f", pack("<I", bits & 0xFFFFFFFF))[0]
    return bits - 2**64 if form == "i" and bits >= 2**63 else bits


def alp_wrap(value, bits, signed):
    value &= 2**bits - 1
    return value - 2**bits if signed and value >= 2 ** (bits - 1) else value


def alp_bounded(value, before, magnitude, low, high):
    """`value`, of a sum that began at `before` and moved by `magnitude` in all, if no order could overflow."""
    if (low is None or low <= before - magnitude) and before + magnitude <= high:
        return value
    raise AlpFault
'''


def evaluated(expr: Expr, names: Mapping[str, str]) -> str:
    """`expr`, with the checks that its value must pass."""
    text = plain(expr, names)
    if expr.type is None:
        raise InternalError("untyped expression")
    checked = (e.checks for e in walk(expr) if isinstance(e, (Binary, Unary, Call)))
    if expr.type.rep is Rep.I64 and any("overflow" in checks for checks in checked):
        return f"alp_int({text})"
    if expr.type.rep is Rep.F64 and any(map(may_warn, walk(expr))):
        return f"alp_finite({text})"
    return text


def plain(expr: Expr, names: Mapping[str, str]) -> str:
    """`expr` as Python text; whatever is not a name, a number or a call is in parentheses."""
    match expr:
        case Const(value=value):
            return _const(value, expr)
        case Var(name=name):
            return names[name]
        case Dim(array=array, axis=axis):
            return f"{names[array]}_n{axis}"
        case Binary(op=op, left=left, right=right) | Compare(op=op, left=left, right=right):
            return f"({plain(left, names)} {op} {plain(right, names)})"
        case Logical(op=op, left=left, right=right):
            return f"({plain(left, names)} {op} {plain(right, names)})"
        case Unary(op=op, operand=operand):
            return f"({op} {plain(operand, names)})" if op == "not" else f"({op}{plain(operand, names)})"
        case Select(test=test, then=then, other=other):
            return f"({plain(then, names)} if {plain(test, names)} else {plain(other, names)})"
        case Cast(operand=operand, checks=checks):
            return f"{'alp_exact53' if checks else 'float'}({plain(operand, names)})"
        case Call(fn=fn, args=args):
            return f"{fn}({', '.join(plain(a, names) for a in args)})"
    raise InternalError(f"the host cannot evaluate {expr}")


def _const(value: bool | int | float | complex, expr: Expr) -> str:
    rep = expr.type.rep if expr.type is not None else Rep.I64
    if rep is Rep.BOOL:
        return str(bool(value))
    if rep is Rep.F64:
        number = float(value.real)
        return repr(number) if math.isfinite(number) else f'float("{number}")'
    return str(int(value.real)) if value.real >= 0 else f"({int(value.real)})"


def condition(p: Predicate, names: Mapping[str, str]) -> str:
    """A precondition as Python text."""
    match p:
        case PCompare(op=op, left=left, right=right):
            return f"{quantity(left, names)} {op} {quantity(right, names)}"
        case PAll(parts=parts):
            return " and ".join(f"({condition(q, names)})" for q in parts) or "True"
        case PAny(parts=parts):
            return " or ".join(f"({condition(q, names)})" for q in parts) or "False"
        case PFinite(name=name, nonzero=nonzero):
            return f"isfinite({names[name]})" + (f" and {names[name]} != 0" if nonzero else "")


def quantity(q: Quantity, names: Mapping[str, str]) -> str:
    """An entry quantity as Python text."""
    match q:
        case QConst(value=v):
            return str(v) if v >= 0 else f"({v})"
        case QParam(name=n):
            return names[n]
        case QDim(array=a, axis=k):
            return f"{names[a]}_n{k}"
        case QStride(array=a, axis=k):
            return f"{names[a]}_s{k}"
        case QBinary(op="min" | "max" as op, left=left, right=right):
            return f"{op}({quantity(left, names)}, {quantity(right, names)})"
        case QBinary(op=op, left=left, right=right):
            return f"({quantity(left, names)} {op} {quantity(right, names)})"


def limits(rep: Rep) -> tuple[int, int]:
    """The smallest and the largest value of an int representation."""
    return (-(2 ** (rep.bits - 1)), 2 ** (rep.bits - 1) - 1) if rep.is_signed else (0, 2**rep.bits - 1)


def unfit(name: str, source: Rep, target: Rep) -> str:
    """Condition under which the value of a live-in cannot be held exactly in `target`; "" if it always can."""
    if source.is_int and target.is_float:
        return f"abs({name}) > 2**{24 if target is Rep.F32 else 53}"
    if source is Rep.F64 and target is Rep.F32:
        return f"not alp_single({name})"
    if source is Rep.I64 and target.is_int and target is not Rep.I64:
        low, high = limits(target)
        return f"not {low} <= {name} <= {high}"
    return ""
