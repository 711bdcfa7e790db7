"""The oracle: which variant runs a call, and for which calls that choice stands.

In: candidates (one per legal variant), the entry values of a call, which variants are compiled, what the site
has cost so far.  Out: a `Decision`.

Paying the compiler is the ski-rental problem: Karlin, Manasse, Rudolph, Sleator (Algorithmica 1988) and Karlin,
Manasse, McGeoch, Owicki (SODA 1990): stay with what is there until the *regret* (seconds lost against
the variant that would be best) reaches the price, then pay.  Whatever calls come, the total is at most twice
that of knowing them beforehand, in predicted seconds; no deterministic rule does better.
A call whose own gain exceeds the price pays at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from alpyna_hook.cost.evaluate import Evaluator
from alpyna_hook.cost.learn import History as History, next_try, worth_a_try
from alpyna_hook.cost.machine import CALIBRATE_S, Profile
from alpyna_hook.cost.model import DEVICES, Env
from alpyna_hook.cost.pick import Picked, box, pick
from alpyna_hook.cost.priced import Candidate
from alpyna_hook.cost.rules import (
    FEWEST_CALLS, RETIRE_CALLS, THREADS_SAVE_S, bucket, cheapest, negligible, until_review,
)  # fmt: skip
from alpyna_hook.ir.affine import Quantity

NEVER = 1 << 62
_NEGLIGIBLE = "too little work to be worth a call"
STAKE_FACTOR = 10.0  # calibrate when this many times its price is at stake: it then costs under 10 %
MOST_DOUBLINGS = 6
FASTEST_COMPILE_S = 0.015
DISK_LOAD_S = 2e-3  # loading a kernel that is in the disk cache
OPEN_S = 0.2  # opening an accelerator, its Python package included


@dataclass(slots=True)
class Decision:
    """A choice and its validity. Not to be changed: it is not frozen because a frozen one takes 1 us more to make.

    variant               what to run; if it is not compiled yet, compile it now
    predicted             seconds of one call by variant, compile cost not included
    ranges                entry leaf -> (lowest, highest) value for which the choice stands; other leaves do not matter
    calls_before_review   ask again after this many calls inside `ranges` (NEVER: no need)
    retire                the site will not pay: put the original code back
    regret                seconds lost per call against the best variant while this choice stands
    trial                 a try of what may be faster: nothing to be kept for later
    kernel_s              of `predicted` of the variant, the kernel alone, uncorrected by what was measured
    asked                 the user wants this variant, whatever it costs
    reason                a few words for the report
    """

    variant: str
    predicted: dict[str, float]
    ranges: dict[Quantity, tuple[int, int]] = field(default_factory=dict)
    calls_before_review: int = NEVER
    retire: bool = False
    regret: float = 0.0
    reason: str = ""
    kernel_s: float = 0.0
    trial: bool = False
    asked: bool = False


@dataclass
class Oracle:
    """Decides for all sites of a process.

    forced      a variant that the user asked for, taken wherever it is legal; "auto": choose
    calibrate   called at most once, when enough time is at stake and the profile is of defaults or has noisy figures;
                gets the profile, returns the new one or None
    """

    profile: Profile
    threads: int = 1
    forced: str = "auto"
    calibrate: Callable[[Profile], Profile | None] | None = None
    stake_s: float = 0.0
    _evaluators: dict[tuple[int, ...], Evaluator] = field(default_factory=dict)

    def predict(
        self, candidates: Mapping[str, Candidate], env: Env, history: History | None = None
    ) -> dict[str, float]:
        """Seconds of one call by variant; with a history, corrected by what was measured."""
        model = self.evaluator(candidates)
        return (history or History()).corrected(model.parts(env), model.unknown)

    def evaluator(self, candidates: Mapping[str, Candidate]) -> Evaluator:
        """The model of `candidates` on this machine, made at the first use."""
        key = tuple(map(id, candidates.values()))
        found = self._evaluators.get(key)
        if found is None or found.profile is not self.profile:
            found = self._evaluators[key] = Evaluator(candidates, self.profile, self.threads)
        return found

    def _current(self, model: Evaluator) -> Evaluator:
        """That of the same candidates; another one if the machine has been measured meanwhile."""
        return model if model.profile is self.profile else self.evaluator(model.candidates)

    def decide(
        self,
        candidates: Mapping[str, Candidate],
        env: Env,
        ready: Mapping[str, str],
        history: History,
        pin: str = "",
    ) -> Decision:
        """The choice for a call with these entry values, and for which others it stands.

        candidates  one per legal variant; "interp" must be among them
        ready       variant -> "compiled" (loaded), "disk" (in the disk cache), "no" (also if absent) or "closed" (on a
                    device that is still to be opened)
        history     of this specialisation; call `spent` with the old decision first when it comes up for review
        pin         the variant that the project wants for this site, "": none; `forced` goes before it
        """
        model = self.evaluator(candidates)
        decision, best = self._choose(model, env, ready, history, pin)
        if best:
            unpaid = _Prices(self.profile, ready) if best == "interp" else {}
            decision.ranges = box(self._current(model), env, best, history, unpaid)
        return decision

    def choose(
        self,
        candidates: Mapping[str, Candidate],
        env: Env,
        ready: Mapping[str, str],
        history: History,
        pin: str = "",
    ) -> Decision:
        """As `decide`, for this call alone: without ranges."""
        return self._choose(self.evaluator(candidates), env, ready, history, pin)[0]

    def _choose(
        self, model: Evaluator, env: Env, ready: Mapping[str, str], history: History, pin: str
    ) -> tuple[Decision, str]:
        """The decision without ranges, and the variant whose ranges it is to have; "": it stands everywhere."""
        if pin or self.forced != "auto":
            forced = self._forced(model, env, history, pin)
            if forced is not None:
                return forced, ""
        picked = pick(model, env, history)
        if self.calibrate is not None and self._calibrated(picked[1]):
            model = self._current(model)
            picked = pick(model, env, history)
        best, predicted, _, kernel_s, known, review, compiled, worth_s = picked
        if worth_s < math.inf and negligible(compiled, worth_s, _Prices(self.profile, ready)):
            return self._leave_alone(model, picked, history)
        if best != "interp" and not known and history.allowance <= 0.0 and ready.get(best) == "compiled":
            return Decision(best, predicted, {}, review, False, 0.0, "fastest", kernel_s), best
        return self._weigh(model, env, ready, history, picked), best

    def _weigh(
        self, model: Evaluator, env: Env, ready: Mapping[str, str], history: History, picked: Picked
    ) -> Decision:
        """The choice where something may be bought or tried, now or soon."""
        best, predicted, offered, _, known, review, _, _ = picked
        parts, unpaid = model.parts(env), _Prices(self.profile, ready)
        if best == "interp" or ready.get(best) == "compiled":
            chosen, reason, calls = best, "fastest", NEVER
        else:
            chosen, reason, calls = _rent_or_buy(offered, {v: unpaid[v] for v in offered}, history)
        tried = None
        if chosen == best != "interp":
            hopes = predicted if predicted[best] > 2.0 * THREADS_SAVE_S else offered
            tried = worth_a_try(hopes, parts, best, unpaid, history)
        if tried is not None:
            (chosen, calls), reason = tried, f"a try: {tried[0]} may be faster than {best}"
        elif chosen != "interp":
            if chosen != best:
                known = history.fresh(chosen, parts[chosen][0])
                review = until_review(chosen, offered[chosen], known, history.calls)
            calls = min(calls, review)
            if known:
                calls = min(calls, max(next_try(predicted, parts, chosen, history), FEWEST_CALLS))
        regret = max(offered[chosen] - offered[best], 0.0) if tried is None else 0.0
        return Decision(chosen, predicted, {}, calls, False, regret, reason, parts[chosen][0], tried is not None)

    def _forced(self, model: Evaluator, env: Env, history: History, pin: str) -> Decision | None:
        """The choice of the user, or of the project; None: the oracle's."""
        wanted = _legal(pin if pin and self.forced == "auto" else self.forced, model.candidates)
        if not wanted:
            return None
        parts = model.parts(env)
        # For all sizes, if the plan does not depend on them.
        sized = model.sized if model.candidates[wanted].sized else ()
        ranges = {leaf: bucket(int(env[leaf])) for leaf in sized if leaf in env}
        reason = f"{'pinned' if self.forced == 'auto' else 'forced'}: {wanted}"
        predicted = history.corrected(parts, model.unknown)
        return Decision(wanted, predicted, ranges, reason=reason, kernel_s=parts[wanted][0], asked=True)

    def spent(self, decision: Decision, calls: int, history: History, seconds: float = 0.0) -> None:
        """Note that `calls` calls ran under `decision`, and took `seconds` in the kernel alone (0: not measured)."""
        expected = calls * decision.predicted.get(decision.variant, 0.0)
        history.calls += calls
        history.spent_s += expected
        history.regret_s += calls * decision.regret
        if decision.variant != "interp":
            history.measured(decision.variant, decision.kernel_s, calls, seconds)
        if decision.trial:
            history.tried_s += max(seconds - expected, 0.0)
        self.stake_s += expected
        if decision.variant == "interp":
            history.interp_s += expected
        if decision.reason == _NEGLIGIBLE:
            history.negligible += calls
        else:
            history.negligible = 0

    def note_compile(self, variant: str, seconds: float) -> None:
        """A compile took this long: later prices are the mean of what was expected and what was seen. Loading from the
        disk cache, told by its time, says nothing about compiling."""
        if seconds < FASTEST_COMPILE_S:
            return
        old = self.profile.compile_s.get(variant, seconds)
        table = {**self.profile.compile_s, variant: (old + seconds) / 2.0}
        self._change_profile(replace(self.profile, compile_s=table))

    def _change_profile(self, profile: Profile) -> None:
        """A profile with other compile times: no figure that an evaluator uses has changed."""
        old, self.profile = self.profile, profile
        for found in self._evaluators.values():
            if found.profile is old:
                found.profile = profile

    def _calibrated(self, predicted: Mapping[str, float]) -> bool:
        """Measure the machine if figures are missing or noisy and enough time is at stake: what the sites take even if
        every choice is right. True if the profile has changed. Each attempt that left figures noisy doubles what must
        be at stake for the next."""
        old, measure = self.profile, self.calibrate
        if old.origin != "default" and not old.noisy:
            return False
        at_stake = self.stake_s + min(predicted.values())
        enough = STAKE_FACTOR * CALIBRATE_S * 2.0 ** min(old.attempts, MOST_DOUBLINGS)
        if measure is None or at_stake < enough:
            return False
        self.calibrate = None
        profile = measure(old)
        if profile is not None:
            self.profile = profile
        return profile is not None

    def _leave_alone(self, model: Evaluator, picked: Picked, history: History) -> tuple[Decision, str]:
        """The interpreter, for good if the sizes cannot change or have not in RETIRE_CALLS calls."""
        fixed = not model.deciding and not model.unknown
        left = RETIRE_CALLS - history.negligible
        if fixed or left <= 0:
            return Decision("interp", picked[2], {}, NEVER, True, 0.0, _NEGLIGIBLE), ""
        return Decision("interp", picked[2], {}, left, False, 0.0, _NEGLIGIBLE), "interp"


class _Prices(dict[str, float]):
    """Seconds still to be paid before a variant can run; asked for one by one, because that may need the disk."""

    def __init__(self, profile: Profile, ready: Mapping[str, str]) -> None:
        self._profile, self._ready = profile, ready

    def __missing__(self, variant: str) -> float:
        state = "compiled" if variant == "interp" else self._ready.get(variant, "no")
        if state == "compiled":
            price = 0.0
        elif state == "disk":
            price = DISK_LOAD_S
        else:
            usual = self._profile.device(variant).build_s if variant in DEVICES else 0.2
            price = self._profile.compile_s.get(variant, usual) + (OPEN_S if state == "closed" else 0.0)
        self[variant] = price
        return price


def _legal(forced: str, candidates: Mapping[str, Candidate]) -> str:
    """The forced variant, or the nearest legal one: threads for what has no form on the device, sequential code where
    no loop is parallel. Empty: choose."""
    if forced == "auto" or forced in candidates:
        return "" if forced == "auto" else forced
    if forced in DEVICES and "omp" in candidates:
        return "omp"
    return "seq" if "seq" in candidates else "interp"


def _rent_or_buy(
    predicted: Mapping[str, float], unpaid: Mapping[str, float], history: History
) -> tuple[str, str, int]:
    """(variant, reason, calls until review). See the module docstring for the rule; a purchase is taken off
    `history.regret_s`."""
    paid = {v: s for v, s in predicted.items() if unpaid[v] <= 0.0}
    renting = cheapest(paid)
    # What is worth buying depends on how long it will serve: expect as many calls again as there were.
    horizon = history.calls + 1
    buying = min(predicted, key=lambda v: (horizon * predicted[v] + unpaid[v] - (unpaid[v] <= 0.0) * 1e-12, v))
    if unpaid[buying] <= 0.0:
        buying = min((v for v in predicted if unpaid[v] > 0.0), key=lambda v: predicted[v], default=renting)
    gain = predicted[renting] - predicted[buying]
    if buying == renting or gain <= 0.1 * predicted[renting]:
        return renting, "fastest", NEVER
    price = unpaid[buying]
    if history.regret_s + gain >= price:
        reason = "one call pays for the compiler" if gain >= price else "the time lost would have paid for the compiler"
        history.regret_s = max(history.regret_s - price, 0.0)
        # From here on `buying` is what is rented; a still better variant may be worth its price later.
        _, _, calls = _rent_or_buy(predicted, {**unpaid, buying: 0.0}, replace(history))
        return buying, reason, calls
    calls = max(math.ceil((price - history.regret_s) / gain) - 1, 1)
    return renting, f"compiling as {buying} ({price:.2f} s) would not have paid yet", calls
