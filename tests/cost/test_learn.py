"""What measured times teach: factors in both directions, robust, shared where sound; tries within an allowance."""

from __future__ import annotations

import math
import random

import pytest
from build import matmul, saxpy
from test_decide import COMPILED, PROFILE, candidates, env_of

from alpyna_hook.cost.decide import Oracle
from alpyna_hook.cost.learn import (
    FIRM, STALE, TRY_CALLS, TRY_SHARE, TRY_WITHIN, History, Ratio, decade, next_try, worth_a_try,
)  # fmt: skip
from alpyna_hook.cost.rules import worth_threads

PARTS = {"interp": (1.0, 0.0), "seq": (1e-2, 1e-6), "omp": (6e-3, 1e-6)}


def corrected(history: History, unknown: bool = False) -> dict[str, float]:
    return history.corrected(PARTS, unknown)


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_prediction_moves_in_both_directions(factor: float):
    history = History(warm={"seq"})
    history.measured("seq", 1e-2, 10, 10 * factor * 1e-2)
    assert corrected(history)["seq"] == pytest.approx(factor * 1e-2, rel=1e-3)


@pytest.mark.parametrize(("took", "learned"), [(0.5e-2, 0.5e-2), (1.0e-2, 1e-2), (2.9e-2, 1e-2), (9e-2, 3e-2)])
def test_what_the_first_call_of_a_process_took_is_believed_as_far_as_new_pages_cannot_explain_it(took, learned):
    history = History()
    history.measured("seq", 1e-2, 1, took)
    assert corrected(history)["seq"] == pytest.approx(learned, rel=1e-3)
    history.measured("seq", 1e-2, 1, took)
    history.measured("seq", 1e-2, 1, took)
    assert corrected(history)["seq"] == pytest.approx(took, rel=1e-3)


def test_one_disturbed_batch_among_three_moves_nothing():
    history = History()
    for seconds in (0.1, 9.0, 0.1):
        history.measured("seq", 1e-2, 10, seconds)
    assert corrected(history)["seq"] == pytest.approx(1e-2, rel=1e-3)


def test_noise_that_is_no_trend_keeps_the_prediction():
    history, rng = History(), random.Random(3)
    for _ in range(50):
        history.measured("seq", 1e-2, 10, 0.1 * math.exp(rng.gauss(0.0, 0.2)))
    assert corrected(history)["seq"] == pytest.approx(1e-2, rel=0.25)


def test_slow_threads_say_nothing_of_one_thread_but_slow_code_does_of_threads():
    busy, heavy = History(), History()
    busy.measured("omp", 6e-3, 10, 10 * 6e-2)
    heavy.measured("seq", 1e-2, 10, 10 * 4e-2)
    assert corrected(busy)["seq"] == pytest.approx(1e-2, rel=1e-3)
    assert 2 * 6e-3 < corrected(heavy)["omp"] <= 4 * 6e-3


def test_threads_faster_than_predicted_mean_less_work_for_one_thread_too():
    light = History()
    light.measured("omp", 6e-3, 10, 10 * 1e-3)
    assert 1e-3 < corrected(light)["seq"] < 6e-3


def test_threads_that_had_to_be_woken_are_given_more_than_one_batch_unless_they_are_far_too_slow():
    woken, busy = History(), History()
    woken.measured("omp", 6e-3, 10, 10 * 1.2e-2)
    busy.measured("omp", 6e-3, 10, 10 * 1.2e-1)
    assert corrected(woken)["omp"] < corrected(woken)["seq"] and not woken.fresh("omp", 6e-3)
    assert corrected(busy)["omp"] > corrected(busy)["seq"]
    for _ in range(FIRM - 1):
        woken.measured("omp", 6e-3, 10, 10 * 1.2e-2)
    assert corrected(woken)["omp"] > corrected(woken)["seq"] and woken.fresh("omp", 6e-3)


def test_what_was_measured_while_the_machine_was_busy_counts_once_when_it_is_old():
    history = History(warm={"omp"})
    for history.calls in (10, 20, 30):
        history.measured("omp", 6e-3, 10, 10 * 2.4e-2)
    history.calls = 30 * STALE + 1
    history.measured("omp", 6e-3, 4, 4 * 6e-3)
    assert corrected(history)["omp"] == pytest.approx(6e-3, rel=1e-3)


def test_threads_that_were_measured_may_save_less_than_those_that_were_not():
    parts = {"interp": (1e-2, 0.0), "seq": (6e-6, 0.0), "omp": (4.5e-6, 0.0)}
    known = History(warm={"seq", "omp"})
    for _ in range(FIRM):
        known.measured("seq", 6e-6, 100, 6e-4)
        known.measured("omp", 4.5e-6, 100, 4.5e-4)
    predicted = {v: s for v, (s, _) in parts.items()}
    assert "omp" in worth_threads(predicted, parts, known)
    assert "omp" not in worth_threads(predicted, parts, History())
    alone = {"interp": 1e-5, "seq": 1e-6}  # a tiny loop that has no parallel form
    assert worth_threads(alone, {v: parts["seq"] for v in alone}, History()) == alone


def test_threads_that_were_slow_long_ago_are_tried_once_the_loss_that_this_may_be_is_allowed_for():
    history = History(warm={"omp"})
    for history.calls in (4, 8, 12):
        history.measured("omp", 6e-3, 4, 4 * 6e-2)
    history.calls, history.spent_s = 100 * STALE, 1.0
    predicted, unpaid = corrected(history), dict.fromkeys(PARTS, 0.0)
    assert predicted["omp"] == pytest.approx(6e-2, rel=1e-3)  # nothing is forgotten
    assert worth_a_try(predicted, PARTS, "seq", unpaid, history) is None
    history.spent_s = 4 * 5e-2 / TRY_SHARE + 1.0
    assert worth_a_try(predicted, PARTS, "seq", unpaid, history) == ("omp", TRY_CALLS)


def test_a_data_dependent_trip_count_is_learned_for_all_variants():
    history = History(warm={"seq"})
    history.measured("seq", 1e-2, 10, 10 * 2e-1)
    assert corrected(history, unknown=True)["interp"] == pytest.approx(20.0, rel=1e-3)
    assert corrected(history)["interp"] == 1.0


def test_what_was_learned_of_large_calls_is_believed_less_of_small_ones():
    history = History()
    history.measured("seq", 1.0, 10, 40.0)
    far = history.corrected({"interp": (1.0, 0.0), "seq": (1e-4, 0.0)}, False)["seq"]
    assert 1e-4 < far < 1.2e-4


def test_tries_stay_within_their_allowance_and_never_go_to_what_is_three_times_slower():
    history, tried = History(), 0.0
    unpaid = {"seq": 0.0, "omp": 0.0, "opencl": 0.2}
    predicted = {"seq": 1e-3, "omp": 1.5e-3, "opencl": TRY_WITHIN * 1.01e-3}
    parts = {v: (s, 0.0) for v, s in predicted.items()}
    for _ in range(1000):
        history.spent_s += 1e-3
        history.calls += 1
        choice = worth_a_try(predicted, parts, "seq", unpaid, history)
        if choice is not None:
            assert choice == ("omp", TRY_CALLS)
            tried += 4 * 0.5e-3
            history.measured("omp", 1.5e-3, 4, 4 * 2e-3)
    assert 0.0 < tried <= TRY_SHARE * history.spent_s


def simulate(truth: dict[str, float], calls: int, n: int = 200, wake: float = 0.0) -> tuple[float, str]:
    """Seconds over those of the best variant, and what runs at the end, where calls really take `truth` times what is
    predicted for them. wake: seconds that the first call takes more when threads have not run just before."""
    oracle, history, offer = Oracle(PROFILE, 2), History(), candidates(matmul())
    env = env_of(n, a=2, b=2, c=2)
    each = {v: truth.get(v, 1.0) * s for v, s in oracle.predict(offer, env).items()}
    done, total, variant, before = 0, 0.0, "", ""
    while done < calls:
        decision = oracle.decide(offer, env, COMPILED, history)
        here = min(decision.calls_before_review, calls - done)
        assert decision.trial == ("try" in decision.reason)
        variant = variant if decision.trial else decision.variant
        woken = wake if decision.variant == "omp" != before else 0.0
        before = decision.variant
        total += here * each[decision.variant] + woken
        kernel_s = decision.kernel_s * truth.get(decision.variant, 1.0)
        oracle.spent(decision, here, history, seconds=here * kernel_s + woken)
        done += here
    return total / (calls * min(each.values())), variant


@pytest.mark.parametrize("truth", [{}, {"omp": 5.0}, {"seq": 0.4}, {"seq": 0.5, "omp": 3.0}, {"seq": 3.0, "omp": 2.5}])
def test_the_settled_choice_is_the_best_however_wrong_the_model_was(truth: dict[str, float]):
    slowdown, last = simulate(truth, 20_000)
    wrong = {"seq": truth.get("seq", 1.0) * 2.0, "omp": truth.get("omp", 1.0)}  # threads gain about 2 x
    assert last == min(wrong, key=lambda v: wrong[v]) or abs(wrong["seq"] / wrong["omp"] - 1.0) < 0.2
    assert slowdown < 1.1


@pytest.mark.parametrize("n", [24, 32, 48, 64])
def test_waking_the_threads_does_not_hide_that_they_are_faster(n: int):
    predicted = Oracle(PROFILE, 2).predict(candidates(matmul()), env_of(n, a=2, b=2, c=2))
    assert 2e-6 < predicted["seq"] < 2e-3
    assert simulate({"seq": 2.0, "omp": 2.0}, 200_000, n, wake=1e-4)[1] == "omp"


def test_threads_predicted_to_gain_nothing_are_tried_too():
    offer, n = candidates(matmul()), 12
    while (seconds := Oracle(PROFILE, 2).predict(offer, env_of(n, a=2, b=2, c=2)))["omp"] > 1.1 * seconds["seq"]:
        n += 1
    assert seconds["omp"] > 0.9 * seconds["seq"] > 2e-6
    assert simulate({"omp": 0.4}, 200_000, n)[1] == "omp"


def test_threads_that_were_slow_for_a_while_get_another_chance():
    oracle, history, offer = Oracle(PROFILE, 2), History(), candidates(matmul())
    env, ran = env_of(200, a=2, b=2, c=2), []
    for _ in range(60):
        decision = oracle.decide(offer, env, COMPILED, history)
        busy = 10.0 if decision.variant == "omp" and history.calls < 100 else 1.0
        calls = decision.calls_before_review
        oracle.spent(decision, calls, history, seconds=busy * calls * decision.kernel_s)
        if not decision.trial:
            ran.append(decision.variant)
    assert "seq" in ran[:10] and set(ran[10:]) == {"omp"}


def test_a_choice_that_was_measured_stands_no_longer_than_until_the_next_try():
    oracle, offer, env = Oracle(PROFILE, 2), candidates(matmul()), env_of(200, a=2, b=2, c=2)
    history, parts = History(calls=100_000, spent_s=1.0, tried_s=1.0), oracle.evaluator(offer).parts(env)
    for variant, log in (("seq", 0.0), ("omp", math.log(2.1))):
        history.ratios[variant, decade(parts[variant][0])] = Ratio([log] * FIRM, 100_000, 1.0)
    decision = oracle.decide(offer, env, COMPILED, history)
    assert history.allowance < 0.0 and not decision.trial
    wait = next_try(decision.predicted, parts, decision.variant, history)
    assert decision.calls_before_review == wait < history.calls


def test_a_decision_changes_nothing_for_a_site_that_never_pays():
    slowest = Oracle(PROFILE, 2).decide(candidates(saxpy()), env_of(3, x=1, y=1), {}, History())
    assert slowest.variant == "interp"


def test_two_much_faster_batches_show_another_state_of_the_machine():
    history = History(warm={"omp"})
    for seconds in (0.11, 0.12, 0.11, 0.12, 0.11):
        history.measured("omp", 6e-3, 10, seconds)
    history.measured("omp", 6e-3, 10, 0.06)
    assert corrected(history)["omp"] == pytest.approx(11e-3, rel=1e-2)
    history.measured("omp", 6e-3, 10, 0.06)
    assert corrected(history)["omp"] == pytest.approx(6e-3, rel=1e-2)


@pytest.mark.parametrize("n", [60, 100, 200])
def test_threads_that_were_no_faster_for_a_second_are_used_soon_after(n: int):
    """As where a virtual machine's cores are two threads of one core for a while."""
    oracle, history, offer, env = Oracle(PROFILE, 2), History(), candidates(matmul()), env_of(n, a=2, b=2, c=2)
    before = after = 0.0
    while before + after < 2.0:
        decision = oracle.decide(offer, env, COMPILED, history)
        calls = decision.calls_before_review
        slow = 2.0 if decision.variant == "omp" and before < 1.0 else 1.0
        seconds = calls * slow * decision.kernel_s
        oracle.spent(decision, calls, history, seconds)
        if before < 1.0:
            before += seconds
        elif decision.variant != "omp":
            after += seconds
        else:
            before += seconds if decision.trial else 2.0
    assert decision.variant == "omp" and after < 0.5
