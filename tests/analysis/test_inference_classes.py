"""Every operator on every pair of scalar classes: inferred class and computed value against CPython and NumPy."""

from __future__ import annotations

import math
import re
import struct
import warnings
from collections.abc import Callable

import numpy as np
import pytest

from alpyna_hook.analysis.inference import live_out_type
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.types import scalar
from alpyna_hook.transform.schedule import watches_fp
from tests.analysis.lowering import ALL, class_of, lower, make, typed
from tests.analysis.machine import Fault, held, run

BINARY = ("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>", "<", "<=", "==", "!=", ">", ">=")
UNARY = {"neg": "-x", "pos": "+x", "inv": "~x", "not": "not x", "abs": "abs(x)", "round": "round(x)", "int": "int(x)",
         "float": "float(x)", "bool": "bool(x)", "floor": "math.floor(x)", "ceil": "math.ceil(x)",
         "trunc": "math.trunc(x)", "sqrt": "math.sqrt(x)", "exp": "math.exp(x)", "isnan": "math.isnan(x)",
         "log": "math.log(x)", "log2": "math.log2(x)", "fabs": "math.fabs(x)",
         **{f"np.{f}": f"np.{f}(x)" for f in ("sqrt", "exp", "abs", "floor", "rint", "isnan", "negative", "square",
                                              "sign", "log1p", "logical_not", "invert")},
         **{f"np.{c}": f"np.{c}(x)" for c in ALL[4:]}}  # fmt: skip
CALLS = ("min(x, y)", "max(x, y)", "math.atan2(x, y)", "math.fmod(x, y)", "math.copysign(x, y)", "math.pow(x, y)",
         "math.log(x, y)", "pow(x, y)", "x if x > y else y", "np.minimum(x, y)", "np.maximum(x, y)", "np.add(x, y)",
         "np.divide(x, y)", "np.floor_divide(x, y)", "np.less(x, y)", "np.logical_and(x, y)", "np.arctan2(x, y)",
         "np.hypot(x, y)", "np.fmod(x, y)", "np.bitwise_and(x, y)", "np.left_shift(x, y)", "np.power(x, y)",
         "x and y", "x or y")  # fmt: skip


def samples(cls: str) -> list[object]:
    """Values at the edges of a class."""
    rep = scalar(cls).rep
    if cls in ("bool", "bool_"):
        raw: list[object] = [False, True]
    elif rep.is_int:
        low = -(2 ** (rep.bits - 1)) if rep.is_signed else 0
        high = low + 2**rep.bits - 1
        raw = [v for v in (0, 1, 2, 7, 100, -1, -3, 300, 2**24 + 1, 2**53 + 1, 2**62, low, high) if low <= v <= high]
    elif rep.is_float:
        raw = [0.0, -0.0, 1.0, 2.5, -0.5, -7.0, 0.1, 300.0, 1e30, math.inf, -math.inf, math.nan, 2.0**53]
    else:
        raw = [0j, 1 + 2j, -0.5 - 0j]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [make(cls, v) for v in raw]


def few(cls: str) -> list[object]:
    """Fewer, where both operands vary."""
    values = samples(cls)
    return values if len(values) <= 5 else values[:3] + values[3::3]


def real(f: Callable[..., object], *args: object) -> tuple[str, object]:
    """What Python does: ("value", v), ("warns", v) or ("raises", exception)."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="warn"):
        warnings.simplefilter("always")
        try:
            value = f(*args)
        except Exception as e:  # noqa: BLE001 - any exception of the program under test
            return "raises", e
    return ("warns" if caught else "value"), value


def same(a: object, b: object) -> bool:
    """Equal bit for bit; all NaNs are one."""
    if a != a and b != b:
        return True
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    return bool(a == b)


def check(nest: Nest, f: Callable[..., object], values: dict[str, object]) -> None:
    """The typed nest gives Python's value and class, or faults."""
    want, value = real(f, *values.values())
    env: dict[str, object] = {}
    for name, v in values.items():
        env[name] = held(v, dict(nest.types)[name].rep) if name in dict(nest.types) else None
    try:
        got = run(nest, env)["r"]
    except Fault:
        return
    kind = live_out_type(nest, "r")
    if want == "raises" or want == "warns" and not watches_fp(nest):
        raise AssertionError(f"no fault for {values}: Python {want} {value!r}")
    if want == "warns":
        return  # the FP status flags tell
    cls = class_of(value)
    assert cls in kind.classes, f"{values}: {value!r} is a {cls}, inferred {kind}"
    if len(kind.classes) > 1:
        assert sorted(kind.classes)[env["r.class"]] == cls, f"{values}: tag says {sorted(kind.classes)[env['r.class']]}"
    assert same(got, held(value, kind.rep)), f"{values}: {value!r}, machine {got!r}"


def template(expression: str) -> Nest:
    return lower(f"def f(x, y):\n    for i in range(1):\n        r = {expression}\n    return r\n")


@pytest.mark.parametrize("op", BINARY)
def test_binary_operators_agree_with_python_on_all_class_pairs(op: str) -> None:
    nest = template(f"x {op} y")
    f = eval(f"lambda x, y: x {op} y")
    accepted = 0
    for left in ALL:
        for right in ALL:
            result = typed(nest, x=left, y=right)
            if isinstance(result, Rejection):
                continue
            accepted += 1
            for x in few(left):
                for y in few(right):
                    if op not in ("<<", "**") or -(2**20) < y < 2**20:
                        check(result, f, {"x": x, "y": y})
    assert accepted >= 80


@pytest.mark.parametrize("name", UNARY)
def test_unary_operations_agree_with_python_on_all_classes(name: str) -> None:
    nest = template(UNARY[name])
    f = eval(f"lambda x: {UNARY[name]}", {"math": math, "np": np})
    accepted = 0
    for cls in ALL:
        result = typed(nest, x=cls, y="int")
        if isinstance(result, Rejection):
            continue
        accepted += 1
        for x in samples(cls):
            check(result, f, {"x": x})
    assert accepted


@pytest.mark.parametrize("expression", CALLS)
def test_two_argument_calls_agree_with_python_on_all_class_pairs(expression: str) -> None:
    nest = template(expression)
    f = eval(f"lambda x, y: {expression}", {"math": math, "np": np})
    accepted = 0
    for left in ALL:
        for right in ALL:
            result = typed(nest, x=left, y=right)
            if isinstance(result, Rejection):
                continue
            accepted += 1
            for x in few(left):
                for y in few(right):
                    if not re.search("shift|pow", expression) or -400 < y < 400:
                        check(result, f, {"x": x, "y": y})
    assert accepted >= 4


@pytest.mark.parametrize("constant", ("2", "-1", "0", "300", "-200", "2.5", "True", "1e300", "4611686018427387904"))
@pytest.mark.parametrize("op", ("+", "*", "/", "//", "%", "**", "<", "==", "&", "<<", ">>"))
def test_constant_operands_agree_with_python(op: str, constant: str) -> None:
    nest = template(f"x {op} {constant}")
    f = eval(f"lambda x: x {op} {constant}")
    if op == "<<" and len(constant) > 4:
        return
    for cls in ALL:
        result = typed(nest, x=cls, y="int")
        if isinstance(result, Nest):
            for x in samples(cls):
                if not (op == "**" and len(constant) > 4 and not -1 <= x.real <= 1):
                    check(result, f, {"x": x})
