"""Every operation on representative scalar classes, compiled: value, class tag and faults against CPython and NumPy.

One C file per operation holds the kernels of all class pairs, so that a run costs one compilation each.
"""

from __future__ import annotations

import ctypes
import math
import os
import pathlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from alpyna_hook.analysis.inference import live_out_type
from alpyna_hook.codegen import nans
from alpyna_hook.codegen.kernel import render_kernel
from alpyna_hook.devices import toolchain
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.plan import KernelSource, Plan
from alpyna_hook.ir.types import ObjectType, Rep, Type, scalar
from alpyna_hook.runtime import ufuncs
from alpyna_hook.transform.schedule import watches_fp
from tests.analysis.lowering import class_of, make, typed
from tests.analysis.machine import held
from tests.analysis.test_inference_classes import real, same, samples, template

CLASSES = ("bool", "int", "float", "complex", "bool_", "int8", "int64", "uint64", "float32", "float64", "complex64")
BINARY = ("x + y", "x - y", "x * y", "x / y", "x // y", "x % y", "x ** y", "x & y", "x << y", "x >> y", "x < y",
          "x == y", "min(x, y)", "max(x, y)", "x if x > y else y", "math.fmod(x, y)", "np.minimum(x, y)",
          "np.maximum(x, y)", "np.power(x, y)", "np.arctan2(x, y)", "np.logical_xor(x, y)")  # fmt: skip
UNARY = ("-x", "~x", "not x", "abs(x)", "round(x)", "int(x)", "float(x)", "bool(x)", "complex(x)", "math.floor(x)",
         "math.sqrt(x)", "math.log(x)", "math.isnan(x)", "np.exp(x)", "np.abs(x)", "np.rint(x)", "np.float32(x)",
         "np.int8(x)", "np.uint64(x)", "x.real", "x.conjugate()",
         # -0.5 becomes the int 0, which has no sign
         "1.0 * int(x)", "1.0 * round(x)", "1.0 * math.ceil(x)",
         # range tests of the operand, shifts and masks
         "3 * x + 1", "7 - x", "x + 1", "-3 * (x - 1)", "2 * (5 - 3 * x) - 1", "x // 8", "x % 16", "x // 1", "x % 1",
         # powers that may do without libm
         "x ** 2", "x ** 3.0", "x ** 4", "x ** 0.5", "x ** -1", "math.pow(x, 2)", "math.pow(x, -1.0)")  # fmt: skip


class Slot(ctypes.Union):
    _fields_ = [("i", ctypes.c_int64), ("u", ctypes.c_uint64), ("d", ctypes.c_double), ("f", ctypes.c_float),
                ("p", ctypes.c_void_p)]  # fmt: skip


FLAGS = 0x1D  # invalid, divide by zero, overflow, underflow


@pytest.fixture(scope="module")
def tool() -> toolchain.Toolchain:
    class Forgetful:
        def get(self, key: str) -> object:
            return None

        def put(self, key: str, value: object) -> None:
            pass

    found = toolchain.find(None, Forgetful(), 60.0)  # type: ignore[arg-type]
    if isinstance(found, str):
        pytest.skip(found)
    return found


def kernels(expression: str) -> Iterator[tuple[dict[str, str], Nest, KernelSource]]:
    nest = template(expression)
    binary = "y" in re.findall(r"\w+", expression)
    for left in CLASSES:
        for right in CLASSES if binary else ("int",):
            result = typed(nest, x=left, y=right)
            if isinstance(result, Rejection):
                continue
            types: dict[str, Type] = {x.name: ObjectType(x.intrinsic) for x in nest.live_ins}
            types |= {"x": scalar(left), "y": scalar(right)}
            plan = Plan("seq", result, watch_fp=watches_fp(result))
            yield {"x": left, "y": right}, result, render_kernel(plan, types, ())
            if plan.watch_fp and nans.compares_floats(result):
                yield {"x": left, "y": right}, result, render_kernel(replace(plan, nans=True), types, ())


def build(sources: list[KernelSource], tool: toolchain.Toolchain, folder: pathlib.Path) -> ctypes.CDLL:
    """One library with `kernel0`, `kernel1`, ...: what precedes the kernels is shared."""
    shared: dict[str, None] = {}
    bodies = []
    for number, source in enumerate(sources):
        head, _, tail = source.text.partition("int32_t kernel(")
        shared |= dict.fromkeys(part for part in head.split("\n\n") if not part.startswith("/* f:"))
        bodies.append(f"int32_t kernel{number}({tail}")
    flags = (*tool.flags, "-O1", "-fno-trapping-math")
    command = toolchain.command_line(tool, flags, str(folder / "all.so"))
    result = toolchain.run(command, "\n\n".join([*shared, *bodies]), 120.0)
    assert result.returncode == 0, result.output
    return ctypes.CDLL(os.fspath(folder / "all.so"))


def field(rep: Rep) -> str:
    return {Rep.F64: "d", Rep.C128: "d", Rep.F32: "f", Rep.C64: "f", Rep.U64: "u"}.get(rep, "i")


def arguments(source: KernelSource, values: dict[str, object]) -> ctypes.Array[Slot]:
    slots, at = (Slot * 32)(), 1
    for param in source.params:
        if param.kind == "fp_mask":
            slots[at].i = FLAGS
        elif param.kind == "ufunc":
            slots[at].p = ufuncs.address(param.name, param.rep)
        elif param.name in values:
            value = values[param.name]
            rep = scalar(class_of(value)).rep
            parts = (value.real, value.imag) if rep.is_complex else (value,)
            for part in parts:
                setattr(slots[at], field(rep), float(part) if rep.is_float or rep.is_complex else int(part))
                at += 1
            continue
        else:
            continue
        at += 1
    return slots


def outcome(out: ctypes.Array[Slot], source: KernelSource) -> tuple[object, str]:
    """Value and class that come back."""
    (spec,) = source.outs
    rep = Rep(spec.rep)
    cls = spec.classes[out[spec.tag_slot].i if spec.tag_slot >= 0 else 0]
    form = {"bool": "i", "int": "i" if rep.is_int else "d", "float": "d"}.get(cls, field(rep))
    value: object = getattr(out[spec.slot], form)
    if rep.is_complex:
        value = complex(getattr(out[spec.slot], form), getattr(out[spec.slot + 1], field(rep)))
    return held(value, rep), cls


def inputs(expression: str, classes: dict[str, str]) -> Iterator[dict[str, object]]:
    for x in samples(classes["x"]):
        if "y" not in re.findall(r"\w+", expression):
            yield {"x": x}
            continue
        for y in samples(classes["y"])[:8] + [make(classes["y"], 1)]:
            if not re.search(r"<<|\*\*|power", expression) or -400 < y.real < 400:
                yield {"x": x, "y": y}


@pytest.mark.parametrize("expression", BINARY + UNARY)
def test_compiled_operations_agree_with_python(
    expression: str, tool: toolchain.Toolchain, tmp_path: pathlib.Path
) -> None:
    cases = list(kernels(expression))
    library = build([source for _, _, source in cases], tool, tmp_path)
    python = eval(f"lambda x, y=None: {expression}", {"math": math, "np": np})
    answered = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, (classes, nest, source) in enumerate(cases):
            kernel = getattr(library, f"kernel{number}")
            for values in inputs(expression, classes):
                out = (Slot * 8)()
                if kernel(arguments(source, values), out):
                    continue  # a fault: the interpreter answers
                want, value = real(python, *values.values())
                assert want == "value", f"{values}: no fault, but Python {want} {value!r}"
                got, cls = outcome(out, source)
                assert cls == class_of(value), f"{values}: {value!r}"
                assert same(got, held(value, live_out_type(nest, "r").rep)), f"{values}: {value!r}, kernel {got!r}"
                answered += 1
    assert answered > 10
