"""Calibration: the interpreter's operations, flop rates, latencies, bandwidths, OpenMP, compile times.

In: a function that compiles one kernel.  Out: a `Profile` with what could be measured in place of the defaults.
Without a compiler only the interpreter is measured.

All figures are sampled in interleaved rounds (`noise.py`). One whose samples do not agree, or which cannot be true
beside another (`settle.py`), is noisy: what was known before stays, else the default; a later process measures again.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from alpyna_hook import log, settings
from alpyna_hook.cost import bench_source, measure_device, measure_interp
from alpyna_hook.cost.machine import (
    CALIBRATE_S, DeviceFigures, Level, Profile, default_profile, figures, fingerprint, group_of, with_figures,
)  # fmt: skip
from alpyna_hook.cost.noise import Clocks, Figure, LoadWatch, Sample, Task, in_rounds, sampled
from alpyna_hook.cost.profiles import save
from alpyna_hook.cost.settle import settle

# (C source, with OpenMP?) -> something with the kernel's `address`, or with the `reason` why there is none. It must not
# answer from a cache, or compile times are not those of compiling.
Compile = Callable[[str, bool], Any]

FULL_S = 17.0  # start-up and what is under way when the time is up take up to three seconds more
DEVICE_S = 2.0
HOST_SHARE = 0.6  # of the time, that devices leave to the host's figures, whatever their compilers take
QUICK_ROUNDS, FULL_ROUNDS = 4, 8  # planned; disturbed figures get more as far as the time goes
LONG_RUN_S = 5e-4  # of one run: long against the clock's resolution, short against a scheduler's time slice
COMPILE_ROUNDS = 3
IDLE_AGREE = 2.0
PER_ELEMENT = ("memory:stream", "memory:copy", "memory:read")
_LARGEST = 64 << 20  # bytes of the arrays that main memory is measured with
_SHARE_INTERP = 0.25  # of the time, for the interpreter's figures


def quick(folder: Path, previous: Profile | None = None) -> Profile | None:
    """The quick calibration, stored in `folder` for later processes and said in one line: for `Oracle.calibrate`.

    None if there is nothing to compile with: the defaults are then as good. `previous` as for `calibrate`.
    """
    log.info(f"measuring this machine for about {CALIBRATE_S:.0f} s, once (alpyna calibrate does it more thoroughly)")
    profile = calibrate(full=False, previous=previous)
    if "scalar" not in profile.measured:
        return None
    if profile.noisy:
        log.info(f"the machine is busy: {len(profile.noisy)} figures will be measured again by a later run")
    save(profile, folder)
    return profile


def calibrate(
    full: bool = True, compile: Compile | None = None, threads: int = 0, previous: Profile | None = None,
    clocks: Clocks = Clocks(), accelerators: Mapping[str, Any] = MappingProxyType({}), began: float | None = None,
) -> Profile:  # fmt: skip
    """A measured profile, in about CALIBRATE_S seconds, or FULL_S if `full`. Without a compiler the interpreter only.

    compile   None: the host device as the settings have it, without a cache
    threads   0: as the settings have it
    previous  a profile whose good figures stand in for those that turn out noisy now
    accelerators  by variant, opened: measured, too, each for DEVICE_S seconds if the host's figures leave them
    began     when the time began to count, on the clock; None: now
    The quick one leaves out compile times: the oracle learns them from every kernel that it has compiled.
    """
    started, watch = clocks.wall() if began is None else began, LoadWatch(clocks)
    threads = threads or settings.current().threads
    rounds, budget = (FULL_ROUNDS, FULL_S) if full else (QUICK_ROUNDS, CALIBRATE_S)
    compile = compile or _host()
    base = default_profile(threads)
    address, openmp = _benchmarks(compile, threads)
    raw = _compile_times(compile, openmp, clocks) if full and address else {}
    devices = _devices(accelerators, clocks, started + (1.0 - HOST_SHARE) * budget)
    left = budget - (clocks.wall() - started)
    bench = _Bench(address, clocks, openmp, threads) if address else None
    raw.update(_measured(bench, base, max(left, 0.2 * budget), rounds, clocks))
    values, noisy = settle(raw, base)
    profile = _merged(base, values, noisy, previous)
    return replace(
        profile,
        attempts=previous.attempts + 1 if profile.noisy and previous is not None else int(bool(profile.noisy)),
        origin="full" if full or (previous is not None and previous.origin == "full") else "quick",
        created=time.strftime("%Y-%m-%d %H:%M:%S"),
        host=fingerprint(),
        measured=tuple(dict.fromkeys(map(group_of, (*values, *noisy)))),
        load=watch.note(),
        devices=devices or (previous.devices if previous is not None else {}),
    )


def _devices(accelerators: Mapping[str, Any], clocks: Clocks, end: float = math.inf) -> dict[str, DeviceFigures]:
    """The figures of each accelerator, by `end` on the clock; of one that fails (said), none: loops then do not go
    there."""
    found = {}
    for k, (variant, device) in enumerate(accelerators.items()):
        latest = clocks.wall() + (end - clocks.wall()) / (len(accelerators) - k)  # the next one has its share
        try:
            found[variant] = measure_device.measure(device, variant, DEVICE_S, clocks, latest)
        except TimeoutError as error:
            log.warning(f"{device.name} cannot be measured: {error}")
        except Exception as error:  # whatever the vendor's package raises
            log.warning(f"{device.name} cannot be measured: {device.explain(error)}")
    return found


def _host() -> Compile:
    from alpyna_hook.devices.host import HostDevice

    host = HostDevice(cc=settings.current().cc, timeout=settings.current().cc_timeout)
    # `compile` knows where OpenMP must not be run (a forked child of a process that has run it)
    return lambda source, openmp: host.compile(source, "omp" if openmp else "seq")


def _benchmarks(compile: Compile, threads: int) -> tuple[int, bool]:
    """Address of the compiled benchmarks, 0 if there are none (said), and whether they have OpenMP."""
    openmp = threads > 1
    built = compile(bench_source.SOURCE, openmp)
    if not getattr(built, "address", 0) and openmp:
        openmp = False
        built = compile(bench_source.SOURCE, False)
    address = getattr(built, "address", 0)
    if not address:
        log.warning(f"calibration without compiled figures: {getattr(built, 'reason', 'no benchmarks')}")
    return address, openmp


def _measured(
    bench: _Bench | None, base: Profile, budget: float, rounds: int, clocks: Clocks
) -> dict[str, Figure]:
    """Raw figures by task. Interpreter and machine are measured in common rounds: the longer a figure's samples are
    spread, the less one disturbance can do."""
    native = bench.tasks(base) if bench is not None else {}
    count = len(measure_interp.STATEMENTS) + 1
    weight = _SHARE_INTERP / (1.0 - _SHARE_INTERP) * len(native) / count if native else 1.0
    interp = {f"interp:{name}": task for name, task in measure_interp.tasks(clocks, weight).items()}
    return in_rounds({**interp, **native}, budget, rounds, clocks)


class _Slot(ctypes.Union):
    _fields_ = [("i", ctypes.c_int64), ("d", ctypes.c_double), ("p", ctypes.c_void_p)]


class _Bench:
    """The compiled benchmarks."""

    def __init__(self, address: int, clocks: Clocks, openmp: bool, threads: int) -> None:
        self._kernel = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(_Slot), ctypes.POINTER(_Slot))(address)
        self._clocks, self._openmp, self._threads = clocks, openmp, threads

    def once(self, name: str, elements: int, repetitions: int, threads: int = 1) -> float:
        """Seconds per repetition, of sweeps per element of one; nan if there was not enough memory."""
        given, taken = (_Slot * 4)(), (_Slot * 3)()
        for slot, value in zip(given, (threads, bench_source.NAMES.index(name), elements, repetitions)):
            slot.i = value
        self._kernel(given, taken)
        seconds = float(taken[1].d) / max(elements if name in PER_ELEMENT else 1, 1)
        return seconds if seconds > 0.0 else math.nan

    def task(self, name: str, elements: int = 0, threads: int = 1, first: int = 1024, most: int = 1 << 40) -> Task:
        """A benchmark, in runs of about LONG_RUN_S. `first`: repetitions of the first run; `most`: at most."""
        repetitions = first

        def run() -> float:
            nonlocal repetitions
            start = self._clocks.wall()
            seconds = self.once(name, elements, repetitions, threads)
            if self._clocks.wall() - start < LONG_RUN_S / 2:
                repetitions = min(2 * repetitions, most)
            return seconds

        return Task(lambda share: sampled(run, share, self._clocks, threads), 1.0, threads)

    def tasks(self, base: Profile) -> dict[str, Task]:
        """All benchmarks; levels of memory as in `base`."""
        found = {name: self.task(name) for name in bench_source.NAMES if not name.startswith(("memory:", "threads:"))}
        for k, level in enumerate(base.levels):
            below = base.levels[k - 1].size or 0 if k else 0
            found.update(self._level(level, below, private=k < 2))
        found["memory:copy"] = self.task("memory:copy", _LARGEST // 16, first=1, most=1)
        if self._openmp:
            found["threads:fork_hot"] = self.task("threads:fork_hot", 0, self._threads, first=100, most=400)
            found["threads:region"] = self.task("threads:region", first=100, most=4000)
            found["threads:latency"] = self.task("threads:latency", 0, self._threads, first=1 << 16)
            found["threads:compute"] = self.task("threads:compute", 0, self._threads, first=1 << 18)
            found["threads:fork_idle"] = self._idle()
        return found

    def _level(self, level: Level, below: int, private: bool) -> dict[str, Task]:
        """Bandwidth and random access with arrays of half the level's size; of main memory, well beyond the caches."""
        size = min(4 * below, _LARGEST) if level.size is None else max(level.size // 2, min(2 * below, level.size))
        count = max(size // 16, 1024)  # two arrays of doubles; seconds are per element
        sweeps = max((1 << 18) // count, 2)
        places = 1 << int(math.log2(size // 8))
        found = {
            f"stream:{level.name}": self.task("memory:stream", count, first=sweeps),
            f"random:{level.name}": self.task("memory:random", places, first=1 << 16, most=1 << 18),
        }
        if private:
            return found
        many = max(sweeps // 2, 1)
        found[f"read:{level.name}"] = self.task("memory:read", 2 * count, first=many)
        if self._openmp:
            found[f"shared:{level.name}"] = self.task("memory:stream", count, self._threads, first=sweeps)
            found[f"read_shared:{level.name}"] = self.task("memory:read", 2 * count, self._threads, first=many)
        return found

    def _idle(self) -> Task:
        """Waking threads that sleep: its share of the CPU says nothing, and it differs by nature."""
        return Task(lambda share: Sample(self.once("threads:fork_idle", 0, 1, self._threads)), 1.0, 1, IDLE_AGREE)


def _merged(base: Profile, values: Mapping[str, float], noisy: frozenset[str], previous: Profile | None) -> Profile:
    """The figures on top of the defaults; noisy ones from `previous` if they were good there."""
    known = figures(previous) if previous is not None else {}
    kept = {
        name: known[name]
        for name in noisy
        if previous is not None and name in known and name not in previous.noisy and group_of(name) in previous.measured
    }
    return replace(with_figures(base, {**values, **kept}), noisy=tuple(sorted(noisy - set(kept))))


def _compile_times(compile: Compile, openmp: bool, clocks: Clocks) -> dict[str, Figure]:
    """Seconds that the compiler takes for a kernel of ordinary size, per route."""
    found: dict[str, Figure] = {}
    for route in ("seq", "omp") if openmp else ("seq",):
        found[f"compile:{route}"] = figure = Figure(Task(Sample))
        for number in range(COMPILE_ROUNDS):
            start = clocks.wall()
            built = compile(bench_source.TYPICAL % f"{route} {number} {time.time_ns()}", route == "omp")
            if getattr(built, "address", 0):
                figure.add(Sample(clocks.wall() - start))
    return found
