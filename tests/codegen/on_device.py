"""Loops as device programs in tests: specialised, built with PyOpenCL, run as their drivers say."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "analysis")]

from nests import entry_of, nest_of, type_of  # noqa: E402

from alpyna_hook.errors import Rejection  # noqa: E402
from alpyna_hook.ir.plan import DeviceKernel, KernelSource  # noqa: E402
from alpyna_hook.ir.types import UNBOUND, ArrayType, ObjectType, Type  # noqa: E402
from alpyna_hook.pipeline import Request, specialise  # noqa: E402
from alpyna_hook.specialisation import Specialisation  # noqa: E402

DTYPES = {
    "b1": np.uint8, "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "u16": np.uint16,
    "u32": np.uint32, "u64": np.uint64, "f32": np.float32, "f64": np.float64,
}  # fmt: skip
ITEMS = 3  # work items per axis: fewer than most loops have iterations, and no divisor of them


def layout_of(array: np.ndarray) -> str:
    return "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else "S"


def specialised(text: str, device: str, given: Mapping[str, Any], fp: str = "strict") -> Specialisation:
    """The first loop of `text` for these values of its live-ins, with a program for `device`."""
    text = textwrap.dedent(text)
    spec = specialised_site(nest_of(text), device, given, tuple(text.splitlines()), fp)
    assert isinstance(spec, Specialisation), spec
    return spec


def specialised_site(
    nest: Any, device: str, given: Mapping[str, Any], lines: tuple[str, ...], fp: str = "strict",
    restartable: bool = False,
) -> Specialisation | Rejection:  # fmt: skip
    """A nest for these values of its live-ins, with a program for `device`."""
    types: dict[str, Type] = {}
    for live in nest.live_ins:
        if live.optional and live.name not in given:
            types[live.name] = UNBOUND
            continue
        kind = ObjectType(live.intrinsic) if live.role == "function" else type_of(given[live.name])
        if isinstance(kind, ArrayType):
            kind = ArrayType(kind.elem, kind.ndim, layout_of(given[live.name]))  # type: ignore[arg-type]
        types[live.name] = kind
    bound = replace(nest, live_ins=tuple(x for x in nest.live_ins if types[x.name] != UNBOUND))
    return specialise(Request(
        nest, types, entry_of(bound, given), {}, frozenset(), frozenset(), fp,  # type: ignore[arg-type]
        2, lines, restartable, (device,),
    ))  # fmt: skip


@cache
def queue() -> Any:
    import pyopencl as cl

    device = cl.get_platforms()[0].get_devices()[0]
    return cl.CommandQueue(cl.Context([device]))


class Runtime:
    """The `rt` of a driver, on the first OpenCL device."""

    def __init__(self, source: KernelSource) -> None:
        import pyopencl as cl

        assert source.device is not None
        self.cl, self.queue, self.program = cl, queue(), source.device
        built = _built(source.text)
        self.kernels = [getattr(built, k.name) for k in self.program.kernels]
        self.fault = self.buffer(np.zeros(1, np.int32))
        self.out = self.buffer(np.zeros(max(self.program.resident, 1), np.int64))
        self.launches = 0

    def buffer(self, array: np.ndarray) -> Any:
        data = np.ascontiguousarray(array).ravel()
        data = data if data.size else np.zeros(1, data.dtype)
        return self.cl.Buffer(self.queue.context, self.cl.mem_flags.COPY_HOST_PTR, hostbuf=data)

    def fetch(self, buffer: Any, array: np.ndarray) -> np.ndarray:
        if array.size:
            self.cl.enqueue_copy(self.queue, array, buffer)
        return array

    def launch(self, k: int, extents: tuple[int, ...], args: tuple[Any, ...], partials: tuple[Any, ...] = ()) -> None:
        kernel: DeviceKernel = self.program.kernels[k]
        assert len(args) == len(kernel.args) and len(extents) == kernel.axes
        if min(extents) <= 0:
            return
        values = [a if kind == "buffer" else DTYPES[kind](a) for kind, a in zip(kernel.args, args)]
        self.kernels[k](self.queue, (ITEMS,) * kernel.axes, (1,) * kernel.axes, *values, *partials)
        self.launches += 1

    def reduce(self, k: int, extents: tuple[int, ...], args: tuple[Any, ...]) -> list[np.ndarray]:
        kernel = self.program.kernels[k]
        parts = [np.zeros(ITEMS**kernel.axes, DTYPES[rep]) for _, rep in kernel.partials]
        buffers = tuple(map(self.buffer, parts))
        self.launch(k, extents, args, buffers)
        return [self.fetch(b, p) for b, p in zip(buffers, parts)]

    def faulted(self) -> bool:
        return bool(self.fetch(self.fault, np.zeros(1, np.int32))[0])

    def outs(self) -> np.ndarray:
        return self.fetch(self.out, np.zeros(max(self.program.resident, 1), np.int64))


@cache
def _built(text: str) -> Any:
    import warnings

    import pyopencl as cl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cl.CompilerWarning)
        return cl.Program(queue().context, text).build(["-cl-std=CL1.2", "-cl-fp32-correctly-rounded-divide-sqrt"])


def run(spec: Specialisation, given: Mapping[str, Any], fp_mask: int = 13) -> tuple[int, Any]:
    """Runs the program on copies of the arrays, which replace those in `given` if all went well. (return code,
    live-outs by name, or the detail)."""
    source = spec.sources["opencl"]
    assert source.device is not None
    rt = Runtime(source)
    inputs: list[Any] = []
    buffers: dict[str, Any] = {}
    for param in source.params:
        value = given.get(param.name)
        if param.kind == "fp_mask":
            inputs.append(fp_mask)
        elif isinstance(value, np.ndarray):
            buffers[param.name] = rt.buffer(value)
            strides = [math.prod(value.shape[axis + 1 :]) for axis in range(value.ndim)]
            inputs += [buffers[param.name], *value.shape, *strides]
        elif isinstance(value, (bool, int, float, np.number)):
            inputs.append(value.item() if isinstance(value, np.number) else value)
    scope: dict[str, Any] = {}
    exec(source.device.driver, scope)
    code, outs = scope["run"](rt, *inputs)
    if code:
        return code, outs[0]
    for name in source.device.writes:
        array = given[name]
        array[...] = rt.fetch(buffers[name], np.zeros(array.shape, array.dtype))
    found = {}
    for out in source.outs:
        if out.set_slot < 0 or outs[out.set_slot - 1]:
            tag = int(outs[out.tag_slot - 1]) if out.tag_slot >= 0 else 0
            found[out.name] = _as_class(outs[out.slot - 1], out.classes[tag])
    return code, found


def _as_class(value: Any, name: str) -> Any:
    python = {"bool": bool, "int": int, "float": float}
    return python[name](value) if name in python else np.dtype(name.rstrip("_")).type(value)


def interpret(text: str, given: dict[str, Any]) -> None:
    """Runs `text` with these names, as CPython does."""
    exec(compile(textwrap.dedent(text), "test.py", "exec"), given)


def check(text: str, device: str, given: dict[str, Any], fp: str = "strict") -> None:
    """Runs `text` both ways and compares arrays and live-outs bit by bit."""
    spec = specialised(text, device, given, fp)
    assert not spec.without, spec.without
    plain, names = _copied(given), _copied(given)
    interpret(text, plain)
    code, outs = run(spec, names)
    assert code == 0, outs
    for name, value in names.items():
        if isinstance(value, np.ndarray):
            assert value.tobytes() == plain[name].tobytes(), name
    for name, value in outs.items():
        assert type(value) is type(plain[name]), name
        assert np.array(value).tobytes() == np.array(plain[name]).tobytes(), name
    given.update(outs)
    assert {x.name for x in spec.nest.live_outs if x.name in plain} <= outs.keys() | given.keys()


def _copied(given: Mapping[str, Any]) -> dict[str, Any]:
    return {n: v.copy(order="K") if isinstance(v, np.ndarray) else v for n, v in given.items()}


def nvcc(text: str, path: Path) -> None:
    """Compiles CUDA text as the device does."""
    path.write_text(text)
    command = ["nvcc", "-cubin", "-arch=sm_90", "-fmad=false", "-o", str(path.with_suffix(".cubin")), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
