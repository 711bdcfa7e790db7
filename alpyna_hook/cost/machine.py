"""The machine profile: the figures of this computer that the model multiplies counts by.

In: what the system says of its CPU.  Out: a `Profile` of typical figures scaled to this CPU's clock.

`profiles.py` keeps a measured one on disk, `measure.py` measures. Neither happens before a program's first site
call: a profile of defaults ranks variants well but near their break-even points, where a wrong choice costs little.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

# The interpreter's time on an element of a CuPy array, over that on one of NumPy's: an operation launches a kernel,
# some 5 us where one on a NumPy scalar takes 0.1 (launch latencies as in docs/oracle.md; not measured for CuPy itself).
FOREIGN = 50.0
CALIBRATE_S = 2.0  # most that a quick calibration may take

_TURBO = 1.3  # clock under load over base clock, usual for server and desktop processors since 2019
_REFERENCE_HZ = _TURBO * 2.6e9  # of the machine on which the interpreter's defaults were measured


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the memory hierarchy.

    size         bytes (of one core's share); None for main memory
    bandwidth    bytes per second that one core streams from here, write-allocate traffic included
    bandwidth_t  the same for all `Profile.threads` together
    read, read_t bytes per second of lines that are read, whether or not they are written back later
    random_s     seconds per independent random access
    """

    name: str
    size: int | None
    bandwidth: float
    bandwidth_t: float
    read: float
    read_t: float
    random_s: float


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """An accelerator, as the host meets it. Times in seconds.

    style, shares_memory  as `devices.base.Accelerator` has them
    launch_s   a kernel that does nothing, from asking for it, after a rest, to knowing that it is done
    enqueue_s  each further launch that nobody waits for
    to_s, to_bps, from_s, from_bps  a copy there (back) takes latency + bytes / rate; where memory is shared: handing an
               array over and taking it back, whatever its size
    bandwidth  bytes per second of the device's own memory
    rates      operations per second of the whole device, by type: "f64", "f32", "int"
    saturate   work items that nine tenths of `rates` take
    build_s    compiling a kernel of ordinary size
    missing    figures (`measure_device.FIGURES`) that there was no time to measure, and which are typical ones
    """

    name: str
    style: str
    shares_memory: bool
    launch_s: float
    enqueue_s: float
    to_s: float
    to_bps: float
    from_s: float
    from_bps: float
    bandwidth: float
    rates: Mapping[str, float]
    saturate: int
    build_s: float
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """All times in seconds.

    measured  groups with figures that are not defaults ("interp", "levels", "fork", ...)
    noisy     names (as `figures` has them) of those that could not be measured well and are defaults, scaled
    attempts  calibrations in a row that left some noisy
    load      what else the machine did while it was measured (noise.LoadWatch)
    """

    interp: Mapping[str, float]  # per interpreter operation
    scalar: Mapping[str, float]  # reciprocal throughput per machine operation, scalar code
    vector: Mapping[str, float]  # the same per element in vector code; classes that do not vectorise are absent
    latency: Mapping[str, float]  # result latency per machine operation
    levels: tuple[Level, ...]  # nearest first, main memory last
    threads: int
    compute_t: float  # work per second of all threads over that of one, where each computes in its own registers
    fork_hot_s: float  # one OpenMP region, workers still spinning
    fork_idle_s: float  # after 20 ms without one
    compile_s: Mapping[str, float]  # per route: "seq", "omp"
    call_s: float  # guard + argument marshalling + kernel call
    decline_s: float  # guard that says "interpreter"
    journal_bps: float  # bytes per second of saving arrays too large for the caches
    origin: str = "default"  # default | quick | full
    created: str = ""  # ISO date and time
    host: Mapping[str, str] | None = None
    measured: tuple[str, ...] = ()
    noisy: tuple[str, ...] = ()
    attempts: int = 0
    load: Mapping[str, float] = field(default_factory=dict)
    devices: Mapping[str, DeviceFigures] = field(default_factory=dict)  # by variant

    def device(self, variant: str) -> DeviceFigures:
        """The figures of the device that runs `variant`, typical ones if it was not measured."""
        return self.devices.get(variant) or typical_device(variant)

    def scalar_of(self, op: str) -> float:
        """Seconds of one scalar operation; a libm or NumPy function that was not measured costs as the typical one."""
        return self.scalar[op] if op in self.scalar else _typical(op, self.scalar)

    def latency_of(self, op: str) -> float:
        return self.latency[op] if op in self.latency else _typical(op, self.scalar)

    def vector_of(self, op: str) -> float:
        return self.vector.get(op, self.scalar_of(op))


def _typical(op: str, table: Mapping[str, float]) -> float:
    head, _, rep = op.partition(".")
    if head in ("libm", "npy"):
        return table[f"{head}.*"]
    if rep == "c128":
        return 2.0 * table.get(f"{head}.f64", table["add.f64"])
    return table.get(f"{head}.f64", table["add.f64"])


# Interpreter defaults, nanoseconds: CPython 3.11, NumPy 2.4, 2.6 GHz (base) Zen 4 under ordinary load
# (measure_interp.interpreter).
_INTERP_NS = {
    "range_iter": 18, "loop_entry": 90, "load1": 48, "load2": 85, "loadn": 100, "store1": 45, "store2": 95,
    "storen": 125, "int_arith": 9, "int_div": 13, "float_arith": 12, "pow": 38, "complex_arith": 50, "np_arith": 45,
    "np_int_arith": 38, "np_pow": 75, "np_mixed": 110, "np_int_float": 1000, "compare": 11, "np_compare": 20,
    "np_int_compare": 28, "branch": 4, "jump": 2, "unary": 11, "assign": 3, "attribute": 6, "np_attribute": 70,
    "math_call": 42, "builtin_call": 45, "builtin2_call": 100, "int_call": 52, "np_call": 230, "np_cast": 95,
}  # fmt: skip

# Machine defaults, cycles. Agner Fog, "Instruction tables" (Zen 3, Ice Lake: the slower), AVX2 for the vector column.
_SCALAR_CYCLES = {
    "add.f64": 0.5, "mul.f64": 0.5, "div.f64": 5, "sqrt.f64": 6, "pow.f64": 60, "fmod.f64": 30, "neg.f64": 0.5,
    "abs.f64": 0.5, "min.f64": 1, "cmp.f64": 0.5, "select.f64": 1, "cvt.f64": 1, "bit.f64": 0.5,
    "add.f32": 0.5, "mul.f32": 0.5, "div.f32": 3.5, "sqrt.f32": 5, "pow.f32": 40, "fmod.f32": 25,
    "add.int": 0.3, "mul.int": 1, "idiv.int": 9, "neg.int": 0.3, "abs.int": 0.6, "min.int": 0.6, "cmp.int": 0.4,
    "select.int": 0.6, "cvt.int": 1, "bit.int": 0.3,
    "add.c128": 1, "mul.c128": 4, "div.c128": 30, "pow.c128": 150, "sqrt.c128": 60, "abs.c128": 25,
    "check": 0.7, "bounds": 1.2, "branch": 3, "forward": 0, "load": 0.5, "store": 1, "trip": 1, "loop": 8,
    "region": 1400, "libm.*": 50, "npy.*": 110,
}  # fmt: skip
_VECTOR_CYCLES = {
    "add.f64": 0.15, "mul.f64": 0.15, "div.f64": 2.2, "sqrt.f64": 2.8, "neg.f64": 0.15, "abs.f64": 0.15,
    "min.f64": 0.2, "cmp.f64": 0.15, "select.f64": 0.2, "cvt.f64": 0.5, "bit.f64": 0.15,
    "add.f32": 0.08, "mul.f32": 0.08, "div.f32": 0.8, "sqrt.f32": 1, "neg.f32": 0.08, "abs.f32": 0.08,
    "min.f32": 0.1, "cmp.f32": 0.08, "select.f32": 0.1, "cvt.f32": 0.3, "bit.f32": 0.08,
    "add.int": 0.12, "mul.int": 0.5, "neg.int": 0.12, "abs.int": 0.2, "min.int": 0.2, "cmp.int": 0.12,
    "select.int": 0.15, "cvt.int": 0.5, "bit.int": 0.12, "add.c128": 0.4, "mul.c128": 1.2,
    "branch": 0.3, "load": 0.15, "store": 0.3, "trip": 0.3,
}  # fmt: skip
_LATENCY_CYCLES = {
    "add.f64": 4, "mul.f64": 4, "div.f64": 13, "sqrt.f64": 18, "pow.f64": 90, "fmod.f64": 40, "neg.f64": 1,
    "abs.f64": 1, "min.f64": 4, "cmp.f64": 4, "select.f64": 2, "cvt.f64": 5, "bit.f64": 2,
    "add.int": 1, "mul.int": 3, "idiv.int": 14, "neg.int": 1, "abs.int": 2, "min.int": 2, "cmp.int": 1,
    "select.int": 1, "cvt.int": 5, "bit.int": 1, "add.c128": 4, "mul.c128": 9, "div.c128": 50, "abs.c128": 40,
    "forward": 5, "check": 0, "branch": 0,
}  # fmt: skip
# name, size in bytes if the system does not say, bytes per cycle of one core, of which shared by all, random cycles
_LEVELS = (("L1", 32 << 10, 48.0, False, 1.0), ("L2", 512 << 10, 24.0, False, 5.0), ("L3", 8 << 20, 10.0, False, 15.0))
_DRAM_BPS = 11e9
_DRAM_BPS_ALL = 15e9
_DRAM_READ = 2 / 3  # as in y += a x, of whose three accesses two read: the lines written back take no time of their own
_DRAM_RANDOM_S = 15e-9


# NVIDIA "A100 Tensor Core GPU" data sheet, double precision halved; a transfer by PCIe 4 as usually measured. PoCL on a
# desktop processor.
_DEVICES = {
    "cuda": DeviceFigures(
        "typical", "grid", False, 9e-6, 3e-6, 1.2e-5, 1.2e10, 1.5e-5, 1.2e10, 1.2e12,
        {"f64": 4e12, "f32": 8e12, "int": 4e12}, 1 << 16, 0.4,
    ),
    "opencl": DeviceFigures(
        "typical", "rows", True, 5e-5, 2e-5, 3e-6, 1e10, 3e-6, 1e10, 1.5e10,
        {"f64": 1e10, "f32": 2e10, "int": 1e10}, 8, 0.25,
    ),
}  # fmt: skip


def typical_device(variant: str) -> DeviceFigures:
    """The figures of a device that was not measured."""
    return _DEVICES[variant]


def default_profile(threads: int | None = None) -> Profile:
    """Typical figures scaled to this CPU's clock and cache sizes; nothing measured, `origin` "default"."""
    count = threads or _cpus()
    cycle = 1.0 / cpu_hz()
    stretch = _REFERENCE_HZ * cycle
    levels = []
    for name, size, rate, _, random in _LEVELS:
        one, all_ = rate / cycle, count * rate / cycle
        levels.append(Level(name, _cache_size(name) or size, one, all_, one, all_, random * cycle))
    one, all_ = _DRAM_BPS, min(count * _DRAM_BPS, _DRAM_BPS_ALL)
    levels.append(Level("DRAM", None, one, all_, _DRAM_READ * one, _DRAM_READ * all_, _DRAM_RANDOM_S))
    return Profile(
        interp={k: ns * 1e-9 * stretch for k, ns in _INTERP_NS.items()},
        scalar={k: c * cycle for k, c in _SCALAR_CYCLES.items()},
        vector={k: c * cycle for k, c in _VECTOR_CYCLES.items()},
        latency={k: c * cycle for k, c in _LATENCY_CYCLES.items()},
        levels=tuple(levels),
        threads=count,
        compute_t=float(count),
        fork_hot_s=2.5e-6,
        fork_idle_s=60e-6,
        compile_s={"seq": 0.13, "omp": 0.16},
        call_s=0.25e-6,
        decline_s=0.08e-6,
        journal_bps=5e9,
        host=fingerprint(),
    )


def fingerprint() -> dict[str, str]:
    """What makes a profile this machine's and this Python's; a profile with another one is not used."""
    numpy = sys.modules.get("numpy")
    return {
        "cpu": _cpuinfo().get("model name") or platform.processor() or platform.machine(),
        "cpus": str(_cpus()),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "numpy": str(getattr(numpy, "__version__", "")),
    }


def differences(a: Mapping[str, str], b: Mapping[str, str]) -> list[str]:
    """The keys of two fingerprints whose values are known in both and are not the same; none: one host."""
    return [k for k in ("cpu", "cpus", "python", "numpy") if a.get(k) and b.get(k) and a[k] != b[k]]


def figures(profile: Profile) -> dict[str, float]:
    """All figures by name: "interp.load1", "scalar.add.f64", "L3.bandwidth_t", "fork_hot_s", ..."""
    found = {f"{t}.{name}": value for t in TABLES for name, value in getattr(profile, t).items()}
    for level in profile.levels:
        found.update({f"{level.name}.{name}": getattr(level, name) for name in LEVEL_FIGURES})
    return {**found, **{name: getattr(profile, name) for name in SINGLE_FIGURES}}


def with_figures(profile: Profile, values: Mapping[str, float]) -> Profile:
    """The profile with these in place of its own; names as `figures` has them."""
    tables: dict[str, dict[str, float]] = {t: dict(getattr(profile, t)) for t in TABLES}
    levels = {level.name: level for level in profile.levels}
    single: dict[str, float] = {}
    for name, value in values.items():
        head, _, rest = name.partition(".")
        if head in tables:
            tables[head][rest] = value
        elif head in levels:
            levels[head] = replace(levels[head], **{rest: value})  # type: ignore[arg-type]
        else:
            single[name] = value
    return replace(profile, **tables, **single, levels=tuple(levels.values()))  # type: ignore[arg-type]


def group_of(name: str) -> str:
    """The group in `Profile.measured` of a figure."""
    head = name.partition(".")[0]
    if head in TABLES:
        return head.removesuffix("_s")
    single = {"fork_hot_s": "fork", "fork_idle_s": "fork", "compute_t": "fork", "journal_bps": "journal"}
    return single.get(name, "levels")


TABLES = ("interp", "scalar", "vector", "latency", "compile_s")
LEVEL_FIGURES = ("bandwidth", "bandwidth_t", "read", "read_t", "random_s")
SINGLE_FIGURES = ("compute_t", "fork_hot_s", "fork_idle_s", "call_s", "decline_s", "journal_bps")


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def cpu_hz() -> float:
    """Clock in Hz under load: the maximum that the system gives, else what /proc/cpuinfo shows (in virtual machines,
    the base clock) times a usual turbo factor, else 2.6 GHz times that."""
    try:
        khz = float(read_text("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"))
        if khz > 0:
            return khz * 1e3
    except (OSError, ValueError):
        pass
    try:
        mhz = float(_cpuinfo().get("cpu MHz", "0"))
    except ValueError:
        mhz = 0.0
    return _TURBO * (mhz * 1e6 if mhz > 100 else 2.6e9)


def read_text(path: str) -> str:
    """A file's text (pathlib is not worth its import here). OSError, UnicodeDecodeError."""
    with open(path, encoding="utf-8") as file:
        return file.read()


def _cpuinfo() -> dict[str, str]:
    """The first processor's entries of /proc/cpuinfo; empty where there is none."""
    found: dict[str, str] = {}
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                key, colon, value = line.partition(":")
                if not colon:
                    break
                found[key.strip()] = value.strip()
    except OSError:
        pass
    return found


def _cache_size(name: str) -> int | None:
    """Bytes of the data cache "L1", "L2" or "L3" of the first CPU as Linux says; None if it does not."""
    for index in range(6):
        folder = f"/sys/devices/system/cpu/cpu0/cache/index{index}"
        try:
            level, kind, size = (read_text(f"{folder}/{file}").strip() for file in ("level", "type", "size"))
            if f"L{level}" == name and kind != "Instruction":
                return int(size.rstrip("K")) * 1024
        except (OSError, ValueError):
            return None
    return None
