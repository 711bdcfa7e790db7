"""What happens when a guarded loop is reached and its guard has no entry for the call.

In: the sites of a module (`register`).  Out: a callable per accepted site, in `builtins` under
`source.site_key`; it returns None (run the original loop) or the live-outs.

The slow path: live-ins -> signature -> specialisation -> the oracle's decision -> kernel -> an `Entry` in the
guard, which from then on serves calls of that signature and shape bucket without coming back here.
"""

from __future__ import annotations

import builtins
import sys
from functools import cache

from alpyna_hook import log, project, settings, shadows, signals
from alpyna_hook.errors import InternalError, Rejection
from alpyna_hook.runtime import foreign, glance, guard, patience, reading, records, resume
from alpyna_hook.runtime.choices import Choice, Special
from alpyna_hook.source import Source, site_key

# After so many calls that could not be compiled, or faults in a row, the interpreter gets the loop back.
MAX_DECLINES = 32
MAX_FAULTS = 3
MAX_BANS = 8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from alpyna_hook.ir.nodes import Nest
    from alpyna_hook.runtime.heads import Head
    from alpyna_hook.runtime.warm import Start

_states: dict[str, SiteState] = {}


def register(source: Source, sites: Sequence[Head], retire: Callable[[str], None]) -> None:
    """Makes the site callables of a module. `retire(key)` puts the original loop back for good."""
    guard.set_on_error(_on_error)
    setattr(builtins, UNSET_NAME, guard.UNSET)
    for site in sites:
        record = records.add_site(
            records.SiteRecord(
                source.module, source.filename, site.line, site.end_line, site.function,
                rejection=site.rejection, source=source,
            )
        )  # fmt: skip
        if not site.accepted:
            continue
        key = site_key(source, site.index)
        state = SiteState(key, source, site, record, retire)
        record.refresh = state.refresh
        _states[key] = state
        setattr(builtins, key, state.guard)


UNSET_NAME = "@alpyna:unset"


def unbound(key: str, name: str | None) -> None:
    """A site was reached, but one of the values to be handed to it does not exist. Does not raise."""
    try:
        state = _states.get(key)
        if state is not None:
            state.without_value(name or "a name")
    except Exception as bug:
        if signals.from_handler(bug):
            raise
        log.bug("at a loop", bug)


@cache
def _watch_forks() -> None:
    """Called once there is an OpenMP kernel: a forked child must not run it (devices/forks.py)."""
    import os

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    from alpyna_hook.devices import forks

    if forks.omp_unsafe():
        for state in _states.values():
            state.drop("omp")


def _on_error(*details: Any) -> bool:
    """What a site callable raised: whether it is the program's."""
    exception = next((d for d in details if isinstance(d, BaseException)), RuntimeError(str(details)))
    if signals.from_handler(exception):
        return True
    if not isinstance(exception, RecursionError):  # the program's own limit: its loop may need less than Alpyna does
        log.bug("at a loop", exception)
    return False


class SiteState:
    """All that is known of one site. Thread safety: the GIL; two threads that meet a new signature at once
    do the same work twice, and the later entry serves."""

    def __init__(
        self, key: str, source: Source, head: Head, record: records.SiteRecord, retire: Callable[[str], None],
        scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.key, self.source, self.head, self.roots, self.record = key, source, head, head.roots, record
        self._retire = retire
        self._specials: dict[object, Special] = {}
        self._banned: dict[object, frozenset[Any]] = {}
        self._dropped: set[str] = set()  # variants that are not run again, whatever is specialised anew
        self._declines = 0
        self._patience = patience.Patience(head, scale)
        self._start_at = patience.LOOK_S  # seconds of work from which on an earlier process's decision is looked for
        self._busy = False
        self._pin: str | None = None  # not asked for yet
        self._refused: reading.Reading | str | None = None  # the last call declined without a Rejection: see refresh
        self._starts: list[Start] = []  # of warm.py, not adopted yet
        self.abroad: frozenset[str] = frozenset()  # live-ins that are stand-ins for CuPy's arrays
        self.elsewhere: dict[frozenset[str], Any] = {}  # the same for calls with such arrays: abroad.AbroadState
        self.guard = guard.Site(key, self.slow)

    @property
    def nest(self) -> Nest:
        """The site's nest, which a process with warm caches does without."""
        nest = self.head.nest
        assert nest is not None, "rejected loops have no state"
        return nest

    # --- the slow path ---------------------------------------------------------------------------------------------

    def slow(self, args: tuple[Any, ...]) -> object:
        """A call that no entry of the guard serves. None: the interpreter runs the loop."""
        self.record.reached = True
        if self._busy or not settings.current().enabled:
            return None
        self._busy = True
        try:
            if foreign.among(args):
                from alpyna_hook.runtime import abroad

                return abroad.call(self, args)
            return self.guard(*args) if self._served(args) else None
        except Exception as bug:
            if signals.from_handler(bug):
                raise
            self.retire("an internal error")
            log.bug(f"at {self.record.id}", bug)
            return None
        finally:
            self._busy = False

    def _served(self, args: tuple[Any, ...]) -> bool:
        """Installs an entry for this call; False if the interpreter is to run it. What costs least is asked first."""
        seen = patience.NEVER_MIND if self._asked_for() else self._patience.seconds(args)
        if seen < patience.LOOK_S:
            return self._leave_it(args)
        found = reading.read(self.head, args)
        if found.refused:
            return self._decline(found)
        loaded = patience.ready()
        hiding = "" if loaded else shadows.on_path(sys.path)
        if hiding:
            self.retire(f"{hiding} hides a module of that name which Alpyna needs")
            return False
        if not loaded and (self._starts or seen >= self._start_at):
            self._start_at = 2 * seen  # to look for a record takes 0.1 ms
            if self._start(found):
                return True
        if not loaded and seen < patience.first_look_s():
            return self._leave_it(args)
        return self._prepare(found)

    def _asked_for(self) -> bool:
        """Whether the user wants a compiled form, or the reason why there is none, however little there is to do."""
        asked = settings.current()
        return asked.variant != "auto" or asked.require or bool(self._pinned())

    def _leave_it(self, args: tuple[Any, ...]) -> bool:
        """All the work seen here would not pay for a closer look: the interpreter runs this call. False."""
        if any(type(value) in glance.SIZED for value in args):  # a closer look would decline, too
            self._declines += 1
        if self._patience.leave() or self._declines >= MAX_DECLINES:
            self.retire("too little work to be worth a call")
        self.record.choice = "too little work so far to be worth a closer look"
        self.record.glances, self.record.glanced_s = self._patience.left
        return False

    def _pinned(self) -> str:
        """The variant that the user's project wants here, "" for none."""
        if self._pin is None:
            self._pin = project.pin_of(self.record.id, self.source.filename)
        return self._pin

    def _start(self, found: reading.Reading) -> bool:
        """Installs an entry that an earlier process decided on; False if this process has to see for itself."""
        from alpyna_hook.runtime import warm

        for known in self._starts:
            if known.used_up():
                return known.renew()
        start = warm.find(self.head, found, self.failed, self._pinned())
        if start is None or any(start.decision == other.decision for other in self._starts):
            return False
        self._starts.append(start)
        self.record.choice = start.reason
        if start.entry is None:
            self.retire("")
            return True
        if start.variant == "omp":
            _watch_forks()
        self.guard.install(start.entry)
        return True

    def _adopt(self) -> None:
        """What `_start` installed becomes like what this process has decided itself: something is to be done with it
        that takes more than its record."""
        if not self._starts:
            return
        from alpyna_hook.runtime import entries, specials
        from alpyna_hook.runtime import signature as signatures

        while self._starts:
            start = self._starts.pop(0)
            signature = signatures.of(self.head, start.reading)
            special = signature if isinstance(signature, Rejection) else self._special(signature)
            if isinstance(special, Rejection):
                raise InternalError(f"a record of {self.record.id} has an entry for what is rejected")
            if start.kernel is not None:
                special.kernels[start.variant] = kernel = specials.loaded(start.kernel)
                special.record.compile_s[start.variant] = kernel.compile_s
                special.record.cache[start.variant] = kernel.cache
            decision = specials.unpacked(start.decision)
            self._note(special, signature, decision, start.entry)
            if start.checked:
                calls, seconds = start.entry.calls, entries.measured_ns(start.entry) / 1e9
                specials.oracle().spent(decision, calls, special.history, seconds)

    def _prepare(self, found: reading.Reading) -> bool:
        """Installs an entry for this call; False if the call is to be declined without one."""
        from alpyna_hook.runtime import signature as signatures

        self._adopt()
        signature = signatures.of(self.head, found, self.abroad)
        if isinstance(signature, Rejection):
            return self._decline(signature)
        special = self._special(signature)
        if isinstance(special, Rejection):
            return self._decline(special)
        return self._decide(special, signature)

    def without_value(self, name: str) -> None:
        """The roots could not be evaluated: `name` has no value."""
        self.record.reached = True
        self._decline(name)

    def _decline(self, why: Rejection | reading.Reading | str) -> bool:
        """Leaves a call to the interpreter. `why`: a Rejection, or what one can be made of if a report asks for it: the
        reading, or the name that has no value. To make one takes the IR, which programs on lists need for nothing else.
        """
        if isinstance(why, Rejection):
            self.record.rejection, self._refused = why, None
        else:
            self._refused = why
        self._declines += 1
        if self._declines >= MAX_DECLINES:
            self.retire("")
        return False

    def _special(self, signature: Any) -> Any:
        """The specialisation for `signature`, or a Rejection."""
        from alpyna_hook.runtime import specials

        key = signature.key
        banned = self._banned.get(key, frozenset())
        found = self._specials.get((key, banned))
        if found is not None:
            if not specials.outgrown(found.spec, signature.entry):
                return found
            for choice in found.choices:
                if choice.entry is not None:
                    self._remove(choice)
            self._specials[key, banned, len(self._specials)] = found  # for what it has run
        devices = specials.targets(self._pinned())
        spec = specials.specialise(self.nest, signature, banned, self.source, devices)
        record = records.SpecialisationRecord({n: str(t) for n, t in signature.types.items()})
        self.record.specialisations.append(record)
        if isinstance(spec, Rejection):
            record.rejection = spec
            return spec
        record.code = {v: s.text for v, s in spec.sources.items() if v in spec.candidates}
        self.record.without = "; ".join(f"not for {variant}: {why}" for variant, why in spec.without.items())
        self.record.loops = [records.LoopRecord(v.line, v.var, v.parallel, v.why, v.depth) for v in spec.loops]
        history = specials.history_of(self.nest, signature, banned)
        candidates = {str(v): c for v, c in spec.candidates.items() if v not in self._dropped}
        special = Special(spec, candidates, record, history)
        self._specials[key, banned] = special
        return special

    def _decide(self, special: Special, signature: Any) -> bool:
        from alpyna_hook.runtime import entries, errstate, specials

        self._review(special)
        oracle = specials.oracle()
        mask = errstate.mask() if special.flags else None
        interpret = mask is not None and bool(mask & special.flags)
        while True:
            ready = specials.Readiness(special.spec, special.kernels)
            candidates = {"interp": special.candidates["interp"]} if interpret else special.candidates
            tried_s = special.history.tried_s
            decision = oracle.decide(candidates, signature.entry, ready, special.history, self._pinned())
            variant = decision.variant
            if variant == "interp" or variant in special.kernels:
                break
            kernel = specials.compile_variant(special.spec, decision, signature, self.record.id)
            if isinstance(kernel, str):
                special.failures[variant] = kernel
                self.record.note = kernel
                special.candidates.pop(variant, None)
                continue
            special.kernels[variant] = kernel
            if variant == "omp":
                _watch_forks()
            special.record.compile_s[variant] = kernel.compile_s
            special.record.cache[variant] = kernel.cache
            oracle.note_compile(variant, kernel.compile_s)
        recipe = specials.recipe(self.nest, special.spec, signature, decision, mask)
        if self._for_later(special, signature, decision) and special.history.tried_s == tried_s:
            specials.keep(self.head, special.kernels, signature, decision, recipe, self._pinned())
        if decision.retire and not interpret:
            self._note(special, signature, decision, None)
            self.retire("")
            return False
        running = special.kernels.get(decision.variant)
        address = running.address if running is not None else 0
        entry = entries.build(self.head, signature.checks, recipe, address, running, self.failed)
        self._note(special, signature, decision, entry)
        self.guard.install(entry)
        return True

    def _for_later(self, special: Special, signature: Any, decision: Any) -> bool:
        """Whether a later process had best begin with this decision: it does not rest on what went wrong in this one,
        or on a compiler that has not been paid yet."""
        if signature.key in self._banned or special.flags or special.failures:
            return False
        if settings.current().variant in ("cuda", "opencl"):  # forced, and perhaps only missing today
            return False
        return decision.variant in ("seq", "omp") or (decision.variant == "interp" and not decision.regret)

    def _note(self, special: Special, signature: Any, decision: Any, entry: Any) -> None:
        """A line of the report for this decision (the one there is, if it only came up for review)."""
        for choice in special.choices:
            same = choice.variant == decision.variant and choice.decision.ranges == decision.ranges
            if same and choice.entry is None:
                choice.entry, choice.decision = entry, decision
                break
        else:
            record = records.DecisionRecord(dict(signature.shapes), decision.variant, dict(decision.predicted))
            special.record.decisions.append(record)
            choice = Choice(entry, decision, record, decision.variant)
            special.choices.append(choice)
        if entry is not None:
            entry.data = (special, choice, entry.data)
        else:
            choice.record.calls += 1
        self.record.choice = decision.reason

    def _review(self, special: Special) -> None:
        """Decisions whose calls are used up leave the guard; the oracle hears what ran under them."""
        from alpyna_hook.runtime import specials

        for choice in special.choices:
            if choice.entry is not None and choice.entry.calls_left == 0:
                calls, nanoseconds = choice.before[:2]
                self._remove(choice)
                ran, took = choice.record.calls - calls, choice.record.total_s - nanoseconds / 1e9
                specials.oracle().spent(choice.decision, ran, special.history, took)

    def _remove(self, choice: Choice) -> None:
        """Takes the choice's entry out of the guard, keeping its counters."""
        kept = [e for e in self.guard.entries() if e is not choice.entry]
        self._pull(choice)
        record = choice.record
        choice.before = (record.calls, round(record.total_s * 1e9), record.faults, record.declines)
        choice.entry = None
        self.guard.clear()
        for entry in reversed(kept):
            self.guard.install(entry)

    def drop(self, variant: str) -> None:
        """Never run `variant` again in this process."""
        self._adopt()
        self._dropped.add(variant)
        for special in self._specials.values():
            special.kernels.pop(variant, None)
            special.candidates.pop(variant, None)
            for choice in special.choices:
                if choice.variant == variant and choice.entry is not None:
                    self._remove(choice)

    # --- when a kernel did not finish ------------------------------------------------------------------------------

    def failed(self, rc: int, detail: int, args: tuple[Any, ...], halfway: Any) -> object:
        """A kernel declined (a precondition) or met a fault. The arrays are as they were or, with a `entries.Halfway`,
        as after these trips of the Python loops; then False: the interpreter is to go on from there."""
        if halfway is not None:
            resume.note(halfway.skip, halfway.live_outs)
        try:
            result = self._failed(rc, detail, args, halfway is None)
        except Exception as bug:
            if signals.from_handler(bug):
                raise
            self.retire("an internal error")
            log.bug(f"at {self.record.id}", bug)
            result = None
        return result if halfway is None else False

    def _failed(self, rc: int, detail: int, args: tuple[Any, ...], untouched: bool) -> object:
        from alpyna_hook.codegen import nans
        from alpyna_hook.ir.abi import DEVICE_FAILED, FP_INVALID
        from alpyna_hook.ir.affine import NO_NAN_COMPARED
        from alpyna_hook.runtime import errstate
        from alpyna_hook.runtime import signature as signatures

        self._adopt()
        signature = signatures.read(self.head, args, self.abroad)
        if isinstance(signature, Rejection):
            return None
        banned = self._banned.get(signature.key, frozenset())
        special = self._specials.get((signature.key, banned))
        if special is None:
            return None
        if rc == 1 and detail == DEVICE_FAILED:
            return self._device_failed(special, args)
        if rc == 1:
            return self._precondition_failed(special, signature, banned, detail, args)
        invalid = detail & 0xFF == 0 and detail >> 8 & errstate.mask() == FP_INVALID
        if invalid and NO_NAN_COMPARED not in banned and nans.compares_floats(special.spec.nest):
            self._ban(special, signature, NO_NAN_COMPARED)
            return self._again(args) if untouched else None
        for choice in special.choices:
            entry = choice.entry
            if entry is not None and entry.kernel and entry.faults >= MAX_FAULTS and 2 * entry.faults > entry.calls:
                self._remove(choice)
                choice.entry = None
                self.record.note = "its compiled form kept meeting faults"
                if detail & 0xFF:  # a sum's magnitude overflows where the sum may not: other variants may do
                    special.candidates.pop(choice.variant, None)
                else:
                    self._tell_states_apart(special, detail >> 8 & errstate.mask())
        return None

    def _tell_states_apart(self, special: Special, flags: int) -> None:
        """These FP flags were the only faults: another error state of NumPy may ignore them. From now on each state has
        entries of its own."""
        special.flags |= flags
        for choice in special.choices:
            if choice.entry is not None:
                self._remove(choice)

    def _running(self, special: Special) -> str:
        """The compiled variant that was chosen last."""
        chosen = [c.variant for c in special.choices if c.entry is not None and c.variant != "interp"]
        return chosen[-1] if chosen else "seq"

    def _precondition_failed(
        self, special: Special, signature: Any, banned: frozenset[Any], detail: int, args: tuple[Any, ...]
    ) -> object:
        if detail < 0:  # an outermost loop without a trip, or an int that its double cannot hold
            return None
        plan = special.spec.plans[self._running(special)]
        if len(banned) >= MAX_BANS or detail >= len(plan.preconditions):
            return None
        if plan.preconditions[detail] in special.spec.nest.requires:  # no other kernel would do
            return None
        self._ban(special, signature, plan.preconditions[detail])
        return self.slow(args)

    def _ban(self, special: Special, signature: Any, predicate: Any) -> None:
        """No specialisation for `signature` relies on `predicate` from now on."""
        self._banned[signature.key] = self._banned.get(signature.key, frozenset()) | {predicate}
        for choice in special.choices:
            if choice.entry is not None:
                self._remove(choice)

    def _device_failed(self, special: Special, args: tuple[Any, ...]) -> object:
        """A device could not do it, and nothing is written. The site never asks it again; another variant runs the
        call. Raises what the program's own signal handlers raised meanwhile."""
        from alpyna_hook.runtime import offload

        for variant in offload.VARIANTS:
            reason = offload.failure(special.kernels[variant]) if variant in special.kernels else ""
            if reason:
                special.failures[variant] = self.record.note = reason
                self.drop(variant)
        return self._again(args)

    def _again(self, args: tuple[Any, ...]) -> object:
        """The call anew, perhaps in the middle of its own slow path. Bounded: each time there is one variant, or
        one thing to rely on, less."""
        busy, self._busy = self._busy, False
        try:
            return self.slow(args)
        finally:
            self._busy = busy

    # --- the end, and the report -----------------------------------------------------------------------------------

    def retire(self, why: str) -> None:
        """The interpreter has the loop back for good."""
        if why:
            self.record.note = why
        self._pull_all()
        self._retire(self.key)

    def refresh(self) -> None:
        """Brings the report's records up to date."""
        if self._refused is not None:
            self.record.rejection, self._refused = self._rejection(self._refused), None
        self._adopt()
        self._pull_all()

    def _rejection(self, refused: reading.Reading | str) -> Rejection:
        """Why a call was declined, in words."""
        from alpyna_hook.runtime import signature as signatures

        if isinstance(refused, str):
            title = f"`{refused}`, which the loop reads, has no value when the loop is reached."
            return Rejection("name-unbound", title, "this loop", self.nest.span, "Give it a value before the loop.")
        found = signatures.of(self.head, refused, self.abroad)
        assert isinstance(found, Rejection), "Reading.refused says so"
        return found

    def _pull_all(self) -> None:
        """Pulls the guard's counters into the report's records."""
        for special in self._specials.values():
            for choice in special.choices:
                self._pull(choice)
        for state in self.elsewhere.values():
            state.refresh()

    def _pull(self, choice: Choice) -> None:
        entry = choice.entry
        if entry is None:
            return
        from alpyna_hook.runtime import entries

        calls, ns, faults, declines = choice.before
        choice.record.calls = calls + entry.calls - entry.declines
        choice.record.total_s = (ns + entries.measured_ns(entry)) / 1e9
        choice.record.faults = faults + entry.faults
        choice.record.declines = declines + entry.declines
