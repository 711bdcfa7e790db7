"""What the text and the HTML report both say: rows, order, totals, and numbers made readable.

In: `SiteRecord`s and the settings.  Out: frozen values without any layout.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import alpyna_hook
from alpyna_hook.runtime.records import INTERPRETER, DecisionRecord, LoopRecord, SiteRecord

if TYPE_CHECKING:
    from alpyna_hook.settings import Settings

SCHEMA = 1
FAR = 10.0  # so much less than predicted is measured of any loop only if its trips were not those of the model
CREDIBLE = 4.0  # a guessed trip count is taken to be wrong where prediction and measurement differ by more than this
_UNCOUNTED = re.compile(r"\s*(while\b|(if\b.*:\s*)?(break|return|raise)\b)")


@dataclass(frozen=True)
class Header:
    """What the run was made with. `devices`: one description per device that was really opened."""

    alpyna: str
    python: str
    numpy: str | None
    devices: tuple[dict[str, str], ...]
    fp: str
    threads: int


@dataclass(frozen=True)
class Row:
    """One variant at one site, all its decisions added up.

    total_s      measured seconds of all calls; None if nobody measured them
    predicted_s  predicted seconds of the same calls; None if the model could not judge one of them
    interp_s     predicted seconds of the same calls in the interpreter; None likewise, or if it rests on a trip count
                 that was guessed badly
    """

    variant: str
    calls: int
    faults: int
    total_s: float | None
    predicted_s: float | None
    interp_s: float | None


@dataclass(frozen=True)
class Totals:
    """Sums over all sites. `interp_s`: predicted seconds of the compiled calls, had they been interpreted
    (None if unknown for one of them)."""

    sites: int
    by_status: Mapping[str, int]
    compiled_s: float
    interp_s: float | None
    compile_s: float
    kernels: int
    cached: int


def header(settings: Settings, devices: Sequence[Mapping[str, str]] = ()) -> Header:
    """Versions and settings of this process. NumPy's version is None if the program never imported it."""
    numpy = sys.modules.get("numpy")
    return Header(
        alpyna=alpyna_hook.__version__,
        python=platform.python_version(),
        numpy=getattr(numpy, "__version__", None),
        devices=tuple(dict(d) for d in devices),
        fp=settings.fp,
        threads=settings.threads,
    )


def rows_of(record: SiteRecord) -> tuple[Row, ...]:
    """The variants that were called at this site, the most time first."""
    by_variant: dict[str, list[DecisionRecord]] = {}
    if record.glances:
        glances = DecisionRecord({}, INTERPRETER, {INTERPRETER: record.glanced_s / record.glances}, record.glances)
        by_variant[INTERPRETER] = [glances]
    for decision in record.decisions:
        if decision.calls:
            by_variant.setdefault(decision.variant, []).append(decision)
    guessed = _trips_are_guessed(record)
    rows = [_row(variant, decisions, guessed) for variant, decisions in by_variant.items()]
    return tuple(sorted(rows, key=lambda row: -(row.total_s or row.predicted_s or 0.0)))


def _row(variant: str, decisions: Sequence[DecisionRecord], guessed: bool) -> Row:
    total = sum(d.total_s for d in decisions) or None
    predicted = _predicted(variant, decisions)
    interp = _predicted(INTERPRETER, decisions)
    if predicted and total:
        ratio = total / predicted
        if ratio < 1 / FAR or (guessed and not 1 / CREDIBLE <= ratio <= CREDIBLE):
            interp = None
    return Row(
        variant=variant,
        calls=sum(d.calls for d in decisions),
        faults=sum(d.faults for d in decisions),
        total_s=total,
        predicted_s=predicted,
        interp_s=interp,
    )


def _predicted(variant: str, decisions: Sequence[DecisionRecord]) -> float | None:
    parts = [d.predicted_s.get(variant) for d in decisions]
    known = [p * d.calls for p, d in zip(parts, decisions) if p is not None]
    return sum(known) if len(known) == len(parts) else None


def _trips_are_guessed(record: SiteRecord) -> bool:
    """True if the nest has a `while`, a `break` or the like: the model can only guess how often its loops turn. (So it
    must of `for` loops whose bounds are data, which the text does not show.)"""
    if record.source is None:
        return False
    lines = record.source.text.splitlines()[record.line - 1 : record.end_line]
    return any(_UNCOUNTED.match(line) for line in lines)


def reached(records: Iterable[SiteRecord]) -> list[SiteRecord]:
    """The sites that were called, those that cost the most time first."""
    return sorted((r for r in records if r.reached), key=lambda r: (-weight(r), r.file, r.line))


def weight(record: SiteRecord) -> float:
    """Seconds spent at a site: measured where they were, else predicted."""
    return sum(row.total_s or row.predicted_s or 0.0 for row in rows_of(record))


def rejected(records: Sequence[SiteRecord]) -> list[SiteRecord]:
    """The rejected sites, the most important first: those known to have run, then those without an
    accelerated loop inside, then the deepest and longest loops. A loop that is rejected for the very
    expression that the loop around it is rejected for is left out."""

    def importance(record: SiteRecord) -> tuple[bool, bool, int, int, str, int]:
        depth = max((loop.depth + 1 for loop in record.loops), default=0)
        covered = bool(accelerated_inside(record, records))
        return not record.reached, covered, -depth, record.line - record.end_line, record.file, record.line

    outermost: dict[object, SiteRecord] = {}
    for record in sorted((r for r in records if r.status == "rejected"), key=lambda r: (r.file, r.line)):
        why = record.rejection and (record.file, record.rejection.code, record.rejection.span)
        outermost.setdefault(why or record.id, record)
    return sorted(outermost.values(), key=importance)


def accelerated_inside(outer: SiteRecord, records: Iterable[SiteRecord]) -> list[SiteRecord]:
    """The accelerated sites that lie within the lines of `outer`."""
    return [
        r
        for r in records
        if r is not outer and r.file == outer.file and r.status == "accelerated"
        and outer.line <= r.line and r.end_line <= outer.end_line
    ]  # fmt: skip


def held_back(record: SiteRecord) -> list[LoopRecord]:
    """The sequential loops of an accelerated site that a parallel one does not already enclose: what
    keeps the nest from (more) parallelism."""
    found: list[LoopRecord] = []
    enclosing = sys.maxsize  # depth of the parallel loop that we are inside of
    for loop in record.loops:
        if loop.depth > enclosing:
            continue
        enclosing = loop.depth if loop.parallel else sys.maxsize
        if not loop.parallel:
            found.append(loop)
    return found


def totals(records: Sequence[SiteRecord]) -> Totals:
    """The sums for the summary line."""
    status: dict[str, int] = {}
    for record in records:
        status[record.status] = status.get(record.status, 0) + 1
    compiled = [row for r in records for row in rows_of(r) if row.variant != INTERPRETER]
    interp = [row.interp_s for row in compiled if row.interp_s is not None]
    specs = [spec for r in records for spec in r.specialisations]
    return Totals(
        sites=len(records),
        by_status=status,
        compiled_s=sum(row.total_s or 0.0 for row in compiled),
        interp_s=sum(interp) if compiled and len(interp) == len(compiled) else None,
        compile_s=sum(s for spec in specs for s in spec.compile_s.values()),
        kernels=sum(len(spec.cache) for spec in specs),
        cached=sum(how == "hit" for spec in specs for how in spec.cache.values()),
    )


def ran_as(variant: str, threads: int) -> str:
    """A variant for people: "omp x8", "interpreter"."""
    match variant:
        case "interp":
            return "interpreter"
        case "omp":
            return f"omp x{threads}"
        case _:
            return variant


def place(record: SiteRecord) -> str:
    """"path:line", the path relative to the working folder where that is shorter."""
    return f"{short_path(record.file)}:{record.line}"


def short_path(path: str) -> str:
    """`path` relative to the working folder if it lies below it."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):  # working folder gone; another drive
        return path
    return path if relative.startswith(os.pardir) else relative


def seconds(value: float | None) -> str:
    """Three significant digits with a unit: "1.23 s", "45.6 ms", "789 ns"; "-" for None and for 0."""
    if not value:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale * 0.9995:
            return f"{three_digits(value / scale)} {unit}"
    return f"{three_digits(value / 1e-9)} ns"


def three_digits(value: float) -> str:
    """`value` with three significant digits and no exponent."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def ratio(slow: float | None, fast: float | None) -> str:
    """"x12.3": how many times longer `slow` takes; "-" if one is unknown or zero."""
    return f"x{three_digits(slow / fast)}" if slow and fast else "-"


def shapes_text(shapes: Mapping[str, Any]) -> str:
    """"a 512x512, n 512"."""
    return ", ".join(f"{name} {_shape(shape)}" for name, shape in shapes.items())


def _shape(shape: Any) -> str:
    return "x".join(map(str, shape)) if isinstance(shape, (tuple, list)) else str(shape)


def plural(count: int, noun: str) -> str:
    """"1 loop", "2 loops"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
