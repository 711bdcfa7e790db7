"""What the passes make of a nest for one signature: a record that the disk cache keeps.

It is apart from pipeline.py because a process that finds its specialisations in the cache needs this, and none of
the passes: importing those takes many times as long as the loops that such a process has to speed up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alpyna_hook.cost.priced import Candidate
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.plan import KernelSource, Plan, Variant


@dataclass(frozen=True, slots=True)
class LoopVerdict:
    """One loop for the report: source line, Python variable, nesting depth, verdict."""

    line: int
    var: str
    depth: int
    parallel: bool
    why: str


@dataclass(frozen=True, slots=True)
class Specialisation:
    """A nest for one signature, ready to be priced and compiled.

    disjoint  pairs of arrays that the guard must prove disjoint; `same` pairs it must find identical
    written   arrays that are stored into
    without   variants of devices that were asked for and cannot be had -> why, as a sentence for the report
    """

    nest: Nest
    plans: Mapping[Variant, Plan]
    sources: Mapping[Variant, KernelSource]
    candidates: Mapping[Variant, Candidate]
    loops: tuple[LoopVerdict, ...]
    disjoint: tuple[tuple[str, str], ...]
    same: tuple[tuple[str, str], ...]
    written: tuple[str, ...]
    without: Mapping[Variant, str] = field(default_factory=dict)
