"""Calibration: figures are positive and complete, and a missing compiler leaves the interpreter's part."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import pytest

from alpyna_hook.cost import bench_source, measure, measure_interp
from alpyna_hook.cost.classes import INTERP_OPS
from alpyna_hook.cost.machine import default_profile
from alpyna_hook.cost.noise import Clocks
from alpyna_hook.cost.profiles import FILE_NAME, from_json, to_json
from alpyna_hook.devices.host import HostDevice


@dataclass
class Failure:
    reason: str = "the compiler is on holiday"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(measure, "CALIBRATE_S", 0.3)


def test_every_interpreter_class_is_measured_and_has_a_default():
    measured = measure_interp.interpreter(0.05)
    assert set(measured) == set(INTERP_OPS) == set(default_profile().interp)
    assert all(0 < seconds < 1e-3 for seconds in measured.values())


def test_a_subscript_costs_more_than_an_assignment():
    measured = measure_interp.interpreter(0.2)
    assert measured["load1"] > measured["assign"]


def test_without_a_compiler_only_the_interpreter_is_measured(capsys):
    profile = measure.calibrate(full=False, compile=lambda source, openmp: Failure(), threads=2)
    assert profile.measured == ("interp",)
    assert profile.levels == default_profile(2).levels
    (line,) = capsys.readouterr().err.splitlines()
    assert "on holiday" in line


def test_a_compiler_without_openmp_still_gives_sequential_figures():
    host = HostDevice()
    if isinstance(host.tool, str):
        pytest.skip(host.tool)

    def no_openmp(source: str, openmp: bool):
        return Failure() if openmp else host.compile_kernel(source, False)

    profile = measure.calibrate(full=False, compile=no_openmp, threads=2)
    assert "levels" in profile.measured and "fork" not in profile.measured


def test_a_measured_profile_is_complete_sane_and_can_be_stored():
    host = HostDevice()
    if isinstance(host.tool, str):
        pytest.skip(host.tool)
    profile = measure.calibrate(full=False, compile=host.compile_kernel, threads=2)
    figures = [*profile.scalar.values(), *profile.vector.values(), *profile.latency.values(), *profile.interp.values()]
    assert all(math.isfinite(x) and x >= 0 for x in figures)
    assert profile.latency["add.f64"] > profile.scalar["add.f64"] > 0
    assert [level.name for level in profile.levels] == ["L1", "L2", "L3", "DRAM"]
    if not {"L1.bandwidth", "DRAM.bandwidth"} & set(profile.noisy):
        assert profile.levels[0].bandwidth > profile.levels[-1].bandwidth
    assert set(profile.scalar) >= set(default_profile().scalar)
    assert to_json(from_json(to_json(profile))) == to_json(profile)


def test_each_benchmark_name_has_its_case_in_the_source():
    simple = bench_source.SOURCE.split("simple[] = {")[1].split("}")[0]
    names = [n for n in bench_source.NAMES if n.split(":")[0] not in ("memory", "threads")]
    assert len([x for x in simple.replace("\n", " ").split(",") if x.strip()]) == len(names)


def test_the_quick_calibration_is_stored_and_without_a_compiler_it_is_not(tmp_path, monkeypatch):
    host = HostDevice()
    if isinstance(host.tool, str):
        pytest.skip(host.tool)
    profile = measure.quick(tmp_path)
    assert profile is not None and profile.origin == "quick"
    assert (tmp_path / FILE_NAME).exists()
    monkeypatch.setattr(measure, "_host", lambda: lambda source, openmp: Failure())
    assert measure.quick(tmp_path / "other") is None
    assert not (tmp_path / "other").exists()


def test_what_is_noisy_now_keeps_its_good_figure_of_before():
    base = default_profile(2)
    known = replace(base, origin="quick", measured=("levels", "fork"), noisy=("L3.bandwidth_t",), fork_hot_s=7e-6)
    noisy = frozenset(("fork_hot_s", "L3.bandwidth_t", "journal_bps"))
    merged = measure._merged(base, {"fork_hot_s": base.fork_hot_s}, noisy, known)
    assert merged.fork_hot_s == 7e-6
    assert merged.noisy == ("L3.bandwidth_t", "journal_bps")


def test_regions_that_wait_for_their_threads_do_not_eat_the_time_of_all_others():
    host = HostDevice()
    address, openmp = measure._benchmarks(host.compile_kernel, 2) if not isinstance(host.tool, str) else (0, False)
    if not openmp:
        pytest.skip("no OpenMP")
    start = time.perf_counter()
    seconds = measure._Bench(address, Clocks(), True, 2).once("threads:fork_hot", 0, 100_000_000, 2)
    assert seconds > 0.0 and time.perf_counter() - start < 2.0
