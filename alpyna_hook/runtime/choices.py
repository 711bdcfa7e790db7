"""What a site knows of its specialisations: plain objects that the dispatcher fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from alpyna_hook.runtime import records


@dataclass
class Choice:
    """A decision, the entry that carries it out, and its line in the report."""

    entry: Any
    decision: Any
    record: records.DecisionRecord
    variant: str
    before: tuple[int, int, int, int] = (0, 0, 0, 0)  # calls, nanoseconds, faults, declines of earlier entries


@dataclass
class Special:
    """One specialisation with what has been learned of it."""

    spec: Any  # specialisation.Specialisation
    candidates: dict[str, Any]
    record: records.SpecialisationRecord
    history: Any
    kernels: dict[str, Any] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    choices: list[Choice] = field(default_factory=list)
    flags: int = 0  # FP flags that kept being faults: where NumPy's error state does not ignore them, interpret
