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
#   np_arith np_int_arith np_pow                               at least one NumPy scalar among the operands
#   compare np_compare branch jump unary assign attribute
#   math_call builtin_call np_call np_cast                     math.exp(x); abs(x), min(x, y); np.exp(x); np.float64(x)
INTERP_OPS = (
    "range_iter", "loop_entry", "load1", "load2", "loadn", "store1", "store2", "storen",
    "int_arith", "int_div", "float_arith", "pow", "complex_arith", "np_arith", "np_int_arith", "np_pow",
    "compare", "np_compare", "branch", "jump", "unary", "assign", "attribute",
    "math_call", "builtin_call", "np_call", "np_cast",
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
    kinds = {_python_kind(expr.left), _python_kind(expr.right)}
    if isinstance(expr, Compare):
        return "np_compare" if "np" in kinds or "npint" in kinds else "compare"
    if "np" in kinds or "npint" in kinds:
        if expr.op == "**":
            return "np_pow"
        return "np_arith" if "np" in kinds or "float" in kinds else "np_int_arith"
    if "complex" in kinds:
        return "complex_arith"
    if expr.op == "**":
        return "pow"
    if "float" in kinds:
        return "float_arith"
    return "int_div" if expr.op in ("//", "%", "/") else "int_arith"


def _python_kind(expr: Expr) -> str:
    while isinstance(expr, Cast):
        expr = expr.operand
    t = _typed(expr)
    if not t.is_python:
        return "npint" if t.rep.is_int or t.rep is Rep.BOOL else "np"
    if t.rep.is_complex:
        return "complex"
    return "float" if t.rep.is_float else "int"


def interp_call(expr: Call) -> str:
    """Interpreter class of a call."""
    module, _, name = expr.fn.rpartition(".")
    if module in ("np", "numpy"):
        return "np_cast" if name in _CASTS else "np_call"
    return "math_call" if module else "builtin_call"
