"""The CUDA device, on a pretended driver; its compilers, pretended and, where there is one, real."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import time
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_pycuda
import numpy as np
import pretend
import pytest
from fake_pycuda import FakeCuda, LaunchError
from pretend import DISJOINT, FUNCTIONS, SIMPLE_DRIVER, TYPES, FailingDevice, VendorError, call
from test_program import MemoryCache, arrays

from alpyna_hook import settings
from alpyna_hook.devices import base, copying, cuda, cudacc, opened as devices, program, staging
from alpyna_hook.devices.base import CompileFailure, DeviceError, Kernel, NoCache
from alpyna_hook.devices.memory import Pool
from alpyna_hook.devices.resident import Residents
from alpyna_hook.ir.abi import DEVICE_FAILED
from alpyna_hook.ir.plan import DeviceKernel
from alpyna_hook.runtime import offload


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = settings.current()
    settings.use(before.replace(log="off"))
    monkeypatch.delenv(cuda.CHOICE, raising=False)
    yield
    settings.use(before)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts that were compiled."""
    texts: list[str] = []

    def compile_text(text: str, capability: str) -> bytes:
        texts.append(text)
        return b"machine code"

    monkeypatch.setattr(cudacc, "compile_text", compile_text)
    return texts


def opened(fake: FakeCuda, cache: Any = None) -> cuda.CudaDevice:
    fake.init()
    return cuda.CudaDevice(fake, 0, cache or NoCache())


def load(device: Any, **options: Any) -> Kernel:
    pool = Pool(device.allocate, device.release)
    kernel = program.load(
        "m:1", pretend.source(**options), TYPES, DISJOINT, device, pool, Residents(device, pool, 1 << 24)
    )
    assert isinstance(kernel, Kernel), kernel
    return kernel


# ---- opening ----


def as_driver(monkeypatch: pytest.MonkeyPatch, driver: Any) -> None:
    package = types.ModuleType("pycuda")
    package.driver = driver  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)


def test_without_pycuda_there_is_a_reason_and_no_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    found = cuda.open_device(NoCache())
    assert isinstance(found, str) and "PyCUDA cannot be imported" in found


@pytest.mark.parametrize("number, reason", [("", ""), ("1", ""), ("2", "CUDA_DEVICE='2'"), ("x", "CUDA_DEVICE='x'")])
def test_the_environment_names_the_device(monkeypatch: pytest.MonkeyPatch, number: str, reason: str) -> None:
    as_driver(monkeypatch, FakeCuda(FUNCTIONS, count=2))
    monkeypatch.setenv(cuda.CHOICE, number)
    found = cuda.open_device(NoCache())
    if reason:
        assert isinstance(found, str) and reason in found
    else:
        assert not isinstance(found, str) and found.name == f"cuda:{number or 0} Pretended GPU"


def test_a_driver_without_device_and_one_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    as_driver(monkeypatch, FakeCuda(FUNCTIONS, count=0))
    assert cuda.open_device(NoCache()) == "there is no CUDA device"

    def fails() -> None:
        raise LaunchError("cuInit failed: forked")

    as_driver(monkeypatch, SimpleNamespace(init=fails))
    assert cuda.open_device(NoCache()) == "CUDA cannot be used: cuInit failed: forked"


# ---- running ----


def test_the_context_of_others_stays_current_and_nothing_is_left_behind(compiled: list[str]) -> None:
    fake = FakeCuda(FUNCTIONS)
    device = opened(fake)
    assert fake.stack() == []
    other = object()
    fake.stack().append(other)
    kernel = load(device)
    x, y, z = arrays()
    assert call(kernel, 2.0, x, y, z)[0] == 0
    assert call(kernel, 2.0, -x, y, z)[0] == 2
    assert fake.stack() == [other] and fake.allocations
    with device.current():
        kernel.keep._residents.drain()
        kernel.keep._pool.drain()
    device.close()
    device.close()
    assert (fake.retained, fake.allocations) == (0, {}) and fake.stack() == [other]


def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("STAGED", 100), ("LEAST", 64), ("MOST", 128), ("PIECE", 32)):
        monkeypatch.setattr(staging, name, value)


@pytest.mark.parametrize("size", [1, 99, 100, 101, 64 * 3, 64 * 3 + 8, 1000, 4096])
@pytest.mark.parametrize("step", [1, -1, 3])
def test_large_copies_go_in_pieces(
    size: int, step: int, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    small_pieces(monkeypatch)
    fake = FakeCuda(FUNCTIONS)
    device = opened(fake)
    copies = staging.Staging(device)
    data = np.random.default_rng(0).integers(0, 255, size).astype(np.uint8)
    with device.current():
        buffers = [device.allocate(size) for _ in range(2)]
        given, shadow = np.zeros(size * abs(step), np.uint8)[::step], np.zeros(size, np.uint8)
        given[:] = data
        copies.upload(buffers[0], given, shadow)
        given[:] = 0  # the caller may
        copies.upload(buffers[1], data[::-1])
        found, kept = [np.zeros(size * abs(step), np.uint8)[::step] for _ in range(2)], np.zeros(size, np.uint8)
        copies.download(found[0], buffers[0], kept)
        copies.download(found[1], buffers[1])
        assert np.array_equal(shadow, data) and np.array_equal(kept, data)
        fake.sent.clear()
        copies.upload(buffers[0], found[0], kept, known=True)
        assert fake.sent == []
        found[0][size // 2] += 1
        copies.upload(buffers[0], found[0], kept, known=True)
        assert fake.sent == [min(32, size - size // 2 // 32 * 32)]
    assert np.array_equal(found[1], data[::-1])
    assert fake.locked == ([128] * staging.SLOTS if size >= 100 else [])


def test_pieces_cover_a_copy_and_begin_or_end_small() -> None:
    for size in (1, staging.STAGED, staging.STAGED + 16, 3 << 20, (16 << 20) + 8, 1 << 30):
        for falling in (False, True):
            found = staging.pieces(size, falling)
            assert found[0][0] == 0 and found[-1][1] == size
            assert all(a[1] == b[0] for a, b in zip(found, found[1:]))
            sizes = [b - a for a, b in found]
            assert max(sizes) <= staging.MOST and min(sizes) > 0
            assert sizes[-1 if falling else 0] == min(size, staging.LEAST)
            assert len(sizes) >= min(size // (staging.STAGED // 2), 4)


class Link:
    """A device whose link carries 50 GB/s, beside a host that copies at `host` bytes per second: with a clock of their
    own, which asking (10 us) and copying take forward."""

    rate = 50e9

    def __init__(self, host: float) -> None:
        self.host, self.now, self.free = host, 0.0, 0.0

    def locked(self, size: int) -> Any:
        return np.empty(size, np.uint8)

    def send(self, buffer: Any, first: int, part: Any) -> Any:
        self.now += 10e-6
        self.free = done = max(self.free, self.now) + part.size / self.rate
        return lambda: self.reach(done)

    def fetch(self, part: Any, buffer: Any, first: int) -> Any:
        return self.send(buffer, first, part)

    def reach(self, time: float) -> None:
        self.now = max(self.now, time)

    def copy(self, array: Any, slot: Any, shadow: Any, first: int, threads: int, past_caches: bool) -> None:
        self.now += 10e-6 + slot.size / self.host

    def finish(self) -> None:
        self.reach(self.free)


@pytest.mark.parametrize("host, size, least", [
    (70e9, 16 << 20, 0.7), (60e9, 64 << 20, 0.85), (60e9, 256 << 20, 0.95), (60e9, 1 << 30, 0.98),
])  # fmt: skip
def test_the_link_is_kept_busy(host: float, size: int, least: float, monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link(host)
    monkeypatch.setattr(copying, "fill", link.copy)
    monkeypatch.setattr(copying, "spread", link.copy)
    copies = staging.Staging(link)  # type: ignore[arg-type]
    array = np.empty(size, np.uint8)
    copies.upload(None, array)
    link.finish()
    there, link.now, link.free = link.now, 0.0, 0.0
    copies.download(array, None)
    assert size / link.rate / there >= least and size / link.rate / link.now >= least


def test_a_copy_after_one_that_was_not_finished_waits_for_it(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """What an interrupted copy has asked for still reads the slots."""
    small_pieces(monkeypatch)
    fake = FakeCuda(FUNCTIONS)
    device = opened(fake)
    failing = FailingDevice(device, "send", 2, for_good=False, after=True)
    copies = staging.Staging(failing)  # type: ignore[arg-type]
    one, other = np.full(1000, 1, np.uint8), np.full(1000, 2, np.uint8)
    with device.current():
        buffers = [device.allocate(1000) for _ in range(2)]
        with pytest.raises(VendorError):
            copies.upload(buffers[0], one)
        copies.upload(buffers[1], other)
        device.finish()
        assert fake.bytes(int(buffers[0]))[:64].tolist() == [1] * 64
        assert fake.bytes(int(buffers[1])).tolist() == [2] * 1000


def test_a_device_that_is_full_declines_and_works_again(compiled: list[str]) -> None:
    fake = FakeCuda(FUNCTIONS, room=40_000)
    kernel = load(opened(fake), driver=SIMPLE_DRIVER)
    x, y, z = arrays(100_000)
    before = y.copy()
    rc, out = call(kernel, 1.0, x, y, z)
    assert (rc, struct.unpack_from("=q", out)[0]) == (1, DEVICE_FAILED) and np.array_equal(y, before)
    assert kernel.keep.failure == "cuda:0 Pretended GPU: it has not enough memory" and not kernel.keep._device.failure
    x, y, z = arrays(1000)
    assert call(kernel, 1.0, x, y, z)[0] == 0


def test_a_kernel_that_dies_takes_the_device_with_it(compiled: list[str]) -> None:
    fake = FakeCuda({**FUNCTIONS, "saxpy": dies})
    kernel = load(opened(fake), driver=SIMPLE_DRIVER)
    x, y, z = arrays()
    before = y.copy()
    assert call(kernel, 1.0, x, y, z)[0] == 1 and np.array_equal(y, before)
    assert "illegal memory access" in kernel.keep._device.failure
    launches = len(fake.log)
    assert call(kernel, 1.0, x, y, z)[0] == 1 and len(fake.log) == launches
    assert fake.stack() == []


def test_a_launch_that_asks_for_too_much_leaves_the_device_to_other_loops(compiled: list[str]) -> None:
    def refused(*args: Any) -> None:
        raise LaunchError("cuLaunchKernel failed: too many resources requested for launch")

    kernel = load(opened(FakeCuda({**FUNCTIONS, "saxpy": refused})), driver=SIMPLE_DRIVER)
    assert call(kernel, 1.0, *arrays())[0] == 1
    assert "too many resources" in kernel.keep.failure and not kernel.keep._device.failure


def test_an_error_on_the_way_out_of_the_context_keeps_the_results_and_ends_the_use(compiled: list[str]) -> None:
    fake = FakeCuda(FUNCTIONS)
    kernel = load(opened(fake), driver=SIMPLE_DRIVER)
    x, y, z = arrays()
    expected = 2.0 * x + y
    fake.lost = True
    assert call(kernel, 2.0, x, y, z)[0] == 0 and np.array_equal(y, expected)
    assert "illegal memory access" in kernel.keep._device.failure
    assert fake.stack() == []  # PyCUDA aborts the process at its end if anything is left
    assert call(kernel, 2.0, x, y, z)[0] == 1 and np.array_equal(y, expected)


@pytest.mark.parametrize("dying", ["on the way out", "in the kernel", "in both", "while it is built"])
def test_the_user_hears_of_a_lost_device_once(
    dying: str, compiled: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Whatever meets the loss, and whichever loops want the device later."""
    settings.use(settings.current().replace(log="warning", variant="cuda"))
    base._warn.cache_clear()
    offload._missing.cache_clear()
    fake = FakeCuda({**FUNCTIONS, "saxpy": dies} if dying in ("in the kernel", "in both") else FUNCTIONS)
    device = opened(fake)
    device.style = "rows"  # of the pretended program
    monkeypatch.setitem(devices._opened, "cuda", devices.Opened(device, Pool(device.allocate, device.release)))
    detach = fake_pycuda._Context.detach

    def noisy(context: Any) -> None:  # as PyCUDA does in C++
        os.write(2, b"PyCUDA WARNING: a clean-up operation failed (dead context maybe?)\n")
        detach(context)

    monkeypatch.setattr(fake_pycuda._Context, "detach", noisy)
    spec: Any = SimpleNamespace(sources={"cuda": pretend.source(SIMPLE_DRIVER)}, disjoint=DISJOINT)
    first = offload.compile_variant(spec, "cuda", TYPES, "m:1", NoCache())
    assert isinstance(first, Kernel)
    fake.lost = dying != "in the kernel"
    if dying == "while it is built":
        monkeypatch.setattr(fake, "module_from_buffer", dies)
    else:
        call(first, 1.0, *arrays())
    for name in ("m:2", "m:3"):
        assert isinstance(offload.compile_variant(spec, "cuda", TYPES, name, NoCache()), str)
    assert call(first, 1.0, *arrays())[0] == 1 and device.failure in first.keep.failure
    assert offload.targets({}, NoCache()) == ()
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("alpyna: ") and "illegal memory access" in lines[0], lines


def dies(*args: Any) -> Any:
    raise LaunchError("cuStreamSynchronize failed: an illegal memory access was encountered")


def test_a_device_that_cannot_be_opened_leaves_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise LaunchError("cuStreamCreate failed: out of memory")

    fake = FakeCuda(FUNCTIONS)
    monkeypatch.setattr(fake, "Stream", full)
    as_driver(monkeypatch, fake)
    assert cuda.open_device(NoCache()) == "CUDA cannot be used: cuStreamCreate failed: out of memory"
    assert fake.retained == 0 and fake.stack() == []


@pytest.mark.parametrize("room", [0, 128, 2 * 128, 3 * 128])
def test_without_page_locked_memory_copies_go_through_other(
    room: int, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    small_pieces(monkeypatch)
    fake = FakeCuda(FUNCTIONS)
    fake.room_locked = room
    device = opened(fake)
    copies = staging.Staging(device)
    data, shadow = np.random.default_rng(0).integers(0, 255, 2000).astype(np.uint8), np.zeros(1000, np.uint8)
    with device.current():
        buffer = device.allocate(1000)
        for part in (data[:1000], data[::2], data[1000:]):
            for twin in (None, shadow):
                copies.upload(buffer, part, twin)
                for found in (np.zeros_like(data)[::2], np.zeros(1000, np.uint8)):
                    copies.download(found, buffer, twin)
                    assert np.array_equal(found, part) and (twin is None or np.array_equal(twin, part))
    # a contiguous array without a shadow goes and comes as it is
    assert (1000 in fake.sent) == (1000 in fake.fetched) == (room < 3 * 128)


def test_page_locked_memory_that_is_refused_is_done_without_but_a_lost_device_is_told(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    fake = FakeCuda(FUNCTIONS)
    device = opened(fake)

    def refuse(size: int, dtype: Any) -> Any:
        raise fake_pycuda.Error(f"cuMemHostAlloc failed: {reason}")

    monkeypatch.setattr(fake, "pagelocked_empty", refuse)
    with device.current():
        reason = "OS call failed or operation not supported on this OS"
        assert device.locked(1000) is None
        reason = "unknown error"
        with pytest.raises(fake_pycuda.Error):
            device.locked(1000)


def test_threads_that_open_one_device_at_once_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def open_device(cache: Any) -> Any:
        time.sleep(0.05)
        made.append(cuda.CudaDevice(fake, 0, cache))
        return made[-1]

    fake = FakeCuda(FUNCTIONS)
    fake.init()
    monkeypatch.setattr(devices, "_opened", {})
    monkeypatch.setattr(cuda, "open_device", open_device)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: devices.get("cuda", NoCache()), range(4)))
    assert len(made) == 1 and all(one is found[0] for one in found)
    devices.close()


def test_sizes_beyond_32_bits_make_a_grid_that_the_device_allows(compiled: list[str]) -> None:
    fake = FakeCuda({"big": lambda n: None})
    device = opened(fake)
    with device.current():
        (function,), _ = device.build("", (DeviceKernel("big", ("i64",), 1),))
        run = program.Run(device, Pool(device.allocate, device.release), (DeviceKernel("big", ("i64",), 2),),
                          (function,), 1, False)  # fmt: skip
        run.launch(0, (5, 2**40), (2**40,))
    (_, grid, block), *_ = fake.log
    assert grid[1] <= 65535 and grid[2] == block[2] == 1 and block[0] * block[1] <= 256


def test_the_figures_of_the_gpu_check_can_be_taken(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    from gpu import figures  # type: ignore[import-not-found,unused-ignore]

    fake = FakeCuda({"empty": lambda n: None})
    device = opened(fake)
    as_driver(monkeypatch, fake)
    monkeypatch.setattr(figures, "SIZES", (4096, 1 << 21))
    monkeypatch.setattr(figures, "COPIED", 1 << 21)
    rows = figures.measure(device) + figures.shadows(device)
    assert len(rows) == 2 + 2 * 3 * 2 + 2 + 6 and not any(row.get("wrong") for row in rows)
    assert max(fake.sent) <= staging.MOST and fake.sent.count(staging.LEAST) > 7 * 3  # copies as calls make them
    assert all(row["value"] > 0 and row["unit"] in ("us", "GB/s") for row in rows)
    assert fake.allocations == {} and fake.stack() == []


def test_the_gpu_check_finds_copies_that_are_slow_or_wrong(
    compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    import gpu_check  # type: ignore[import-not-found,unused-ignore]
    from gpu import figures  # type: ignore[import-not-found,unused-ignore]

    fake = FakeCuda({})
    device = opened(fake)
    array, plain = np.arange(1 << 18), copying.fill

    def judged() -> list[str]:
        with device.current():
            return [gpu_check.judged(row) for row in figures._link(device, fake, "contiguous", array.copy())]

    def slow(*args: Any) -> None:
        time.sleep(0.05)
        plain(*args)

    monkeypatch.setattr(figures, "SMALL", 1 << 20)
    monkeypatch.setattr(copying, "fill", slow)
    assert judged()[0] == "slow"
    monkeypatch.setattr(copying, "fill", lambda *args: None)
    assert judged() == ["WRONG", "WRONG"]


# ---- compiling ----


def test_machine_code_is_kept_and_bad_code_is_replaced(compiled: list[str]) -> None:
    cache = MemoryCache()
    assert [load(opened(FakeCuda(FUNCTIONS), cache)).cache for _ in range(2)] == ["miss", "hit"]
    assert len(compiled) == 1
    cache.records = dict.fromkeys(cache.records, b"of another driver")
    assert load(opened(FakeCuda(FUNCTIONS), cache)).cache == "miss" and len(compiled) == 2
    assert load(opened(FakeCuda(FUNCTIONS), cache)).cache == "hit"


def test_a_driver_older_than_the_compiler_is_told_of_once(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudacc, "describe", lambda: "NVRTC 13.5")
    fake = FakeCuda(FUNCTIONS)
    text = "cuModuleLoadDataEx failed: no kernel image is available for execution on the device - \x05"

    def refuse(code: bytes) -> Any:
        raise FakeCuda.Error(text)

    monkeypatch.setattr(fake, "module_from_buffer", refuse)
    device = opened(fake)
    found = program.load("m:1", pretend.source(), TYPES, DISJOINT, device, Pool(device.allocate, device.release))
    assert isinstance(found, CompileFailure) and found.reason.endswith(
        "its driver, of CUDA 12.4, does not take what NVRTC 13.5 makes: cuModuleLoadDataEx failed: no kernel image is "
        "available for execution on the device"
    )
    assert device.failure  # every other program would be compiled and refused, too


def test_what_cannot_be_passed_by_value_is_refused(compiled: list[str]) -> None:
    device = opened(FakeCuda(FUNCTIONS))
    with device.current(), pytest.raises(DeviceError, match="c128"):
        device.build("", (DeviceKernel("saxpy", ("c128",), 1),))


class FakeNvrtc:
    """`cuda.bindings.nvrtc`, for a compiler that knows these architectures."""

    def __init__(self, archs: list[int], status: int = 0) -> None:
        self.archs, self.status, self.options = archs, status, []
        self.options: list[bytes]
        self.destroyed = 0

    def nvrtcGetSupportedArchs(self) -> tuple[int, list[int]]:  # noqa: N802
        return 0, self.archs

    def nvrtcCreateProgram(self, *args: Any) -> tuple[int, str]:  # noqa: N802
        return 0, "program"

    def nvrtcCompileProgram(self, program: str, count: int, options: list[bytes]) -> tuple[int]:  # noqa: N802
        assert count == len(options)
        self.options = options
        return (self.status,)

    def nvrtcDestroyProgram(self, program: str) -> None:  # noqa: N802
        self.destroyed += 1

    def __getattr__(self, name: str) -> Any:
        text = {"CUBIN": b"machine code", "PTX": b"portable code", "ProgramLog": b"error: no"}
        content = text[name.removeprefix("nvrtcGet").removesuffix("Size")]
        if name.endswith("Size"):
            return lambda program: (0, len(content))

        def fill(program: str, buffer: bytes) -> tuple[int]:
            import ctypes

            ctypes.memmove(buffer, content, len(content))  # as the bindings do
            return (0,)

        return fill


@pytest.mark.parametrize(
    "archs, made, arch", [([80, 90], b"machine code", "sm_90"), ([80, 89], b"portable code", "compute_89")]
)
def test_nvrtc_makes_code_for_the_device_or_for_an_older_one(
    archs: list[int], made: bytes, arch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvrtc = FakeNvrtc(archs)
    monkeypatch.setattr(cudacc, "_nvrtc", lambda: nvrtc)
    assert cudacc.compile_text("text", "90") == made
    assert f"--gpu-architecture={arch}".encode() in nvrtc.options and b"--fmad=false" in nvrtc.options
    assert nvrtc.destroyed == 1


def test_nvrtcs_refusal_has_its_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cudacc, "_nvrtc", lambda: FakeNvrtc([90], status=6))
    with pytest.raises(DeviceError) as caught:
        cudacc.compile_text("text", "90")
    assert caught.value.log == "error: no"
    monkeypatch.setattr(cudacc, "_nvrtc", lambda: FakeNvrtc([100]))
    with pytest.raises(DeviceError, match="does not know compute capability 9.0"):
        cudacc.compile_text("text", "90")


def script(folder: Path, text: str) -> str:
    path = folder / "nvcc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def without_nvrtc(monkeypatch: pytest.MonkeyPatch, nvcc: str) -> None:
    monkeypatch.setattr(cudacc, "_nvrtc", lambda: None)
    monkeypatch.setattr(cudacc, "nvcc", lambda: nvcc)


def test_no_compiler_is_a_device_error(monkeypatch: pytest.MonkeyPatch) -> None:
    without_nvrtc(monkeypatch, "")
    with pytest.raises(DeviceError, match="no compiler for CUDA"):
        cudacc.compile_text("text", "90")


def test_nvcc_is_found_through_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    path = script(tmp_path / "bin", "exit 0")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert cudacc.nvcc() == path


@pytest.mark.parametrize("text", ["echo nonsense; exit 1", "exit 0", "sleep 60"])
def test_an_nvcc_that_fails_lies_or_hangs_is_a_device_error(
    text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without_nvrtc(monkeypatch, script(tmp_path, text))
    with pytest.raises(DeviceError, match="refused") as caught:
        cudacc.compile_text("text", "90", timeout=1.0)
    assert caught.value.log


def test_an_nvcc_older_than_the_device_makes_portable_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = """case "$*" in
--list-gpu-arch) echo compute_70; echo compute_86;;
*-cubin*) echo "nvcc fatal : Unsupported gpu architecture 'sm_90'"; exit 1;;
*-arch=compute_86*) while [ "$1" != -o ]; do shift; done; printf ptx > "$2";;
*) exit 1;;
esac"""
    without_nvrtc(monkeypatch, script(tmp_path, text))
    assert cudacc.compile_text("text", "90") == b"ptx"


@pytest.mark.skipif(not shutil.which("nvcc") or not os.path.exists("/usr/bin/cc"), reason="no nvcc")
def test_nvcc_makes_machine_code_without_fused_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    without_nvrtc(monkeypatch, shutil.which("nvcc") or "")
    text = 'extern "C" __global__ void f(double *x, double a) { x[0] = a * x[1] + x[2]; }\n'
    assert cudacc.compile_text(text, "90")[:4] == b"\x7fELF"
    portable = cudacc.compile_text(text, "999")  # which no compiler knows: it makes PTX, which can be read
    assert b"mul.rn.f64" in portable and b"fma" not in portable
    assert cudacc.compile_text(pretend.CUDA, "80")[:4] == b"\x7fELF"
    with pytest.raises(DeviceError) as caught:
        cudacc.compile_text("nonsense", "90")
    assert "error" in caught.value.log


# ---- memory and streams of other libraries ----


def test_memory_of_others_is_adopted_duplicated_and_left_as_it_is(compiled: list[str]) -> None:
    fake = FakeCuda(FUNCTIONS)
    device = opened(fake)
    with device.current():
        theirs, ours = fake.mem_alloc(64), device.allocate(64)
        fake.bytes(int(theirs))[:] = 7
        adopted = device.adopt(int(theirs), 64)
        device.duplicate(ours, adopted, 64)
        device.finish()
        assert (fake.bytes(int(ours)) == 7).all()
        fake.bytes(int(ours))[:] = 9
        device.duplicate(adopted, ours, 32)
        device.finish()
        device.disown(adopted)
    assert fake.bytes(int(theirs)).tolist() == [9] * 32 + [7] * 32 and int(theirs) in fake.allocations


class StreamDriver:
    """What the driver's library says of streams."""

    def __init__(self, capturing: int = 0, codes: tuple[int, int] = (0, 0)) -> None:
        self.capturing, self.codes = capturing, codes
        self.waited: list[int] = []

    def cuStreamIsCapturing(self, stream: Any, found: Any) -> int:  # noqa: N802
        found._obj.value = self.capturing
        return self.codes[0]

    def cuStreamSynchronize(self, stream: Any) -> int:  # noqa: N802
        self.waited.append(stream.value)
        return self.codes[1]


def test_a_stream_of_others_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    library, device = StreamDriver(), opened(FakeCuda(FUNCTIONS))
    monkeypatch.setattr(cuda, "_driver", lambda: library)
    device.await_stream(1)
    device.await_stream(0x5560_0000_1000)
    assert library.waited == [1, 0x5560_0000_1000]


@pytest.mark.parametrize("library, words", [
    (StreamDriver(capturing=1), "records a graph"), (StreamDriver(codes=(400, 0)), "CUDA error 400"),
    (StreamDriver(codes=(0, 719)), "CUDA error 719"),
])  # fmt: skip
def test_a_stream_that_cannot_be_waited_for_is_not_gone_before(
    library: StreamDriver, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    device = opened(FakeCuda(FUNCTIONS))
    monkeypatch.setattr(cuda, "_driver", lambda: library)
    with pytest.raises(DeviceError, match=words):
        device.await_stream(1)
    assert not library.waited or library.codes[1]
