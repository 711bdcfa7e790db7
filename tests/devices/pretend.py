"""Devices for tests: one that is made of NumPy, and one that wraps any other and fails when it is told to."""

from __future__ import annotations

import contextlib
import ctypes
import signal
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from alpyna_hook.devices.base import DeviceError, Kernel, Limits
from alpyna_hook.ir.plan import DeviceKernel, DeviceProgram, KernelOut, KernelParam, KernelSource
from alpyna_hook.ir.types import FLOAT, ArrayType, Rep, Type

Function = Callable[..., None]  # gets the arguments; buffers as arrays of bytes


class VendorError(Exception):
    """What the pretended vendor's package raises."""


class PretendDevice:
    """An `Accelerator` whose memory is NumPy arrays and whose kernels are the Python functions it is given.

    With `shares_memory` it works on the host's arrays in place, else on copies.
    """

    variant = "opencl"
    style = "grid"
    abilities = frozenset(("fp64", "denorm32", "div32", "atomics64"))
    limits = Limits(64, 256, (2**31 - 1, 65535, 65535))
    memory = 1 << 30

    def __init__(self, functions: Mapping[str, Function], shares_memory: bool = False) -> None:
        self.name = "pretended device"
        self.shares_memory = shares_memory
        self.failure, self.told = "", False
        self.lock = threading.RLock()
        self.live = 0  # buffers not released
        self.queued: list[Any] = []
        self.launches: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
        self._functions = functions

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        yield

    def build(self, text: str, kernels: tuple[DeviceKernel, ...]) -> tuple[tuple[Any, ...], str]:
        return tuple(self._functions[kernel.name] for kernel in kernels), "miss"

    def cached(self, text: str) -> bool:
        return False

    def allocate(self, size: int) -> Any:
        self.live += 1
        return np.full(size, 0xA5, np.uint8)

    def release(self, buffer: Any) -> None:
        self.live -= 1

    def wrap(self, array: Any, write: bool) -> Any:
        assert self.shares_memory
        self.live += 1
        return array

    def unwrap(self, buffer: Any) -> None:
        pass

    def upload(self, buffer: Any, array: Any, first: int = 0) -> None:
        buffer[first : first + array.nbytes] = array.reshape(-1).view(np.uint8)

    def download(self, array: Any, buffer: Any) -> None:
        array.reshape(-1).view(np.uint8)[:] = buffer[: array.nbytes]

    def locked(self, size: int) -> Any:
        return np.full(size, 0x5A, np.uint8)

    def send(self, buffer: Any, first: int, part: Any) -> Callable[[], object]:
        buffer[first : first + part.size] = part
        return lambda: None

    def fetch(self, part: Any, buffer: Any, first: int) -> Callable[[], object]:
        part[:] = buffer[first : first + part.size]
        return lambda: None

    def clear(self, buffer: Any, size: int) -> None:
        buffer[:size] = 0

    def launch(
        self, function: Any, groups: tuple[int, ...], group: tuple[int, ...], args: Sequence[Any],
        after: Sequence[Any] | None = None,
    ) -> None:  # fmt: skip
        self.launches.append((groups, group))
        function(*args)
        self.queued.append(object())

    def most_items(self, function: Any) -> int:
        return 256

    def finish(self) -> None:
        pass

    def explain(self, error: BaseException) -> DeviceError:
        return DeviceError(f"it failed: {error}", lost="lost" in str(error))

    def close(self) -> None:
        pass


class FailingDevice:
    """`device`, but the `nth` call of `operation` (and all later ones, if `for_good`) raises `error`.

    after  the failing call does its work before it raises
    """

    def __init__(
        self, device: Any, operation: str, nth: int = 1, error: BaseException | None = None, for_good: bool = True,
        after: bool = False,
    ) -> None:  # fmt: skip
        self._device, self._operation, self._left = device, operation, nth
        self._error = error or VendorError(f"{operation} was made to fail")
        self._for_good, self._after = for_good, after
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._device, name)
        if name != self._operation:
            return value

        def call(*args: Any) -> Any:
            self._left -= 1
            fails = self._left <= 0 if self._for_good else self._left == 0
            if fails and not self._after:
                self._strike()
            result = value(*args)
            if fails and self._after:
                self._strike()
            return result

        return call

    def _strike(self) -> None:
        self.failed = True
        raise self._error

    @property
    def failure(self) -> str:
        return str(self._device.failure)

    @failure.setter
    def failure(self, reason: str) -> None:
        self._device.failure = reason

    @property
    def told(self) -> bool:
        return bool(self._device.told)

    @told.setter
    def told(self, known: bool) -> None:
        self._device.told = known

    def explain(self, error: BaseException) -> DeviceError:
        return DeviceError(f"it failed: {error}") if isinstance(error, VendorError) else self._device.explain(error)


class Signalling(FailingDevice):
    """`device`, during whose `nth` call of `operation` a signal comes, for which the program has a handler."""

    def _strike(self) -> None:
        signal.raise_signal(signal.SIGALRM)


def time_is_up(number: int, frame: Any) -> None:
    """The program's handler."""
    raise TimeoutError("time is up")


# ---- programs written by hand: y[i] = a * x[i] + y[i], and z[i] = x[i] where that is not negative, else a fault ----

OPENCL = """\
#pragma OPENCL FP_CONTRACT OFF
__kernel void saxpy(long n, double a, __global const double *x, long sx, __global double *y, long sy)
{
    const long g = get_global_id(0), all = get_global_size(0);
    for (long i = n * g / all; i < n * (g + 1) / all; i++)
        y[i * sy] = a * x[i * sx] + y[i * sy];
}
__kernel void positive(long n, __global const double *x, long sx, __global double *z, long sz, __global int *fault)
{
    const long g = get_global_id(0), all = get_global_size(0);
    for (long i = n * g / all; i < n * (g + 1) / all; i++) {
        z[i * sz] = x[i * sx];
        if (x[i * sx] < 0)
            *fault = 1;
    }
}
__kernel void sum(long n, __global const double *x, long sx, __global double *partial)
{
    const long g = get_global_id(0), all = get_global_size(0);
    double s = 0;
    for (long i = n * g / all; i < n * (g + 1) / all; i++)
        s += x[i * sx];
    partial[g] = s;
}
__kernel void last(long n, __global const double *x, long sx, __global double *out)
{
    if (get_global_id(0) == 0)
        out[1] = x[(n - 1) * sx];
}
"""

# The same text for a GPU.
CUDA = """\
#define __kernel extern "C" __global__
#define __global
#define get_global_id(axis) ((long)blockIdx.x * blockDim.x + threadIdx.x)
#define get_global_size(axis) ((long)gridDim.x * blockDim.x)
""" + OPENCL.replace("#pragma OPENCL FP_CONTRACT OFF\n", "")

_ARRAY = ("buffer", "i64")
KERNELS = (
    DeviceKernel("saxpy", ("i64", "f64", *_ARRAY, *_ARRAY), 1),
    DeviceKernel("positive", ("i64", *_ARRAY, *_ARRAY, "buffer"), 1),
    DeviceKernel("sum", ("i64", *_ARRAY), 1, (("+", "f64"),)),
    DeviceKernel("last", ("i64", *_ARRAY, "buffer"), 1),
)

DRIVER = """\
def run(rt, a, x, x_n0, x_s0, y, y_n0, y_s0, z, z_n0, z_s0):
    if not (x_n0 <= y_n0 and x_n0 <= z_n0):
        return 1, [0]
    for _ in range(TIMES):
        rt.launch(0, (x_n0,), (x_n0, a, x, x_s0, y, y_s0))
    rt.launch(1, (x_n0,), (x_n0, x, x_s0, z, z_s0, rt.fault))
    if CHECKED and rt.faulted():
        return 2, [1]
    (sums,) = rt.reduce(2, (x_n0,), (x_n0, x, x_s0))
    rt.launch(3, (1,), (x_n0, x, x_s0, rt.out))
    return 0, [float(rt.outs().view("f8")[1]), 7, float(sums.sum())]
"""
SIMPLE_DRIVER = """\
def run(rt, a, x, x_n0, x_s0, y, y_n0, y_s0, z, z_n0, z_s0):
    rt.launch(0, (x_n0,), (x_n0, a, x, x_s0, y, y_s0))
    return 0, [0.0, 7, 0.0]
"""


def _values(buffer: Any, n: int, stride: int) -> Any:
    """The array in a buffer whose first element is at its start."""
    return buffer[: buffer.size // 8 * 8].view(np.float64)[: (n - 1) * stride + 1 : stride]


def _saxpy(n: int, a: float, x: Any, sx: int, y: Any, sy: int) -> None:
    _values(y, n, sy)[:] = a * _values(x, n, sx) + _values(y, n, sy)


def _positive(n: int, x: Any, sx: int, z: Any, sz: int, fault: Any) -> None:
    _values(z, n, sz)[:] = _values(x, n, sx)
    if (_values(x, n, sx) < 0).any():
        fault.view(np.int32)[0] = 1


def _sum(n: int, x: Any, sx: int, partial: Any) -> None:
    sums = partial[: partial.size // 8 * 8].view(np.float64)
    sums[:] = 0
    sums[0] = _values(x, n, sx).sum()


def _last(n: int, x: Any, sx: int, out: Any) -> None:
    out.view(np.float64)[1] = _values(x, n, sx)[-1]


FUNCTIONS: dict[str, Function] = {"saxpy": _saxpy, "positive": _positive, "sum": _sum, "last": _last}
TYPES: dict[str, Type] = {
    "a": FLOAT, **{n: ArrayType(Rep.F64, 1, "S", n != "x") for n in "xyz"}
}  # fmt: skip
DISJOINT = [("x", "y"), ("x", "z"), ("y", "z")]


def source(driver: str = DRIVER, times: int = 1, checked: bool = True, style: str = "rows") -> KernelSource:
    """The program above; `times` says how often the first kernel is launched."""
    text = driver.replace("TIMES", str(times)).replace("CHECKED", str(checked))
    inputs = ("a", *(f"{n}{suffix}" for n in "xyz" for suffix in ("", "_n0", "_s0")))
    simple = driver is SIMPLE_DRIVER
    program = DeviceProgram(
        style, KERNELS, text, inputs, ("x", "y"), ("y",) if simple else ("y", "z"), () if simple else ("z",),
        resident=4,
    )  # fmt: skip
    outs = (
        KernelOut("t", ("float64",), "f64", 1), KernelOut("i", ("int",), "i64", 2),
        KernelOut("s", ("float",), "f64", 3),
    )  # fmt: skip
    params = tuple(KernelParam("live", name) for name in ("a", "x", "y", "z"))
    return KernelSource(OPENCL, params, outs, 4, checked and not simple, False, device=program)


def call(kernel: Kernel, a: float, *arrays: Any) -> tuple[int, bytes]:
    """Return code and out slots, as the guard would call it."""
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(kernel.address)
    slots = struct.pack("=qd", 1, a)
    for array in arrays:
        slots += struct.pack("=Qqq", array.ctypes.data, array.size, array.strides[0] // array.itemsize)
    out = ctypes.create_string_buffer(4 * 8)
    return function(ctypes.cast(ctypes.c_char_p(slots), ctypes.c_void_p), out), out.raw
