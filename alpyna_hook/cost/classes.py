"""Operation classes: which machine operation and which interpreter operation a typed IR node is.

In: one typed node.  Out: the name of its class, as `counts` tallies it and `machine.Profile` prices it.
"""

from __future__ import annotations

from alpyna_hook.codegen.powers import exponent_of
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import Binary, Call, Cast, Compare, Const, Expr
from alpyna_hook.ir.types import NP_CLASS_OF_REP, Rep, ScalarType

# Interpreter operations, each with the loading of its names and constants:
#   range_iter      one trip of `for i in range(...)`          loop_entry   range(...) built and its iterator made
#   load1 load2 loadn, store1 store2 storen                    one subscript on an ndarray by 1, 2, >= 3 indices
#   int_arith int_div float_arith pow complex_arith            CPython's own numbers
#   np_arith np_int_arith np_pow               a NumPy scalar and one of its class or a Python number
#   np_mixed np_int_float                      NumPy scalars of two classes; a NumPy int and a Python float or complex
#   compare np_compare np_int_compare branch jump unary assign
#   attribute np_attribute                     o.n; z.real of a NumPy complex
#   math_call np_call np_cast                  math.exp(x); np.exp(x); np.float64(x)
#   builtin_call builtin2_call int_call        abs(x); min(x, y), complex(x, y); int(x), round(x)
INTERP_OPS = (
    "range_iter", "loop_entry", "load1", "load2", "loadn", "store1", "store2", "storen",
    "int_arith", "int_div", "float_arith", "pow", "complex_arith", "np_arith", "np_int_arith", "np_pow", "np_mixed",
    "np_int_float", "compare", "np_compare", "np_int_compare", "branch", "jump", "unary", "assign", "attribute",
    "np_attribute", "math_call", "builtin_call", "builtin2_call", "int_call", "np_call", "np_cast",
)  # fmt: skip

_BINARY = {"+": "add", "-": "add", "*": "mul", "/": "div", "**": "pow"}
_BITWISE = ("&", "|", "^", "<<", ">>")
_INLINE = {
    "sqrt": "sqrt", "fabs": "abs", "abs": "abs", "absolute": "abs", "min": "min", "max": "min", "minimum": "min",
    "maximum": "min", "floor": "cvt", "ceil": "cvt", "trunc": "cvt", "round": "cvt", "int": "cvt", "float": "cvt",
    "bool": "cmp", "isnan": "cmp", "isinf": "cmp", "isfinite": "cmp", "copysign": "bit", "degrees": "mul",
    "radians": "mul", "complex": "cvt", "square": "mul", "negative": "neg", "sign": "select",
}  # fmt: skip


def rep_name(expr: Expr) -> str:
    """f64, f32, int or c128 (c64 counts as c128). InternalError if untyped."""
    return _group(_typed(expr).rep)


def _typed(expr: Expr) -> ScalarType:
    if expr.type is None:
        raise InternalError(f"cost counts need typed IR, {type(expr).__name__} has no type")
    return expr.type


def _group(rep: Rep) -> str:
    if rep.is_float:
        return rep.value
    return "c128" if rep.is_complex else "int"


def machine_binary(expr: Binary) -> str:
    """Class of a binary operation, by the representation it is carried out in (that of its left operand)."""
    group = rep_name(expr.left)
    if expr.op in _BITWISE:
        return "bit.int"
    if expr.op in ("//", "%"):
        if expr.wraps:
            return "select.int"
        return _int_division(expr.right) if group == "int" else f"fmod.{group}"
    if expr.op == "/" and group == "int":
        return "div.f64"
    if expr.op == "**" and (group == "int" or (group == "f64" and exponent_of(expr.right) is not None)):
        return "idiv.int"  # a few multiplications and a branch: about a division's time
    return f"{_BINARY[expr.op]}.{group}"


def _int_division(divisor: Expr) -> str:
    """Compilers shift for a power of two, and multiply for another constant (Granlund, Montgomery, PLDI 1994)."""
    while isinstance(divisor, Cast):
        divisor = divisor.operand
    if not isinstance(divisor, Const) or not isinstance(divisor.value, int) or divisor.value == 0:
        return "idiv.int"
    return "bit.int" if abs(divisor.value) & (abs(divisor.value) - 1) == 0 else "mul.int"


def cast_class(expr: Cast) -> str | None:
    """Class of an implicit conversion; None if the representation stays."""
    if expr.type is None or expr.operand.type is None:
        raise InternalError("cost counts need typed IR")
    return None if expr.type.rep is expr.operand.type.rep else f"cvt.{rep_name(expr)}"


def call_class(expr: Call) -> str:
    """Class of an intrinsic: inline operations by their own name, others "libm.NAME" or "npy.NAME"."""
    module, _, name = expr.fn.rpartition(".")
    group = rep_name(expr.args[0]) if expr.args else rep_name(expr)
    if name == "pow":
        return "idiv.int" if group == "int" else f"pow.{group}"
    if name in _INLINE:
        head = _INLINE[name]
        return f"{head}.{group}"
    if name in ("fmod", "remainder", "mod"):
        return f"fmod.{group}"
    if module in ("np", "numpy"):
        return f"cvt.{rep_name(expr)}" if name in _CASTS else f"npy.{name}"
    return f"libm.{name}"


_CASTS = frozenset(NP_CLASS_OF_REP.values())


def interp_binary(expr: Binary | Compare) -> str:
    """Interpreter class of an operation, by what Python saw: operands before implicit casts."""
    types = [_python_type(side) for side in (expr.left, expr.right)]
    arrays = [t for t in types if not t.is_python]
    if arrays:
        return _with_numpy(expr, arrays, [t for t in types if t.is_python])
    if isinstance(expr, Compare):
        return "compare"
    if any(t.rep.is_complex for t in types):
        return "complex_arith"
    if expr.op == "**":
        return "pow"
    if any(t.rep.is_float for t in types):
        return "float_arith"
    return "int_div" if expr.op in ("//", "%", "/") else "int_arith"


def _with_numpy(expr: Binary | Compare, scalars: list[ScalarType], python: list[ScalarType]) -> str:
    """Class of an operation on NumPy `scalars` and `python` numbers, two in all. One of another class has to be
    converted; a Python number has a short way there unless the result is of a third class."""
    whole = [t for t in scalars if t.rep.is_int or t.rep is Rep.BOOL]
    if isinstance(expr, Compare):
        return "np_int_compare" if whole else "np_compare"
    if expr.op == "**":
        return "np_pow"
    if len({t.rep for t in scalars}) > 1:
        return "np_mixed"
    if whole and any(t.rep.is_float or t.rep.is_complex for t in python):
        return "np_int_float"
    return "np_int_arith" if whole else "np_arith"


def _python_type(expr: Expr) -> ScalarType:
    while isinstance(expr, Cast):
        expr = expr.operand
    return _typed(expr)


def interp_call(expr: Call) -> str:
    """Interpreter class of a call."""
    module, _, name = expr.fn.rpartition(".")
    if module in ("np", "numpy"):
        return "np_cast" if name in _CASTS else "np_call"
    if module:
        return "math_call"
    if name in ("real", "imag", "conjugate"):
        return "builtin_call" if _python_type(expr.args[0]).is_python else "np_attribute"
    if name in ("int", "round"):
        return "int_call"
    return "builtin2_call" if len(expr.args) > 1 else "builtin_call"
