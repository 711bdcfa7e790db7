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
from alpyna_hook.cost.learn import History as History, batch, worth_a_try
from alpyna_hook.cost.machine import CALIBRATE_S, Profile
from alpyna_hook.cost.model import DEVICES, Env, Parts
from alpyna_hook.cost.priced import Candidate
from alpyna_hook.ir.affine import Quantity

RETIRE_CALLS = 10_000  # calls that never paid before a site whose sizes can change is given up: about 1 ms of guards
RETIRE_SECONDS = 2e-6  # interpreter seconds per call below which a guard that declines is felt
TOLERANCE = 1.5  # how much worse than the best a cached choice may be predicted elsewhere in its box
PARALLEL_MARGIN = 0.9  # threads must be predicted to save 10 %: they take a core from somebody else
# A compiled variant first comes up for review after so many predicted seconds, within these numbers of calls, so that
# what was measured is heard (of other cores sooner: what a busy machine makes of them cannot be predicted); later after
# as many calls again as there were.
MEASURED_S = 0.05
FEWEST_CALLS = 2
MEASURED_CALLS = 50
THREADS_SAVE_S = 2e-6  # seconds per call below which threads are not used before they have been tried: waking them, not
# predicted, takes longer than that
_WIDER = ("omp", "opencl", "cuda")
NEVER = 1 << 62
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
        decision, best = self._choose(candidates, env, ready, history, pin)
        if best:
            unpaid = _Prices(self.profile, ready)
            decision.ranges = self._box(self.evaluator(candidates), env, best, history, unpaid)
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
        return self._choose(candidates, env, ready, history, pin)[0]

    def _choose(
        self, candidates: Mapping[str, Candidate], env: Env, ready: Mapping[str, str], history: History, pin: str
    ) -> tuple[Decision, str]:
        """The decision without ranges, and the variant whose ranges it is to have; "": it stands everywhere."""
        model = self.evaluator(candidates)
        parts = model.parts(env)
        predicted = history.corrected(parts, model.unknown)
        if pin or self.forced != "auto":
            forced = _legal(pin if pin and self.forced == "auto" else self.forced, candidates)
            reason = f"{'pinned' if self.forced == 'auto' else 'forced'}: {forced}"
            if forced:  # for all sizes, if the plan does not depend on them
                sized = model.sized if candidates[forced].collapse else ()
                ranges = {leaf: bucket(int(env[leaf])) for leaf in sized if leaf in env}
                return Decision(forced, predicted, ranges, reason=reason, kernel_s=parts[forced][0]), ""
        if self._wants_calibration and self._calibrated(predicted):
            model = self.evaluator(candidates)
            parts = model.parts(env)
            predicted = history.corrected(parts, model.unknown)
        all_predicted, predicted = predicted, _worth_threads(predicted, parts, history)
        best = _cheapest(predicted)
        unpaid = _Prices(self.profile, ready)
        if _negligible(predicted, self.profile, unpaid):
            return self._leave_alone(model, predicted, history)
        if best == "interp" or ready.get(best) == "compiled":
            chosen, reason, calls = best, "fastest", NEVER
        else:
            chosen, reason, calls = _rent_or_buy(predicted, {v: unpaid[v] for v in predicted}, history)
        tried = None
        if chosen == best != "interp" and history.spent_s > 0.0:
            offered = all_predicted if predicted[best] > 2.0 * THREADS_SAVE_S else predicted
            tried = worth_a_try(offered, parts, best, unpaid, history)
        if tried is not None:
            (chosen, calls), reason = tried, f"a try: {tried[0]} may be faster than {best}"
        elif chosen != "interp":
            known = history.fresh(chosen, parts[chosen][0])
            calls = min(calls, _until_review(chosen, predicted[chosen], known, history))
        regret = max(predicted[chosen] - predicted[best], 0.0) if tried is None else 0.0
        kernel_s = parts[chosen][0]
        return Decision(chosen, all_predicted, {}, calls, False, regret, reason, kernel_s, tried is not None), best

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

    @property
    def _wants_calibration(self) -> bool:
        return self.calibrate is not None and (self.profile.origin == "default" or bool(self.profile.noisy))

    def _calibrated(self, predicted: Mapping[str, float]) -> bool:
        """Measure the machine if enough time is at stake: what the sites take even if every choice is right. True if
        the profile has changed. Each attempt that left figures noisy doubles what must be at stake for the next."""
        old, measure = self.profile, self.calibrate
        at_stake = self.stake_s + min(predicted.values())
        enough = STAKE_FACTOR * CALIBRATE_S * 2.0 ** min(old.attempts, MOST_DOUBLINGS)
        if measure is None or at_stake < enough:
            return False
        self.calibrate = None
        profile = measure(old)
        if profile is not None:
            self.profile = profile
        return profile is not None

    def _leave_alone(
        self, model: Evaluator, predicted: dict[str, float], history: History
    ) -> tuple[Decision, str]:
        """The interpreter, for good if the sizes cannot change or have not in RETIRE_CALLS calls."""
        fixed = not model.deciding and not model.unknown
        left = RETIRE_CALLS - history.negligible
        if fixed or left <= 0:
            return Decision("interp", predicted, {}, NEVER, True, 0.0, _NEGLIGIBLE), ""
        return Decision("interp", predicted, {}, left, False, 0.0, _NEGLIGIBLE), "interp"

    def _box(
        self, model: Evaluator, env: Env, chosen: str, history: History, unpaid: Mapping[str, float]
    ) -> dict[Quantity, tuple[int, int]]:
        """Power-of-two buckets around the deciding leaves, narrowed while `chosen` would be a poor choice in the corner
        with the least or with the most work. A bucket alone says nothing of `range(lo, hi)` with both a million.
        """
        box = {leaf: bucket(int(env[leaf])) for leaf in model.deciding if leaf in env}
        sized = {leaf: box[leaf] for leaf in model.sized if leaf in box}
        if not sized:
            return box
        inputs = model.inputs(env)
        places = {leaf: model.leaves.index(leaf) for leaf in sized}
        work = model.work(inputs)
        rising = {leaf: _rises(model, inputs, work, places[leaf], high) for leaf, (_, high) in sized.items()}
        for _ in range(6):
            low, high = list(inputs), list(inputs)
            for leaf, span in sized.items():
                low[places[leaf]], high[places[leaf]] = span if rising[leaf] else span[::-1]
            if all(self._good(model, corner, chosen, history, unpaid) for corner in (tuple(low), tuple(high))):
                return {**box, **sized}
            sized = {leaf: _narrowed(span, int(env[leaf])) for leaf, span in sized.items()}
        return {**box, **{leaf: (int(env[leaf]), int(env[leaf])) for leaf in sized}}

    def _good(
        self, model: Evaluator, inputs: tuple[float, ...], chosen: str, history: History, unpaid: Mapping[str, float]
    ) -> bool:
        predicted = history.corrected(model.at(inputs), model.unknown)
        if chosen == "interp" and _negligible(predicted, self.profile, unpaid):
            return True
        slack = self.profile.call_s
        return predicted[chosen] <= TOLERANCE * min(predicted.values()) + slack


def _rises(model: Evaluator, inputs: tuple[float, ...], work: float, place: int, high: int) -> bool:
    """Whether more work comes with a larger value of a leaf: `hi` of range(lo, hi) yes, `lo` no. work: as it is."""
    return model.work((*inputs[:place], high, *inputs[place + 1 :])) >= work


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


def _until_review(variant: str, seconds: float, known: bool, history: History) -> int:
    """Calls after which a compiled variant comes up for review."""
    if known:
        return max(MEASURED_CALLS, history.calls)
    return first_review(seconds, MEASURED_CALLS if variant == "seq" else batch(seconds))


def first_review(seconds: float, most: int = MEASURED_CALLS) -> int:
    """Calls of that length after which what was measured is heard for the first time."""
    return min(max(math.ceil(MEASURED_S / seconds), FEWEST_CALLS), most)


def _legal(forced: str, candidates: Mapping[str, Candidate]) -> str:
    """The forced variant, or the nearest legal one: threads for what has no form on the device, sequential code where
    no loop is parallel. Empty: choose."""
    if forced == "auto" or forced in candidates:
        return "" if forced == "auto" else forced
    if forced in DEVICES and "omp" in candidates:
        return "omp"
    return "seq" if "seq" in candidates else "interp"


_NEGLIGIBLE = "too little work to be worth a call"


def bucket(value: int) -> tuple[int, int]:
    """(lowest, highest) int of the power-of-two bucket of `value`: 0 alone, 1, 2..3, 4..7, ... and mirrored."""
    if value == 0:
        return (0, 0)
    low = 1 << (abs(value).bit_length() - 1)
    high = 2 * low - 1
    return (low, high) if value > 0 else (-high, -low)


def _narrowed(span: tuple[int, int], value: int) -> tuple[int, int]:
    """Half-way (in logarithms of the distance) towards `value`."""
    low, high = span
    return (value - math.isqrt(value - low), value + math.isqrt(high - value))


def _negligible(predicted: Mapping[str, float], profile: Profile, unpaid: Mapping[str, float]) -> bool:
    """No compiled variant gains enough to pay for the guard in front of the loop; or, of a tiny loop, for its compiler
    within the calls that such a site is given: until then each guard takes more than 3 % of the loop."""
    interp, fastest = predicted["interp"], min(predicted.values())
    if interp > RETIRE_SECONDS and fastest < interp - profile.decline_s:
        return False
    best = min((v for v in predicted if v != "interp"), key=predicted.__getitem__, default="interp")
    gain = interp - profile.decline_s - predicted[best]
    if gain <= 0.0 or interp > RETIRE_SECONDS:
        return gain <= 0.0
    return unpaid[best] > RETIRE_CALLS * gain


def _worth_threads(
    predicted: dict[str, float], parts: Mapping[str, Parts], history: History
) -> dict[str, float]:
    """Without "omp" where it is predicted to save too little against one thread, unless both have been measured."""
    if predicted.get("omp", -math.inf) > predicted.get("seq", math.inf) - THREADS_SAVE_S:
        if not all(history.fresh(v, parts[v][0]) for v in ("seq", "omp")):
            return {v: s for v, s in predicted.items() if v != "omp"}
    return predicted


def _cheapest(predicted: Mapping[str, float]) -> str:
    """The variant with the least seconds; what takes more from others (threads, accelerators) must save a share of
    1 - PARALLEL_MARGIN."""
    best = "seq" if predicted.get("seq", math.inf) < predicted["interp"] else "interp"
    for wider in _WIDER:
        if wider in predicted and predicted[wider] <= PARALLEL_MARGIN * predicted[best]:
            best = wider
    return best


def _rent_or_buy(
    predicted: Mapping[str, float], unpaid: Mapping[str, float], history: History
) -> tuple[str, str, int]:
    """(variant, reason, calls until review). See the module docstring for the rule; a purchase is taken off
    `history.regret_s`."""
    paid = {v: s for v, s in predicted.items() if unpaid[v] <= 0.0}
    renting = _cheapest(paid)
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
