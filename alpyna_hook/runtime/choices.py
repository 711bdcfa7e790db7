"""What a site knows of its specialisations: plain objects that the dispatcher fills."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from alpyna_hook.runtime import records


class Choice:
    """A decision, the entry that carries it out, and its line in the report.

    before  calls, nanoseconds, faults, declines of earlier entries
    """

    def __init__(self, entry: Any, decision: Any, record: records.DecisionRecord, variant: str) -> None:
        self.entry, self.decision, self.record, self.variant = entry, decision, record, variant
        self.before: tuple[int, int, int, int] = (0, 0, 0, 0)


class Special:
    """One specialisation with what has been learned of it.

    spec   a specialisation.Specialisation
    flags  FP flags that kept being faults: where NumPy's error state does not ignore them, interpret
    """

    def __init__(
        self, spec: Any, candidates: dict[str, Any], record: records.SpecialisationRecord, history: Any
    ) -> None:
        self.spec, self.candidates, self.record, self.history = spec, candidates, record, history
        self.kernels: dict[str, Any] = {}
        self.failures: dict[str, str] = {}
        self.choices: list[Choice] = []
        self.flags = 0
