"""Integer expressions of a nest as `Quantity` over entry leaves *and* loop counters.

In: typed int expressions.  Out: quantities in which a loop counter is `QParam(counter)` (counters are
unique in a nest and never live in), their derivatives by a counter, and compiled evaluators.
What is not expressible (`%`, data-dependent values) is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from alpyna_hook.cost.tape import larger, smaller
from alpyna_hook.ir.affine import QBinary, QConst, QDim, QOp, QParam, QStride, Quantity, simplify
from alpyna_hook.ir.nodes import Binary, Call, Cast, Const, Dim, Expr, Unary, Var

ZERO = QConst(0)
ONE = QConst(1)


def symbolic(expr: Expr, values: Mapping[str, Quantity | None]) -> Quantity | None:
    """`expr` as a Quantity; `values` gives what each int name stands for here (absent or None: unknown)."""
    match expr:
        case Const(value=bool() | int() as value):
            return QConst(int(value))
        case Var(name=name):
            return values.get(name)
        case Dim(array=array, axis=axis):
            return QDim(array, axis)
        case Cast(operand=operand, type=to) if to is not None and to.rep.is_int:
            source = operand.type
            return symbolic(operand, values) if source is not None and not source.rep.is_float else None
        case Unary(op="+", operand=operand):
            return symbolic(operand, values)
        case Unary(op="-", operand=operand):
            return _binary("-", ZERO, symbolic(operand, values))
        case Binary(op="+" | "-" | "*" | "//" as op, left=left, right=right):
            return _binary(op, symbolic(left, values), symbolic(right, values))
        case Call(fn="min" | "max" as fn, args=(left, right)):
            return _binary("min" if fn == "min" else "max", symbolic(left, values), symbolic(right, values))
        case Call(fn="int", args=(operand,)) if operand.type is not None and operand.type.rep.is_int:
            return symbolic(operand, values)
        case _:
            return None


def _binary(op: QOp, left: Quantity | None, right: Quantity | None) -> Quantity | None:
    if left is None or right is None or (op == "//" and right == ZERO):
        return None
    return simplify(op, left, right)


def slope(q: Quantity, counter: str) -> Quantity:
    """Derivative of `q` by `counter`: exact for polynomials, the slope between jumps for `//`; of `min`/`max` the
    side that moves (a clamped tile edge moves like its tile)."""
    match q:
        case QConst() | QDim() | QStride():
            return ZERO
        case QParam(name=name):
            return ONE if name == counter else ZERO
        case QBinary(op="+" | "-" as op, left=left, right=right):
            return simplify(op, slope(left, counter), slope(right, counter))
        case QBinary(op="*", left=left, right=right):
            return simplify(
                "+",
                simplify("*", slope(left, counter), right),
                simplify("*", left, slope(right, counter)),
            )
        case QBinary(op="//", left=left, right=right):
            inner = slope(left, counter)
            return inner if inner == ZERO else simplify("//", inner, right)
        case QBinary(left=left, right=right):
            moved = slope(left, counter)
            return moved if moved != ZERO else slope(right, counter)


def text(q: Quantity, names: Mapping[Quantity, str]) -> str:
    """Python text of `q` with each leaf replaced by `names[leaf]`. `//` is true division: the values put in for
    counters are means, not integers."""
    match q:
        case QConst(value=value):
            return f"({value})" if value < 0 else str(value)
        case QBinary(op="min" | "max" as op, left=left, right=right):
            return f"{op}({text(left, names)}, {text(right, names)})"
        case QBinary(op="//", left=left, right=right):
            return f"({text(left, names)} / ({text(right, names)} or 1))"
        case QBinary(op=op, left=left, right=right):
            return f"({text(left, names)} {op} {text(right, names)})"
        case _:
            return names[q]


def compiled(q: Quantity, slots: Mapping[Quantity, int]) -> Callable[[Sequence[float]], float]:
    """`q` as a function of the list of leaf values; `slots` gives each leaf's place in it."""
    if isinstance(q, QConst):
        value = float(q.value)
        return lambda v: value
    names = _names(slots)
    function: Callable[[Sequence[float]], float] = eval(f"lambda v: {text(q, names)}", {"min": smaller, "max": larger})
    return function


def compiled_all(
    terms: Sequence[Quantity], slots: Mapping[Quantity, int]
) -> Callable[[Sequence[float]], tuple[float, ...]]:
    """All of `terms` as one function of the list of leaf values."""
    names = _names(slots)
    body = "".join(f"{text(q, names)}, " for q in terms)
    function: Callable[[Sequence[float]], tuple[float, ...]]
    function = eval(f"lambda v: ({body})", {"min": smaller, "max": larger})
    return function


def _names(slots: Mapping[Quantity, int]) -> dict[Quantity, str]:
    return {leaf: f"v[{slot}]" for leaf, slot in slots.items()}
