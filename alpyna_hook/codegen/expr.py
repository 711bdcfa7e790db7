"""Typed expressions -> C text, with no more parentheses than C needs to keep the tree as it is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from alpyna_hook.codegen import hide, nans, powers
from alpyna_hook.codegen.dialect import Dialect
from alpyna_hook.codegen.helpers import CTYPE
from alpyna_hook.codegen.keep import raises_flags
from alpyna_hook.codegen.linear import linear_of, power_of_two
from alpyna_hook.codegen.writer import Writer
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import (
    Binary, Call, Cast, Compare, Const, Dim, Expr, Load, Logical, Mode, Select, Unary, Var,
)  # fmt: skip
from alpyna_hook.ir.types import ArrayType, Rep, ScalarType, Type

# C precedence levels, larger binds tighter
_ATOM, _UNARY, _MUL, _ADD, _SHIFT, _REL, _EQ, _BIT, _AND, _OR, _COND = 15, 14, 13, 12, 11, 10, 9, 7, 4, 3, 2
_LEVEL = {"*": _MUL, "/": _MUL, "%": _MUL, "+": _ADD, "-": _ADD, "&": _BIT, "|": _BIT, "^": _BIT}


@dataclass(slots=True)
class Scope:
    """What expressions are rendered in: names, types, and what rendering finds to be needed.

    names    IR name -> C name (arrays, scalars, counters); a parallel region may override some
    copies   arrays of which a parallel region uses a copy of its own -> C name of the copy
    lanes    scalars expanded over the lanes of a strip -> the lane index they are read with
    faults, keeps  something in the text notes a fault; keeps a value (codegen/keep.py)
    watch_fp  the kernel looks at the floating-point flags; nans: comparisons meet NaNs (codegen/nans.py)
    vector   inside a loop that the C compiler should vectorise
    helpers  collects the helper functions used; ufuncs the NumPy loops, in order of first use
    hidden   constants that the C compiler is not to know (codegen/hide.py): (text, type) -> C name
    """

    names: dict[str, str]
    types: dict[str, Type]
    dialect: Dialect
    copies: dict[str, str] = field(default_factory=dict)
    helpers: dict[str, None] = field(default_factory=dict)
    ufuncs: dict[tuple[str, Rep], str] = field(default_factory=dict)
    lanes: dict[str, str] = field(default_factory=dict)
    lane_counter: tuple[str, str] = ("", "")
    hidden: dict[tuple[str, Rep], str] = field(default_factory=dict)
    faults: bool = False
    keeps: bool = False
    watch_fp: bool = False
    nans: bool = False
    vector: bool = False

    def call(self, helper: str, *args: str, fault: bool = False) -> str:
        """A call of a helper, which is noted as needed; with `fault` it gets the fault flag."""
        self.helpers[helper] = None
        if fault:
            self.faults = True
            args = (*args, "&fault")
        return f"{helper}({', '.join(args)})"

    def array(self, name: str) -> ArrayType:
        kind = self.types[name]
        if not isinstance(kind, ArrayType):
            raise InternalError(f"{name} is not an array")
        return kind


def rep_of(expr: Expr) -> Rep:
    """Representation of a typed expression."""
    if expr.type is None:
        raise InternalError(f"untyped expression {expr}")
    return expr.type.rep


def kept(text: str, rep: Rep, scope: Scope) -> str:
    """`text`, whose value is computed even if nothing uses it."""
    scope.keeps = True
    return scope.call(f"alp_keep_{rep.value}", text, "&kept")


def look_at_flags(scope: Scope, w: Writer) -> None:
    """C lines that note the floating-point flags, once what is kept has been computed."""
    if scope.keeps:
        w.line(scope.dialect.evaluate.format(value="kept"))
    w.line("fp |= alp_fp_raised();")


def render(expr: Expr, scope: Scope) -> str:
    """C text of `expr`."""
    return _render(expr, scope)[0]


def _at(expr: Expr, scope: Scope, level: int) -> str:
    text, own = _render(expr, scope)
    return text if own >= level else f"({text})"


def _render(expr: Expr, scope: Scope) -> tuple[str, int]:
    match expr:
        case Const(value=value):
            return _const(value, rep_of(expr))
        case Var(name=name):
            return _var(name, scope), _ATOM
        case Dim(array=array, axis=axis):
            return f"{scope.names[array]}_n{axis}", _ATOM
        case Load(array=array, index=index, modes=modes):
            return element(array, index, modes, scope), _ATOM
        case Unary():
            return _unary(expr, scope)
        case Binary():
            return _binary(expr, scope)
        case Compare(op=op, left=left, right=right):
            return _compare(op, left, right, scope)
        case Logical(op=op, left=left, right=right):
            level, token = (_AND, "&&") if op == "and" else (_OR, "||")
            if scope.watch_fp and raises_flags(left):  # of no use where the right side is known
                left_text = kept(render(left, scope), Rep.BOOL, scope)
                return f"{left_text} {token} {_at(right, scope, level + 1)}", level
            return f"{_at(left, scope, level + 1)} {token} {_at(right, scope, level + 1)}", level
        case Select(test=test, then=then, other=other):
            parts = (_at(test, scope, _COND + 1), _at(then, scope, _COND + 1), _at(other, scope, _COND))
            return f"{parts[0]} ? {parts[1]} : {parts[2]}", _COND
        case Cast(operand=operand):
            return _cast(operand, rep_of(expr), bool(expr.checks), "exact53" in expr.checks, scope)
        case Call():
            return _call(expr, scope)


def _var(name: str, scope: Scope) -> str:
    if name == scope.lane_counter[0]:
        return scope.lane_counter[1]
    text = scope.names[name]
    return f"{text}[{scope.lanes[name]}]" if name in scope.lanes else text


def _const(value: bool | int | float | complex, rep: Rep) -> tuple[str, int]:
    if rep is Rep.BOOL:
        return ("true" if value else "false"), _ATOM
    if rep.is_complex:
        z = complex(value)
        real = "float" if rep is Rep.C64 else "double"  # and no sum of the two, which loses the sign of a zero
        parts = (f"({real}){_float_const(part, Rep.F64)[0]}" for part in (z.real, z.imag))
        return f"__builtin_complex({', '.join(parts)})", _ATOM
    if rep.is_float:
        return _float_const(float(value.real), rep)
    number = int(value.real)
    if number == -(2**63):
        return "INT64_MIN", _ATOM
    if rep is Rep.U64 and number > 2**31 - 1:
        return f"UINT64_C({number})", _ATOM
    if abs(number) > 2**31 - 1:
        return f"INT64_C({number})", _ATOM if number >= 0 else _UNARY
    return str(number), _ATOM if number >= 0 else _UNARY


def _float_const(value: float, rep: Rep) -> tuple[str, int]:
    if math.isnan(value):
        return "NAN", _ATOM
    if math.isinf(value):
        return ("INFINITY", _ATOM) if value > 0 else ("-INFINITY", _UNARY)
    text = repr(value)
    if rep is Rep.F32:  # via double, as NumPy converts a Python float
        return f"(float){text}", _UNARY
    return text, _UNARY if text.startswith("-") else _ATOM


def typed_const(expr: Expr, scope: Scope, level: int) -> str:
    """An operand where C's own int would be too narrow: constants get their type spelled out."""
    if isinstance(expr, Const) and rep_of(expr).is_int and rep_of(expr).bits == 64:
        return f"({CTYPE[rep_of(expr)]}){_const(expr.value, rep_of(expr))[0]}"
    return _at(expr, scope, level)


def element(array: str, index: tuple[Expr, ...], modes: tuple[Mode, ...], scope: Scope) -> str:
    """`array[index]` as an lvalue."""
    name, kind = scope.names[array], scope.array(array)
    base = scope.copies.get(array, name)
    subs = [_subscript(name, axis, i, m, scope) for axis, (i, m) in enumerate(zip(index, modes, strict=True))]
    if kind.layout == "S":
        terms = [f"{_factor(text, level)} * {name}_s{axis}" for axis, (text, level) in enumerate(subs)]
        return f"{base}[{' + '.join(terms)}]"
    order = range(kind.ndim) if kind.layout == "C" else range(kind.ndim - 1, -1, -1)
    offset, level = "", _ATOM
    for axis in order:
        text, own = subs[axis]
        if not offset:
            offset, level = text, own
            continue
        right = text if own >= _ADD and not text.startswith("-") else f"({text})"
        offset, level = f"{_factor(offset, level)} * {name}_n{axis} + {right}", _ADD
    return f"{base}[{offset}]"


def _factor(text: str, level: int) -> str:
    return text if level >= _MUL else f"({text})"


def _subscript(name: str, axis: int, index: Expr, mode: Mode, scope: Scope) -> tuple[str, int]:
    dim = f"{name}_n{axis}"
    if mode == "checked":
        return scope.call("alp_index", _as_int64(index, scope), dim, fault=True), _ATOM
    if isinstance(index, Const):  # a[-1]
        value = int(index.value.real)
        return (f"{dim} - {-value}", _ADD) if value < 0 else (str(value), _ATOM)
    if mode == "wrap":
        return scope.call("alp_wrap", _as_int64(index, scope), dim), _ATOM
    return _render(index, scope)


def _as_int64(index: Expr, scope: Scope) -> str:
    text = render(index, scope)
    # a uint64 beyond int64 must not wrap into the array
    return f"(int64_t)({text} > INT64_MAX ? INT64_MAX : {text})" if rep_of(index) is Rep.U64 else text


def _unary(expr: Unary, scope: Scope) -> tuple[str, int]:
    rep = rep_of(expr)
    if expr.op == "not":
        return f"!{_at(expr.operand, scope, _UNARY)}", _UNARY
    if expr.op == "+":
        return _render(expr.operand, scope)
    if expr.op == "~":
        return (f"!{_at(expr.operand, scope, _UNARY)}" if rep is Rep.BOOL else
                f"({CTYPE[rep]})~{_at(expr.operand, scope, _UNARY)}"), _UNARY  # fmt: skip
    if "overflow" in expr.checks:
        return scope.call(f"alp_neg_{rep.value}", render(expr.operand, scope), fault=True), _ATOM
    text = _at(expr.operand, scope, _UNARY)
    return (f"-({text})" if text.startswith("-") else f"-{text}"), _UNARY


_INT_HELPER = {"+": "add", "-": "sub", "*": "mul"}


def _binary(expr: Binary, scope: Scope) -> tuple[str, int]:
    rep = rep_of(expr)
    if rep.is_complex:
        return _complex_binary(expr, rep, scope)
    if rep.is_float:
        return _float_binary(expr, rep, scope)
    if rep is Rep.BOOL:  # NumPy's bool arithmetic is logic
        op = {"+": "|", "*": "&"}.get(expr.op, expr.op)
        return f"{_at(expr.left, scope, _BIT + 1)} {op} {_at(expr.right, scope, _BIT + 1)}", _BIT
    return _int_binary(expr, rep, scope)


def _infix(op: str, left: Expr, right: Expr, scope: Scope) -> tuple[str, int]:
    level = _LEVEL[op]
    bit = _ATOM if op in "&|^" else level  # never rely on the precedence of & | ^
    both_const = isinstance(left, Const) and isinstance(right, Const)
    a = typed_const(left, scope, bit) if both_const else _at(left, scope, bit)
    b = _at(right, scope, bit if bit == _ATOM else level + 1)
    return f"{a} {op} {b}", level


def _float_binary(expr: Binary, rep: Rep, scope: Scope) -> tuple[str, int]:
    left, right, op, n = expr.left, expr.right, expr.op, rep.value
    if "exact53" in expr.checks:
        return scope.call(f"alp_exact_sum_{n}", _infix(op, left, right, scope)[0], fault=True), _ATOM
    if op in ("+", "-", "*") or (op == "/" and "zero" not in expr.checks):
        return _infix(op, left, right, scope)
    if op == "**" and rep is Rep.F64 and (power := _power(left, right, "domain" in expr.checks, scope)):
        return power, _ATOM
    a, b = render(left, scope), render(right, scope)
    if op == "/":
        return scope.call(f"alp_div_{n}", a, b, fault=True), _ATOM
    if op in ("//", "%"):
        if "zero" in expr.checks:
            b = scope.call(f"alp_zero_{n}", b, fault=True)
        return scope.call(f"alp_{'floordiv' if op == '//' else 'mod'}_{n}", a, b), _ATOM
    if op == "**":
        if "domain" in expr.checks:
            return scope.call(f"alp_pow_{n}", a, b, fault=True), _ATOM
        return f"{scope.dialect.math('pow', rep)}({a}, {b})", _ATOM
    raise InternalError(f"operator {op} on {n}")


def _power(base: Expr, exponent: Expr, checked: bool, scope: Scope) -> str:
    """A power of doubles that may do without `pow`; "" if there is no helper for it. `checked`: results at which
    CPython raises are faults."""
    value = powers.exponent_of(exponent)
    if value is None or not scope.dialect.libm:
        return ""
    *needed, helper = powers.helpers_of(value, checked)
    scope.helpers |= dict.fromkeys(needed)
    return scope.call(helper, render(base, scope), fault=checked)


def _int_binary(expr: Binary, rep: Rep, scope: Scope) -> tuple[str, int]:
    left, right, op, n, checks = expr.left, expr.right, expr.op, rep.value, expr.checks
    if op in ("&", "|", "^"):
        return _infix(op, left, right, scope)
    if op in _INT_HELPER and "overflow" not in checks:
        return _infix(op, left, right, scope)
    if (linear := linear_of(expr)) is not None:
        constants = (_const(c, rep)[0] for c in (linear.factor, linear.term, *linear.range))
        return scope.call(f"alp_linear_{n}", render(linear.operand, scope), *constants, fault=True), _ATOM
    if op in ("//", "%") and (shift := power_of_two(right)) is not None:  # both floor
        a = _at(left, scope, _UNARY)
        return (f"{a} >> {shift}", _SHIFT) if op == "//" else (f"{a} & {_const(2**shift - 1, rep)[0]}", _BIT)
    a, b = render(left, scope), render(right, scope)
    if op in _INT_HELPER:
        return scope.call(f"alp_{_INT_HELPER[op]}_{n}", a, b, fault=True), _ATOM
    if op in ("//", "%"):
        base = "floordiv" if op == "//" else "mod"
        if checks:
            return scope.call(f"alp_{base}_checked_{n}", a, b, fault=True), _ATOM
        return scope.call(f"alp_{base}_{expr.wraps or 'int'}_{n}", a, b), _ATOM
    if op == "**":
        if checks:
            return scope.call(f"alp_ipow_checked_{n}", a, b, fault=True), _ATOM
        return scope.call(f"alp_ipow_{n}", a, b), _ATOM
    if op == "<<" and "overflow" not in checks:
        return scope.call(f"alp_shl_wrap_{n}", a, b, fault=True), _ATOM
    if op == "<<":
        return scope.call(f"alp_shl_{n}", a, b, fault=True), _ATOM
    if op == ">>":
        return scope.call(f"alp_shr_{n}", a, b, fault=True), _ATOM
    raise InternalError(f"operator {op} on {n}")


def _complex_binary(expr: Binary, rep: Rep, scope: Scope) -> tuple[str, int]:
    n = rep.value
    if expr.op in ("+", "-"):
        return _infix(expr.op, expr.left, expr.right, scope)
    a, b = render(expr.left, scope), render(expr.right, scope)
    if expr.op == "*":
        return scope.call(f"alp_cmul_{n}", a, b), _ATOM
    if expr.op == "/":
        numpy = expr.type is not None and expr.type.is_numpy
        return scope.call(f"alp_{'npcdiv' if numpy else 'cdiv'}_{n}", a, b, fault=True), _ATOM
    raise InternalError(f"operator {expr.op} on {n}")


def _compare(op: str, left: Expr, right: Expr, scope: Scope) -> tuple[str, int]:
    level = _EQ if op in ("==", "!=") else _REL
    if scope.nans and level == _REL and rep_of(left).is_float and rep_of(right).is_float:
        return nans.compare(op, render(left, scope), render(right, scope), scope.helpers), _ATOM
    return f"{_at(left, scope, level + 1)} {op} {_at(right, scope, level + 1)}", level


def _cast(operand: Expr, target: Rep, checked: bool, exact: bool, scope: Scope) -> tuple[str, int]:
    source = rep_of(operand)
    if source is target:
        return _render(operand, scope)
    if isinstance(operand, Const) and target is Rep.F64 and abs(operand.value) <= 2**53:
        return _const(float(operand.value.real), target)
    text = render(operand, scope)
    if target is Rep.BOOL:
        return f"{_at(operand, scope, _EQ + 1)} != 0", _EQ
    if target.is_complex and not source.is_complex:
        return scope.call(f"alp_complex_{target.value}", text, "0"), _ATOM
    if exact and source in (Rep.I64, Rep.U64):
        name = "alp_exact53" if source is Rep.I64 else "alp_exact53_u64"
        return scope.call(name, text, fault=True), _ATOM
    if exact and source is Rep.F64 and target is Rep.F32:
        return scope.call("alp_exact24", text, fault=True), _ATOM
    if target.is_int and source.is_float:
        helper = f"alp_from_f64_{target.value}"
        return (scope.call(helper, text, fault=True), _ATOM) if checked else _plain_cast(operand, target, scope)
    if target.is_int and source.is_int and checked:
        base = "alp_from_u64" if source is Rep.U64 else "alp_from_i64"
        return scope.call(f"{base}_{target.value}", text, fault=True), _ATOM
    return _plain_cast(operand, target, scope)


def _int_of(rounded: str, target: Rep) -> str:
    """A rounded float as an int: adding zero keeps gcc from passing on the sign of -0.0 (see alp_from_f64)."""
    return f"({CTYPE[target]})({rounded} + 0)"


def _plain_cast(operand: Expr, target: Rep, scope: Scope) -> tuple[str, int]:
    if target.is_int and rep_of(operand).is_float:
        return _int_of(f"{scope.dialect.math('trunc', rep_of(operand))}({render(operand, scope)})", target), _UNARY
    if scope.vector and target is Rep.F64 and rep_of(operand) is Rep.I64:
        return scope.call("alp_to_f64", render(operand, scope)), _ATOM
    return f"({CTYPE[target]}){_at(operand, scope, _UNARY)}", _UNARY


# math.NAME whose C name differs, or that need no domain check in any case
_C_NAME = {"fabs": "fabs", "absolute": "fabs", "abs": "fabs", "arctan2": "atan2", "arctan": "atan"}
# correctly rounded by IEEE 754 or plain bit operations: the C library's result is NumPy's
_EXACT_UFUNCS = frozenset(("sqrt", "abs", "absolute", "fabs", "floor", "ceil", "trunc", "rint"))


def _call(expr: Call, scope: Scope) -> tuple[str, int]:
    module, _, fn = expr.fn.rpartition(".")
    rep = rep_of(expr)
    if module == "math":
        return _math_call(fn, expr, rep, scope), _ATOM
    if module == "np":
        return _numpy_call(fn, expr, rep, scope)
    if module == "host":  # codegen/hide.py
        text, level = _render(expr.args[0], scope)
        return hide.rendered(expr.args[0], text if level >= _ADD else f"({text})", rep, scope), _ATOM
    if module == "device":  # codegen/watch.py
        scope.faults = True
        noted = "&odd" if rep is Rep.F32 else "&fault"
        return scope.call(f"alp_{fn}_{rep.value}", render(expr.args[0], scope), noted), _ATOM
    return _builtin_call(fn, expr, rep, scope)


def _math_call(fn: str, expr: Call, rep: Rep, scope: Scope) -> str:
    if fn == "pow" and (power := _power(expr.args[0], expr.args[1], "domain" in expr.checks, scope)):
        return power
    args = [render(a, scope) for a in expr.args]
    if fn in ("isnan", "isinf", "isfinite"):
        return f"{fn}({args[0]})"
    if fn in ("degrees", "radians"):
        return scope.call(f"alp_{fn}", args[0])
    if fn in ("floor", "ceil", "trunc") and rep.is_int:
        rounded = f"{fn}({args[0]})"
        if expr.checks:
            return scope.call(f"alp_from_f64_{rep.value}", rounded, fault=True)
        return f"({_int_of(rounded, rep)})"
    if fn == "log" and len(args) == 2:  # CPython divides the two logarithms
        num, den = (scope.call("alp_math1_f64", f"log({a})", a, fault=True) for a in args)
        return scope.call("alp_div_f64", num, den, fault=True)
    if "domain" not in expr.checks:
        return f"{_C_NAME.get(fn, fn)}({', '.join(args)})"
    if fn == "sqrt":
        return scope.call("alp_sqrt_f64", args[0], fault=True)
    return scope.call(f"alp_math{len(args)}_f64", f"{fn}({', '.join(args)})", *args, fault=True)


def _numpy_call(fn: str, expr: Call, rep: Rep, scope: Scope) -> tuple[str, int]:
    if fn in ("minimum", "maximum") and not rep.is_complex:
        a, b = (render(x, scope) for x in expr.args)
        if not rep.is_float:
            return scope.call(f"alp_{fn[:3]}_{rep.value}", a, b), _ATOM
        if not scope.dialect.numpy_loops:
            return scope.call(f"alp_np{fn[:3]}_{rep.value}", a, b, fault=True), _ATOM
        scope.helpers[f"alp_ufunc2_{rep.value}"] = None
        return scope.call(_pick(f"np{fn[:3]}", rep, scope), _ufunc(fn, rep, scope), "&fp", a, b), _ATOM
    if fn in ("isnan", "isinf", "isfinite", "signbit"):
        return f"({fn}({render(expr.args[0], scope)}) != 0)", _ATOM
    if fn in ("abs", "absolute") and rep.is_int:
        return _int_abs(expr, rep, scope), _ATOM
    if fn in _EXACT_UFUNCS and rep.is_float:
        return f"{scope.dialect.math(_C_NAME.get(fn, fn), rep)}({render(expr.args[0], scope)})", _ATOM
    if not rep.is_float or len(expr.args) > 2:
        raise InternalError(f"no code for {expr.fn} on {rep.value}")
    args = [render(a, scope) for a in expr.args]
    if fn in scope.dialect.functions:
        return f"{scope.dialect.math(scope.dialect.functions[fn], rep)}({', '.join(args)})", _ATOM
    if not scope.dialect.numpy_loops:
        return scope.call(f"alp_{fn}_{rep.value}", *args), _ATOM
    return scope.call(f"alp_ufunc{len(args)}_{rep.value}", _ufunc(fn, rep, scope), "&fp", *args), _ATOM


def _pick(name: str, rep: Rep, scope: Scope) -> str:
    """The helper that picks the smaller or the larger of two values."""
    return nans.helper(name, rep, scope.helpers) if scope.nans and rep.is_float else f"alp_{name}_{rep.value}"


def _ufunc(fn: str, rep: Rep, scope: Scope) -> str:
    """C name of NumPy's loop of `np.fn` for `rep`, which becomes a parameter of the kernel."""
    return scope.ufuncs.setdefault((fn, rep), f"np_{fn}" + ("f" if rep is Rep.F32 else ""))


def _complex_abs(expr: Call, scope: Scope) -> str:
    """CPython and NumPy both end in libm's hypot, as cabs does; CPython raises where the result overflows."""
    (z,) = expr.args
    if "domain" in expr.checks:
        return scope.call(f"alp_cabs_{rep_of(z).value}", render(z, scope), fault=True)
    return scope.call(f"alp_npcabs_{rep_of(z).value}", render(z, scope))


def _int_abs(expr: Call, rep: Rep, scope: Scope) -> str:
    text = render(expr.args[0], scope)
    if "overflow" in expr.checks:
        return scope.call(f"alp_abs_checked_{rep.value}", text, fault=True)
    return scope.call(f"alp_abs_{rep.value}", text) if rep.is_signed else text


def _builtin_call(fn: str, expr: Call, rep: Rep, scope: Scope) -> tuple[str, int]:
    first = expr.args[0]
    match fn:
        case "min" | "max":
            a, b = (render(x, scope) for x in expr.args)
            return scope.call(_pick(fn, rep, scope), a, b), _ATOM
        case "abs" if rep_of(first).is_complex:
            return _complex_abs(expr, scope), _ATOM
        case "abs" if rep.is_float:
            return f"{scope.dialect.math('fabs', rep)}({render(first, scope)})", _ATOM
        case "abs":
            return _int_abs(expr, rep, scope), _ATOM
        case "int" | "float" | "bool":
            return _cast(first, rep, bool(expr.checks), "exact53" in expr.checks, scope)
        case "round" if rep.is_int and rep_of(first).is_float:
            rounded = f"{scope.dialect.math('rint', rep_of(first))}({render(first, scope)})"
            if expr.checks:
                return scope.call(f"alp_from_f64_{rep.value}", rounded, fault=True), _ATOM
            return _int_of(rounded, rep), _UNARY
        case "round" if rep_of(first) is rep:
            return _render(first, scope)
        case "real" | "imag":
            return f"__{fn}__ ({render(first, scope)})", _UNARY
        case "conjugate":
            return f"__builtin_conj{'f' if rep is Rep.C64 else ''}({render(first, scope)})", _ATOM
        case "complex" if len(expr.args) == 2:
            re, im = (render(x, scope) for x in expr.args)
            return scope.call(f"alp_complex_{rep.value}", re, im), _ATOM
    raise InternalError(f"no code for {expr.fn} on {rep.value}")


def scalar_type(scope: Scope, name: str) -> ScalarType:
    """Type of scalar `name`."""
    kind = scope.types[name]
    if not isinstance(kind, ScalarType):
        raise InternalError(f"{name} is not a scalar")
    return kind
