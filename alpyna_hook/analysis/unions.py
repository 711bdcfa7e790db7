"""Values whose class depends on control flow: one representation that holds all of them exactly.

In: scalar types that meet at a merge of control flow.  Out: their union, or None if there is none; and the
`Cast`s that bring values to it.  A NumPy class can only be held in its own representation.  A Python bool,
int or float met by a wider or a NumPy type is *held* in that type's representation: the cast is exact or
faults, so that any operation which gives equal values for both classes may be done on the held value
(`s = 0` before a float sum; `m = 0` before the maximum of a uint8 image).
"""

from __future__ import annotations

from alpyna_hook.analysis.promotion import is_python
from alpyna_hook.ir.nodes import Cast, Check, Const, Expr
from alpyna_hook.ir.types import NP_CLASS_OF_REP, REP_OF_CLASS, Rep, ScalarType
from alpyna_hook.source import Span

_KIND = {"bool": 0, "int": 1, "float": 2, "complex": 3}
_MANTISSA = {Rep.F32: 24, Rep.C64: 24, Rep.F64: 53, Rep.C128: 53}  # bits of an exactly held integer


def type_of(expr: Expr) -> ScalarType:
    """The type of a typed expression."""
    assert expr.type is not None, expr
    return expr.type


def join(a: ScalarType, b: ScalarType) -> ScalarType | None:
    """The union of two types; None if no representation holds all their classes."""
    classes = a.classes | b.classes
    strong = {REP_OF_CLASS[c] for c in classes if not is_python(c)}
    if len(strong) > 1:
        return None
    rep = strong.pop() if strong else max(a.rep, b.rep, key=_python_width)
    if not all(can_hold(rep, c) for c in classes):
        return None
    return ScalarType(rep, classes)


def _python_width(rep: Rep) -> int:
    return 0 if rep is Rep.BOOL else 1 if rep.is_int else 2 if rep.is_float else 3


def can_hold(rep: Rep, cls: str) -> bool:
    """True if `rep` is the representation of `cls`, or may hold it after an exact cast."""
    if REP_OF_CLASS[cls] is rep:
        return True
    if not is_python(cls) or cls == "complex" or (rep, cls) == (Rep.U64, "int"):
        return False  # a Python int comes back from a nest as an int64
    return _KIND[cls] < 1 + _python_width(rep) if rep is not Rep.BOOL else False


def cast(expr: Expr, rep: Rep, checks: frozenset[Check], cls: str, span: Span) -> Expr:
    """`expr` in representation `rep`, with those of `checks` that this conversion can fail; the result is
    described as class `cls`."""
    return _cast(expr, rep, checks, frozenset((cls,)), span)


def hold(expr: Expr, rep: Rep, span: Span) -> Expr:
    """`expr` in representation `rep` with its classes unchanged: exact, or a fault."""
    return _cast(expr, rep, _EXACT, type_of(expr).classes, span)


def _cast(expr: Expr, rep: Rep, checks: frozenset[Check], classes: frozenset[str], span: Span) -> Expr:
    """Casts one step at a time: an integer that must arrive exactly, or in a complex, goes by way of a double."""
    source = type_of(expr).rep
    if source is rep:
        return expr
    step = _way(source, rep, checks)
    if step is not None:
        expr = _cast(expr, step, checks, _labels(classes, step), span)
        return _cast(expr, rep, checks, classes, span)
    kept = frozenset(c for c in checks if can_fail(c, source, rep))
    return Cast(expr, kept, span, ScalarType(rep, classes))


def _way(source: Rep, target: Rep, checks: frozenset[Check]) -> Rep | None:
    """The representation to stop at between `source` and `target`."""
    if target.is_complex and not source.is_complex:
        part = Rep.F32 if target is Rep.C64 else Rep.F64
        return part if source is not part else None
    if source.is_int and target is Rep.F32 and can_fail("exact53", source, target) and "exact53" in checks:
        return Rep.F64
    return None


def operand(expr: Expr, rep: Rep, checks: frozenset[Check], span: Span) -> Expr:
    """`expr` as the operand of an operation carried out in `rep`. Python classes are kept: class tags ask for them."""
    return _cast(expr, rep, checks, _labels(type_of(expr).classes, rep), span)


def _labels(classes: frozenset[str], rep: Rep) -> frozenset[str]:
    """Classes as a conversion to `rep` leaves them: Python's are kept, NumPy's become that of `rep`."""
    return frozenset(c if is_python(c) and c != "complex" else NP_CLASS_OF_REP[rep] for c in classes)


def int_constant(expr: Expr) -> int | None:
    """The value of an int constant, cast or not."""
    while isinstance(expr, Cast):
        expr = expr.operand
    return expr.value if isinstance(expr, Const) and isinstance(expr.value, int) else None


_EXACT: frozenset[Check] = frozenset(("range", "exact53"))


def can_fail(check: Check, source: Rep, target: Rep) -> bool:
    """Whether a conversion from `source` to `target` can ever raise this fault."""
    if check == "range":
        return target.is_int and not _contains(target, source)
    if check == "exact53" and target in _MANTISSA:
        if source.is_int:
            return source.bits - source.is_signed > _MANTISSA[target]
        return source in _MANTISSA and _MANTISSA[source] > _MANTISSA[target]
    return False


def _contains(target: Rep, source: Rep) -> bool:
    """Every value of `source` is a value of the integer representation `target`."""
    if source is Rep.BOOL:
        return True
    if not source.is_int:
        return False
    if source.is_signed:
        return target.is_signed and target.bits >= source.bits
    return target.bits - target.is_signed >= source.bits
