"""The machine profile on disk: `profile.json` in the cache folder, for people to read and to edit.

In: the cache folder.  Out: the `Profile` stored there that was made on this machine by this Python, else the defaults.

Python versions, virtual environments and, where a home folder is shared, computers have one cache folder together: the
file keeps a profile of each, the latest first.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alpyna_hook import log
from alpyna_hook.cost.machine import DeviceFigures, Level, Profile, default_profile, differences, fingerprint, read_text

SCHEMA = 4
FILE_NAME = "profile.json"
MOST_KEPT = 16  # profiles; the oldest go
_BROKEN = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)  # what reading a file may raise


class _OtherVersion(ValueError):
    """The file was written by another version of Alpyna."""


def load(folder: str | os.PathLike[str]) -> Profile | None:
    """The stored profile of this machine, or None: no file (silently), those of other machines or Pythons only (logged
    as information), of another version of Alpyna (the same), or malformed (one warning that says which)."""
    path = os.path.join(folder, FILE_NAME)
    try:
        entry = _own(_entries(path))
        if entry is None:
            log.info(f"machine profile {path} has none of this machine and Python: using defaults")
            return None
        return from_json(entry)
    except FileNotFoundError:
        return None
    except _OtherVersion as error:
        log.info(f"machine profile {path}: {error}: using defaults")
    except _BROKEN as error:
        log.warning(f"machine profile {path} is malformed ({type(error).__name__}: {error}): using defaults")
    return None


def _entries(path: str) -> list[dict[str, Any]]:
    """The profiles of the file as they are written there. FileNotFoundError; one of _BROKEN: it is something else."""
    import json

    try:
        data = json.loads(read_text(path))
    except NotADirectoryError as error:
        raise FileNotFoundError from error
    if not isinstance(data["schema"], int):
        raise ValueError(f"schema {data['schema']!r}, expected {SCHEMA}")
    if data["schema"] != SCHEMA:
        raise _OtherVersion(f"its form is number {data['schema']}, of another version of Alpyna, here {SCHEMA}")
    entries = data["profiles"]
    for entry in entries:
        for value in entry["host"].values():
            if not isinstance(value, str):
                raise TypeError(f"not a text: {value!r}")
    return list(entries)


def _own(entries: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The one made on this machine by this Python and, if it is known, this NumPy."""
    here = fingerprint()
    own = [entry for entry in entries if not differences(entry["host"], here)]
    return max(own, key=lambda entry: entry["host"].get("numpy") == here["numpy"], default=None)


def not_of_this_machine(folder: str | os.PathLike[str]) -> str:
    """What is different here from where the stored profiles were made, the latest one if there are several; empty if
    one is of here, or there is none."""
    try:
        entries = _entries(os.path.join(folder, FILE_NAME))
        if not entries or _own(entries) is not None:
            return ""
        stored, here = entries[0]["host"], fingerprint()
        return "; ".join(f"{key} {stored[key]}, here {here[key]}" for key in differences(stored, here))
    except _OtherVersion as error:
        return str(error)
    except _BROKEN:
        return ""


def save(profile: Profile, folder: str | os.PathLike[str]) -> bool:
    """Put the profile into `profile.json`, in place of an earlier one of this machine and Python; the file is replaced
    in one step. False (and one log line) if the folder cannot be written."""
    import json

    path = os.path.join(folder, FILE_NAME)
    temporary = os.path.join(folder, f".{FILE_NAME}.{os.getpid()}")
    entry = to_json(profile)
    data = {"schema": SCHEMA, "profiles": [entry, *_others(path, entry["host"])][:MOST_KEPT]}
    try:
        os.makedirs(folder, exist_ok=True, mode=0o700)
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(json.dumps(data, indent=2) + "\n")
        os.replace(temporary, path)
    except OSError as error:
        log.warning(f"machine profile is not stored in {folder}: {error}")
        return False
    return True


def _others(path: str, host: Mapping[str, str]) -> list[dict[str, Any]]:
    """Profiles of the file that are not `host`'s; none if it is no file of profiles."""
    try:
        return [entry for entry in _entries(path) if differences(entry["host"], host)]
    except _BROKEN:
        return []


def current(folder: str | os.PathLike[str] | None, threads: int | None = None) -> Profile:
    """The stored profile if it is good, else the defaults. Never measures."""
    stored = load(folder) if folder is not None else None
    return stored if stored is not None else default_profile(threads)


_TABLES = ("interp", "scalar", "vector", "latency")


def to_json(profile: Profile) -> dict[str, Any]:
    """Plain data with units in the key names: nanoseconds, GB/s, KiB, seconds."""
    data: dict[str, Any] = {
        "origin": profile.origin,
        "created": profile.created,
        "host": dict(profile.host or {}),
        "measured": list(profile.measured),
        "noisy": list(profile.noisy),
        "attempts": profile.attempts,
        "load": dict(profile.load),
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
            "read_gb_per_s": _digits(level.read * 1e-9),
            "read_gb_per_s_all_threads": _digits(level.read_t * 1e-9),
            "random_ns": _digits(level.random_s * 1e9),
        }
        for level in profile.levels
    ]
    data["compute_all_threads"] = _digits(profile.compute_t)
    data["devices"] = {variant: _device_json(device) for variant, device in profile.devices.items()}
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
            _figure(entry["read_gb_per_s"]) * 1e9,
            _figure(entry["read_gb_per_s_all_threads"]) * 1e9,
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
        compute_t=_figure(data["compute_all_threads"]),
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
        noisy=tuple(str(name) for name in data["noisy"]),
        attempts=int(_figure(data["attempts"], True)),
        devices={str(variant): _device(entry) for variant, entry in data["devices"].items()},
        load={str(k): _figure(v, True) for k, v in data["load"].items()},
    )


def _device_json(device: DeviceFigures) -> dict[str, Any]:
    return {
        "name": device.name, "style": device.style, "shares_memory": device.shares_memory,
        "launch_us": _digits(device.launch_s * 1e6), "enqueue_us": _digits(device.enqueue_s * 1e6),
        "to_us": _digits(device.to_s * 1e6), "to_gb_per_s": _digits(device.to_bps * 1e-9),
        "from_us": _digits(device.from_s * 1e6), "from_gb_per_s": _digits(device.from_bps * 1e-9),
        "memory_gb_per_s": _digits(device.bandwidth * 1e-9),
        "giga_operations_per_s": {k: _digits(v * 1e-9) for k, v in device.rates.items()},
        "saturate_work_items": device.saturate, "build_s": _digits(device.build_s),
        "not_measured": list(device.missing),
    }  # fmt: skip


def _device(entry: Any) -> DeviceFigures:
    if entry["style"] not in ("grid", "rows") or not isinstance(entry["shares_memory"], bool):
        raise ValueError("a device must have style grid or rows, and shares_memory true or false")
    return DeviceFigures(
        str(entry["name"]), str(entry["style"]), entry["shares_memory"],
        _figure(entry["launch_us"]) * 1e-6, _figure(entry["enqueue_us"]) * 1e-6,
        _figure(entry["to_us"]) * 1e-6, _figure(entry["to_gb_per_s"]) * 1e9,
        _figure(entry["from_us"]) * 1e-6, _figure(entry["from_gb_per_s"]) * 1e9,
        _figure(entry["memory_gb_per_s"]) * 1e9,
        {kind: _figure(entry["giga_operations_per_s"][kind]) * 1e9 for kind in ("f64", "f32", "int")},
        int(_figure(entry["saturate_work_items"])), _figure(entry["build_s"]),
        tuple(str(name) for name in entry.get("not_measured", ())),
    )  # fmt: skip


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
    }.get(profile.origin, f"{profile.origin} calibration of {profile.created}{_age(profile.created)}")
    lines = [f"machine profile: {head}"]
    if profile.load:
        lines.append("  " + _load_words(profile.load))
    if profile.noisy:
        shown = ", ".join(profile.noisy[:6]) + (", ..." if len(profile.noisy) > 6 else "")
        lines.append(f"  {len(profile.noisy)} figures were too noisy, defaults stand in until measured again: {shown}")
    for level in profile.levels:
        size = "" if level.size is None else f"{level.size // 1024} KiB, "
        read = f", read alone {level.read * 1e-9:.1f} and {level.read_t * 1e-9:.1f} GB/s"
        lines.append(
            f"  {level.name:<5} {size}{level.bandwidth * 1e-9:.1f} GB/s (1 thread), "
            f"{level.bandwidth_t * 1e-9:.1f} GB/s ({profile.threads} threads)"
            f"{read if level.read < level.bandwidth else ''}, random {level.random_s * 1e9:.1f} ns"
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
    for variant, device in profile.devices.items():
        name = device.name.removeprefix(f"{variant}: ")
        lines.append(
            f"  {variant}: {name}: launch {device.launch_s * 1e6:.0f} us, {_transfers(device)}, "
            f"memory {device.bandwidth * 1e-9:.0f} GB/s, {device.rates['f64'] * 1e-9:.0f} GF/s (f64), "
            f"{device.saturate} work items fill it"
        )
        if device.missing:
            unmeasured = ", ".join(device.missing)
            lines.append(f"  {variant}: no time was left for {unmeasured}: typical figures stand in")
    lines.append(f"  call {profile.call_s * 1e9:.0f} ns, journal {profile.journal_bps * 1e-9:.1f} GB/s")
    return "\n".join(lines)


def _transfers(device: DeviceFigures) -> str:
    if device.shares_memory:
        return f"an array handed over in {device.to_s * 1e6:.0f} us"
    there = f"to it {device.to_bps * 1e-9:.1f} GB/s + {device.to_s * 1e6:.0f} us"
    return f"{there}, back {device.from_bps * 1e-9:.1f} GB/s + {device.from_s * 1e6:.0f} us"


def _age(created: str) -> str:
    """", 3 days ago"; empty if that cannot be told."""
    try:
        seconds = time.time() - time.mktime(time.strptime(created, "%Y-%m-%d %H:%M:%S"))
    except (ValueError, OverflowError):
        return ""
    if seconds < -60.0:
        return ", which is still to come: the clock has jumped"
    days, hours = divmod(int(max(seconds, 0.0) // 3600), 24)
    return f", {days} days ago" if days else f", {hours} hours ago" if hours else ", less than an hour ago"


def _load_words(load: Mapping[str, float]) -> str:
    words = {"average": "load average", "other_cpus": "cores used by others", "stolen_cpus": "taken by the hypervisor"}
    return "meanwhile: " + ", ".join(f"{text} {load[key]:.2f}" for key, text in words.items() if key in load)
