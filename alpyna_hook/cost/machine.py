"""The machine profile: the figures of this computer that the model multiplies counts by.

In: the cache folder.  Out: a `Profile`, read from `profile.json` there if that file was made on this machine
by this Python, else typical figures scaled to this CPU's clock, each marked as a default.

Measuring is not done here (see `measure.py`), and never before a program's first site call: a profile
of defaults ranks variants well but near their break-even points, where a wrong choice costs little.
`decide.Oracle` asks for the quick calibration, if it was given one, once the time at stake in this process
is `STAKE_FACTOR` times what calibrating takes; `alpyna calibrate` does the full one at once.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from alpyna_hook import log

SCHEMA = 1
FILE_NAME = "profile.json"
QUICK_S = 2.0  # most a quick calibration may take
FULL_S = 20.0
STAKE_FACTOR = 10.0  # calibrate when this many times its price is at stake: it then costs under 10 %

_TURBO = 1.3  # clock under load over base clock, usual for server and desktop processors since 2019
_REFERENCE_HZ = _TURBO * 2.6e9  # of the machine on which the interpreter's defaults were measured


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the memory hierarchy.

    size         bytes (of one core's share); None for main memory
    bandwidth    bytes per second that one core streams from here, write-allocate traffic included
    bandwidth_t  the same for all `Profile.threads` together
    random_s     seconds per independent random access
    """

    name: str
    size: int | None
    bandwidth: float
    bandwidth_t: float
    random_s: float


@dataclass(frozen=True, slots=True)
class Profile:
    """All times in seconds. `measured` names the figures that are not defaults ("interp", "levels", "fork", ...)."""

    interp: Mapping[str, float]  # per interpreter operation
    scalar: Mapping[str, float]  # reciprocal throughput per machine operation, scalar code
    vector: Mapping[str, float]  # the same per element in vector code; classes that do not vectorise are absent
    latency: Mapping[str, float]  # result latency per machine operation
    levels: tuple[Level, ...]  # nearest first, main memory last
    threads: int
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
    "storen": 125, "int_arith": 9, "int_div": 13, "float_arith": 12, "pow": 38, "complex_arith": 30, "np_arith": 45,
    "np_int_arith": 38, "np_pow": 75, "compare": 11, "np_compare": 20, "branch": 4, "jump": 2, "unary": 11,
    "assign": 3, "attribute": 6, "math_call": 42, "builtin_call": 45, "np_call": 230, "np_cast": 95,
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
    "libm.*": 50, "npy.*": 110,
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
_DRAM_RANDOM_S = 15e-9


def default_profile(threads: int | None = None) -> Profile:
    """Typical figures scaled to this CPU's clock and cache sizes; nothing measured, `origin` "default"."""
    count = threads or _cpus()
    cycle = 1.0 / cpu_hz()
    stretch = _REFERENCE_HZ * cycle
    levels = [
        Level(name, _cache_size(name) or size, rate / cycle, count * rate / cycle, random * cycle)
        for name, size, rate, _, random in _LEVELS
    ]
    levels.append(Level("DRAM", None, _DRAM_BPS, min(count * _DRAM_BPS, _DRAM_BPS_ALL), _DRAM_RANDOM_S))
    return Profile(
        interp={k: ns * 1e-9 * stretch for k, ns in _INTERP_NS.items()},
        scalar={k: c * cycle for k, c in _SCALAR_CYCLES.items()},
        vector={k: c * cycle for k, c in _VECTOR_CYCLES.items()},
        latency={k: c * cycle for k, c in _LATENCY_CYCLES.items()},
        levels=tuple(levels),
        threads=count,
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


def _same_host(a: Mapping[str, str], b: Mapping[str, str]) -> bool:
    return all(a.get(k) == b.get(k) or not a.get(k) or not b.get(k) for k in ("cpu", "cpus", "python", "numpy"))


def load(folder: str | os.PathLike[str]) -> Profile | None:
    """The stored profile of this machine, or None: no file (silently), one of another machine or Python (logged as
    information), or a malformed or outdated one (one warning that says which)."""
    path = os.path.join(folder, FILE_NAME)
    try:
        text = _text(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        log.warning(f"machine profile {path} is unreadable ({error}): using defaults")
        return None
    import json

    try:
        data = json.loads(text)
    except ValueError as error:
        log.warning(f"machine profile {path} is unreadable ({error}): using defaults")
        return None
    try:
        profile = from_json(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        log.warning(f"machine profile {path} is malformed ({type(error).__name__}: {error}): using defaults")
        return None
    if not _same_host(profile.host or {}, fingerprint()):
        log.info(f"machine profile {path} was made by another machine or Python: using defaults")
        return None
    return profile


def save(profile: Profile, folder: str | os.PathLike[str]) -> bool:
    """Write `profile.json` atomically; False (and one log line) if the folder cannot be written."""
    import json

    temporary = os.path.join(folder, f".{FILE_NAME}.{os.getpid()}")
    try:
        os.makedirs(folder, exist_ok=True, mode=0o700)
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps(to_json(profile), indent=2) + "\n")
        os.replace(temporary, os.path.join(folder, FILE_NAME))
    except OSError as error:
        log.warning(f"machine profile is not stored in {folder}: {error}")
        return False
    return True


def current(folder: str | os.PathLike[str] | None, threads: int | None = None) -> Profile:
    """The stored profile if it is good, else the defaults. Never measures."""
    stored = load(folder) if folder is not None else None
    return stored if stored is not None else default_profile(threads)


_TABLES = ("interp", "scalar", "vector", "latency")


def to_json(profile: Profile) -> dict[str, Any]:
    """Plain data with units in the key names: nanoseconds, GB/s, KiB, seconds."""
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "origin": profile.origin,
        "created": profile.created,
        "host": dict(profile.host or {}),
        "measured": list(profile.measured),
        "threads": profile.threads,
    }
    for table in _TABLES:
        data[f"{table}_ns"] = {k: _digits(v * 1e9) for k, v in getattr(profile, table).items()}
    data["levels"] = [
        {
            "name": level.name,
            "kib": None if level.size is None else level.size // 1024,
            "gb_per_s": _digits(level.bandwidth * 1e-9),
            "gb_per_s_all_threads": _digits(level.bandwidth_t * 1e-9),
            "random_ns": _digits(level.random_s * 1e9),
        }
        for level in profile.levels
    ]
    data["fork_hot_us"] = _digits(profile.fork_hot_s * 1e6)
    data["fork_idle_us"] = _digits(profile.fork_idle_s * 1e6)
    data["compile_s"] = {k: _digits(v) for k, v in profile.compile_s.items()}
    data["call_ns"] = _digits(profile.call_s * 1e9)
    data["decline_ns"] = _digits(profile.decline_s * 1e9)
    data["journal_gb_per_s"] = _digits(profile.journal_bps * 1e-9)
    return data


def from_json(data: Any) -> Profile:
    """Inverse of `to_json`. ValueError, KeyError or TypeError if anything is missing, of the wrong kind or not
    positive; figures of classes that the file does not have come from the defaults."""
    if data["schema"] != SCHEMA:
        raise ValueError(f"schema {data['schema']!r}, expected {SCHEMA}")
    base = default_profile()
    tables = {
        name: {**getattr(base, name), **{str(k): _figure(v, True) * 1e-9 for k, v in data[f"{name}_ns"].items()}}
        for name in _TABLES
    }
    levels = tuple(
        Level(
            str(entry["name"]),
            None if entry["kib"] is None else int(_figure(entry["kib"])) * 1024,
            _figure(entry["gb_per_s"]) * 1e9,
            _figure(entry["gb_per_s_all_threads"]) * 1e9,
            _figure(entry["random_ns"]) * 1e-9,
        )
        for entry in data["levels"]
    )
    if not levels or levels[-1].size is not None or any(level.size is None for level in levels[:-1]):
        raise ValueError("levels must end with main memory, the only one without a size")
    return replace(
        base,
        **tables,
        levels=levels,
        threads=int(_figure(data["threads"])),
        fork_hot_s=_figure(data["fork_hot_us"]) * 1e-6,
        fork_idle_s=_figure(data["fork_idle_us"]) * 1e-6,
        compile_s={**base.compile_s, **{str(k): _figure(v) for k, v in data["compile_s"].items()}},
        call_s=_figure(data["call_ns"]) * 1e-9,
        decline_s=_figure(data["decline_ns"]) * 1e-9,
        journal_bps=_figure(data["journal_gb_per_s"]) * 1e9,
        origin=str(data["origin"]),
        created=str(data["created"]),
        host={str(k): str(v) for k, v in data["host"].items()},
        measured=tuple(str(name) for name in data["measured"]),
    )


def _figure(value: Any, zero: bool = False) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"not a number: {value!r}")
    if not (0.0 <= value < 1e12) or (value == 0 and not zero):
        raise ValueError(f"not a sensible figure: {value!r}")
    return float(value)


def _digits(value: float) -> float:
    return float(f"{value:.4g}")


def describe(profile: Profile) -> str:
    """The profile as `alpyna doctor` prints it: origin and age, then the main figures by line."""
    head = {
        "default": "typical figures scaled to this CPU, nothing measured (alpyna calibrate measures)",
    }.get(profile.origin, f"{profile.origin} calibration of {profile.created}")
    lines = [f"machine profile: {head}"]
    for level in profile.levels:
        size = "" if level.size is None else f"{level.size // 1024} KiB, "
        lines.append(
            f"  {level.name:<5} {size}{level.bandwidth * 1e-9:.1f} GB/s (1 thread), "
            f"{level.bandwidth_t * 1e-9:.1f} GB/s ({profile.threads} threads), random {level.random_s * 1e9:.1f} ns"
        )
    for title, table, names in (
        ("interpreter ns", profile.interp, ("range_iter", "load1", "load2", "store1", "np_arith", "float_arith")),
        ("scalar ns", profile.scalar, ("add.f64", "mul.f64", "div.f64", "sqrt.f64", "pow.f64", "libm.*")),
        ("vector ns", profile.vector, ("add.f64", "mul.f64", "div.f64", "sqrt.f64")),
    ):
        lines.append(f"  {title}: " + ", ".join(f"{n} {table[n] * 1e9:.2f}" for n in names))
    compiles = ", ".join(f"{k} {v:.2f} s" for k, v in profile.compile_s.items())
    forks = f"{profile.fork_hot_s * 1e6:.1f} us, after a pause {profile.fork_idle_s * 1e6:.0f} us"
    lines.append(f"  OpenMP region {forks}; compiling {compiles}")
    lines.append(f"  call {profile.call_s * 1e9:.0f} ns, journal {profile.journal_bps * 1e-9:.1f} GB/s")
    return "\n".join(lines)


def _cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def cpu_hz() -> float:
    """Clock in Hz under load: the maximum that the system gives, else what /proc/cpuinfo shows (in virtual machines,
    the base clock) times a usual turbo factor, else 2.6 GHz times that."""
    try:
        khz = float(_text("/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq"))
        if khz > 0:
            return khz * 1e3
    except (OSError, ValueError):
        pass
    try:
        mhz = float(_cpuinfo().get("cpu MHz", "0"))
    except ValueError:
        mhz = 0.0
    return _TURBO * (mhz * 1e6 if mhz > 100 else 2.6e9)


def _text(path: str) -> str:
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
            level, kind, size = (_text(f"{folder}/{file}").strip() for file in ("level", "type", "size"))
            if f"L{level}" == name and kind != "Instruction":
                return int(size.rstrip("K")) * 1024
        except (OSError, ValueError):
            return None
    return None
