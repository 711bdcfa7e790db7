"""What measured times say about the model, kept per specialisation.

In: batches of calls that ran one variant: their number, their measured seconds, what was predicted.  Out: predictions
corrected by that, and what is worth a try.

The model's error is taken to be a factor that changes slowly with the size of the call: one ratio, measured over
predicted seconds of the kernel alone, per variant and decade of seconds. A ratio is the median of its last batches, in
logarithms: one batch that the machine disturbed moves nothing once there are three. A machine can stay busy for all
three: what is old counts as one batch as soon as there is a new one. A process's first call of a kernel is cold, and
says only between which bounds a warm one lies.

What one variant shows is used for others as far as they share it: trip counts that depend on data are the same for
all of them; sequential and threaded code share their operation counts. That threads were slow says nothing about one
thread; that they were fast does.

Trying is paid from an allowance, a fixed share of the seconds spent so far (a budgeted "epsilon-first" policy:
Tran-Thanh et al., AAAI 2010), from which what tries really took is taken off; a variant predicted TRY_WITHIN times as
slow as the best is never tried. One that was slow long ago is tried in the hope that what made it so is over; one that
is hardly slower costs little to try, and is tried often: a virtual machine's cores are at times one core's two
threads, and what is in parallel then takes as long as one thread. Two batches that were much faster than the
others show that this is over: what disturbs a measurement makes it longer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from alpyna_hook.cost.model import Parts

KEPT = 7  # batches that a ratio remembers
FIRM = 3  # batches before the ratio of threads or of a device is believed in full: the first calls wake them
MOST = math.log(100.0)
SHARED = 0.7  # of the logarithm of a ratio, of sequential code or of threads, that is believed of the other
DISTANCE = 0.5  # share of a ratio's logarithm that is believed a decade away
TRY_WITHIN = 3.0  # never try what is predicted to be this many times as slow as the best
TRY_SHARE = 0.05  # of the seconds spent so far that trying may have cost
TRY_S = 4e-4  # seconds that the two decisions take which a try needs
TRY_CALLS = 4
BATCH_S = 1e-3  # ten times what waking a thread takes
MOST_CALLS = 1000
COLD = 3.0  # times as long as the next ones that a process's first call of a kernel may take: pages of new arrays come
# to be when they are first written, threads are started
RETRY_SHARE = 0.005  # of the seconds spent since a variant was last measured that a new try may cost, old or not
RETRY_LATE = 0.05  # of all seconds spent so far that must have passed since, too: ever more seldom
FASTER = math.log(1.25)  # a variant's last two batches show another state of the machine when they were so much faster
STALE = 4  # a ratio is old when the specialisation has had this many times the calls that it had then

# Of a ratio: variant, decade, its logarithm as far as it is firm, whether it was measured well and not too long ago.
Known = tuple[str, int, float, bool]


@dataclass
class Ratio:
    """Measured over predicted seconds, of one variant in one decade. `at`, `at_s`: calls and seconds of the
    specialisation when last measured; `logs`: of the last batches."""

    logs: list[float] = field(default_factory=list)
    at: int = 0
    at_s: float = 0.0

    @property
    def log(self) -> float:
        """The median; of two, the lower one: what disturbs a measurement makes it longer."""
        return sorted(self.logs)[(len(self.logs) - 1) // 2]

    def stale(self, calls: int) -> bool:
        """Whether the specialisation has had so many calls since that this is old."""
        return calls > STALE * max(self.at, TRY_CALLS)

    def believed(self, calls: int) -> float:
        """The logarithm as far as it is still believed after so many calls of the specialisation: half of it for each
        factor of STALE beyond the first. What made it may be over."""
        if not self.stale(calls):
            return self.log
        return self.log * DISTANCE ** math.floor(math.log(calls / max(self.at, TRY_CALLS), STALE))


@dataclass
class History:
    """What one specialisation has cost so far and what was learned. Mutable; `Oracle.spent` updates it."""

    calls: int = 0
    interp_s: float = 0.0  # spent in the interpreter, predicted
    spent_s: float = 0.0  # in all, predicted
    regret_s: float = 0.0  # of all seconds spent, those that the best variant would have saved
    tried_s: float = 0.0  # what trying was expected to cost
    negligible: int = 0  # calls in a row that were not worth a guard
    warm: set[str] = field(default_factory=set)  # variants that were measured in this process
    ratios: dict[tuple[str, int], Ratio] = field(default_factory=dict)  # by variant and decade of predicted seconds
    _known: tuple[Known, ...] = ()  # by `known`, at `_known_at` calls
    _known_at: int = -1

    def measured(self, variant: str, kernel_s: float, calls: int, seconds: float) -> None:
        """`calls` calls of a kernel took `seconds`; `kernel_s` was predicted for one of them, uncorrected. What the
        first call of a process took longer for is not known: a prediction that it can explain is neither confirmed nor
        corrected."""
        if calls > 0 and seconds > 0.0 and kernel_s > 0.0:
            one = seconds / calls
            if variant not in self.warm:
                self.warm.add(variant)
                least = seconds / (calls - 1 + COLD)
                if least <= kernel_s <= one:
                    return
                one = least if kernel_s < least else one
            ratio = self.ratios.setdefault((variant, decade(kernel_s)), Ratio())
            if ratio.logs and ratio.stale(self.calls):
                ratio.logs = [ratio.log]  # what was measured anew weighs as much as what was long ago
            believed = ratio.log if ratio.logs else 0.0
            ratio.logs.append(min(max(math.log(one / kernel_s), -MOST), MOST))
            if len(ratio.logs) > 2 and max(ratio.logs[-2:]) < believed - FASTER:
                del ratio.logs[:-2]
            del ratio.logs[:-KEPT]
            ratio.at, ratio.at_s = self.calls, self.spent_s
            self._known_at = -1

    def corrected(self, parts: Mapping[str, Parts], unknown: bool) -> dict[str, float]:
        """Seconds by variant. unknown: trip counts depend on data."""
        if not self.ratios:
            return {v: kernel + overhead for v, (kernel, overhead) in parts.items()}
        return {v: kernel * math.exp(self._log(v, parts, unknown)) + over for v, (kernel, over) in parts.items()}

    def known(self) -> tuple[Known, ...]:
        """What there is of ratios, as far as it is believed."""
        if self.ratios and self._known_at != self.calls:
            shares = [(v, d, r, _firm(v, r)) for (v, d), r in self.ratios.items()]
            self._known = tuple((v, d, r.log * f, f == 1.0 and not r.stale(self.calls)) for v, d, r, f in shares)
            self._known_at = self.calls
        return self._known

    @property
    def allowance(self) -> float:
        """Seconds that a try may cost now."""
        return TRY_SHARE * self.spent_s - self.tried_s - TRY_S

    def fresh(self, variant: str, kernel_s: float) -> bool:
        """Whether this variant was measured well at about this size, not too long ago."""
        if kernel_s <= 0.0:
            return False
        here = decade(kernel_s)
        return any(new for v, d, _, new in self.known() if v == variant and d == here)

    def retry_after(self, variant: str, kernel_s: float, price: float) -> float:
        """Seconds to be spent from now on before a variant that was measured is to be tried again at this price."""
        ratio = self.ratios.get((variant, decade(kernel_s)))
        if ratio is None:
            return math.inf
        wait = max((price + TRY_S) / RETRY_SHARE, RETRY_LATE * self.spent_s)
        return max(wait - (self.spent_s - ratio.at_s), 0.0)

    def _log(self, variant: str, parts: Mapping[str, Parts], unknown: bool) -> float:
        own = self._nearest(variant, parts[variant][0])
        if own is not None:
            return own
        if unknown:
            others = (self._nearest(v, parts[v][0]) for v in parts if v != variant)
            return min((log for log in others if log is not None), default=0.0, key=abs)
        if variant == "omp" and "seq" in parts:
            return SHARED * (self._nearest("seq", parts["seq"][0]) or 0.0)
        if variant == "seq" and "omp" in parts:
            return SHARED * min(self._nearest("omp", parts["omp"][0]) or 0.0, 0.0)
        return 0.0

    def hopeful(self, variant: str, part: Parts, predicted_s: float) -> float:
        """Seconds of a variant if what made it slow, long ago, is over by half, or by more."""
        kernel_s, overhead_s = part
        ratio = self.ratios.get((variant, decade(kernel_s))) if kernel_s > 0.0 else None
        if ratio is None or ratio.log <= 0.0:
            return predicted_s
        return kernel_s * math.exp(ratio.believed(self.calls)) + overhead_s

    def _nearest(self, variant: str, kernel_s: float) -> float | None:
        """The variant's ratio of the nearest decade, the weaker the further away; None if it was never measured."""
        if kernel_s <= 0.0:
            return None
        here = decade(kernel_s)
        found = [(abs(d - here), log) for v, d, log, _ in self.known() if v == variant]
        if not found:
            return None
        away, log = min(found)
        return log * DISTANCE**away


def _firm(variant: str, ratio: Ratio) -> float:
    """Share of a ratio's logarithm that its number of batches is worth."""
    return 1.0 if variant == "seq" else min((len(ratio.logs) + 1) / (FIRM + 1), 1.0)


def decade(seconds: float) -> int:
    """The power of ten nearest to `seconds`."""
    return round(math.log10(seconds))


def batch(seconds: float) -> int:
    """Calls of that length to measure what runs on other cores by: the first ones have to wake them."""
    return max(TRY_CALLS, math.ceil(BATCH_S / max(seconds, BATCH_S / MOST_CALLS)))


def try_of(variant: str, hope_s: float, predicted: Mapping[str, float], best: str) -> tuple[int, float]:
    """Calls of a try, and the seconds that it would lose if nothing has changed since it was measured."""
    calls = TRY_CALLS if variant == "seq" else batch(hope_s)
    return calls, calls * max(predicted[variant] - predicted[best], 0.0)


def next_try(predicted: Mapping[str, float], parts: Mapping[str, Parts], best: str, history: History) -> int:
    """Calls of `best` after which a variant that was measured may be tried again."""
    waits = [math.inf]
    for variant, seconds in predicted.items():
        if variant not in (best, "interp") and seconds <= TRY_WITHIN * predicted[best]:
            _, price = try_of(variant, seconds, predicted, best)
            waits.append(history.retry_after(variant, parts[variant][0], price))
    return math.ceil(min(min(waits) / predicted[best], 1e9))


def worth_a_try(
    predicted: Mapping[str, float], parts: Mapping[str, Parts], best: str, unpaid: Mapping[str, float], history: History
) -> tuple[str, int] | None:
    """A variant that is to be tried instead of `best`, and for how many calls, if its price is allowed for; noted. The
    price is what it would lose if nothing has changed since it was measured."""
    allowance = history.allowance
    if allowance <= 0.0:
        return None
    within = TRY_WITHIN * predicted[best]
    hopes = {v: history.hopeful(v, parts[v], s) for v, s in predicted.items() if v not in (best, "interp")}
    for variant in sorted(hopes, key=hopes.__getitem__):
        if hopes[variant] > within:
            continue
        calls, price = try_of(variant, hopes[variant], predicted, best)
        price += unpaid[variant]
        kernel_s = parts[variant][0]
        if history.fresh(variant, kernel_s) and history.retry_after(variant, kernel_s, price) > 0.0:
            continue
        if price <= allowance:
            history.tried_s += price + TRY_S
            return variant, calls
    return None
