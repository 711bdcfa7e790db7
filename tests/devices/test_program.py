"""Device programs: what goes in, what comes out, and that no failure of the device is ever seen in the results."""

from __future__ import annotations

import atexit
import itertools
import os
import signal
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pretend
import pytest
from fake_pycuda import FakeCuda
from pretend import (
    DISJOINT, DRIVER, FUNCTIONS, SIMPLE_DRIVER, TYPES, FailingDevice, PretendDevice, Signalling, call, time_is_up,
)  # fmt: skip

from alpyna_hook import settings
from alpyna_hook.devices import cuda, cudacc, opened, program, staging
from alpyna_hook.devices.base import CompileFailure, Kernel, NoCache
from alpyna_hook.devices.memory import Pool
from alpyna_hook.devices.resident import Residents
from alpyna_hook.devices.run import ResultsLost
from alpyna_hook.ir.abi import DEVICE_FAILED


class MemoryCache(NoCache):
    """Keeps records as long as the tests run."""

    def __init__(self) -> None:
        self.records: dict[str, object] = {}

    def get(self, key: str) -> Any:
        return self.records.get(key)

    def put(self, key: str, value: object) -> bool:
        self.records[key] = value
        return True


def _opencl() -> Any:
    pytest.importorskip("pyopencl")
    from alpyna_hook.devices import opencl

    device = opencl.open_device(MemoryCache())
    return pytest.skip(device) if isinstance(device, str) else device


_PIECES = " in pieces"
_KINDS = ("copies", "in place", "opencl", "opencl maps", "opencl copies", "cuda", "gpu",
          *(kind + _PIECES for kind in ("copies", "opencl copies", "cuda", "gpu")))  # fmt: skip
_made: dict[str, Any] = {}
_compile = cudacc.compile_text


def _gpu() -> Any:
    device = cuda.open_device(MemoryCache())
    if isinstance(device, str):
        pytest.skip(device)
    atexit.register(device.close)  # PyCUDA would complain of its context
    return device


def device_of(kind: str) -> Any:
    """A new pretended device, or the real one."""
    if kind in ("copies", "in place"):
        return PretendDevice(FUNCTIONS, shares_memory=kind == "in place")
    if kind == "cuda":
        fake = FakeCuda(FUNCTIONS)
        fake.init()
        return cuda.CudaDevice(fake, 0, MemoryCache())
    if kind not in _made:
        _made[kind] = _gpu() if kind == "gpu" else _opencl()
        if kind.startswith("opencl"):  # as drivers are that map memory, and those of GPUs
            _made[kind].shares_memory = kind != "opencl copies"
            _made[kind]._direct &= kind == "opencl"
    _made[kind].failure, _made[kind].told = "", False
    return _made[kind]


@pytest.fixture(params=_KINDS)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    return device_of(patched(request.param, monkeypatch))


def patched(kind: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the device itself is called, if small arrays are to be copied like large ones."""
    if kind.endswith(_PIECES):
        for name, value in (("STAGED", 100), ("LEAST", 64), ("MOST", 256), ("PIECE", 32), ("PAST_CACHES", 1 << 10)):
            monkeypatch.setattr(staging, name, value)
    return kind.removesuffix(_PIECES)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def compile_text(text: str, capability: str) -> bytes:
        return _compile(text, capability) if text == pretend.CUDA else b"machine code"

    monkeypatch.setattr(cudacc, "compile_text", compile_text)
    before = settings.current()
    settings.use(before.replace(log="off"))
    yield
    settings.use(before)


def load(device: Any, driver: str = DRIVER, **options: Any) -> Kernel:
    pool = Pool(device.allocate, device.release)
    residents = None if device.shares_memory else Residents(device, pool, 1 << 24)
    source = pretend.source(driver, **options)
    if "gpu" in _made and device.name == _made["gpu"].name:
        source = replace(source, text=pretend.CUDA)
    kernel = program.load("m:1", source, TYPES, DISJOINT, device, pool, residents)
    assert isinstance(kernel, Kernel), kernel
    return kernel


def arrays(n: int = 1000, *, step: int = 1, seed: int = 0) -> list[Any]:
    """x >= 0, y and z, strided if `step` is not 1."""
    rng = np.random.default_rng(seed)
    return [np.ascontiguousarray(rng.random(n * abs(step)))[::step] for _ in range(3)]


# ---- results ----


@pytest.mark.parametrize("step", [1, 3, -1, -2])
@pytest.mark.parametrize("times", [1, 3])
def test_arrays_of_any_stride_go_there_and_back(device: Any, step: int, times: int) -> None:
    kernel = load(device, times=times)
    x, y, z = arrays(step=step)
    around = [np.array(array.base) for array in (x, y, z)]
    expected = y.copy()
    for _ in range(times):
        expected = 2.5 * x + expected
    rc, out = call(kernel, 2.5, x, y, z)
    assert rc == 0
    assert np.array_equal(y, expected) and np.array_equal(z, x)
    last, i, total = struct.unpack("=8xdqd", out)
    assert (last, i) == (x[-1], 7) and total == pytest.approx(x.sum())
    for array, before in zip((x, y, z), around):  # what lies between the elements is left alone
        mask = np.ones(before.size, bool)
        mask[::step] = False
        assert np.array_equal(array.base[mask], before[mask])


def test_a_single_launch_saves_nothing_and_is_right(device: Any) -> None:
    kernel = load(device, SIMPLE_DRIVER)
    x, y, z = arrays()
    expected = 0.5 * x + y
    assert call(kernel, 0.5, x, y, z)[0] == 0
    assert np.array_equal(y, expected)


def test_interleaved_views_do_not_disturb_each_other(device: Any) -> None:
    kernel = load(device)
    both, x = np.random.default_rng(1).random(2000), np.random.default_rng(2).random(1000)
    expected = 2.0 * x + both[::2]
    assert call(kernel, 2.0, x, both[::2], both[1::2])[0] == 0
    assert np.array_equal(both[::2], expected) and np.array_equal(both[1::2], x)


def test_a_failed_entry_condition_writes_nothing(device: Any) -> None:
    kernel = load(device)
    x, y, z = arrays()
    before = y.copy()
    rc, out = call(kernel, 2.0, x, y[:10], z)
    assert (rc, struct.unpack_from("=q", out)) == (1, (0,))
    assert np.array_equal(y, before) and not kernel.keep.failure


@pytest.mark.parametrize("step", [1, 2])
def test_a_fault_leaves_the_arrays_as_they_were(device: Any, step: int) -> None:
    kernel = load(device)
    x, y, z = arrays(step=step)
    x[500] = -1.0
    before = y.copy(), z.copy()
    rc, out = call(kernel, 2.0, x, y, z)
    assert (rc, struct.unpack_from("=q", out)) == (2, (1,))
    assert np.array_equal(y, before[0]) and np.array_equal(z, before[1])
    x[500] = 1.0
    assert call(kernel, 2.0, x, y, z)[0] == 0  # the flag is cleared


def test_buffers_are_used_again(device: Any) -> None:
    kernel = load(device)
    x, y, z = arrays()
    for _ in range(20):
        assert call(kernel, 0.0, x, y, z)[0] == 0
    if isinstance(device, PretendDevice):
        assert device.live <= 8


def test_threads_take_turns(device: Any) -> None:
    kernel = load(device)
    given = [arrays(seed=seed) for seed in range(4)]
    expected = [2.0 * x + y for x, y, z in given]
    threads = [threading.Thread(target=call, args=(kernel, 2.0, *three)) for three in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(three[1], result) for three, result in zip(given, expected))


# ---- failures ----

OPERATIONS = (
    "allocate", "wrap", "upload", "locked", "send", "fetch", "clear", "launch", "finish", "unwrap", "download",
    "current", "most_items", "release",
)  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("driver, checked", [(DRIVER, True), (DRIVER, False), (SIMPLE_DRIVER, False)])
@pytest.mark.parametrize("step", [1, 2])
def test_whatever_fails_the_arrays_are_as_before_or_right(
    device: Any, operation: str, driver: str, checked: bool, step: int
) -> None:
    for nth, after, for_good in itertools.product(range(1, 20), (False, True), (False, True)):
        if after and operation == "launch" and driver is SIMPLE_DRIVER:
            continue  # a launch is put into the queue, or it is refused
        failing = FailingDevice(device, operation, nth + (operation == "current"), for_good=for_good, after=after)
        kernel = load(failing, driver, checked=checked, times=2)
        x, y, z = arrays(100, step=step)
        before, expected = [y.copy(), z.copy()], y
        for _ in range(2 if driver is DRIVER else 1):
            expected = 2.0 * x + expected
        rc, out = call(kernel, 2.0, x, y, z)
        if kernel.keep.pending is not None:  # only where there is no way back, and never in silence
            assert isinstance(kernel.keep.pending, ResultsLost) and for_good and device.shares_memory
            assert operation == "finish" or (operation == "unwrap" and driver is SIMPLE_DRIVER)
        elif rc == 0:
            assert np.array_equal(y, expected)
            if operation == "release":
                continue  # which it can do without
        else:
            assert (rc, struct.unpack_from("=q", out)[0]) == (1, DEVICE_FAILED)
            assert kernel.keep.failure and failing.failed
            assert np.array_equal(y, before[0])
            kept = checked if device.shares_memory else operation not in ("fetch", "download")
            if driver is SIMPLE_DRIVER or kept:
                assert np.array_equal(z, before[1])  # else it is written whole by whoever runs the loop next
        if not failing.failed:
            return


def test_a_failing_build_is_a_compile_failure(device: Any) -> None:
    failing = FailingDevice(device, "build")
    found = program.load("m:1", pretend.source(), TYPES, DISJOINT, failing, Pool(device.allocate, device.release))
    assert isinstance(found, CompileFailure) and "made to fail" in found.reason


def test_a_lost_device_is_not_asked_again() -> None:
    device = PretendDevice(FUNCTIONS)
    kernel = load(device, SIMPLE_DRIVER)
    other = load(device, SIMPLE_DRIVER)
    kernel.keep._device = FailingDevice(device, "launch", error=ConnectionError("device lost"))
    x, y, z = arrays()
    assert call(kernel, 1.0, x, y, z)[0] == 1 and "lost" in device.failure
    assert call(other, 1.0, x, y, z)[0] == 1 and device.failure in other.keep.failure
    assert not device.launches


def test_a_device_out_of_memory_gives_back_what_it_kept() -> None:
    device = PretendDevice(FUNCTIONS)
    kernel = load(device, SIMPLE_DRIVER)
    x, y, z = arrays(1000)
    assert call(kernel, 1.0, x, y, z)[0] == 0
    failing = FailingDevice(device, "allocate", for_good=False)
    kernel.keep._pool._allocate = failing.allocate
    x, y, z = arrays(100_000)
    assert call(kernel, 1.0, x, y, z)[0] == 0 and failing.failed


def test_arrays_that_nobody_proved_apart_are_refused() -> None:
    device = PretendDevice(FUNCTIONS)
    pool = Pool(device.allocate, device.release)
    kernel = program.load("m:1", pretend.source(), TYPES, [("x", "z"), ("y", "z")], device, pool)
    assert isinstance(kernel, Kernel)
    both, z = np.ones(2000), np.ones(1000)
    rc, out = call(kernel, 1.0, both[:1000], both[500:1500], z)
    assert (rc, struct.unpack_from("=q", out)[0]) == (1, DEVICE_FAILED) and (both == 1).all()
    assert call(kernel, 1.0, both[:1000], both[1000:], z)[0] == 0


@pytest.mark.parametrize("operation", ["upload", "launch", "download", "wrap", "finish"])
@pytest.mark.parametrize("kind", ["copies", "in place"])
def test_an_interrupt_of_the_program_is_kept_for_it(operation: str, kind: str) -> None:
    failing = FailingDevice(device_of(kind), operation, error=KeyboardInterrupt(), for_good=False)
    kernel = load(failing)
    x, y, z = arrays()
    rc, out = call(kernel, 1.0, x, y, z)
    if failing.failed:
        assert (rc, struct.unpack_from("=q", out)[0]) == (1, DEVICE_FAILED)
        assert isinstance(kernel.keep.pending, KeyboardInterrupt)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no such signal on this platform")
@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o != "current"])
@pytest.mark.parametrize("kind", ["copies", "in place", "opencl", "cuda", "cuda in pieces"])
def test_what_a_signal_handler_raises_is_no_failure_of_the_device(
    operation: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    kind = patched(kind, monkeypatch)
    before = signal.signal(signal.SIGALRM, time_is_up)
    try:
        for driver, nth, after in itertools.product((DRIVER, SIMPLE_DRIVER), range(1, 12), (False, True)):
            device = Signalling(device_of(kind), operation, nth, for_good=False, after=after)
            kernel = load(device, driver)
            x, y, z = arrays(50)
            old, new = y.copy(), 2.0 * x + y
            rc, out = call(kernel, 2.0, x, y, z)
            fired, device._left = device._left <= 0, 0  # no more
            assert kernel.keep.failure == "" and device.failure == ""
            interrupt, kernel.keep.pending = kernel.keep.pending, None
            assert fired == (rc != 0), "what the handler raised is lost"
            if rc == 0:
                assert interrupt is None and np.array_equal(y, new)
            else:
                assert (rc, struct.unpack_from("=q", out)[0]) == (1, DEVICE_FAILED)
                assert isinstance(interrupt, TimeoutError)
                both = np.array_equal(y, new) and (driver is SIMPLE_DRIVER or np.array_equal(z, x))
                assert np.array_equal(y, old) or both
            expected = 2.0 * x + y
            assert call(kernel, 2.0, x, y, z)[0] == 0 and np.array_equal(y, expected)
    finally:
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.parametrize("kind", ["copies", "opencl", "cuda"])
def test_a_forked_child_leaves_the_device_alone(kind: str) -> None:
    device = device_of(kind)
    opened._watch()
    before = dict(opened._opened)
    opened.use("opencl", device)
    try:
        kernel = load(device, SIMPLE_DRIVER)
        x, y, z = arrays()
        assert call(kernel, 1.0, x, y, z)[0] == 0
        child = os.fork()
        if not child:
            signal.alarm(20)
            status = call(kernel, 1.0, x, y, z)[0] == 1 and isinstance(opened.get("opencl", NoCache()), str)
            os._exit(0 if status else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert call(kernel, 1.0, x, y, z)[0] == 0
    finally:
        opened._opened.clear()
        opened._opened.update(before)
