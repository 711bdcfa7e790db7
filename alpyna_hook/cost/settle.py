"""From samples to figures: which of them can be trusted, and what stands in for the others.

In: the samples of each task of a calibration (`measure.py`), the defaults.  Out: figures by name as `machine.figures`
has them, and the names of those that are noisy: their samples do not agree, or they cannot be true beside others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from alpyna_hook.cost import bench_source, measure_interp
from alpyna_hook.cost.machine import Level, Profile
from alpyna_hook.cost.noise import Figure

# Of an element: y += a x has two loads and a store, without the lines that a store reads first.
ELEMENT_BYTES = {"stream": 24.0, "read": 8.0}
OWN_CORE = 1.15  # threads that each have a core are at most so much slower at a chain of operations than one alone
ENOUGH = 5  # measured figures of a table for their ratio to the defaults to mean something
# Least gain of all threads over one in a level that they share, for the figure to be believed: two cores that stream
# from a shared cache or from memory are never slower than one.
LEAST_GAIN = {"L3": 1.1, "DRAM": 0.97}


def settle(raw: Mapping[str, Figure], base: Profile) -> tuple[dict[str, float], frozenset[str]]:
    """(figures by name, names of the noisy ones). A noisy figure has the default, scaled to the clock that was
    measured; a figure without samples is not there."""
    good = {name: f.value for name, f in raw.items() if f.value is not None and f.trusted}
    seen = {name for name, f in raw.items() if f.value is not None}
    values: dict[str, float] = {}
    noisy: set[str] = set()
    interp = measure_interp.figures({n.partition(":")[2]: s for n, s in good.items() if n.startswith("interp:")})
    noisy.update(f"interp.{name}" for name in base.interp if name not in interp)
    values.update({f"interp.{name}": seconds for name, seconds in _scaled(interp, base.interp).items()})
    if any(name.startswith("latency:") for name in seen):
        for found, bad in (_operations(good, base), _memory(good, seen, base), _threads(good, seen, base)):
            values.update(found)
            noisy.update(bad)
    for route in ("seq", "omp"):
        if f"compile:{route}" in seen:
            values[f"compile_s.{route}"] = raw[f"compile:{route}"].value or base.compile_s[route]
    return values, frozenset(noisy)


def _scaled(found: Mapping[str, float], defaults: Mapping[str, float]) -> dict[str, float]:
    """All figures of a table: defaults where there is none, times the median ratio of those that there are."""
    ratios = sorted(found[name] / defaults[name] for name in found if name in defaults)
    ratio = ratios[len(ratios) // 2] if len(ratios) >= ENOUGH else 1.0
    return {**{name: default * ratio for name, default in defaults.items()}, **found}


Found = tuple[dict[str, float], set[str]]


def _operations(good: Mapping[str, float], base: Profile) -> Found:
    """Latencies and rates. What has no benchmark of its own is scaled by the clock: an exclusive-or takes one cycle."""
    cycle = base.latency["add.int"]  # by the system's clock figure
    stretch = good.get("latency:cycle", cycle) / cycle
    tables = {t: {k: v * stretch for k, v in getattr(base, t).items()} for t in ("scalar", "vector", "latency")}
    noisy: set[str] = set()
    for task, table, name, per in benchmarked():
        if task in good:
            tables[table][name] = good[task] / per
        else:
            noisy.add(f"{table}.{name}")
    libm = sorted(tables["scalar"][f"libm.{n}"] for n in bench_source.LIBM if f"libm.{n}" in tables["scalar"])
    if libm:
        tables["scalar"]["libm.*"] = libm[len(libm) // 2]
    tables["latency"]["pow.f64"] = tables["scalar"]["pow.f64"]
    _scale_single(tables["scalar"], base.scalar)
    _scale_single(tables["vector"], base.vector)
    if "stream:L1" in good:
        _scale_stream(tables["vector"], good["stream:L1"])
    values = {f"{table}.{name}": seconds for table, figures in tables.items() for name, seconds in figures.items()}
    return {name: seconds for name, seconds in values.items() if "libm." not in name or name not in noisy}, noisy


def benchmarked() -> Iterator[tuple[str, str, str, int]]:
    """(task, table, figure, operations per element) of all operations that have a benchmark."""
    for name in bench_source.LATENCY[1:]:
        yield f"latency:{name}", "latency", name, 1
    for name in bench_source.SCALAR:
        yield f"scalar:{name}", "scalar", name, 1
    for name in bench_source.LIBM:
        yield f"libm:{name}", "scalar", f"libm.{name}", 1
        yield f"libm:{name}", "latency", f"libm.{name}", 1
    for name in bench_source.VECTOR:
        yield f"vector:{name}", "vector", name, 8 if name in ("add.f64", "mul.f64") else 1


def _scale_single(table: dict[str, float], before: Mapping[str, float]) -> None:
    """Single precision, measured only in double precision, keeps its default ratio to it."""
    for head in ("add", "mul", "div", "sqrt", "pow", "fmod"):
        single, double = f"{head}.f32", f"{head}.f64"
        if single in before and double in before and double in table:
            table[single] = table[double] * before[single] / before[double]


def _scale_stream(vector: dict[str, float], seconds: float) -> None:
    """Vector loads, stores and jumps from a stream within the nearest cache, y += a x, as the model prices it: they
    keep their default ratios to each other. `seconds`: per element."""
    memory = max(2.0 * vector["load"], vector["store"], vector["trip"])
    if seconds > vector["add.f64"] + vector["mul.f64"]:  # else arithmetic is what it waits for
        for name in ("load", "store", "trip"):
            vector[name] *= seconds / memory


def _memory(good: Mapping[str, float], seen: set[str], base: Profile) -> Found:
    """Bandwidths and random access of the levels, and the journal's rate."""
    values: dict[str, float] = {}
    noisy: set[str] = set()
    for level in base.levels:
        one, all_, bad = _rates(good, seen, ("stream", "shared"), (level.bandwidth, level.bandwidth_t), level, base)
        values |= {f"{level.name}.bandwidth": one, f"{level.name}.bandwidth_t": all_}
        noisy.update(f"{level.name}.bandwidth{which}" for which in bad)
        typical = one * level.read / level.bandwidth, all_ * level.read_t / level.bandwidth_t
        one, all_, bad = _rates(good, seen, ("read", "read_shared"), typical, level, base)
        values |= {f"{level.name}.read": one, f"{level.name}.read_t": all_}
        noisy.update(f"{level.name}.read{which}" for which in bad)
        if f"random:{level.name}" in good:
            values[f"{level.name}.random_s"] = good[f"random:{level.name}"]
        else:
            noisy.add(f"{level.name}.random_s")
    if "memory:copy" in good:
        values["journal_bps"] = 8.0 / good["memory:copy"]
    else:
        noisy.add("journal_bps")
    return values, noisy


def _rates(
    good: Mapping[str, float], seen: set[str], tasks: tuple[str, str], typical: tuple[float, float], level: Level,
    base: Profile,
) -> tuple[float, float, list[str]]:  # fmt: skip
    """Bytes per second of one thread and of all, and which of them, "" or "_t", could not be measured. tasks: that of
    one thread, which caches that belong to one core each may not have, and that of all threads."""
    (alone, together), (one, all_) = (f"{task}:{level.name}" for task in tasks), typical
    bad = []
    if alone in good:
        all_ *= ELEMENT_BYTES[tasks[0]] / good[alone] / one
        one = ELEMENT_BYTES[tasks[0]] / good[alone]
    elif alone in seen or tasks[0] == "stream":
        bad.append("")
    if together in seen:
        gain = ELEMENT_BYTES[tasks[0]] / good[together] / one if together in good else 0.0
        if _cores_there(good) and gain >= _least_gain(level):
            all_ = min(gain, base.threads) * one
        else:
            bad.append("_t")
    return one, all_, bad


def _least_gain(level: Level) -> float:
    return LEAST_GAIN["DRAM" if level.size is None else "L3"]


def _cores_there(good: Mapping[str, float]) -> bool:
    """Whether each thread had a core to itself: chains of operations then take as long as on one thread alone, even
    on two hardware threads of one core."""
    alone, together = good.get("latency:add.f64"), good.get("threads:latency")
    return alone is not None and together is not None and together <= OWN_CORE * alone


def _threads(good: Mapping[str, float], seen: set[str], base: Profile) -> Found:
    """Fork and join, and what all threads together compute."""
    if "threads:fork_hot" not in seen:
        return {}, set()
    cores_there = _cores_there(good)
    values: dict[str, float] = {}
    noisy: set[str] = set()
    if "threads:region" in good:
        values["scalar.region"] = good["threads:region"]
    else:
        noisy.add("scalar.region")
    for task, name in (("threads:fork_hot", "fork_hot_s"), ("threads:fork_idle", "fork_idle_s")):
        if cores_there and task in good:
            values[name] = good[task]
        else:
            noisy.add(name)
    if "fork_hot_s" in values and "fork_idle_s" in values:
        values["fork_idle_s"] = max(values["fork_idle_s"], values["fork_hot_s"])
    one, all_ = good.get("scalar:add.f64"), good.get("threads:compute")
    if cores_there and one is not None and all_ is not None:
        values["compute_t"] = min(max(base.threads * one / all_, 1.0), float(base.threads))
    else:
        noisy.add("compute_t")
    return values, noisy
