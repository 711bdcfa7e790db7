"""The rules of a choice, on predictions alone.

In: predicted seconds by variant.  Out: which is the cheapest, what it is worth, when to look again.

This is the definition; in most calls the C extension follows it, over arrays (_pick.h, which has the numbers from
`figures`). tests/cost/test_pick.py compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from alpyna_hook.cost.learn import BATCH_S, DISTANCE, MOST_CALLS, SHARED, TRY_CALLS, History, batch
from alpyna_hook.cost.machine import Profile
from alpyna_hook.cost.model import Parts

RETIRE_CALLS = 10_000  # calls that never paid before a site whose sizes can change is given up: about 1 ms of guards
RETIRE_SECONDS = 2e-6  # interpreter seconds per call below which a guard that declines is felt
TOLERANCE = 1.5  # how much worse than the best a cached choice may be predicted elsewhere in its box
PARALLEL_MARGIN = 0.9  # threads must be predicted to save 10 %: they take a core from somebody else
THREADS_SAVE_S = 2e-6  # seconds per call below which threads are not used before they have been tried: waking them, not
# predicted, takes longer than that
# A compiled variant first comes up for review after so many predicted seconds, within these numbers of calls, so that
# what was measured is heard (of other cores sooner: what a busy machine makes of them cannot be predicted); later after
# as many calls again as there were.
MEASURED_S = 0.05
FEWEST_CALLS = 2
MEASURED_CALLS = 50
ROUNDS = 6  # of narrowing the ranges for which a choice stands
_WIDER = ("omp", "opencl", "cuda")


def figures(profile: Profile) -> tuple[float, ...]:
    """All numbers that the rules use, in the order of `Rules` in _pick.h."""
    return (
        PARALLEL_MARGIN, THREADS_SAVE_S, RETIRE_SECONDS, RETIRE_CALLS, TOLERANCE, MEASURED_S, FEWEST_CALLS,
        MEASURED_CALLS, TRY_CALLS, BATCH_S, MOST_CALLS, SHARED, DISTANCE, profile.decline_s, profile.call_s, ROUNDS,
    )  # fmt: skip


def worth_threads(predicted: dict[str, float], parts: Mapping[str, Parts], history: History) -> dict[str, float]:
    """Without "omp" where it is predicted to save too little against one thread, unless both have been measured."""
    if predicted.get("omp", -math.inf) > predicted.get("seq", math.inf) - THREADS_SAVE_S:
        if not all(history.fresh(v, parts[v][0]) for v in ("seq", "omp")):
            return {v: s for v, s in predicted.items() if v != "omp"}
    return predicted


def cheapest(predicted: Mapping[str, float]) -> str:
    """The variant with the least seconds; what takes more from others (threads, accelerators) must save a share of
    1 - PARALLEL_MARGIN."""
    best = "seq" if predicted.get("seq", math.inf) < predicted["interp"] else "interp"
    for wider in _WIDER:
        if wider in predicted and predicted[wider] <= PARALLEL_MARGIN * predicted[best]:
            best = wider
    return best


def worth(predicted: Mapping[str, float], profile: Profile) -> tuple[str, float]:
    """The fastest compiled variant, and the seconds up to which its compiler is worth being paid: none (-inf) where no
    variant gains enough to pay for the guard in front of the loop; any (inf), unless the loop is tiny. A tiny one is
    given RETIRE_CALLS calls to gain them: until then each guard takes more than 3 % of it."""
    interp, fastest = predicted["interp"], min(predicted.values())
    best = min((v for v in predicted if v != "interp"), key=predicted.__getitem__, default="interp")
    if interp > RETIRE_SECONDS and fastest < interp - profile.decline_s:
        return best, math.inf
    gain = interp - profile.decline_s - predicted[best]
    if gain <= 0.0 or interp > RETIRE_SECONDS:
        return best, -math.inf if gain <= 0.0 else math.inf
    return best, RETIRE_CALLS * gain


def negligible(compiled: str, worth_s: float, unpaid: Mapping[str, float]) -> bool:
    """Whether it would cost more than it is worth; the price is asked for only where that matters."""
    return worth_s == -math.inf or (worth_s < math.inf and unpaid[compiled] > worth_s)


def good(chosen: str, predicted: Mapping[str, float], unpaid: Mapping[str, float], profile: Profile) -> bool:
    """Whether `chosen` is nearly as good as the best; the interpreter also where nothing is worth a guard."""
    if chosen == "interp" and negligible(*worth(predicted, profile), unpaid):
        return True
    return predicted[chosen] <= TOLERANCE * min(predicted.values()) + profile.call_s


def until_review(variant: str, seconds: float, known: bool, calls: int) -> int:
    """Calls after which a compiled variant comes up for review. calls: so far; known: it was measured well."""
    if known:
        return max(MEASURED_CALLS, calls)
    return first_review(seconds, MEASURED_CALLS if variant == "seq" else batch(seconds))


def first_review(seconds: float, most: int = MEASURED_CALLS) -> int:
    """Calls of that length after which what was measured is heard for the first time."""
    return min(max(math.ceil(MEASURED_S / seconds), FEWEST_CALLS), most)


def bucket(value: int) -> tuple[int, int]:
    """(lowest, highest) int of the power-of-two bucket of `value`: 0 alone, 1, 2..3, 4..7, ... and mirrored."""
    if value == 0:
        return (0, 0)
    low = 1 << (abs(value).bit_length() - 1)
    high = 2 * low - 1
    return (low, high) if value > 0 else (-high, -low)


def narrowed(span: tuple[int, int], value: int) -> tuple[int, int]:
    """Half-way (in logarithms of the distance) towards `value`."""
    low, high = span
    return (value - math.isqrt(value - low), value + math.isqrt(high - value))
