"""What the device and its link can do, and what Alpyna's copies and launches make of it.

In: an opened `CudaDevice`.  Out: rows of (name, value, unit, ceiling, share of the ceiling), with `wrong` where
copies did not bring what was sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

__alpyna__ = False

SIZES = (4096, 1 << 20, 1 << 24, 1 << 26, 1 << 28, 1 << 30)  # bytes
SHADOWED = 1 << 28  # bytes
SMALL = 1 << 26  # bytes below which a copy's time tells of its beginning and end more than of the link's rate
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
            for name, array in views(size):
                rows += _link(device, cuda, name, array)
    return rows


def shadows(device: Any) -> list[dict[str, Any]]:
    """Copies of arrays that have a shadow, which go there and back with them, and how fast the two are compared."""
    import pycuda.driver as cuda

    size = min(SHADOWED, SIZES[-1])
    with device.lock, device.current():
        rows = _link(device, cuda, "with a shadow", np.ones(size, np.uint8), np.ones(size, np.uint8))
    return rows + comparing(size)


def comparing(size: int) -> list[dict[str, Any]]:
    """The rates at which arrays, contiguous and strided, are compared with what they were."""
    from alpyna_hook.devices import copying
    from alpyna_hook.devices.staging import MOST_THREADS, PIECE

    rows: list[dict[str, Any]] = []
    square = np.ones((size // 8 // 1024, 1024))
    for name, array in (("contiguous", square), ("columns", square[:, ::2]), ("transposed", square.T)):
        shadow = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for threads in (1, MOST_THREADS):
            work = partial(copying.differing, array, shadow, None, 0, PIECE, threads, True)
            value = array.nbytes / best(work) / 1e9
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


def views(size: int) -> Iterator[tuple[str, Any]]:
    """Arrays of `size` bytes by the way they lie in memory, with contents that differ from place to place."""
    row = 1024 if size % (8 * 1024) == 0 else 1
    numbers = np.arange(2 * size // 8, dtype=np.int64)
    yield "contiguous", numbers[: size // 8]
    wide = numbers.reshape(-1, 2 * row)
    yield "rows", wide[:, :row]
    yield "every second", wide[:, ::2]


def _link(device: Any, cuda: Any, name: str, array: Any, shadow: Any = None) -> list[dict[str, Any]]:
    """Both ways: a copy as calls make it, against cuMemcpy from and to page-locked memory. The share is 0 if the bytes
    are not those that were sent."""
    from alpyna_hook.devices.staging import Staging

    size = array.nbytes
    buffer, locked = device.allocate(size), cuda.pagelocked_empty(size, np.uint8)
    locked[:] = 1
    copies = Staging(device)
    sent = np.array(array, order="C")

    def up() -> None:
        copies.upload(buffer, array, shadow)
        device.finish()

    what = f"{size >> 10} KiB, {name},"
    rows = _against(what, size, [("to the device", up, lambda: cuda.memcpy_htod(buffer, locked))])
    copies.upload(buffer, array)
    array[...] = 0
    rows += _against(what, size, [
        ("to the host", lambda: copies.download(array, buffer, shadow), lambda: cuda.memcpy_dtoh(locked, buffer)),
    ])  # fmt: skip
    if not np.array_equal(array, sent):
        rows = [{**row, "share": 0.0, "wrong": True} for row in rows]
    copies.drain()
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
