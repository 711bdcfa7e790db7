"""Decisions: sane choices, boxes in which they stand, ski-rental, retirement."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build import loop, matmul, nest, num, op, saxpy, store, tiny, var, vector

from alpyna_hook.cost.counts import Counts, count
from alpyna_hook.cost.decide import NEVER, History, Oracle
from alpyna_hook.cost.machine import Profile, default_profile
from alpyna_hook.cost.priced import Candidate
from alpyna_hook.cost.rules import RETIRE_CALLS, RETIRE_SECONDS, bucket
from alpyna_hook.ir.affine import QDim, QParam
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.types import INT

PROFILE = default_profile(threads=2)
COMPILED = {"seq": "compiled", "omp": "compiled"}


def candidates(one: Nest | Counts, parallel: str = "i") -> dict[str, Candidate]:
    counts = one if isinstance(one, Counts) else count(one)
    plain = Candidate(counts)
    return {"interp": plain, "seq": plain, "omp": Candidate(counts, frozenset(parallel))}


def env_of(n: int, **arrays: int) -> dict:
    return {QParam("n"): n, **{QDim(name, axis): n for name, ndim in arrays.items() for axis in range(ndim)}}


def test_a_loop_of_three_fixed_trips_is_retired_at_once():
    decision = Oracle(PROFILE, 2).decide(candidates(tiny()), {QDim("x", 0): 3}, {}, History())
    assert (decision.variant, decision.retire) == ("interp", True)


def test_a_loop_whose_size_may_grow_is_retired_only_after_many_small_calls():
    oracle, history, offer = Oracle(PROFILE, 2), History(), candidates(saxpy())
    first = oracle.decide(offer, env_of(3, x=1, y=1), {}, history)
    assert (first.variant, first.retire, first.calls_before_review) == ("interp", False, RETIRE_CALLS)
    oracle.spent(first, RETIRE_CALLS, history)
    assert oracle.decide(offer, env_of(3, x=1, y=1), {}, history).retire


def test_a_tiny_loop_runs_compiled_where_the_compiler_is_paid_or_nearly():
    oracle, offer, env = Oracle(PROFILE, 2), candidates(saxpy()), env_of(5, x=1, y=1)
    interp, seq = (oracle.predict(offer, env)[v] for v in ("interp", "seq"))
    assert 2.0 * seq < interp < RETIRE_SECONDS
    assert oracle.decide(offer, env, COMPILED, History()).variant == "seq"
    history, disk = History(), {"seq": "disk"}
    rented = oracle.decide(offer, env, disk, history)
    assert rented.variant == "interp" and not rented.retire and rented.calls_before_review < RETIRE_CALLS
    oracle.spent(rented, rented.calls_before_review, history)
    assert oracle.decide(offer, env, disk, history).variant == "seq"


def test_a_worthwhile_call_starts_the_count_towards_retirement_anew():
    oracle, history, offer = Oracle(PROFILE, 2), History(), candidates(saxpy())
    oracle.spent(oracle.decide(offer, env_of(3, x=1, y=1), {}, history), RETIRE_CALLS - 1, history)
    oracle.spent(oracle.decide(offer, env_of(5000, x=1, y=1), {}, history), 1, history)
    assert not oracle.decide(offer, env_of(3, x=1, y=1), {}, history).retire


def test_a_large_matrix_product_goes_to_threads_and_a_small_one_to_plain_c():
    oracle, offer = Oracle(PROFILE, 2), candidates(matmul())
    assert oracle.decide(offer, env_of(1000, a=2, b=2, c=2), COMPILED, History()).variant == "omp"
    assert oracle.decide(offer, env_of(9, a=2, b=2, c=2), COMPILED, History()).variant == "seq"


def test_the_compiler_is_not_paid_for_a_loop_met_once_that_takes_less():
    decision = Oracle(PROFILE, 2).decide(candidates(saxpy()), env_of(10_000, x=1, y=1), {}, History())
    assert decision.variant == "interp" and 1 < decision.calls_before_review < 1000


def test_a_single_long_call_pays_the_compiler_at_once():
    decision = Oracle(PROFILE, 2).decide(candidates(matmul()), env_of(500, a=2, b=2, c=2), {}, History())
    assert decision.variant != "interp"


def test_a_kernel_in_the_disk_cache_is_used_much_earlier():
    oracle, env = Oracle(PROFILE, 2), env_of(10_000, x=1, y=1)
    stored = oracle.decide(candidates(saxpy()), env, {"seq": "disk", "omp": "disk"}, History())
    assert stored.variant == "seq"


def run_program(profile: Profile, n: int, calls: int) -> tuple[float, float]:
    """Predicted seconds of `calls` equal calls: with the oracle choosing, and the least with hindsight."""
    oracle, history, offer = Oracle(profile, 2), History(), candidates(saxpy())
    env, ready = env_of(n, x=1, y=1), {}
    total, done = 0.0, 0
    while done < calls:
        decision = oracle.decide(offer, env, ready, history)
        if decision.variant != "interp" and decision.variant not in ready:
            total += profile.compile_s[decision.variant]
            ready[decision.variant] = "compiled"
        here = min(decision.calls_before_review, calls - done)
        total += here * decision.predicted[decision.variant]
        oracle.spent(decision, here, history)
        done += here
    each = oracle.predict(offer, env)
    price = {"interp": 0.0, **profile.compile_s}
    return total, min(calls * each[v] + price[v] for v in each)


@pytest.mark.parametrize("n", [30, 1000, 30_000, 1_000_000])
@pytest.mark.parametrize("calls", [1, 3, 10, 60, 500, 5000, 100_000])
def test_ski_rental_is_within_its_bound_of_hindsight(n: int, calls: int):
    # Factor 2 for one purchase; a later upgrade from seq to omp is a second game of its own, hence 3.
    total, least = run_program(PROFILE, n, calls)
    assert total <= 3.0 * least


def test_a_decision_stands_in_a_bucket_that_holds_the_call():
    oracle, offer = Oracle(PROFILE, 2), candidates(saxpy())
    decision = oracle.decide(offer, env_of(1000, x=1, y=1), COMPILED, History())
    low, high = decision.ranges[QParam("n")]
    assert 512 <= low <= 1000 <= high <= 1023
    for n in (low, high):
        assert oracle.decide(offer, env_of(n, x=1, y=1), COMPILED, History()).variant == decision.variant


def test_values_that_do_not_matter_are_not_in_the_bucket():
    i = var("i")
    shift = nest(loop("i", 0, var("n"), store("x", (op("+", i, var("k")),), num(0.0))), {"x": vector()}, n=INT, k=INT)
    env = {QParam("n"): 1000, QParam("k"): 5, QDim("x", 0): 5000}
    decision = Oracle(PROFILE, 2).decide(candidates(shift), env, COMPILED, History())
    assert set(decision.ranges) == {QParam("n")}


def test_a_bucket_is_narrow_where_the_trip_count_is_a_difference_of_large_values():
    chunk = nest(loop("i", var("lo"), var("hi"), store("x", (var("i"),), num(0.0))), {"x": vector()}, lo=INT, hi=INT)
    lo, hi = QParam("lo"), QParam("hi")
    env = {lo: 1_000_000, hi: 1_000_004, QDim("x", 0): 2_000_000}
    oracle, offer = Oracle(PROFILE, 2), candidates(chunk)
    decision = oracle.decide(offer, env, COMPILED, History())
    worst = {**env, lo: decision.ranges[lo][0], hi: decision.ranges[hi][1]}
    seconds = oracle.predict(offer, worst)
    assert seconds[decision.variant] <= 2 * min(seconds.values()) + 2e-6


def test_buckets_are_powers_of_two_and_hold_their_value():
    assert [bucket(v) for v in (0, 1, 2, 3, 4, -5)] == [(0, 0), (1, 1), (2, 3), (2, 3), (4, 7), (-7, -4)]
    for value in range(-70, 70):
        low, high = bucket(value)
        assert low <= value <= high


def test_a_forced_variant_is_taken_where_it_is_legal_and_ignored_elsewhere():
    offer, env = candidates(matmul()), env_of(3, a=2, b=2, c=2)
    forced = Oracle(PROFILE, 2, "omp").decide(offer, env, {}, History())
    assert (forced.variant, forced.calls_before_review) == ("omp", NEVER)
    assert Oracle(PROFILE, 2, "opencl").decide(offer, env, {}, History()).variant == "omp"  # it has no form there
    del offer["omp"]
    for device in ("omp", "opencl", "cuda"):
        assert Oracle(PROFILE, 2, device).decide(offer, env, COMPILED, History()).variant in ("interp", "seq")


def test_calibration_is_asked_for_once_and_only_when_much_time_is_at_stake():
    asked = []

    def calibrate(old: Profile) -> Profile:
        asked.append(1)
        return replace(PROFILE, origin="quick")

    oracle = Oracle(PROFILE, 2, calibrate=calibrate)
    oracle.decide(candidates(saxpy()), env_of(1000, x=1, y=1), {}, History())
    assert not asked
    oracle.decide(candidates(matmul()), env_of(1000, a=2, b=2, c=2), {}, History())
    assert not asked  # minutes in the interpreter, but seconds in what will be chosen
    for _ in range(2):
        oracle.decide(candidates(matmul()), env_of(5000, a=2, b=2, c=2), {}, History())
    assert asked == [1] and oracle.profile.origin == "quick"


@pytest.mark.parametrize("attempts, again", [(1, True), (9, False)])
def test_noisy_figures_are_measured_again_by_a_later_process_ever_more_seldom(attempts: int, again: bool):
    asked: list[Profile] = []
    noisy = replace(PROFILE, origin="quick", noisy=("fork_hot_s",), attempts=attempts)
    oracle = Oracle(noisy, 2, calibrate=lambda old: asked.append(old))
    oracle.decide(candidates(matmul()), env_of(7000, a=2, b=2, c=2), {}, History())
    assert asked == [noisy] * again


def test_a_good_profile_is_not_measured_again():
    oracle = Oracle(replace(PROFILE, origin="quick"), 2, calibrate=lambda old: pytest.fail("measured"))
    oracle.decide(candidates(matmul()), env_of(20_000, a=2, b=2, c=2), {}, History())


def test_measured_compile_times_move_the_price():
    oracle = Oracle(PROFILE, 2)
    env = env_of(10_000, x=1, y=1)
    before = oracle.decide(candidates(saxpy()), env, {}, History()).calls_before_review
    for _ in range(4):
        oracle.note_compile("seq", 5.0)
        oracle.note_compile("omp", 5.0)
    assert oracle.decide(candidates(saxpy()), env, {}, History()).calls_before_review > 2 * before


def test_threads_that_turned_out_slow_are_given_up():
    # as on a machine that is busy with something else
    oracle, history, offer = Oracle(PROFILE, 2), History(), candidates(matmul())
    env = env_of(100, a=2, b=2, c=2)
    first = oracle.decide(offer, env, COMPILED, history)
    assert first.variant == "omp" and first.calls_before_review < 10_000
    oracle.spent(first, 50, history, seconds=50 * 30 * first.predicted["omp"])
    assert oracle.decide(offer, env, COMPILED, history).variant == "seq"


def test_a_variant_as_fast_as_predicted_stays_and_is_reviewed_ever_more_seldom():  # 440 s of calls
    oracle, history, offer = Oracle(PROFILE, 2), History(), candidates(matmul())
    env = env_of(100, a=2, b=2, c=2)
    first = oracle.decide(offer, env, COMPILED, history)
    again, reviews, other = first, 0, 0
    while history.calls < 1_000_000:
        other += again.calls_before_review * (again.variant != "omp")
        oracle.spent(again, again.calls_before_review, history, again.calls_before_review * 0.7 * again.kernel_s)
        again, reviews = oracle.decide(offer, env, COMPILED, history), reviews + 1
    assert again.predicted["omp"] == pytest.approx(0.7 * first.predicted["omp"], rel=0.1)
    assert other < 0.001 * history.calls and reviews < 450
