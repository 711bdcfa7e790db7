"""Operation semantics: what one Python operator does to operands of two known classes.

In: an operator and the classes of its operands.  Out: a `Rule` (class of the result, representation the
operation is carried out in, what to watch) or a `Refusal` in words, where Python raises or where the result
is not modelled.  Every rule is compared with real CPython and NumPy in tests/analysis/test_inference_classes.py.

A rule describes machine operations that do not depend on classes: all that sets a Python float apart from a
`numpy.float64` is in the checks.  NumPy's floating-point operations need none: they warn when a floating-point
status flag rises, and kernels test the flags at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from alpyna_hook.analysis.promotion import is_integer, is_python, promote, words
from alpyna_hook.ir.nodes import BinaryOp, Check, CompareOp, UnaryOp
from alpyna_hook.ir.types import REP_OF_CLASS, Rep

NO_CHECKS: frozenset[Check] = frozenset()


@dataclass(frozen=True, slots=True)
class Operand:
    """How one operand reaches the representation of the operation: by way of `via`, watching `checks`."""

    via: Rep | None = None
    checks: frozenset[Check] = NO_CHECKS


@dataclass(frozen=True, slots=True)
class Rule:
    """`result` class; `rep` both operands are converted to; `op` if the machine operation is another one."""

    result: str
    rep: Rep
    checks: frozenset[Check] = NO_CHECKS
    left: Operand = Operand()
    right: Operand = Operand()
    op: BinaryOp | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an operation is left to the interpreter: a sentence."""

    why: str


Verdict: TypeAlias = Rule | Refusal

_BITWISE = ("&", "|", "^")
_SHIFTS = ("<<", ">>")


def binary(op: BinaryOp, left: str, right: str, exponent: int | None = None) -> Verdict:
    """`left op right`. `exponent`: value of the right operand if it is an int constant (only `**` asks)."""
    if "complex" in promote(left, right):
        return _complex_binary(op, left, right)
    if is_python(left) and is_python(right):
        return _python_binary(op, left, right, exponent)
    return _numpy_binary(op, left, right)


def _python_binary(op: BinaryOp, left: str, right: str, exponent: int | None) -> Verdict:
    """bool, int and float with each other: CPython's longobject.c and floatobject.c."""
    if promote(left, right) == "float":
        return _python_float(op, left, right)
    if op == "/":
        # long_true_divide rounds correctly, as the division of two exactly converted doubles does
        exact = Operand(checks=frozenset(("exact53",)))
        return Rule("float", Rep.F64, frozenset(("zero",)), exact, exact)
    if op in _BITWISE and left == right == "bool":
        return Rule("bool", Rep.BOOL)
    if op == "**" and exponent is not None:
        if exponent < 0:
            return Rule("float", Rep.F64, frozenset(("domain",)))
        return Rule("int", Rep.I64, frozenset(("overflow",)))
    return Rule("int", Rep.I64, _integer_checks(op))


def _integer_checks(op: BinaryOp) -> frozenset[Check]:
    match op:
        case "+" | "-" | "*":
            return frozenset(("overflow",))
        case "//" | "%":
            return frozenset(("zero", "overflow"))
        case "**" | "<<":
            return frozenset(("negative", "overflow"))
        case ">>":
            return frozenset(("negative",))
        case _:
            return NO_CHECKS


def _python_float(op: BinaryOp, left: str, right: str) -> Verdict:
    match op:
        case "+" | "-" | "*":
            return Rule("float", Rep.F64)
        case "/" | "//" | "%":
            return Rule("float", Rep.F64, frozenset(("zero",)))
        case "**":
            return Rule("float", Rep.F64, frozenset(("domain",)))
        case _:
            return _type_error(op, left, right)


def _numpy_binary(op: BinaryOp, left: str, right: str) -> Verdict:
    """At least one NumPy operand, none complex: scalarmath.c.src and the ufunc loops it mirrors."""
    result = promote(left, right)
    if result == "bool_":
        return _numpy_bools(op, left, right)
    rep = REP_OF_CLASS[result]
    if rep.is_float:
        if op in _BITWISE or op in _SHIFTS:
            return _type_error(op, left, right)
        if op == "**" and result not in (left, right):
            # scalarmath has no common dtype: array power, whose algorithm depends on the exponent's value
            return Refusal(f"NumPy computes `**` of {_two(left, right)} as an array operation.")
        return Rule(result, rep, NO_CHECKS, _to_float(left, rep), _to_float(right, rep))
    if op == "/":
        return Rule("float64", Rep.F64, NO_CHECKS, _by_way_of(left, rep), _by_way_of(right, rep))
    checks = _integer_checks(op)
    if op == "<<":
        checks = frozenset(("negative",))  # bits shifted out are dropped without a warning
    return Rule(result, rep, checks, _to_int(left, rep), _to_int(right, rep))


def _to_int(cls: str, rep: Rep) -> Operand:
    """A Python int that does not fit the NumPy operand's dtype raises OverflowError."""
    if cls == "int" and rep is not Rep.I64:
        return Operand(checks=frozenset(("range",)))
    return Operand()


def _by_way_of(cls: str, rep: Rep) -> Operand:
    """True division of NumPy integers: a Python int is converted to the other's dtype first."""
    if cls == "int" and rep is not Rep.I64:
        return Operand(rep, frozenset(("range",)))
    return Operand()


def _to_float(cls: str, rep: Rep) -> Operand:
    """NumPy converts a Python int to float32 by way of a C double."""
    return Operand(via=Rep.F64) if cls == "int" and rep is Rep.F32 else Operand()


def _numpy_bools(op: BinaryOp, left: str, right: str) -> Verdict:
    """bool_ with bool_ or bool: `+` is `or`, `*` is `and`, the rest computes in int8."""
    match op:
        case "+" | "|":
            return Rule("bool_", Rep.BOOL, op="|")
        case "*" | "&":
            return Rule("bool_", Rep.BOOL, op="&")
        case "^":
            return Rule("bool_", Rep.BOOL)
        case "-":
            return _type_error(op, left, right)
        case "/":
            return Rule("float64", Rep.F64)
        case "<<":
            return Rule("int8", Rep.I8, frozenset(("negative",)))
        case _:
            return Rule("int8", Rep.I8, _integer_checks(op))


def _complex_binary(op: BinaryOp, left: str, right: str) -> Verdict:
    if op == "**":
        return Refusal("Powers of complex numbers are not compiled.")
    if op not in ("+", "-", "*", "/"):
        return _type_error(op, left, right)
    result = promote(left, right)
    if (left, right) == ("complex", "float64"):
        result = "complex"  # numpy.float64 is a float: complex.__add__ takes it, and it comes first
    if op != "/":
        return Rule(result, REP_OF_CLASS[result])
    # two algorithms under one sign; naming one keeps `agree` from mixing them
    own = is_python(result)
    return Rule(result, REP_OF_CLASS[result], frozenset(("zero",)) if own else NO_CHECKS, op=None if own else "/")


def compare(op: CompareOp, left: str, right: str) -> Verdict:
    """`left op right`: bool between Python's classes, bool_ as soon as a NumPy scalar answers."""
    common = promote(left, right)
    pythonic = is_python(left) and is_python(right)
    result = "bool" if pythonic else "bool_"
    if "complex" in common:
        if op not in ("==", "!="):
            return Refusal("Complex numbers have no order.")
        if (left, right) in (("complex", "float64"), ("float64", "complex")):
            return Refusal(f"The comparison of {_two(left, right)} is not compiled.")
    rep = REP_OF_CLASS[common]
    if is_integer(left) and is_integer(right) and "int" in (left, right):
        return _compare_ints(left, right, result)
    return Rule(result, rep, NO_CHECKS, _compared(left, rep), _compared(right, rep))


def _compare_ints(left: str, right: str, result: str) -> Verdict:
    """A Python int is compared with any NumPy integer by value, even out of the dtype's range."""
    fits = Operand(checks=frozenset(("range",)))
    return Rule(result, Rep.I64, NO_CHECKS, fits, fits)


def _compared(cls: str, rep: Rep) -> Operand:
    """Python compares an int with a float exactly and NumPy rounds it first: they agree on exact conversions."""
    if is_integer(cls) and not rep.is_int and REP_OF_CLASS[cls].bits == 64:
        return Operand(checks=frozenset(("exact53",)))
    return Operand()


def unary(op: UnaryOp, cls: str) -> Verdict:
    """`op operand` for `-`, `+` and `~` (`not` is a truth test: see `inference`)."""
    rep = REP_OF_CLASS[cls]
    if op == "~":
        if cls == "bool_":
            return Rule("bool_", Rep.BOOL)
        if not rep.is_int:
            return Refusal(f"`~` of a {words((cls,))} raises TypeError or is deprecated.")
        return Rule(cls, rep)
    if cls == "bool_":
        return Refusal(f"`{op}` of a np.bool raises TypeError.")
    if cls == "bool":
        return Rule("int", Rep.I64)
    return Rule(cls, rep, frozenset(("overflow",)) if op == "-" and rep.is_int else NO_CHECKS)


def absolute(cls: str) -> Verdict:
    """`abs(operand)`: the magnitude, in the operand's class (complex: the matching float class)."""
    rep = REP_OF_CLASS[cls]
    match cls:
        case "bool":
            return Rule("int", Rep.I64)
        case "complex":
            return Rule("float", Rep.C128, frozenset(("domain",)))
        case "complex64":
            return Rule("float32", Rep.C64)
        case "complex128":
            return Rule("float64", Rep.C128)
        case _:
            return Rule(cls, rep, frozenset(("overflow",)) if rep.is_int and rep.is_signed else NO_CHECKS)


def _type_error(op: str, left: str, right: str) -> Refusal:
    return Refusal(f"`{op}` of {_two(left, right)} raises TypeError.")


def _two(left: str, right: str) -> str:
    return f"{words((left,))} and {words((right,))}"
