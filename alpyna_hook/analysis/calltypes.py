"""Types of calls to intrinsics.

In: an untyped `Call` by canonical name and the `Scope` around it.  Out: a typed expression: a `Call` whose
arguments have the representation that the C function takes, or simpler nodes where the call is nothing more
(`float(x)` is a `Cast`, `np.add(x, y)` a `Binary`).  Modules/mathmodule.c and NumPy's ufunc type resolution
(`numpy.sqrt.types`) say which classes are taken and given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from alpyna_hook.analysis import opsem
from alpyna_hook.analysis.operations import (
    Rules, Unsupported, agree, binary, comparison, convert, reject, result_type, truth, unary, unite,
)  # fmt: skip
from alpyna_hook.analysis.opsem import NO_CHECKS
from alpyna_hook.analysis.promotion import is_weak, promote, words
from alpyna_hook.analysis.unions import cast, hold, type_of
from alpyna_hook.ir.nodes import Binary, BinaryOp, Call, Cast, Check, CompareOp, Expr, Unary, UnaryOp
from alpyna_hook.ir.types import BOOL, COMPLEX, FLOAT, INT, NP_CLASS_OF_REP, REP_OF_CLASS, Rep, ScalarType, scalar
from alpyna_hook.source import Span

_RANGE: frozenset[Check] = frozenset(("range",))
_EXACT: frozenset[Check] = frozenset(("exact53",))
_DOMAIN: frozenset[Check] = frozenset(("domain",))

# math functions that end in one libm call (Modules/mathmodule.c): argument count, and whether they can raise
_MATH: dict[str, tuple[int, bool]] = {
    **dict.fromkeys(
        ("sqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "asin", "acos",
         "sinh", "cosh", "acosh", "atanh"), (1, True),
    ),
    **dict.fromkeys(("fabs", "atan", "tanh", "asinh", "erf", "erfc", "cbrt", "degrees", "radians"), (1, False)),
    **dict.fromkeys(("fmod", "pow"), (2, True)),
    **dict.fromkeys(("atan2", "copysign", "nextafter"), (2, False)),
}  # fmt: skip
_MATH_ROUND = ("floor", "ceil", "trunc")
_MATH_TEST = ("isnan", "isinf", "isfinite")

# ufuncs by what their loops are: float in, float out; bool out; the operators by another name
_UFUNC_FLOAT = frozenset(
    "sqrt exp exp2 expm1 log log2 log10 log1p cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh "
    "arctanh fabs rint degrees radians deg2rad rad2deg".split()
)
_UFUNC_FLOAT_ONLY = frozenset(("floor", "ceil", "trunc", "reciprocal"))  # integer loops differ or are new in 2.1
_UFUNC_FLOAT2 = frozenset("hypot arctan2 copysign nextafter logaddexp logaddexp2 heaviside".split())
_UFUNC_FLOAT2_ONLY = frozenset("fmin fmax fmod power".split())
_UFUNC_TEST = frozenset("isnan isinf isfinite signbit".split())
_UFUNC_OPERATOR: dict[str, BinaryOp] = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//", "remainder": "%",
    "bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^", "left_shift": "<<", "right_shift": ">>",
}  # fmt: skip
_UFUNC_COMPARE: dict[str, CompareOp] = {
    "less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip
_UFUNC_LOGICAL: dict[str, BinaryOp] = {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}
_UFUNC_UNARY: dict[str, UnaryOp] = {"negative": "-", "positive": "+", "invert": "~"}
_NP_CLASSES = frozenset(NP_CLASS_OF_REP.values())
_NP_DEFAULT = {"bool": "bool_", "int": "int64", "float": "float64", "complex": "complex128"}


def infer_call(expr: Call, args: tuple[Expr, ...]) -> Expr:
    """`expr`, called with these typed arguments; `Unsupported` for what is not modelled."""
    head, dot, name = expr.fn.partition(".")
    if not dot:
        return _builtin(expr, args)
    if head == "math":
        return _math(expr, name, args)
    if head == "np" and name in _NP_CLASSES and len(args) == 1:
        return construct(args[0], name, expr.span)
    if head == "np":
        return _ufunc(expr, name, args)
    raise _unknown(expr)


def _unknown(expr: Call, why: str = "") -> Unsupported:
    return reject(
        "call-unsupported", f"This call of `{expr.fn}` is not compiled" + (f": {why}." if why else "."),
        "left to the interpreter", expr.span,
    )  # fmt: skip


def _classes_of(args: tuple[Expr, ...]) -> frozenset[str]:
    return frozenset().union(*(type_of(a).classes for a in args))


def _need_real(expr: Call, args: tuple[Expr, ...]) -> None:
    for cls in sorted(_classes_of(args)):
        if REP_OF_CLASS[cls].is_complex:
            raise _unknown(expr, f"the argument is a {words((cls,))}")


def _builtin(expr: Call, args: tuple[Expr, ...]) -> Expr:
    match expr.fn, args:
        case ("bool" | "int" | "float" | "complex"), (x,):
            return construct(x, expr.fn, expr.span)
        case "complex", (x, y):
            _need_real(expr, args)
            parts = tuple(cast(a, Rep.F64, NO_CHECKS, "float", expr.span) for a in (x, y))
            return replace(expr, args=parts, type=COMPLEX)
        case "abs", (x,):
            return _absolute(expr, x)
        case ("min" | "max"), (x, y):
            return _min_max(expr, x, y)
        case "pow", (x, y):
            return binary("**", x, y, expr.span)
        case "round", (x,):
            return _round(expr, x)
        case ("real" | "imag" | "conjugate"), (x,):
            return _part(expr, x)
        case _:
            raise _unknown(expr)


def construct(x: Expr, cls: str, span: Span) -> Expr:
    """`cls(x)`: an explicit conversion to a scalar class."""
    have, rep = type_of(x), REP_OF_CLASS[cls]
    complex_source = any(REP_OF_CLASS[c].is_complex for c in have.classes)
    if complex_source and not rep.is_complex:
        raise reject("call-unsupported", f"`{cls}` of a complex number raises or warns.", "complex", span)
    if rep is Rep.BOOL:
        return _as_class(truth(x), cls, span)
    return _as_class(narrow(x, rep, cls, span), cls, span)


def narrow(x: Expr, rep: Rep, cls: str, span: Span) -> Expr:
    """`x` converted to `rep` by value, as constructors and element assignment do: floats truncate to ints.

    NumPy brings Python ints to float32 by way of a double, and its own ints directly: equal up to 2**53.
    """
    have = type_of(x).rep
    if rep in (Rep.F32, Rep.C64) and have.is_int and have.bits == 64:
        x = cast(x, Rep.F64, _EXACT, "float64", span)
    return cast(x, rep, _RANGE, cls, span)


def _as_class(x: Expr, cls: str, span: Span) -> Expr:
    """`x`, whose representation is that of `cls` already, called a `cls`."""
    if type_of(x) == scalar(cls):
        return x
    return Cast(x, NO_CHECKS, span, scalar(cls))


def _absolute(expr: Call, x: Expr) -> Expr:
    rules: Rules = {(c, ""): opsem.absolute(c) for c in type_of(x).classes}
    rule = agree(rules, "`abs`", expr.span)
    x = convert(x, rule, rule.left, expr.span)
    result = result_type(rules, {Rep.C64: Rep.F32, Rep.C128: Rep.F64}.get(rule.rep, rule.rep))
    if result.rep is Rep.BOOL or result.rep.is_int and not result.rep.is_signed:
        return _with_classes(x, result.classes, expr.span)
    return Call("abs", (x,), rule.checks, expr.span, result)


def _with_classes(x: Expr, classes: frozenset[str], span: Span) -> Expr:
    have = type_of(x)
    return x if have.classes == classes else Cast(x, NO_CHECKS, span, ScalarType(have.rep, classes))


def _min_max(expr: Call, x: Expr, y: Expr) -> Expr:
    """Python's `min(a, b)` is `b if b < a else a`: one of the two objects, whatever its class."""
    _need_real(expr, (x, y))
    union = unite(x, y, expr.span)
    args = (hold(x, union.rep, expr.span), hold(y, union.rep, expr.span))
    return replace(expr, args=args, type=union)


def _round(expr: Call, x: Expr) -> Expr:
    """`round(x)` without digits gives an int for every real class, half to even."""
    _need_real(expr, (x,))
    if "bool_" in type_of(x).classes:
        raise _unknown(expr, "the argument is a np.bool")
    if not type_of(x).rep.is_float:
        return construct(x, "int", expr.span)
    wide = cast(x, Rep.F64, NO_CHECKS, "float", expr.span)
    return replace(expr, args=(wide,), checks=_RANGE, type=INT)


def _part(expr: Call, x: Expr) -> Expr:
    """`z.real`, `z.imag`, `z.conjugate()`."""
    have = type_of(x)
    if not have.rep.is_complex:
        if expr.fn == "imag" or "bool" in have.classes or have.rep is Rep.BOOL:
            raise _unknown(expr, "the value is no complex number")
        return x
    if len(have.classes) > 1:
        raise _unknown(expr, "the value may be real or complex")
    if expr.fn == "conjugate":
        return replace(expr, args=(x,), type=have)
    (cls,) = have.classes
    part = {"complex": "float", "complex64": "float32", "complex128": "float64"}[cls]
    return replace(expr, args=(x,), type=scalar(part))


def _math(expr: Call, name: str, args: tuple[Expr, ...]) -> Expr:
    _need_real(expr, args)
    if name in _MATH_ROUND and len(args) == 1:
        return _math_round(expr, name, args[0])
    doubles = tuple(cast(a, Rep.F64, NO_CHECKS, "float", expr.span) for a in args)
    if name in _MATH_TEST:
        return replace(expr, args=doubles, type=BOOL)
    if name == "log" and len(args) == 2:
        value, base = (Call("math.log", (d,), _DOMAIN, expr.span, FLOAT) for d in doubles)
        return Binary("/", value, base, frozenset(("zero",)), expr.span, FLOAT)
    if name not in _MATH or _MATH[name][0] != len(args):
        raise _unknown(expr, "CPython has an algorithm of its own")
    return replace(expr, args=doubles, checks=_DOMAIN if _MATH[name][1] else NO_CHECKS, type=FLOAT)


def _math_round(expr: Call, name: str, x: Expr) -> Expr:
    """math.floor, ceil and trunc give a Python int. NumPy's ints have no such methods: they go through a float."""
    have = type_of(x)
    if name == "trunc" and not have.classes <= {"bool", "int", "float", "float64"}:
        raise _unknown(expr, "it raises TypeError for NumPy scalars")
    if not have.rep.is_float:
        if not have.is_python:
            x = cast(x, Rep.F64, _EXACT, "float", expr.span)
        return construct(x, "int", expr.span)
    wide = cast(x, Rep.F64, NO_CHECKS, "float", expr.span)
    return replace(expr, args=(wide,), checks=_RANGE, type=INT)


def _ufunc(expr: Call, name: str, args: tuple[Expr, ...]) -> Expr:
    match args:
        case (x,):
            return _ufunc_1(expr, name, x)
        case (x, y):
            return _ufunc_2(expr, name, *_ufunc_operands(x, y, expr.span))
        case _:
            raise _unknown(expr)


def _ufunc_2(expr: Call, name: str, x: Expr, y: Expr) -> Expr:
    span = expr.span
    if name in _UFUNC_OPERATOR:
        result = binary(_UFUNC_OPERATOR[name], x, y, span)
        return _as_class(result, "complex128", span) if "complex" in type_of(result).classes else result
    if name in _UFUNC_COMPARE:
        return _as_class(comparison(_UFUNC_COMPARE[name], x, y, span), "bool_", span)
    if name in _UFUNC_LOGICAL:  # both operands are evaluated: no short circuit
        return Binary(_UFUNC_LOGICAL[name], truth(x), truth(y), NO_CHECKS, span, scalar("bool_"))
    if name in ("minimum", "maximum"):
        return _common_loop(expr, x, y, lambda a, b: REP_OF_CLASS[promote(a, b)])
    if name in _UFUNC_FLOAT2:
        return _common_loop(expr, x, y, float_loop_2)
    if name in _UFUNC_FLOAT2_ONLY:
        return _common_loop(expr, x, y, _float_only)
    raise _unknown(expr)


def _float_only(a: str, b: str) -> Rep | None:
    rep = REP_OF_CLASS[promote(a, b)]
    return rep if rep.is_float else None


def _ufunc_operands(x: Expr, y: Expr, span: Span) -> tuple[Expr, Expr]:
    """A ufunc call on two Python scalars computes in NumPy's default dtypes; else NEP 50 as in operators."""
    if type_of(x).is_python and type_of(y).is_python:
        return as_numpy(x, span), as_numpy(y, span)
    if not (type_of(x).is_numpy or type_of(y).is_numpy):
        raise unstable_argument(type_of(x).classes | type_of(y).classes, span)
    return x, y


def unstable_argument(classes: frozenset[str], span: Span) -> Unsupported:
    """The rejection for a NumPy function whose loop depends on the path taken."""
    title = "The argument of a NumPy function has different types on different paths."
    return reject("type-unstable", title, words(classes), span)


def as_numpy(x: Expr, span: Span) -> Expr:
    """A Python scalar as the NumPy scalar that a ufunc makes of it."""
    have = type_of(x)
    if have.is_numpy:
        return x
    # `s = 0.0; for ...: s += a[i]` makes s a float or a float64: a ufunc takes both for a float64.
    made = {_NP_DEFAULT.get(cls, cls) for cls in have.classes}
    if len(made) > 1 or have.rep is not REP_OF_CLASS[next(iter(made))]:
        raise unstable_argument(have.classes, span)
    return _as_class(x, made.pop(), span)


def _ufunc_1(expr: Call, name: str, x: Expr) -> Expr:
    x = as_numpy(x, expr.span)
    have = type_of(x)
    if len(have.classes) > 1:
        raise _unknown(expr, "its argument has different types on different paths")
    (cls,) = have.classes
    if name == "abs":
        return _absolute(expr, x)
    if name == "logical_not":
        return _as_class(Unary("not", truth(x), NO_CHECKS, expr.span, BOOL), "bool_", expr.span)
    if name in _UFUNC_UNARY:
        return unary(_UFUNC_UNARY[name], x, expr.span)
    if name == "square":
        return binary("*", x, x, expr.span) if cls != "bool_" else _refuse(expr, cls)
    if name in ("real", "imag", "conjugate"):
        return _part(replace(expr, fn=name), x)
    if name in _UFUNC_TEST:
        return replace(expr, args=(x,), type=scalar("bool_")) if have.rep.is_float else _refuse(expr, cls)
    if name in _UFUNC_FLOAT_ONLY or name == "sign":
        return replace(expr, args=(x,), type=have) if have.rep.is_float else _refuse(expr, cls)
    if name in _UFUNC_FLOAT:
        result = float_loop(have.rep)
        if result is None:
            return _refuse(expr, cls)
        loop = NP_CLASS_OF_REP[result]
        return replace(expr, args=(cast(x, result, NO_CHECKS, loop, expr.span),), type=scalar(loop))
    raise _unknown(expr)


def _refuse(expr: Call, cls: str) -> Expr:
    raise _unknown(expr, f"the argument is a {words((cls,))}")


def float_loop(rep: Rep) -> Rep | None:
    """The representation a float-only ufunc computes in: the first of its loops ("e", "f", "d") that holds `rep`.
    None for the half-precision and complex loops."""
    if rep.is_complex or rep.bits == 8:
        return None
    return Rep.F32 if rep is Rep.F32 or rep.bits == 16 else Rep.F64


def float_loop_2(a: str, b: str) -> Rep | None:
    """`float_loop` for two operands: each is cast on its own to the first loop that holds both (NEP 50)."""
    if is_weak(a) or is_weak(b):
        weak, strong = (a, b) if is_weak(a) else (b, a)
        return float_loop(REP_OF_CLASS[strong]) if weak == "int" else REP_OF_CLASS[promote(a, b)]
    loops = {float_loop(REP_OF_CLASS[c]) for c in (a, b)}
    return Rep.F64 if Rep.F64 in loops else Rep.F32 if Rep.F32 in loops else None


def _common_loop(expr: Call, x: Expr, y: Expr, loop: Callable[[str, str], Rep | None]) -> Expr:
    """A two-argument ufunc whose loops take and give one dtype: that of `loop` for the operands' classes."""
    _need_real(expr, (x, y))
    reps = {loop(a, b) for a in type_of(x).classes for b in type_of(y).classes}
    rep = reps.pop()
    if reps:
        raise _unknown(expr, "its arguments have different types on different paths")
    if rep is None:
        raise _unknown(expr, f"its arguments are {words(type_of(x).classes)} and {words(type_of(y).classes)}")
    cls = NP_CLASS_OF_REP[rep]
    return replace(expr, args=tuple(_weak(arg, rep, cls, expr.span) for arg in (x, y)), type=scalar(cls))


def _weak(x: Expr, rep: Rep, cls: str, span: Span) -> Expr:
    """An operand in the common dtype; a Python int must fit an integer dtype, or OverflowError."""
    if rep is Rep.F32 and type_of(x).rep.is_int and type_of(x).rep.bits == 64:
        x = cast(x, Rep.F64, _EXACT, "float64", span)
    return cast(x, rep, _RANGE, cls, span)
