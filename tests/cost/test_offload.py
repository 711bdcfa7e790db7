"""Accelerators in the model and in the profile; a device made of a clock is measured."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from build import matmul, saxpy
from test_decide import env_of

from alpyna_hook.cost import measure, measure_device, offload
from alpyna_hook.cost.counts import count
from alpyna_hook.cost.decide import OPEN_S, History, Oracle, _Prices
from alpyna_hook.cost.machine import DeviceFigures, default_profile, typical_device
from alpyna_hook.cost.model import bind
from alpyna_hook.cost.noise import Clocks
from alpyna_hook.cost.priced import Candidate
from alpyna_hook.cost.profiles import describe, from_json, to_json

PROFILE = default_profile(2)
GPU = DeviceFigures(
    "a GPU", "grid", False, 1e-5, 2e-6, 1e-5, 1e10, 1e-5, 1e10, 1e12, {"f64": 4e12, "f32": 8e12, "int": 4e12},
    65536, 0.3,
)  # fmt: skip
WORK = offload.Work(0.0, 1.0, 0.5, 0.0, 1.0, 1e6, 1e9, 1e9, 1e9, (2, 1))
WITH_GPU = replace(PROFILE, devices={"cuda": GPU})


def seconds(**changes: Any) -> float:
    return offload.seconds(replace(WORK, **changes), GPU, PROFILE, 2.0)


def test_every_term_costs():
    base = seconds()
    assert base > 2e9 / GPU.to_bps
    for more in ({"shared_s": 1e4}, {"serial_s": 1e-3}, {"launches": 1000.0}, {"sent": 2e9}, {"fetched": 2e9}):
        assert seconds(**more) > base


def test_a_small_grid_starves():
    few, many = seconds(items=64.0, sent=0.0, fetched=0.0), seconds(sent=0.0, fetched=0.0)
    assert few > 50 * many


def test_memory_that_is_shared_is_not_copied():
    shared = replace(GPU, shares_memory=True, style="rows")
    assert offload.seconds(WORK, shared, PROFILE, 2.0) == pytest.approx(0.5, rel=0.01)


def test_what_a_run_in_the_hosts_memory_must_undo_is_copied_first():
    counts, env = count(saxpy()), env_of(10_000_000, x=1, y=1)
    shared = replace(PROFILE, devices={"opencl": replace(GPU, shares_memory=True, style="rows")})
    safe = Candidate(counts, frozenset("i"), journal=False, reads=("x", "y"), writes=("y",))
    faulty = replace(safe, journal=True)
    gap = bind(faulty, shared, "opencl").seconds(env) - bind(safe, shared, "opencl").seconds(env)
    assert gap == pytest.approx(8e7 / PROFILE.journal_bps, rel=1e-3)


def test_rows_saved_in_blocks_cost_less_than_a_copy_and_more_than_nothing():
    counts, env = count(saxpy()), env_of(10_000_000, x=1, y=1)
    shared = replace(PROFILE, devices={"opencl": replace(GPU, shares_memory=True, style="rows")})
    safe = Candidate(counts, frozenset("i"), journal=False, reads=("x", "y"), writes=("y",))
    blocks = replace(safe, saved=(("i", ("y",)),), block_bytes=1 << 17)
    faulty = replace(safe, journal=True)
    cost = [bind(c, shared, "opencl").seconds(env) for c in (safe, blocks, faulty)]
    assert cost == sorted(cost) and cost[1] - cost[0] < 0.5 * (cost[2] - cost[0])


def test_a_grid_in_blocks_is_as_many_launches():
    few, many = seconds(blocks=0.0), seconds(blocks=101.0)
    assert many - few == pytest.approx(100 * (GPU.enqueue_s + offload.DRIVER_LAUNCH_S))


@pytest.mark.parametrize("n", [30, 300, 3000])
def test_a_device_that_is_the_hosts_own_cpu_is_taken_where_there_are_no_threads(n: int):
    figures = replace(GPU, shares_memory=True, style="rows", to_s=5e-6, from_s=5e-6)
    oracle = Oracle(replace(PROFILE, devices={"opencl": figures}), 2)
    offer = device_candidates(matmul(), ("a", "b", "c"), ("i",))
    offer["opencl"] = offer.pop("cuda")
    env, ready = env_of(n, a=2, b=2, c=2), {**READY, "opencl": "compiled"}
    assert oracle.decide(offer, env, ready, History()).variant in ("seq", "omp")
    del offer["omp"]
    assert oracle.decide(offer, env, ready, History()).variant == ("seq" if n == 30 else "opencl")


def test_opening_a_device_has_its_price():
    prices = _Prices(WITH_GPU, {"cuda": "closed", "omp": "compiled"})
    assert prices["cuda"] == pytest.approx(GPU.build_s + OPEN_S) and prices["omp"] == 0.0


def device_candidates(nest: Any, arrays: tuple[str, ...], grid: tuple[str, ...]) -> dict[str, Candidate]:
    counts = count(nest)
    cuda = Candidate(
        counts, frozenset(grid[:1]), frozenset(grid[1:]), journal=False, reads=arrays, writes=arrays[-1:]
    )
    plain = Candidate(counts)
    return {"interp": plain, "seq": plain, "omp": Candidate(counts, frozenset("i")), "cuda": cuda}


READY = {"seq": "compiled", "omp": "compiled", "cuda": "compiled"}


def test_a_large_matrix_product_goes_to_the_accelerator_and_a_sweep_over_memory_does_not():
    oracle = Oracle(WITH_GPU, 2)
    product = device_candidates(matmul(), ("a", "b", "c"), ("i", "j"))
    assert oracle.decide(product, env_of(2000, a=2, b=2, c=2), READY, History()).variant == "cuda"
    assert oracle.decide(product, env_of(8, a=2, b=2, c=2), READY, History()).variant == "seq"
    sweep = device_candidates(saxpy(), ("x", "y"), ("i",))
    assert oracle.decide(sweep, env_of(10_000_000, x=1, y=1), READY, History()).variant in ("seq", "omp")


def test_the_predicted_transfer_is_that_of_the_arrays_that_move():
    counts, env = count(saxpy()), env_of(10_000_000, x=1, y=1)
    resident = Candidate(counts, frozenset("i"), journal=False)
    moved = replace(resident, reads=("x", "y"), writes=("y",))
    gap = bind(moved, WITH_GPU, "cuda").seconds(env) - bind(resident, WITH_GPU, "cuda").seconds(env)
    assert gap == pytest.approx(3 * 8e7 / 1e10 + 3e-5, rel=1e-3)


def test_the_program_is_compiled_only_if_its_price_is_worth_it():
    oracle = Oracle(WITH_GPU, 2)
    product = device_candidates(matmul(), ("a", "b", "c"), ("i", "j"))
    ready = {"seq": "compiled", "omp": "compiled"}
    assert oracle.decide(product, env_of(150, a=2, b=2, c=2), ready, History()).variant != "cuda"


class Made:
    """An accelerator made of a clock: launches take 10 us, each GB of a transfer 0.1 s, each item's rate is 1 GF/s."""

    name, style, shares_memory, failure = "made", "grid", False, ""
    lock = contextlib.nullcontext()

    def __init__(self) -> None:
        self.now = 0.0
        self.clocks = Clocks(lambda: self.now, lambda: self.now, lambda: self.now)

        class Limits:
            lanes, group = 4096, 1024

        self.limits = Limits

    def current(self) -> Any:
        return contextlib.nullcontext()

    def build(self, text: str, kernels: Any) -> Any:
        self.now += 0.5
        return tuple(k.name for k in kernels), "miss"

    def allocate(self, size: int) -> Any:
        return size

    def release(self, buffer: Any) -> None:
        pass

    def clear(self, buffer: Any, size: int) -> None:
        pass

    def upload(self, buffer: Any, array: np.ndarray) -> None:
        self.now += 2e-5 + array.nbytes / 1e10

    def download(self, array: np.ndarray, buffer: Any) -> None:
        self.now += 3e-5 + array.nbytes / 5e9

    def locked(self, size: int) -> None:
        return None

    def most_items(self, function: Any) -> int:
        return 1024

    def launch(self, function: str, groups: Any, group: Any, args: Any) -> None:
        self.now += 1e-6
        items = groups[0] * group[0]
        if function.startswith("rate"):
            self.now += 8 * args[1] / 1e9 * max(items / 1024, 1.0)
        if function == "stream":
            self.now += 24.0 * args[2] / 1e11

    def finish(self) -> None:
        self.now += 9e-6


def test_a_device_is_measured_with_an_injected_clock():
    made = Made()
    figures = measure_device.measure(made, "cuda", 0.5, made.clocks)
    assert figures.build_s == pytest.approx(0.5)
    assert figures.launch_s == pytest.approx(1e-5) and figures.enqueue_s == pytest.approx(1e-6)
    assert figures.to_bps == pytest.approx(1e10, rel=0.01) and figures.from_bps == pytest.approx(5e9, rel=0.01)
    assert figures.bandwidth == pytest.approx(1e11, rel=0.01)
    assert figures.rates["f64"] == pytest.approx(1024e9, rel=0.06)
    assert 512 <= figures.saturate <= 2048


class Slow(Made):
    """The same, so many times slower, with a compiler; each look at the clock takes `look` seconds."""

    def __init__(self, times: float, build_s: float = 0.5, look: float = 0.0) -> None:
        super().__init__()
        self.own, self.times, self.build_s, self.look = 0.0, times, build_s, look
        self.clocks = Clocks(self.wall, self.passed, self.passed)

    def passed(self) -> float:
        return self.own + self.now * self.times

    def wall(self) -> float:
        self.own += self.look
        return self.passed()

    def build(self, text: str, kernels: Any) -> Any:
        self.own += self.build_s
        return tuple(k.name for k in kernels), "miss"

    def explain(self, error: BaseException) -> BaseException:
        return error


@pytest.mark.parametrize("times", [1.0, 30.0, 1e3, 3e4])
def test_a_slow_device_is_measured_in_its_time_with_less_work(times: float) -> None:
    made = Slow(times)
    figures = measure_device.measure(made, "cuda", 2.0, made.clocks)
    assert made.wall() < (3.5 if times <= 1e3 else 10.0)
    if times <= 1e3:
        assert figures.missing == ()
        assert figures.rates["f64"] == pytest.approx(1024e9 / times, rel=0.4)
        assert figures.to_bps == pytest.approx(1e10 / times, rel=0.4)
    else:
        assert 0 < len(figures.missing) < len(measure_device.FIGURES)
        typical = typical_device("cuda")
        assert "saturate" in figures.missing and figures.saturate == typical.saturate
        assert figures.rates["int"] == typical.rates["int"]
        assert figures.launch_s == pytest.approx(1e-5 * times, rel=0.2)
    profile = replace(PROFILE, devices={"cuda": figures})
    assert from_json(to_json(profile)).devices["cuda"].missing == figures.missing
    assert ("no time was left for" in describe(profile)) == bool(figures.missing)


@pytest.mark.parametrize("full, limit", [(True, 20.0), (False, 2.5)])
@pytest.mark.parametrize("times, build_s", [(1.0, 0.5), (1e3, 1.0), (3e4, 1.0), (1.0, 9.0), (3e4, 30.0)])
def test_calibration_keeps_its_time_whatever_its_devices_take(
    full: bool, limit: float, times: float, build_s: float, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    made = Slow(times, build_s, 5e-3)
    devices = {"cuda": made} if full else {}
    profile = measure.calibrate(
        full, lambda source, openmp: Failing(), 1, clocks=made.clocks, accelerators=devices, began=made.wall()
    )
    assert made.wall() < max(limit, build_s + 6.0)  # who compiles cannot be stopped
    assert "interp" in profile.measured
    said = capsys.readouterr().err
    assert ("no time was left to measure it" in said) == (full and build_s > 7.0)
    assert ("cuda" in profile.devices) == (full and build_s < 7.0)


class Failing:
    reason = "there is no compiler"


def test_device_figures_are_kept_in_the_file_and_shown():
    assert to_json(from_json(to_json(WITH_GPU))) == to_json(WITH_GPU)
    assert "a GPU" in describe(WITH_GPU) and "65536 work items" in describe(WITH_GPU)
    named = replace(WITH_GPU, devices={"opencl": replace(GPU, name="opencl: a GPU")})
    assert "  opencl: a GPU: launch" in describe(named)


def test_a_device_that_fails_while_it_is_measured_is_one_line(capsys):
    class Broken(Made):
        def build(self, text: str, kernels: Any) -> Any:
            raise RuntimeError("out of order")

        def explain(self, error: BaseException) -> Exception:
            return RuntimeError(f"explained: {error}")

    assert measure._devices({"cuda": Broken()}, Clocks()) == {}
    (line,) = capsys.readouterr().err.splitlines()
    assert "made" in line and "out of order" in line


def test_a_real_opencl_device_is_measured():
    from alpyna_hook.devices import opened
    from alpyna_hook.devices.base import NoCache

    found = opened.get("opencl", NoCache())
    if isinstance(found, str):
        pytest.skip(found)
    figures = measure_device.measure(found.device, "opencl", 0.2)
    assert 0 < figures.launch_s < 1.0 and figures.bandwidth > 1e8 and figures.saturate >= 1
