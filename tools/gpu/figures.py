"""What the device and its link can do, and what Alpyna's copies and launches make of it.

In: an opened `CudaDevice`.  Out: rows of (name, value, unit, ceiling, share of the ceiling).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import numpy as np

__alpyna__ = False

SIZES = (4096, 1 << 20, 1 << 28)  # bytes
SMALL = 1 << 24  # bytes below which the link's rate is not what a copy's time tells
COPIED = 1 << 29  # bytes, within the device
EMPTY = 'extern "C" __global__ void empty(long long n) { }\n'


def best(work: Callable[[], None], repeats: int = 7) -> float:
    """The least of the seconds that `work` takes."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def measure(device: Any) -> list[dict[str, Any]]:
    """All figures; the device's context is made current here."""
    import pycuda.driver as cuda

    with device.lock, device.current():
        rows = [_launch(device)]
        copy = _device_copy(device, cuda)
        rows.append({"what": "copy within device memory", "value": copy, "unit": "GB/s"})
        for size in SIZES:
            rows += _link(device, cuda, size)
    return rows


def staging(device: Any) -> list[dict[str, Any]]:
    """Copies from and to the shadows of resident arrays, and how fast arrays are compared with shadows."""
    import pycuda.driver as cuda

    size = SIZES[-1]
    with device.lock, device.current():
        start = time.perf_counter()
        shadow = device.staging(size)
        shadow[:] = 1
        rows = [{"what": "new staging memory", "value": size / (time.perf_counter() - start) / 1e9, "unit": "GB/s"}]
        buffer, locked = device.allocate(size), cuda.pagelocked_empty(size, np.uint8)
        locked[:] = 1

        def up() -> None:
            device.send(buffer, 0, shadow)
            device.finish()

        rows += _against("staging memory", size, (
            ("to the device", up, lambda: cuda.memcpy_htod(buffer, locked)),
            ("to the host", lambda: device.fetch(shadow, buffer), lambda: cuda.memcpy_dtoh(locked, buffer)),
        ))  # fmt: skip
        rows += _against("array", size, (
            ("to the device", partial(_brought, device, buffer, shadow), lambda: cuda.memcpy_htod(buffer, locked)),
            ("to the host", partial(_taken_back, device, buffer, shadow), lambda: cuda.memcpy_dtoh(locked, buffer)),
        ))  # fmt: skip
        device.release(buffer)
    return rows + comparing(size)


def _brought(device: Any, buffer: Any, shadow: Any) -> None:
    """A new array, as a call does it that has memory from earlier ones (devices/run.py)."""
    from alpyna_hook import settings
    from alpyna_hook.devices import resident

    for first, behind in resident.refresh(shadow, _ones(shadow.size), True, settings.current().threads):
        device.send(buffer, first, shadow[first:behind])
    device.finish()


def _taken_back(device: Any, buffer: Any, shadow: Any) -> None:
    device.fetch(shadow, buffer)
    np.copyto(_ones(shadow.size), shadow)


@cache
def _ones(size: int) -> Any:
    return np.ones(size, np.uint8)


def comparing(size: int) -> list[dict[str, Any]]:
    """The rates at which arrays, contiguous and strided, are compared with what they were."""
    from alpyna_hook.devices import resident

    rows: list[dict[str, Any]] = []
    square = np.ones((size // 8 // 1024, 1024))
    for name, array in (("contiguous", square), ("columns", square[:, ::2]), ("transposed", square.T)):
        shadow = np.array(array, order="C")
        for threads in (1, 4):
            value = array.nbytes / best(lambda: list(resident.refresh(shadow, array, False, threads))) / 1e9
            rows.append({"what": f"comparing, {name}, threads {threads}", "value": value, "unit": "GB/s"})
    return rows


def _launch(device: Any) -> dict[str, Any]:
    from alpyna_hook.ir.plan import DeviceKernel

    (function,), _ = device.build(EMPTY, (DeviceKernel("empty", ("i64",), 1),))

    def work() -> None:
        for _ in range(100):
            device.launch(function, (1,), (32,), (1,))
        device.finish()

    return {"what": "launch, in a row of 100", "value": best(work) / 100 * 1e6, "unit": "us"}


def _device_copy(device: Any, cuda: Any) -> float:
    """GB/s, reads and writes counted: the ceiling of memory-bound kernels on resident data."""
    size = COPIED
    one, other = device.allocate(size), device.allocate(size)

    def work() -> None:
        cuda.memcpy_dtod(other, one, size)
        cuda.Context.synchronize()

    found = 2 * size / best(work) / 1e9
    device.release(one)
    device.release(other)
    return found


def _link(device: Any, cuda: Any, size: int) -> list[dict[str, Any]]:
    """Both ways: ours from and to ordinary memory, against cuMemcpy from and to page-locked memory."""
    buffer, locked = device.allocate(size), cuda.pagelocked_empty(size, np.uint8)
    plain = np.ones(size, np.uint8)
    locked[:] = 1

    def up() -> None:
        device.upload(buffer, plain)
        device.finish()

    rows = _against(f"{size >> 10} KiB", size, (
        ("to the device", up, lambda: cuda.memcpy_htod(buffer, locked)),
        ("to the host", lambda: device.download(plain, buffer), lambda: cuda.memcpy_dtoh(locked, buffer)),
    ))  # fmt: skip
    device.release(buffer)
    return rows


def _against(
    what: str, size: int, pairs: Iterable[tuple[str, Callable[[], None], Callable[[], None]]]
) -> list[dict[str, Any]]:
    """Rates of copies of `size` bytes: of (direction, ours, the driver's own)."""
    rows = []
    for name, ours, ceiling in pairs:
        most = size / best(ceiling) / 1e9
        value = size / best(ours) / 1e9
        rows.append({
            "what": f"{what} {name}", "value": value, "unit": "GB/s", "ceiling": most, "share": value / most,
            **({"small": True} if size < SMALL else {}),
        })  # fmt: skip
    return rows
