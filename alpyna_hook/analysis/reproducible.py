"""Whether an accelerator computes a nest bit for bit as CPython does, and what it must be able to do for that.

In: a typed nest and the floating point contract.  Out: the reason why not (a sentence for the report), or the
capabilities asked of the device.  IEEE 754 fixes the results of + - * / and sqrt, of comparisons and conversions;
whatever ends in a math library differs in the last place from one library to the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from alpyna_hook.ir.nodes import Assign, Binary, Call, Cast, Expr, Nest, walk_exprs, walk_stmts
from alpyna_hook.ir.types import ArrayType, Rep, ScalarType

# What a device may lack:
#   fp64      doubles
#   denorm32  single precision with denormal numbers
#   div32     correctly rounded single-precision division and square root
Need = str

_NOT_REPRODUCIBLE = "is not bit-reproducible on a device: --fp relaxed allows it"

# Exact on every device: bit operations, IEEE 754's own operations, or code of ours that is made of these.
_EXACT = frozenset((
    "abs", "min", "max", "int", "float", "bool", "round", "math.sqrt", "math.fabs", "math.floor", "math.ceil",
    "math.trunc", "math.copysign", "math.fmod", "math.isnan", "math.isinf", "math.isfinite", "math.degrees",
    "math.radians", "np.sqrt", "np.abs", "np.fabs", "np.floor", "np.ceil", "np.trunc", "np.rint", "np.isnan",
    "np.isinf", "np.isfinite", "np.signbit", "np.minimum", "np.maximum", "np.copysign", "np.fmod", "np.square",
    "np.reciprocal",
))  # fmt: skip
# Functions of the device's own library stand in for these under fp=relaxed.
_RELAXED = frozenset((
    *(f"math.{fn}" for fn in (
        "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan",
        "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "pow", "hypot",
    )),
    *(f"np.{fn}" for fn in (
        "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sin", "cos", "tan", "arcsin", "arccos",
        "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "hypot", "power",
    )),
))  # fmt: skip


def obstacle(nest: Nest, fp: str) -> str:
    """Why `nest` may not run on a device; empty if it may."""
    for name, kind in nest.types:
        rep = kind.elem if isinstance(kind, ArrayType) else kind.rep if isinstance(kind, ScalarType) else None
        if rep is not None and rep.is_complex:
            return f"{name} is complex, which has no form on a device"
    for expr in walk_exprs(nest.body):
        why = _why_not(expr, fp)
        if why:
            return why
    return ""


def _why_not(expr: Expr, fp: str) -> str:
    if isinstance(expr, Binary) and expr.op == "**" and expr.type is not None and expr.type.rep.is_float:
        return "" if fp == "relaxed" else f"a floating-point power {_NOT_REPRODUCIBLE}"
    if not isinstance(expr, Call) or expr.fn in _EXACT:
        return ""
    if expr.fn in _RELAXED:
        return "" if fp == "relaxed" else f"{expr.fn} {_NOT_REPRODUCIBLE}"
    return f"{expr.fn} has no form on a device"


def needs(nest: Nest) -> tuple[Need, ...]:
    """What a device must be able to do, sorted."""
    found: set[Need] = set()
    for name, kind in nest.types:
        if isinstance(kind, ArrayType) and kind.elem is Rep.F64:
            found.add("fp64")
    for expr in _computed(nest):
        rep = expr.type.rep if expr.type is not None else Rep.I64
        if rep is Rep.F64:
            found.add("fp64")
        if rep is Rep.F32 and isinstance(expr, (Binary, Call, Cast)):
            found.add("denorm32")
            rooted = isinstance(expr, Call) and expr.fn in ("np.sqrt", "math.sqrt", "np.reciprocal")
            if rooted or (isinstance(expr, Binary) and expr.op in ("/", "//")):
                found.add("div32")
    return tuple(sorted(found))


def _computed(nest: Nest) -> Iterator[Expr]:
    yield from walk_exprs(nest.body)
    yield from (s.value for s in walk_stmts(nest.body) if isinstance(s, Assign))
