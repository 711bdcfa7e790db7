"""The figures of an accelerator: launches, transfers, memory, rates, and how many work items fill it.

In: an opened `devices.base.Accelerator` (only its methods are used, so that any of its kind can be measured), its
variant, clocks, a time budget.  Out: `DeviceFigures`; an exception of the vendor's package for a device that fails.

Each time is the least of several: a device that is busy with something else is only ever slower. But for that of a
launch: the median of some that each come after a rest, as in a program, whose device, or its threads, has gone idle.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from alpyna_hook.cost.machine import DeviceFigures
from alpyna_hook.cost.noise import Clocks
from alpyna_hook.devices.staging import Staging
from alpyna_hook.ir.plan import DeviceKernel

SMALL, LARGE = 4 << 10, 32 << 20  # bytes of the transfers that latency and rate are taken from
LAUNCHES = 20
OPERATIONS = 8 * 8192  # of each work item of the rate kernels: long against a launch
ENOUGH = 0.9  # share of the full rate at which a device counts as filled
REST_S = 3e-4
RESTED = 15  # launches after a rest
_SHARES = 14  # timed things among which the budget is divided

_HEADS = {
    "opencl": (
        "#pragma OPENCL EXTENSION cl_khr_fp64 : enable\n#define KERNEL __kernel void\n#define GLOBAL __global\n"
        "#define ITEM get_global_id(0)\n#define ITEMS get_global_size(0)\ntypedef long i64;\n"
    ),
    "cuda": (
        '#define KERNEL extern "C" __global__ void\n#define GLOBAL\ntypedef long long i64;\n'
        "#define ITEM ((i64)blockIdx.x * blockDim.x + threadIdx.x)\n#define ITEMS ((i64)gridDim.x * blockDim.x)\n"
    ),
}  # fmt: skip
_SOURCE = """
KERNEL nothing(i64 n) { }
/* y += x: by runs of neighbouring elements on a CPU, one element per item and trip elsewhere */
KERNEL stream(GLOBAL const double *x, GLOBAL double *y, i64 n, i64 rows) {
    if (rows) {
        i64 each = (n + ITEMS - 1) / ITEMS, first = ITEM * each, end = first + each < n ? first + each : n;
        for (i64 i = first; i < end; i++) y[i] += 1e-9 * x[i];
    } else for (i64 i = ITEM; i < n; i += ITEMS) y[i] += 1e-9 * x[i];
}
#define RATE(NAME, TYPE) KERNEL NAME(GLOBAL TYPE *out, i64 n) { \\
    TYPE a = (TYPE)(ITEM + 1), b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, g = a + 6, h = a + 7; \\
    for (i64 k = 0; k < n; k++) { a = a * b + c; b = b * c + d; c = c * d + e; d = d * a + b; } \\
    out[ITEM] = a + b + c + d + e + f + g + h; }
RATE(rate_f64, double)
RATE(rate_f32, float)
RATE(rate_int, i64)
"""
_KERNELS = (
    DeviceKernel("nothing", ("i64",), 1),
    DeviceKernel("stream", ("buffer", "buffer", "i64", "i64"), 1),
    DeviceKernel("rate_f64", ("buffer", "i64"), 1),
    DeviceKernel("rate_f32", ("buffer", "i64"), 1),
    DeviceKernel("rate_int", ("buffer", "i64"), 1),
)


def measure(device: Any, variant: str, budget: float, clocks: Clocks = Clocks()) -> DeviceFigures:
    """All figures in about `budget` seconds, compiling not included."""
    with device.lock, device.current():
        start = clocks.wall()
        functions, cached = device.build(_HEADS[variant] + _SOURCE, _KERNELS)
        built = clocks.wall() - start
        return _Bench(device, functions, budget / _SHARES, clocks).figures(built if cached == "miss" else 0.25)


class _Bench:
    """One device with its kernels. `share`: seconds per figure."""

    def __init__(self, device: Any, functions: tuple[Any, ...], share: float, clocks: Clocks) -> None:
        self._device, self._share, self._clocks = device, share, clocks
        self._nothing, self._stream, self._f64, self._f32, self._int = functions
        self._rows = device.style == "rows"

    def figures(self, build_s: float) -> DeviceFigures:
        device = self._device
        lanes = device.limits.lanes
        hot = self._best(lambda: self._enqueue(self._nothing, 1, (0,)))
        launch = max(self._rested(lambda: self._enqueue(self._nothing, lanes if self._rows else 1, (0,))), hot)
        queue = self._best(self._many)
        (to_s, to_bps), (from_s, from_bps) = self._transfers()
        return DeviceFigures(
            device.name, device.style, device.shares_memory, launch,
            max((queue - hot) / (LAUNCHES - 1), 0.02 * hot), to_s, to_bps, from_s, from_bps, self._bandwidth(),
            {
                "f64": self._rate(self._f64, lanes), "f32": self._rate(self._f32, lanes),
                "int": self._rate(self._int, lanes),
            },
            self._saturate(lanes), build_s,
        )  # fmt: skip

    def _best(self, action: Callable[[], object]) -> float:
        """Least seconds of `action` and all that it left in the queue, after one that is not timed."""
        action()
        self._device.finish()
        best, end = float("inf"), self._clocks.wall() + self._share
        while True:
            start = self._clocks.wall()
            action()
            self._device.finish()
            now = self._clocks.wall()
            best = min(best, max(now - start, 1e-9))
            if now >= end:
                return best

    def _rested(self, action: Callable[[], object]) -> float:
        """Median seconds of `action` after a rest."""
        found = []
        for _ in range(RESTED):
            time.sleep(REST_S)
            start = self._clocks.wall()
            action()
            self._device.finish()
            found.append(self._clocks.wall() - start)
        return median(found)

    def _enqueue(self, function: Any, items: int, args: tuple[Any, ...]) -> None:
        """At least `items` work items, in groups of a size that the device takes."""
        group = 1 if self._rows else max(min(256, self._device.most_items(function), items), 1)
        self._device.launch(function, (-(-items // group),), (group,), args)

    def _many(self) -> None:
        for _ in range(LAUNCHES):
            self._enqueue(self._nothing, 1, (0,))

    def _transfers(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(latency, bytes per second) there and back."""
        import numpy as np

        device = self._device
        small, large = np.zeros(SMALL // 8), np.zeros(LARGE // 8)
        if device.shares_memory:
            each = 0.5 * self._best(lambda: device.unwrap(device.wrap(small, True)))
            return (each, 1e12), (each, 1e12)
        buffers = [device.allocate(SMALL), device.allocate(LARGE)]
        copies = Staging(device)
        try:
            pairs = list(zip(buffers, (small, large)))
            there = [self._best(partial(copies.upload, buffer, array)) for buffer, array in pairs]
            back = [self._best(partial(copies.download, array, buffer)) for buffer, array in pairs]
        finally:
            copies.drain()
            for buffer in buffers:
                device.release(buffer)
        first, second = ((s[0], (LARGE - SMALL) / max(s[1] - s[0], 1e-9)) for s in (there, back))
        return first, second

    def _bandwidth(self) -> float:
        """Bytes per second of the device's memory: two loads and a store per element."""
        device, count = self._device, LARGE // 8
        x, y = device.allocate(LARGE), device.allocate(LARGE)
        try:
            device.clear(x, LARGE)
            device.clear(y, LARGE)
            lanes = device.limits.lanes
            return 24.0 * count / self._best(lambda: self._enqueue(self._stream, lanes, (x, y, count, int(self._rows))))
        finally:
            device.release(x)
            device.release(y)

    def _rate(self, function: Any, items: int) -> float:
        """Operations per second of so many work items."""
        device = self._device
        out = device.allocate(8 * (items + 256))
        try:
            seconds = self._best(lambda: self._enqueue(function, items, (out, OPERATIONS // 8)))
        finally:
            device.release(out)
        return items * OPERATIONS / seconds

    def _saturate(self, lanes: int) -> int:
        """The fewest work items, in steps of four, that reach ENOUGH of the full rate."""
        full, share = self._rate(self._f64, lanes), self._share
        self._share = share / 4.0
        try:
            items = 1 if self._rows else 32
            while items < lanes and self._rate(self._f64, items) < ENOUGH * full:
                items *= 2 if self._rows else 4
        finally:
            self._share = share
        return min(items, lanes)
