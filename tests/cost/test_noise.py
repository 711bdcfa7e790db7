"""Noise is recognised: by the CPU's share, by rounds that do not agree, by figures that cannot be true together."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from alpyna_hook.cost.machine import default_profile, figures
from alpyna_hook.cost.noise import AGREE, Clocks, Figure, LoadWatch, Sample, Task, in_rounds, sampled
from alpyna_hook.cost.settle import settle

BASE = default_profile(threads=2)


class Machine:
    """Injected clocks. `slow(wall)`: by how much others stretch the wall-clock time of work done at that time."""

    def __init__(self, slow: Callable[[float], float] = lambda wall: 1.0) -> None:
        self.wall = self.cpu = 0.0
        self.slow = slow
        self.clocks = Clocks(lambda: self.wall, lambda: self.cpu, lambda: self.cpu)

    def work(self, seconds: float) -> float:
        """Work of so much CPU time; its wall-clock time, as a benchmark would measure it."""
        start = self.wall
        self.cpu += seconds
        self.wall += seconds * self.slow(start)
        return self.wall - start

    def task(self, seconds: float) -> Task:
        return Task(lambda share: sampled(lambda: self.work(seconds), share, self.clocks))


def test_of_several_runs_the_best_clean_one_counts():
    machine = Machine(lambda wall: 1.0 if 0.005 < wall < 0.009 else 3.0)
    sample = sampled(lambda: machine.work(0.001), 0.02, machine.clocks)
    assert sample == Sample(pytest.approx(0.001), pytest.approx(1.0))


def test_a_sample_without_a_clean_run_says_so():
    machine = Machine(lambda wall: 2.0)
    assert sampled(lambda: machine.work(0.001), 0.02, machine.clocks).share == pytest.approx(0.5)


def test_no_memory_ends_a_sample():
    assert math.isnan(sampled(lambda: math.nan, 1.0, Machine().clocks).seconds)


def test_a_figure_disturbed_in_most_rounds_is_still_right():
    machine = Machine(lambda wall: 1.0 if int(wall * 10) % 4 == 0 else 2.5)
    found = in_rounds({"a": machine.task(0.001), "b": machine.task(0.002)}, 2.0, 8, machine.clocks)
    assert found["a"].trusted and found["a"].value == pytest.approx(0.001)
    assert found["b"].trusted and found["b"].value == pytest.approx(0.002)


def test_a_figure_that_was_never_left_alone_is_not_trusted():
    machine = Machine(lambda wall: 2.5)
    found = in_rounds({"a": machine.task(0.001)}, 1.0, 4, machine.clocks)
    assert not found["a"].trusted and found["a"].value == pytest.approx(0.0025)


def test_rounds_that_do_not_agree_are_not_trusted_even_if_the_cpu_was_there():
    # a neighbour on the same core, or in the same cache: the CPU's share does not show it
    figure = Figure(Task(Sample))
    for seconds in (1.0, AGREE + 0.1, AGREE + 0.2):
        figure.add(Sample(seconds))
    assert not figure.trusted
    figure.add(Sample(1.05))
    assert figure.trusted and figure.value == 1.0


def test_measuring_ends_when_all_agrees_and_otherwise_when_the_time_is_over():
    quiet, busy = Machine(), Machine(lambda wall: 1.0 + wall)
    in_rounds({"a": quiet.task(0.001)}, 2.0, 4, quiet.clocks)
    in_rounds({"a": busy.task(0.001)}, 2.0, 4, busy.clocks)
    assert quiet.wall <= 2.1 and 2.0 <= busy.wall <= 2.6


def test_every_task_gets_a_sample_however_late_it_is():
    machine = Machine()
    tasks = {name: machine.task(1.0) for name in "abc"}
    assert all(f.value == pytest.approx(1.0) for f in in_rounds(tasks, 0.5, 4, machine.clocks).values())


def test_the_load_of_the_machine_is_noted():
    machine = Machine(lambda wall: 4.0)
    watch = LoadWatch(machine.clocks)
    machine.work(0.5)
    assert watch.note()["own_cpus"] == 0.25


def raw(**changes: float) -> dict[str, Figure]:
    """Samples that agree, of a machine of the default's figures; `changes` by task, dots and colons as _."""
    flat = figures(BASE)
    seconds = {"latency:cycle": BASE.latency["add.int"], "latency:add.f64": 1e-9, "threads:latency": 1e-9}
    for level in BASE.levels:
        seconds[f"stream:{level.name}"] = 24.0 / level.bandwidth
        seconds[f"random:{level.name}"] = level.random_s
    seconds |= {"shared:L3": 24.0 / flat["L3.bandwidth"] / 1.8, "shared:DRAM": 24.0 / flat["DRAM.bandwidth"] / 1.4}
    for name, gain in (("L3", 1.6), ("DRAM", 1.5)):
        one = 8.0 / flat[f"{name}.read"]
        seconds |= {f"read:{name}": one, f"read_shared:{name}": one / gain}
    seconds |= {"threads:fork_hot": 1e-6, "threads:fork_idle": 5e-5, "threads:compute": 1e-9, "scalar:add.f64": 1e-9}
    by_name = {task.replace(":", "_").replace(".", "_"): task for task in seconds}
    seconds.update({by_name[name]: value for name, value in changes.items()})
    return {task: Figure(Task(Sample), [value, value * 1.01]) for task, value in seconds.items()}


PARALLEL = {"L3.bandwidth_t", "DRAM.bandwidth_t", "L3.read_t", "DRAM.read_t", "fork_hot_s", "fork_idle_s", "compute_t"}


def test_parallel_figures_of_a_quiet_machine_are_believed():
    values, noisy = settle(raw(), BASE)
    assert not PARALLEL & noisy
    assert values["L3.bandwidth_t"] == pytest.approx(1.8 * BASE.levels[2].bandwidth)
    assert values["DRAM.read_t"] == pytest.approx(1.5 * BASE.levels[3].read)
    assert values["compute_t"] == 2.0 and values["fork_hot_s"] == 1e-6


def test_caches_of_one_core_read_as_they_stream():
    values, noisy = settle(raw(stream_L2=12.0 / BASE.levels[1].bandwidth), BASE)
    assert values["L2.read"] == pytest.approx(values["L2.bandwidth"]) == pytest.approx(2.0 * BASE.levels[1].bandwidth)
    assert not {"L1.read", "L2.read", "L2.read_t"} & noisy


def test_without_a_core_per_thread_no_parallel_figure_is_believed():
    values, noisy = settle(raw(threads_latency=1.9e-9), BASE)
    assert PARALLEL <= noisy
    assert values["L3.bandwidth_t"] == pytest.approx(BASE.levels[2].bandwidth_t)


def test_threads_that_stream_no_faster_than_one_from_a_shared_cache_are_not_believed():
    one = 24.0 / BASE.levels[2].bandwidth
    values, noisy = settle(raw(shared_L3=one), BASE)
    assert PARALLEL & noisy == {"L3.bandwidth_t"}
    assert values["L3.bandwidth_t"] > 1.5 * BASE.levels[2].bandwidth


def test_threads_on_one_core_are_believed_to_compute_less():
    # two hardware threads of one core: chains run side by side, full pipelines do not
    values, noisy = settle(raw(threads_compute=1.6e-9), BASE)
    assert "compute_t" not in noisy and values["compute_t"] == pytest.approx(2.0 / 1.6)


def test_a_noisy_figure_is_the_default_scaled_to_the_measured_clock():
    samples = raw(latency_cycle=2.0 * BASE.latency["add.int"])
    samples["scalar:div.f64"] = Figure(Task(Sample), [1.0, 2.0])
    values, noisy = settle(samples, BASE)
    assert "scalar.div.f64" in noisy
    assert values["scalar.div.f64"] == pytest.approx(2.0 * BASE.scalar["div.f64"])


def test_vector_memory_figures_make_the_stream_in_the_nearest_cache_take_what_was_measured():
    values, _ = settle(raw(stream_L1=7e-10), BASE)
    load, store, trip = (values[f"vector.{name}"] for name in ("load", "store", "trip"))
    assert max(2.0 * load, store, trip) == pytest.approx(7e-10)
    assert store / load == pytest.approx(BASE.vector["store"] / BASE.vector["load"])


def test_a_region_for_one_thread_is_measured_and_noisy_without():
    samples = raw()
    assert "scalar.region" in settle(samples, BASE)[1]
    samples["threads:region"] = Figure(Task(Sample), [4e-7, 4.01e-7])
    values, noisy = settle(samples, BASE)
    assert values["scalar.region"] == 4e-7 and "scalar.region" not in noisy
