"""Predictions: trip counts are right, more work is never cheaper, and variants rank as they must."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build import F64, dot, load, loop, matmul, nest, num, op, saxpy, store, triangle, var, vector

from alpyna_hook.cost.counts import count
from alpyna_hook.cost.machine import default_profile
from alpyna_hook.cost.model import bind, predict
from alpyna_hook.cost.priced import Candidate, candidate_of
from alpyna_hook.cost.unroll import unrolled
from alpyna_hook.ir.affine import QDim, QParam
from alpyna_hook.ir.nodes import Assign, Compare, Nest, While
from alpyna_hook.ir.plan import LoopPlan, Plan
from alpyna_hook.ir.types import BOOL, FLOAT, INT

PROFILE = default_profile(threads=2)


def env_of(n: int, **arrays: int) -> dict:
    """n and square (or 1-d) arrays of n per dimension."""
    dims = {QDim(name, axis): n for name, ndim in arrays.items() for axis in range(ndim)}
    return {QParam("n"): n, **dims}


def trips(one: Nest, n: int) -> list[float]:
    """Total trips of each loop, outer first."""
    bound = bind(Candidate(count(one)), PROFILE, "interp")
    bound.seconds(env_of(n, x=1))
    found, here = [], list(bound.top)
    while here:
        found += [loop.total for loop in here]
        here = [inner for loop in here for inner in loop.inner]
    return found


@pytest.mark.parametrize("n", [1, 2, 3, 10, 1000])
def test_triangular_trip_counts_are_exact(n: int):
    assert trips(triangle(2), n) == pytest.approx([n, n * (n - 1) / 2])


@pytest.mark.parametrize("n", [3, 4, 10, 1000])
def test_tetrahedral_trip_counts_are_exact_away_from_empty_ranges(n: int):
    assert trips(triangle(3), n)[2] == pytest.approx(n * (n - 1) * (n - 2) / 6, rel=0.05, abs=1.0)


def test_steps_and_empty_ranges_count_as_range_does():
    def body(start: int, stop: int, step: int) -> Nest:
        return nest(loop("i", start, stop, store("x", (var("i"),), num(0.0)), step=step), {"x": vector()}, n=INT)

    for start, stop, step in ((0, 10, 3), (10, 0, -3), (5, 5, 1), (5, 0, 1), (0, 9, 3), (9, -1, -1)):
        assert trips(body(start, stop, step), 1) == [len(range(start, stop, step))]


@pytest.mark.parametrize("variant", ["interp", "seq", "omp"])
@pytest.mark.parametrize("make", [saxpy, dot, matmul, triangle])
def test_more_work_is_never_predicted_cheaper(make, variant: str):
    counts = count(make())
    arrays = {a.name: len(a.dims) for a in counts.arrays}
    parallel = frozenset("i") if make is not dot else frozenset()
    sizes = [0, 1, 2, 3, 5, 8, 13, 40, 100, 300, 1000, 3000, 10_000, 100_000]
    seconds = [predict(counts, env_of(n, **arrays), PROFILE, variant, 2, parallel) for n in sizes]
    assert all(b >= a * 0.999 for a, b in zip(seconds, seconds[1:])), list(zip(sizes, seconds))


def test_threads_do_not_pay_for_little_work_and_do_for_much():
    counts = count(matmul())

    def both(n: int) -> tuple[float, float]:
        env = env_of(n, a=2, b=2, c=2)
        return predict(counts, env, PROFILE, "seq"), predict(counts, env, PROFILE, "omp", 2, frozenset("i"))

    seq, omp = both(4)
    assert omp > seq
    seq, omp = both(1000)
    assert 1.6 * omp < seq


def test_a_parallel_loop_of_one_trip_gains_nothing_from_threads():
    i, j = var("i"), var("j")
    row = nest(loop("i", 0, 1, loop("j", 0, var("n"), store("a", (i, j), num(0.0)))), {"a": vector(ndim=2)}, n=INT)
    counts = count(row)
    env = {QParam("n"): 100_000, QDim("a", 0): 1, QDim("a", 1): 100_000}
    assert predict(counts, env, PROFILE, "omp", 2, frozenset("i")) > predict(counts, env, PROFILE, "seq")


def test_a_parallel_loop_inside_a_sequential_one_forks_at_each_entry():
    i, j = var("i"), var("j")
    sweep = nest(
        loop("i", 0, var("n"), loop("j", 0, var("n"), store("x", (op("+", j, i),), num(0.0)))), {"x": vector()}, n=INT
    )
    counts = count(sweep)
    env = env_of(1000, x=1)
    inner = predict(counts, env, PROFILE, "omp", 2, frozenset("j"))
    outer = predict(counts, env, PROFILE, "omp", 2, frozenset("i"))
    assert inner - outer > 990 * PROFILE.fork_hot_s


def test_static_chunks_of_a_triangle_gain_less_than_balanced_ones():
    counts = count(triangle())
    i, env = frozenset("i"), env_of(5000, x=1)
    static = bind(Candidate(counts, i), PROFILE, "omp").seconds(env, 2)
    guided = bind(Candidate(counts, i, balanced=i), PROFILE, "omp").seconds(env, 2)
    assert static > 1.3 * guided


def test_a_carried_sum_is_slower_than_its_throughput():
    chained, free = count(dot()), count(saxpy())
    env = env_of(2000, x=1, y=1)
    assert predict(chained, env, PROFILE, "seq") > 2 * predict(free, env, PROFILE, "seq")


def copy(rows_first: bool) -> Nest:
    i, j = var("i"), var("j")
    inner = store("b", (i, j), load("a", i, j) if rows_first else load("a", j, i))
    body = loop("i", 0, var("n"), loop("j", 0, var("n"), inner))
    return nest(body, {"a": vector(ndim=2), "b": vector(ndim=2)}, n=INT)


def test_walking_down_columns_of_a_large_array_moves_more_bytes_than_along_rows():
    env = env_of(6000, a=2, b=2)
    assert predict(count(copy(False)), env, PROFILE, "seq") > 1.3 * predict(count(copy(True)), env, PROFILE, "seq")


def test_a_stencil_reads_each_row_once_when_three_rows_fit_the_cache():
    def sweep(*offsets: int) -> Nest:
        i, j = var("i"), var("j")
        total = load("a", i, j)
        for d in offsets:
            total = op("+", total, load("a", op("+", i, num(d)), j))
        body = loop("i", 1, op("-", var("n"), num(1)), loop("j", 0, var("n"), store("b", (i, j), total)))
        return nest(body, {"a": vector(ndim=2), "b": vector(ndim=2)}, n=INT)

    env = env_of(4000, a=2, b=2)
    free = replace(PROFILE, vector=dict.fromkeys(PROFILE.vector, 0.0))  # memory alone
    one, three = (predict(count(sweep(*d)), env, free, "seq") for d in ((), (-1, 1)))
    assert three == pytest.approx(one, rel=0.05)


def test_indirect_access_to_a_large_array_costs_more_than_to_a_small_one():
    i = var("i")
    value = op("+", load("h", load("idx", i, elem=INT)), num(1.0))
    body = loop("i", 0, var("n"), store("h", (load("idx", i, elem=INT),), value))
    counts = count(nest(body, {"idx": vector("int64"), "h": vector()}, n=INT))
    base = {QParam("n"): 100_000, QDim("idx", 0): 100_000}
    near = predict(counts, {**base, QDim("h", 0): 256}, PROFILE, "seq")
    far = predict(counts, {**base, QDim("h", 0): 50_000_000}, PROFILE, "seq")
    assert far > 2 * near


def test_a_nest_that_can_fault_pays_for_saving_what_it_writes():
    counts = count(saxpy())
    env = env_of(100_000_000, x=1, y=1)
    plain = bind(Candidate(counts, journal=False), PROFILE, "seq").seconds(env)
    saved = bind(Candidate(counts, journal=True), PROFILE, "seq").seconds(env)
    assert saved - plain == pytest.approx(8e8 / PROFILE.journal_bps)


def test_an_unknown_trip_count_is_taken_from_the_environment_when_given():
    test = Compare("<", var("x", FLOAT), num(9.0), type=BOOL)
    grow = Assign("x", op("*", var("x", FLOAT), num(2.0)))
    counts = count(nest(While(test, (grow,)), {}, x=FLOAT))
    guessed = predict(counts, {}, PROFILE, "interp")
    known = predict(counts, {QParam("@while0"): 10}, PROFILE, "interp")
    assert known < guessed


def test_a_missing_size_is_an_error_not_a_guess():
    with pytest.raises(KeyError):
        predict(count(saxpy()), {}, PROFILE, "seq")


def convolution(taps: int) -> Nest:
    """for i in range(n): s = 0.0; for d in range(taps): s = s + w[d] * x[i + d]; then y[i] = s"""
    i, d = var("i"), var("d")
    add = Assign("s", op("+", var("s", F64), op("*", load("w", d), load("x", op("+", i, d)))))
    body = (Assign("s", num(0.0)), loop("d", 0, taps, add), store("y", (i,), var("s", F64)))
    arrays = {name: vector() for name in "wxy"}
    return nest(loop("i", 0, var("n"), *body), arrays, n=INT, s=F64)


def test_a_short_constant_loop_is_unrolled_and_its_parent_vectorised():
    env = env_of(1000, w=1, x=1, y=1)
    short, long = (predict(count(convolution(taps)), env, PROFILE, "seq") / taps for taps in (3, 50))
    assert 2 * short < long  # per tap: the long one waits for each addition


def test_an_unrolled_loop_lengthens_the_chain_that_it_carries_on():
    i, d = var("i"), var("d")
    add = Assign("s", op("+", var("s", F64), load("x", op("+", i, d))))
    total = nest(loop("i", 0, var("n"), loop("d", 0, 3, add)), {"x": vector()}, n=INT, s=F64)
    (outer,) = unrolled(count(total).root).loops
    assert outer.body.chain == (("add.f64", 3.0),) and not outer.vectorisable


def test_unrolled_copies_read_neighbouring_elements():
    (outer,) = unrolled(count(convolution(3)).root).loops
    assert len([a for a in outer.body.accesses if a.array == "x"]) == 3


def test_a_strip_of_neighbouring_iterations_hides_the_latency_of_their_sums():
    counts = count(matmul())
    env = env_of(200, a=2, b=2, c=2)
    plain = bind(Candidate(counts), PROFILE, "seq").seconds(env)
    stripped = bind(Candidate(counts, strips=(("j", 8),)), PROFILE, "seq").seconds(env)
    assert 3 * stripped < plain


@pytest.mark.parametrize("measured_with", [1, 2, 8])
def test_more_threads_never_make_memory_slower(measured_with: int):
    profile = default_profile(threads=measured_with)
    counts, env = count(saxpy()), env_of(50_000_000, x=1, y=1)
    seconds = [predict(counts, env, profile, "omp", threads, frozenset("i")) for threads in (1, 2, 4, 8, 16)]
    assert all(b <= a * 1.001 for a, b in zip(seconds, seconds[1:]))


def test_main_memory_is_shared_and_caches_are_not():
    counts = count(saxpy())
    gain = []
    for n in (100_000, 50_000_000):
        env = env_of(n, x=1, y=1)
        one, eight = (predict(counts, env, default_profile(8), "omp", t, frozenset("i")) for t in (1, 8))
        gain.append(one / eight)
    assert gain[0] > 2 * gain[1]


def test_a_parallel_loop_below_its_threshold_is_run_by_one_thread():
    counts, env = count(saxpy()), env_of(1000, x=1, y=1)
    alone = bind(Candidate(counts), PROFILE, "seq").seconds(env)
    for least, shared in ((2_000, False), (500, True)):
        offer = Candidate(counts, frozenset("i"), min_work=(("i", 2 * least, 2),))
        forks = bind(offer, PROFILE, "omp").seconds(env, 2) > PROFILE.fork_hot_s
        assert forks == shared and alone < PROFILE.fork_hot_s


def test_saving_rows_block_by_block_costs_less_than_copying_arrays_larger_than_the_caches():
    counts, env = count(saxpy()), env_of(50_000_000, x=1, y=1)
    plain, blocks, copied = (
        bind(Candidate(counts, journal=journal, saved=saved), PROFILE, "seq").seconds(env)
        for journal, saved in ((False, ()), (False, (("i", ("y",)),)), (True, ()))
    )
    assert plain <= blocks < copied


def test_threads_that_share_a_core_gain_what_was_measured():
    counts, env = count(matmul()), env_of(300, a=2, b=2, c=2)
    offer = Candidate(counts, frozenset("i"))
    gain = []
    for cores in (2.0, 1.2):
        profile = replace(default_profile(2), compute_t=cores)
        gain.append(bind(offer, profile, "seq").seconds(env) / bind(offer, profile, "omp").seconds(env, 2))
    assert gain[0] == pytest.approx(2.0, rel=0.05) and gain[1] == pytest.approx(1.2, rel=0.05)


def priced(one: Nest, profile=PROFILE, strips=()) -> float:
    """Seconds per trip of the innermost loop's body."""
    loop = bind(Candidate(count(one), strips=strips), profile, "seq").top[0]
    while loop.inner:
        (loop,) = loop.inner
    return loop.body


def test_the_divider_works_beside_the_adders():
    i = var("i")
    quotient = op("/", load("x", i), load("y", i))
    total = quotient
    for _ in range(3):
        total = op("+", total, load("x", i))
    short, long = (
        priced(nest(loop("i", 0, var("n"), store("z", (i,), v)), {k: vector() for k in "xyz"}, n=INT))
        for v in (quotient, total)
    )
    assert short == long == PROFILE.vector["div.f64"]


def test_elements_apart_are_moved_one_by_one_and_vector_code_is_left_where_that_costs_more():
    def body(step: int, *more: int) -> float:
        i = var("i")
        value = load("x", op("*", num(step), i))
        for _ in more:
            value = op("*", value, num(1.5))
        return priced(nest(loop("i", 0, var("n"), store("y", (i,), value)), {"x": vector(), "y": vector()}, n=INT))

    scalar = max(PROFILE.scalar["load"], PROFILE.scalar["store"], PROFILE.scalar["trip"])
    assert body(1) < body(2) <= scalar
    much = range(12)
    assert body(1, *much) <= body(2, *much) < 12 * PROFILE.scalar["mul.f64"]


def test_blocks_of_columns_bring_whole_lines_into_the_caches():
    counts, env = count(matmul()), env_of(1500, a=2, b=2, c=2)
    free = replace(PROFILE, vector=dict.fromkeys(PROFILE.vector, 0.0), scalar=dict.fromkeys(PROFILE.scalar, 0.0))
    free = replace(free, latency=dict.fromkeys(PROFILE.latency, 0.0))  # memory alone
    plain, stripped = (bind(Candidate(counts, strips=s), free, "seq").seconds(env) for s in ((), (("j", 64),)))
    assert 3 * stripped < plain


def test_a_region_for_one_thread_costs_a_team_of_one():
    i, j = var("i"), var("j")
    body = loop("i", 0, var("n"), loop("j", 0, var("n"), store("x", (op("+", i, j),), num(0.0))))
    counts, env = count(nest(body, {"x": vector()}, n=INT)), env_of(100, x=1)
    offer = Candidate(counts, frozenset("j"), min_work=(("j", 1000, 1),))
    seq, omp = (bind(offer, PROFILE, v).seconds(env, 2) for v in ("seq", "omp"))
    assert omp - seq == pytest.approx(100 * PROFILE.scalar["region"])


def test_what_one_thread_has_made_comes_to_the_others_through_a_shared_cache():
    counts, offer = count(saxpy()), Candidate(count(saxpy()), frozenset("i"))
    slow = replace(PROFILE, levels=tuple(replace(x, bandwidth=1e9) if x.name == "L3" else x for x in PROFILE.levels))
    env = env_of(10_000, x=1, y=1)  # within L2
    apart = [bind(offer, p, "omp").seconds(env, 2) for p in (PROFILE, slow)]
    one = [bind(Candidate(counts), p, "seq").seconds(env) for p in (PROFILE, slow)]
    assert one[0] == one[1]
    assert apart[1] - apart[0] == pytest.approx(80e3 * (1e-9 - 1.0 / PROFILE.levels[2].bandwidth), rel=0.01)


def test_streams_take_at_least_the_time_of_reading():
    def seconds(program: Nest, **levels: float) -> float:
        profile = replace(free, levels=(*free.levels[:-1], replace(free.levels[-1], **levels)))
        return bind(Candidate(count(program)), profile, "seq").seconds(env)

    free = replace(PROFILE, **{t: dict.fromkeys(getattr(PROFILE, t), 0.0) for t in ("scalar", "vector", "latency")})
    env = env_of(10_000_000, x=1, y=1)
    even = seconds(saxpy(), bandwidth=3e10, read=2e10)  # two of its three accesses read
    assert seconds(saxpy(), bandwidth=3e10, read=3e10) == even
    assert seconds(saxpy(), bandwidth=3e10, read=1e10) == pytest.approx(2 * even, rel=0.01)
    assert seconds(saxpy(), bandwidth=1.5e10, read=2e10) == pytest.approx(2 * even, rel=0.01)


def swept() -> Nest:
    """for t in range(9): y = f(x), row by row; x = y, row by row"""
    i, j, k = var("i"), var("j"), var("k")
    forth = loop("j", 0, var("n"), store("y", (i, j), op("*", load("x", i, j), num(0.5))))
    back = loop("j_1", 0, var("n"), store("x", (k, var("j_1")), load("y", k, var("j_1"))))
    body = loop("t", 0, 9, loop("i", 0, var("n"), forth), loop("k", 0, var("n"), back))
    return nest(body, {"x": vector(ndim=2), "y": vector(ndim=2)}, n=INT)


def test_what_one_thread_does_between_shared_loops_moves_arrays_from_core_to_core():
    counts, env, both = count(swept()), env_of(90, x=2, y=2), frozenset("ik")
    far = replace(PROFILE, levels=tuple(replace(x, random_s=1e-7) if x.name == "L3" else x for x in PROFILE.levels))
    shared, alone = Candidate(counts, both), Candidate(counts, both, min_work=(("k", 1000, 1),))
    near, distant = ([bind(c, p, "omp").seconds(env, 2) for c in (shared, alone)] for p in (PROFILE, far))
    assert near[0] == distant[0] and bind(alone, far, "seq").seconds(env) == bind(alone, PROFILE, "seq").seconds(env)
    lines = 9 * 2 * 90 * 90 * 8 / 64
    assert distant[1] - near[1] == pytest.approx(lines * (1e-7 - PROFILE.levels[2].random_s), rel=0.1)


def test_loops_that_only_read_the_same_array_exchange_nothing():
    i, j = var("i"), var("j")
    one = loop("i", 0, var("n"), store("y", (i,), load("x", i)))
    two = loop("j", 0, var("n"), store("z", (j,), load("x", j)))
    counts = count(nest(loop("t", 0, 9, one, two), {k: vector() for k in "xyz"}, n=INT))
    far = replace(PROFILE, levels=tuple(replace(x, random_s=1e-7) if x.name == "L3" else x for x in PROFILE.levels))
    offer = Candidate(counts, frozenset("ij"), min_work=(("j", 10_000, 1),))
    near, distant = (bind(offer, p, "omp").seconds(env_of(3000, x=1, y=1, z=1), 2) for p in (PROFILE, far))
    assert near == distant


def test_a_loop_in_which_nothing_can_fault_saves_nothing():
    one = saxpy()
    saved = LoopPlan("i", saved=(("y", 0),), quiet=True)
    assert candidate_of(Plan("seq", one, (saved,)), count(one)).saved == ()
    assert candidate_of(Plan("seq", one, (replace(saved, quiet=False),)), count(one)).saved == (("i", ("y",)),)
    i = var("i")
    checked = op("+", load("x", i), num(1.0), frozenset({"overflow"}))
    watched = nest(loop("i", 0, var("n"), store("y", (i,), checked)), {"x": vector(), "y": vector()}, n=INT)
    assert candidate_of(Plan("seq", watched, (saved,)), count(watched)).saved == (("i", ("y",)),)


def test_a_strip_wider_than_the_loop_gains_nothing_from_its_width():
    counts = count(matmul())
    wide, narrow = (
        [bind(Candidate(counts, strips=(("j", w),)), PROFILE, "seq").seconds(env_of(n, a=2, b=2, c=2)) for n in (5, 64)]
        for w in (64, 8)
    )
    assert wide[0] > 1.2 * narrow[0] and wide[1] < 1.2 * narrow[1]
