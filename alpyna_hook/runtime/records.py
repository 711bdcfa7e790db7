"""What happened at each site: plain objects that the dispatcher fills and the report reads.

In: one `SiteRecord` per site, added when a marked module is imported and mutated by
`runtime/dispatch.py` as the site runs.  Out: `all_sites()`, for `report.emit`.

The fields in `to_json`'s output are schema 1 of the JSON report, name for name; what only people and the
HTML page need (the `Rejection`, the `Source`, the generated code) is kept beside them and left out there.
Nothing heavy is imported: a process that never asks for a report pays one small object per site.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Literal, TypeAlias

    from alpyna_hook.errors import Rejection
    from alpyna_hook.source import Source

    Status: TypeAlias = Literal["accelerated", "interpreted", "rejected", "not_reached"]

INTERPRETER = "interp"  # the one variant that is not compiled


class DecisionRecord:
    """One choice of the oracle: these shapes run as this variant.

    shapes       live-in name -> shape (arrays) or value (ints): the call that the choice was made for
    variant      "interp", "seq", "omp", "cuda" or "opencl"
    predicted_s  variant -> predicted seconds of *one* call; a variant that the model cannot judge is absent
    calls        calls that ran under this choice, those that faulted included
    total_s      measured seconds of all these calls
    faults       calls that met a fault, were rolled back and run again by the interpreter
    declines     calls, not counted in `calls`, that the kernel left to the interpreter at entry: no trip to make,
                 or a precondition that does not hold
    """

    __slots__ = ("calls", "declines", "faults", "predicted_s", "shapes", "total_s", "variant")

    def __init__(
        self, shapes: dict[str, Any], variant: str, predicted_s: dict[str, float] | None = None,
        calls: int = 0, total_s: float = 0.0, faults: int = 0, declines: int = 0,
    ) -> None:  # fmt: skip
        self.shapes, self.variant = shapes, variant
        self.predicted_s = {} if predicted_s is None else predicted_s
        self.calls, self.total_s, self.faults, self.declines = calls, total_s, faults, declines

    @property
    def completed(self) -> int:
        """Calls that this variant carried through."""
        return self.calls - self.faults


class SpecialisationRecord:
    """One signature met at a site.

    signature  live-in name -> type, as printed by ir.types ("f64[2C]", "i64{int}")
    compile_s  variant -> seconds spent in code generation and the compiler in this process
    cache      variant -> "hit" (kernel came from the disk cache) or "miss" (it was compiled)
    code       variant -> generated source text, for people; empty if it was never rendered
    rejection  why this signature cannot be compiled
    """

    __slots__ = ("cache", "code", "compile_s", "decisions", "rejection", "signature")

    def __init__(
        self, signature: dict[str, str], compile_s: dict[str, float] | None = None, cache: dict[str, str] | None = None,
        decisions: list[DecisionRecord] | None = None, code: dict[str, str] | None = None,
        rejection: Rejection | None = None,
    ) -> None:  # fmt: skip
        self.signature, self.rejection = signature, rejection
        self.compile_s = {} if compile_s is None else compile_s
        self.cache = {} if cache is None else cache
        self.decisions = [] if decisions is None else decisions
        self.code = {} if code is None else code


class LoopRecord:
    """One loop of a nest. `why`: what makes it parallel or sequential; `depth`: 0 for the outermost loop."""

    __slots__ = ("depth", "line", "parallel", "var", "why")

    def __init__(self, line: int, var: str, parallel: bool, why: str = "", depth: int = 0) -> None:
        self.line, self.var, self.parallel, self.why, self.depth = line, var, parallel, why, depth


class SiteRecord:
    """One site. The dispatcher holds it and mutates it; `refresh`, if set, is called once before a
    report is written, to pull in the counters that the guard keeps for itself.

    reached     the site was called at least once (rejected loops are not guarded: False there)
    rejection   the static rejection, or that of the last signature that could not be compiled
    note        what stood in the way besides ("no C compiler was found", "its compiled form kept meeting faults")
    without     which devices have no form of it, and why
    choice      the oracle's words for its last decision
    glances     calls left to the interpreter before any decision, on an estimate of `glanced_s` seconds for all of them
    """

    __slots__ = (
        "choice", "end_line", "file", "function", "glanced_s", "glances", "line", "loops", "module", "note", "reached",
        "refresh", "rejection", "source", "specialisations", "without",
    )  # fmt: skip

    def __init__(
        self, module: str, file: str, line: int, end_line: int, function: str, loops: list[LoopRecord] | None = None,
        specialisations: list[SpecialisationRecord] | None = None, reached: bool = False,
        rejection: Rejection | None = None, note: str = "", choice: str = "", glances: int = 0, glanced_s: float = 0.0,
        source: Source | None = None,
    ) -> None:  # fmt: skip
        self.module, self.file, self.line, self.end_line, self.function = module, file, line, end_line, function
        self.loops = [] if loops is None else loops
        self.specialisations = [] if specialisations is None else specialisations
        self.reached, self.rejection, self.note, self.choice = reached, rejection, note, choice
        self.glances, self.glanced_s, self.source = glances, glanced_s, source
        self.refresh: Callable[[], None] | None = None
        self.without = ""

    @property
    def id(self) -> str:
        """"module:line"."""
        return f"{self.module}:{self.line}"

    @property
    def decisions(self) -> list[DecisionRecord]:
        """The decisions of all signatures."""
        return [d for spec in self.specialisations for d in spec.decisions]

    @property
    def status(self) -> Status:
        """`accelerated` if a compiled variant ever carried a call through; else why not."""
        if any(d.variant != INTERPRETER and d.completed > 0 for d in self.decisions):
            return "accelerated"
        if self.rejection is not None:
            return "rejected"
        return "interpreted" if self.reached else "not_reached"

    @property
    def reason(self) -> str:
        """One sentence behind the status; empty for an accelerated site that was never refused."""
        if self.rejection is not None:
            return f"{self.rejection.title} [{self.rejection.code}]"
        if self.status != "interpreted":
            return self.note or self.without
        compiled = [d for d in self.decisions if d.variant != INTERPRETER and d.calls]
        if compiled and not self.note:
            return "every call of its compiled form met a fault and was run again by the interpreter"
        if any(d.declines for d in self.decisions) and not self.note:
            return "its calls made no trip, or did not meet what the compiled form asks for at entry"
        why = self.note or self.choice or "the interpreter was predicted to be fastest"
        return f"{why}; {self.without}" if self.without else why


_sites: dict[tuple[str, str, int], SiteRecord] = {}  # keyed on file, id, generation


def add_site(record: SiteRecord) -> SiteRecord:
    """Register `record` and return it. A module that is reloaded adds its sites again: an older record
    of the same place that never ran is replaced, one that ran is kept beside the new one."""
    generation = 0
    while (old := _sites.get((record.file, record.id, generation))) is not None and old.reached:
        generation += 1
    _sites[record.file, record.id, generation] = record
    return record


def all_sites() -> tuple[SiteRecord, ...]:
    """Every site of the process, in order of registration, with the guards' counters pulled in."""
    for record in tuple(_sites.values()):
        if record.refresh is not None:
            try:
                record.refresh()
            except Exception as bug:  # a report with old counters is better than none
                record.note = f"its counters could not be read: {bug!r}"
    return tuple(_sites.values())


def clear() -> None:
    """Forget all sites (a forked child starts its own report; tests)."""
    _sites.clear()


def to_json(record: SiteRecord) -> dict[str, Any]:
    """The site as one object of the JSON report, schema 1. Values are those `json.dumps` accepts, but for
    the shapes, which are as the dispatcher gave them."""
    return {
        "id": record.id,
        "module": record.module,
        "file": record.file,
        "line": record.line,
        "end_line": record.end_line,
        "function": record.function,
        "status": record.status,
        "reason": record.reason,
        "loops": [{"line": p.line, "var": p.var, "parallel": p.parallel, "why": p.why} for p in record.loops],
        "specialisations": [_specialisation(spec) for spec in record.specialisations],
    }


def _specialisation(spec: SpecialisationRecord) -> dict[str, Any]:
    decisions = [
        {
            "shapes": d.shapes, "variant": d.variant, "predicted_s": d.predicted_s,
            "calls": d.calls, "total_s": d.total_s, "faults": d.faults,
        }
        for d in spec.decisions
    ]  # fmt: skip
    return {
        "signature": spec.signature,
        "compile_s": spec.compile_s,
        "cache": spec.cache,
        "decisions": decisions,
    }
