"""Calibration: the interpreter's operations, flop rates, latencies, bandwidths, OpenMP, compile times.

In: a function that compiles one kernel.  Out: a `Profile` with what could be measured in place of the defaults, named
in `Profile.measured`.  Without a compiler only the interpreter is measured.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from alpyna_hook import log, settings
from alpyna_hook.cost import bench_source, measure_interp
from alpyna_hook.cost.machine import FULL_S, QUICK_S, Level, Profile, default_profile, fingerprint, save

# (C source, with OpenMP?) -> something with the kernel's `address`, or with the `reason` why there is none. It must not
# answer from a cache, or compile times are not those of compiling.
Compile = Callable[[str, bool], Any]

ROUNDS = 3  # of a full calibration
LONG_RUN_S = 5e-4  # long against the clock's resolution, short against a scheduler's time slice
_LARGEST = 64 << 20  # bytes of the arrays that main memory is measured with


def quick(folder: Path) -> Profile | None:
    """The quick calibration, stored in `folder` for later processes and said in one line: for `Oracle.calibrate`.
    None if there is nothing to compile with: the defaults are then as good."""
    log.info(f"measuring this machine for about {QUICK_S:.0f} s, once (alpyna calibrate does it more thoroughly)")
    profile = calibrate(full=False)
    if "scalar" not in profile.measured:
        return None
    save(profile, folder)
    return profile


def _host() -> Compile:
    from alpyna_hook.devices.host import HostDevice

    host = HostDevice(cc=settings.current().cc)
    # `compile` knows where OpenMP must not be run (a forked child of a process that has run it)
    return lambda source, openmp: host.compile(source, "omp" if openmp else "seq")


class _Slot(ctypes.Union):
    _fields_ = [("i", ctypes.c_int64), ("d", ctypes.c_double), ("p", ctypes.c_void_p)]


class _Bench:
    """The compiled benchmarks. `share`: seconds that one figure may take."""

    def __init__(self, address: int, share: float) -> None:
        self._kernel = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(_Slot), ctypes.POINTER(_Slot))(address)
        self._share = share

    def once(self, name: str, elements: int, repetitions: int, threads: int = 1) -> float:
        """Seconds per repetition; nan if there was not enough memory."""
        given, taken = (_Slot * 4)(), (_Slot * 3)()
        for slot, value in zip(given, (threads, bench_source.NAMES.index(name), elements, repetitions)):
            slot.i = value
        self._kernel(given, taken)
        seconds = float(taken[1].d)
        return seconds if seconds > 0.0 else math.nan

    def best(self, name: str, elements: int = 0, threads: int = 1, first: int = 1024) -> float:
        """Least seconds per repetition of several runs that take about `share` seconds in all. `first`: repetitions
        of the first run; later runs have that times a power of four."""
        repetitions = first
        deadline = time.perf_counter() + self._share
        found = math.inf
        runs = 0
        while not runs or time.perf_counter() < deadline:
            seconds = self.once(name, elements, repetitions, threads)
            if math.isnan(seconds):
                return seconds
            found, runs = min(found, seconds), runs + 1
            if seconds * repetitions < min(self._share / 16, LONG_RUN_S):
                repetitions *= 4
                found = math.inf if time.perf_counter() < deadline else found  # too short a run to be trusted
        return found


def calibrate(full: bool = True, compile: Compile | None = None, threads: int = 0) -> Profile:
    """A measured profile, in about QUICK_S seconds, or FULL_S with `full`. Without a compiler, the interpreter's part.

    compile  None: the host device as the settings have it, without a cache
    threads  0: as the settings have it
    The quick one leaves out compile times: the oracle learns them from every kernel that it has compiled.
    """
    threads = threads or settings.current().threads
    rounds = ROUNDS if full else 1
    budget = (FULL_S if full else QUICK_S) / rounds
    compile = compile or _host()
    built = compile(bench_source.SOURCE, threads > 1)
    openmp = threads > 1
    if not getattr(built, "address", 0) and openmp:
        openmp = False
        built = compile(bench_source.SOURCE, False)
    address = getattr(built, "address", 0)
    if not address:
        log.warning(f"calibration without compiled figures: {getattr(built, 'reason', 'no benchmarks')}")
    profile = _round(address, openmp, threads, budget)
    for _ in range(rounds - 1):
        profile = _better(profile, _round(address, openmp, threads, budget))
    profile = replace(
        profile,
        origin="full" if full else "quick",
        created=time.strftime("%Y-%m-%d %H:%M:%S"),
        host=fingerprint(),
    )
    return _compile_times(compile, openmp, profile) if full and address else profile


def _round(address: int, openmp: bool, threads: int, budget: float) -> Profile:
    """All figures once, in about `budget` seconds. `address`: of the compiled benchmarks, 0 if there are none."""
    base = default_profile(threads)
    interp = {**base.interp, **measure_interp.interpreter(budget * 0.2)}
    profile = replace(base, interp=interp, measured=("interp",))
    if not address:
        return profile
    bench = _Bench(address, share=budget * 0.3 / (len(bench_source.NAMES) + 8))
    profile = _operations(bench, profile)
    profile = _memory(bench, openmp, threads, profile)
    return _threads(bench, openmp, threads, profile)


def _better(a: Profile, b: Profile) -> Profile:
    """The faster of both in every figure: what disturbs a measurement makes it slower. Rounds are seconds apart, so a
    disturbance of one is seldom there in all."""
    levels = tuple(
        replace(
            x,
            bandwidth=max(x.bandwidth, y.bandwidth),
            bandwidth_t=max(x.bandwidth_t, y.bandwidth_t),
            random_s=min(x.random_s, y.random_s),
        )
        for x, y in zip(a.levels, b.levels)
    )
    return replace(
        a,
        interp=_least(a.interp, b.interp),
        scalar=_least(a.scalar, b.scalar),
        vector=_least(a.vector, b.vector),
        latency=_least(a.latency, b.latency),
        levels=levels,
        fork_hot_s=min(a.fork_hot_s, b.fork_hot_s),
        fork_idle_s=min(a.fork_idle_s, b.fork_idle_s),
        journal_bps=max(a.journal_bps, b.journal_bps),
    )


def _least(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, float]:
    return {name: min(value, b.get(name, value)) for name, value in a.items()}


def _operations(bench: _Bench, profile: Profile) -> Profile:
    """Latencies and rates. What has no benchmark of its own is scaled by the clock: an exclusive-or takes one cycle."""
    cycle = bench.best("latency:cycle")
    clock = default_profile().latency["add.int"]  # one cycle by the system's clock figure
    stretch = cycle / clock if math.isfinite(cycle) else 1.0
    latency = {k: v * stretch for k, v in profile.latency.items()}
    scalar = {k: v * stretch for k, v in profile.scalar.items()}
    vector = {k: v * stretch for k, v in profile.vector.items()}
    for name in bench_source.LATENCY[1:]:
        latency[name] = bench.best(f"latency:{name}")
    for name in bench_source.SCALAR:
        scalar[name] = bench.best(f"scalar:{name}")
    for name in bench_source.LIBM:
        scalar[f"libm.{name}"] = latency[f"libm.{name}"] = bench.best(f"libm:{name}")
    scalar["libm.*"] = sorted(scalar[f"libm.{name}"] for name in bench_source.LIBM)[len(bench_source.LIBM) // 2]
    latency["pow.f64"] = scalar["pow.f64"]
    for name in bench_source.VECTOR:
        operations = 8 if name in ("add.f64", "mul.f64") else 1
        vector[name] = bench.best(f"vector:{name}") / operations
    _scale_single(scalar, profile.scalar)
    _scale_single(vector, profile.vector)
    return replace(
        profile,
        latency=latency,
        scalar=scalar,
        vector=vector,
        measured=(*profile.measured, "scalar", "vector", "latency"),
    )


def _scale_single(table: dict[str, float], before: Any) -> None:
    """Single precision division and root, measured only in double precision, keep their default ratio to it."""
    for head in ("add", "mul", "div", "sqrt", "pow", "fmod"):
        single, double = f"{head}.f32", f"{head}.f64"
        if single in before and double in before and double in table:
            table[single] = table[double] * before[single] / before[double]


def _memory(bench: _Bench, openmp: bool, threads: int, profile: Profile) -> Profile:
    """Bandwidth and random access per level, with arrays of half its size; of main memory, well beyond the caches."""
    levels = []
    for k, level in enumerate(profile.levels):
        below = profile.levels[k - 1].size or 0 if k else 0
        size = min(4 * below, _LARGEST) if level.size is None else max(level.size // 2, min(2 * below, level.size))
        count = max(size // 16, 1024)  # two arrays of doubles
        sweeps = max((1 << 18) // count, 2)
        one = many = 24.0 * count / bench.best("memory:stream", count, first=sweeps)
        if k < 2:
            many = one * threads  # L1 and L2 belong to one core each
        elif openmp:
            many = 24.0 * count / bench.best("memory:stream", count, threads, first=sweeps)
        places = 1 << int(math.log2(size // 8))
        each = bench.best("memory:random", places, first=1 << 16)
        levels.append(Level(level.name, level.size, one, max(many, one), each))
    elements = _LARGEST // 16
    journal = 8.0 * elements / bench.best("memory:copy", elements, first=2)
    figures = [x for level in levels for x in (level.bandwidth, level.bandwidth_t, level.random_s)]
    if not all(math.isfinite(x) and x > 0 for x in (*figures, journal)):
        return profile
    measured = (*profile.measured, "levels", "journal")
    return replace(profile, levels=tuple(levels), journal_bps=journal, measured=measured)


def _threads(bench: _Bench, openmp: bool, threads: int, profile: Profile) -> Profile:
    if not openmp:
        return profile
    bench.once("threads:fork_hot", 0, 100, threads)
    hot = min(bench.once("threads:fork_hot", 0, 200, threads) for _ in range(5))
    idle = sorted(bench.once("threads:fork_idle", 0, 1, threads) for _ in range(7))[3]
    return replace(
        profile, fork_hot_s=hot, fork_idle_s=max(idle, hot), threads=threads, measured=(*profile.measured, "fork")
    )


def _compile_times(compile: Compile, openmp: bool, profile: Profile) -> Profile:
    """Seconds that the compiler takes for a kernel of ordinary size, per route."""
    times = dict(profile.compile_s)
    for variant in ("seq", "omp") if openmp else ("seq",):
        start = time.perf_counter()
        built = compile(bench_source.TYPICAL % f"{variant} {time.time_ns()}", variant == "omp")
        if getattr(built, "address", 0):
            times[variant] = time.perf_counter() - start
    return replace(profile, compile_s=times, measured=(*profile.measured, "compile"))
