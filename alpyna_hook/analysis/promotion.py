"""Result classes of mixed arithmetic: CPython's numeric tower and NumPy's NEP 50.

In: names of scalar classes (`ir.types.PY_CLASSES` and `NP_CLASS_OF_REP`).  Out: the class of the result.
NEP 50 (NumPy >= 2.0, https://numpy.org/neps/nep-0050-scalar-promotion.html): NumPy scalars promote by their
dtypes; a Python int, float or complex is *weak*: it gives way to any NumPy class of its own kind or higher.
A Python bool is not weak, it promotes as `bool_`.
"""

from __future__ import annotations

from collections.abc import Iterable

from alpyna_hook.ir.types import NP_CLASS_OF_REP, REP_OF_CLASS, Rep

_PY_ORDER = ("bool", "int", "float", "complex")
_SIGNED_BY_BITS = {8: Rep.I8, 16: Rep.I16, 32: Rep.I32, 64: Rep.I64}
_COMPLEX_OF_FLOAT = {Rep.F32: Rep.C64, Rep.F64: Rep.C128}


def is_python(cls: str) -> bool:
    """True for CPython's own four classes."""
    return cls in _PY_ORDER


def words(classes: Iterable[str]) -> str:
    """Classes for people: "float or np.float64"."""
    names = [c if is_python(c) else f"np.{c.rstrip('_')}" for c in sorted(classes)]
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def is_weak(cls: str) -> bool:
    """True for the Python classes that give way to NumPy's under NEP 50."""
    return cls in ("int", "float", "complex")


def is_integer(cls: str) -> bool:
    """True for int and NumPy's integer classes (the bools excluded)."""
    return REP_OF_CLASS[cls].is_int


def promote(left: str, right: str) -> str:
    """The common class in which `left + right` would be carried out (bool + bool is decided by the operator).

    Python with Python: the higher of the two.  NumPy involved: `numpy.result_type`, weak Python scalars included.
    """
    if is_python(left) and is_python(right):
        return max(left, right, key=_PY_ORDER.index)
    if is_weak(left):
        return NP_CLASS_OF_REP[_with_weak(REP_OF_CLASS[right], left)]
    if is_weak(right):
        return NP_CLASS_OF_REP[_with_weak(REP_OF_CLASS[left], right)]
    return NP_CLASS_OF_REP[promote_reps(REP_OF_CLASS[left], REP_OF_CLASS[right])]


def _with_weak(strong: Rep, weak: str) -> Rep:
    """NEP 50's table for one NumPy operand and one weak Python scalar."""
    match weak:
        case "int":
            return Rep.I64 if strong is Rep.BOOL else strong
        case "float":
            return strong if strong.is_float or strong.is_complex else Rep.F64
        case _:
            if strong.is_complex:
                return strong
            return _COMPLEX_OF_FLOAT.get(strong, Rep.C128)


def promote_reps(a: Rep, b: Rep) -> Rep:
    """`numpy.promote_types` on the 13 representations."""
    if a is b:
        return a
    if a is Rep.BOOL or b is Rep.BOOL:
        return b if a is Rep.BOOL else a
    if a.is_complex or b.is_complex:
        return _COMPLEX_OF_FLOAT[promote_reps(_real(a), _real(b))]
    if a.is_float or b.is_float:
        return Rep.F64 if Rep.F64 in (_as_float(a), _as_float(b)) else Rep.F32
    return _promote_ints(a, b)


def _real(rep: Rep) -> Rep:
    match rep:
        case Rep.C64:
            return Rep.F32
        case Rep.C128:
            return Rep.F64
        case _:
            return _as_float(rep)


def _as_float(rep: Rep) -> Rep:
    """The narrowest of float32 and float64 that holds every value of `rep` (int64 counts as held by float64)."""
    if rep.is_float:
        return rep
    return Rep.F32 if rep.bits <= 16 else Rep.F64


def _promote_ints(a: Rep, b: Rep) -> Rep:
    if a.is_signed == b.is_signed:
        return a if a.bits >= b.bits else b
    signed, unsigned = (a, b) if a.is_signed else (b, a)
    if signed.bits > unsigned.bits:
        return signed
    return _SIGNED_BY_BITS.get(unsigned.bits * 2, Rep.F64)
