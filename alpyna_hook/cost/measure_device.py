"""The figures of an accelerator: launches, transfers, memory, rates, and how many work items fill it.

In: an opened `devices.base.Accelerator` (only its methods are used, so that any of its kind can be measured), its
variant, clocks, a time budget.  Out: `DeviceFigures`; an exception of the vendor's package for a device that fails.

Each figure has an equal share of the time that the ones before it have left. Work grows until it fills its share, so
that a device that is slow is measured with less of it.

Each time is the least of several: a device that is busy with something else is only ever slower. But for that of a
launch: the median of some that each come after a rest, as in a program, whose device, or its threads, has gone idle.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any, TypeVar

from alpyna_hook.cost.machine import DeviceFigures, typical_device
from alpyna_hook.cost.noise import Clocks
from alpyna_hook.devices.staging import Staging
from alpyna_hook.ir.plan import DeviceKernel

SMALL, LARGE = 4 << 10, 32 << 20  # bytes of the transfers that latency and rate are taken from
LAUNCHES = 20
OPERATIONS = 8 * 8192  # of each work item of the rate kernels: long against a launch
ENOUGH = 0.9  # share of the full rate at which a device counts as filled
REST_S = 3e-4
RESTED = 15  # launches after a rest
FIGURES = ("launch", "enqueue", "to", "from", "memory", "f64", "f32", "int", "saturate")
_GROWTH = 4  # of the work, from one try to the next
_LEAST_TRIPS = 32  # of the rate kernels
_T = TypeVar("_T")

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


def measure(
    device: Any, variant: str, budget: float, clocks: Clocks = Clocks(), latest: float = float("inf")
) -> DeviceFigures:  # fmt: skip
    """All figures in about `budget` seconds, compiling not included, and not beyond `latest` on the clock. A figure
    that the time does not suffice for is a typical one, and named in `missing`. TimeoutError: there was no time for
    any."""
    with device.lock, device.current():
        start = clocks.wall()
        functions, cached = device.build(_HEADS[variant] + _SOURCE, _KERNELS)
        built = clocks.wall() - start
        end = min(clocks.wall() + budget, latest)
        if clocks.wall() >= end:
            raise TimeoutError("no time was left to measure it")
        typical = typical_device(variant)
        return _Bench(device, functions, end, clocks).figures(built if cached == "miss" else 0.25, typical)


class _Bench:
    """One device with its kernels, until `end` on the clock."""

    def __init__(self, device: Any, functions: tuple[Any, ...], end: float, clocks: Clocks) -> None:
        self._device, self._end, self._clocks = device, end, clocks
        self._nothing, self._stream, self._f64, self._f32, self._int = functions
        self._rows = device.style == "rows"
        self._waiting = len(FIGURES)
        self._trips = _LEAST_TRIPS
        self._hot = 0.0  # seconds of a launch of nothing

    def figures(self, build_s: float, typical: DeviceFigures) -> DeviceFigures:
        device = self._device
        missing: list[str] = []

        def found(name: str, other: _T, work: Callable[[float], _T]) -> _T:
            """What `work` finds in its share of the time that is left."""
            left = self._end - self._clocks.wall()
            share, self._waiting = left / self._waiting, self._waiting - 1
            if left > 0.0:
                return work(share)
            missing.append(name)
            return other

        launch = found("launch", typical.launch_s, self._launch)
        enqueue = found("enqueue", typical.enqueue_s, self._each)
        to_s, to_bps = found("to", (typical.to_s, typical.to_bps), partial(self._transfer, True))
        from_s, from_bps = found("from", (typical.from_s, typical.from_bps), partial(self._transfer, False))
        bandwidth = found("memory", typical.bandwidth, self._bandwidth)
        rates = {
            kind: found(kind, typical.rates[kind], partial(self._full_rate, function))
            for kind, function in (("f64", self._f64), ("f32", self._f32), ("int", self._int))
        }
        saturate = found("saturate", typical.saturate, partial(self._saturate, rates["f64"]))
        return DeviceFigures(
            device.name, device.style, device.shares_memory, launch, enqueue, to_s, to_bps, from_s, from_bps, bandwidth,
            rates, saturate, build_s, tuple(missing),
        )  # fmt: skip

    def _once(self, action: Callable[[], object]) -> float:
        """Seconds of `action` and all that it left in the queue."""
        start = self._clocks.wall()
        action()
        self._device.finish()
        return max(self._clocks.wall() - start, 1e-9)

    def _best(self, action: Callable[[], object], share: float) -> float:
        """The least of the seconds that `action` takes, as often as `share` seconds allow, after one time that does not
        count."""
        end = self._clocks.wall() + share
        best = self._once(action)
        if self._clocks.wall() >= end:
            return best
        best = self._once(action)
        while self._clocks.wall() < end:
            best = min(best, self._once(action))
        return best

    def _largest(self, action: Callable[[int], object], least: int, most: int, share: float) -> int:
        """How much work fits a few times into `share` seconds: of a device that is slow, less than `most`."""
        amount = least
        while amount < most and 4 * _GROWTH * self._once(lambda: action(amount)) < share:
            amount = min(_GROWTH * amount, most)
        return amount

    def _net(self, seconds: float) -> float:
        """Without the launch itself, which counts where a slow device was given little to do."""
        return max(seconds - self._hot, 0.2 * seconds)

    def _launch(self, share: float) -> float:
        """Median seconds of a launch after a rest; not less than in a row."""
        items = self._device.limits.lanes if self._rows else 1
        hot = self._best(lambda: self._enqueue(self._nothing, 1, (0,)), share / 2)
        end = self._clocks.wall() + share / 2
        found: list[float] = []
        while len(found) < RESTED and (len(found) < 3 or self._clocks.wall() < end):
            time.sleep(REST_S)
            found.append(self._once(lambda: self._enqueue(self._nothing, items, (0,))))
        self._hot = hot
        return max(median(found), hot)

    def _each(self, share: float) -> float:
        """Seconds of a further launch that nobody waits for."""

        def many() -> None:
            for _ in range(LAUNCHES):
                self._enqueue(self._nothing, 1, (0,))

        hot = self._best(lambda: self._enqueue(self._nothing, 1, (0,)), share / 2)
        return max((self._best(many, share / 2) - hot) / (LAUNCHES - 1), 0.02 * hot)

    def _enqueue(self, function: Any, items: int, args: tuple[Any, ...]) -> None:
        """At least `items` work items, in groups of a size that the device takes."""
        group = 1 if self._rows else max(min(256, self._device.most_items(function), items), 1)
        self._device.launch(function, (-(-items // group),), (group,), args)

    def _transfer(self, there: bool, share: float) -> tuple[float, float]:
        """(latency, bytes per second) to the device, or back."""
        import numpy as np

        device = self._device
        host = np.zeros(LARGE, np.uint8)
        if device.shares_memory:
            return 0.5 * self._best(lambda: device.unwrap(device.wrap(host[:SMALL], True)), share), 1e12
        buffer, copies = device.allocate(LARGE), Staging(device)

        def copy(size: int) -> None:
            if there:
                copies.upload(buffer, host[:size])
            else:
                copies.download(host[:size], buffer)

        try:
            small = self._best(lambda: copy(SMALL), share / 4)
            size = self._largest(copy, 16 * SMALL, LARGE, share)
            large = self._best(lambda: copy(size), share / 2)
        finally:
            copies.drain()
            device.release(buffer)
        return small, (size - SMALL) / max(large - small, 1e-9)

    def _bandwidth(self, share: float) -> float:
        """Bytes per second of the device's memory: two loads and a store per element."""
        device = self._device
        x, y = device.allocate(LARGE), device.allocate(LARGE)

        def stream(count: int) -> None:
            self._enqueue(self._stream, device.limits.lanes, (x, y, count, int(self._rows)))

        try:
            device.clear(x, LARGE)
            device.clear(y, LARGE)
            count = self._largest(stream, 1 << 16, LARGE // 8, share)
            return 24.0 * count / self._net(self._best(lambda: stream(count), share / 2))
        finally:
            device.release(x)
            device.release(y)

    def _full_rate(self, function: Any, share: float) -> float:
        """Operations per second of the whole device."""
        lanes: int = self._device.limits.lanes
        out = self._device.allocate(8 * (lanes + 256))
        try:
            work = partial(self._enqueue, function, lanes)
            trips = self._largest(lambda trips: work((out, trips)), _LEAST_TRIPS, OPERATIONS // 8, share)
            if function is self._f64:
                self._trips = trips
            return lanes * 8 * trips / self._net(self._best(lambda: work((out, trips)), share / 2))
        finally:
            self._device.release(out)

    def _saturate(self, full: float, share: float) -> int:
        """The fewest work items that reach ENOUGH of the full rate, in steps of four; of two where they are few."""
        lanes: int = self._device.limits.lanes
        items, step = (1, 2) if self._rows else (32, 4)
        out = self._device.allocate(8 * (lanes + 256))
        each = share / len(range(0, lanes.bit_length(), step.bit_length() - 1))

        def rate() -> float:
            work = partial(self._enqueue, self._f64, items, (out, self._trips))
            return items * 8 * self._trips / self._net(self._best(work, each))

        try:
            while items < lanes and rate() < ENOUGH * full:
                items *= step
        finally:
            self._device.release(out)
        return min(items, lanes)
