"""The C extension picks and boxes as the definitions in Python do, or leaves it to them."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest
from build import loop, matmul, nest, num, saxpy, store, var, vector
from test_decide import PROFILE, candidates, env_of
from test_kernels import KERNELS, sites
from test_offload import WITH_GPU

from alpyna_hook.cost import evaluate, rules
from alpyna_hook.cost.counts import count
from alpyna_hook.cost.evaluate import Evaluator
from alpyna_hook.cost.learn import History, Ratio
from alpyna_hook.cost.pick import box, define_box, define_pick, pick
from alpyna_hook.cost.priced import Candidate
from alpyna_hook.cost.tape import Picker, record
from alpyna_hook.ir.affine import QParam
from alpyna_hook.ir.nodes import Loop, Nest
from alpyna_hook.ir.types import INT

needs_c = pytest.mark.skipif(Picker is None, reason="the C extension is not built")


def offer(one: Nest, rng: random.Random) -> dict[str, Candidate]:
    """The interpreter, and some of the variants in some order."""
    counts = count(one)
    outer = next(s for s in one.body if isinstance(s, Loop)).counter
    names = tuple(array.name for array in counts.arrays)
    found = [
        ("interp", Candidate(counts)),
        ("seq", Candidate(counts, strips=((outer, 4),))),
        ("omp", Candidate(counts, frozenset({outer}))),
        ("cuda", Candidate(counts, frozenset({outer}), journal=False, reads=names, writes=names[-1:])),
    ]
    return dict(found[:1] + rng.sample(found[1:], rng.randint(0, 3)))


def history(rng: random.Random) -> History:
    """Nothing learned, or anything."""
    made = History(calls=rng.choice([0, 7, 60, 10_000]))
    for variant in ("seq", "omp", "cuda", "opencl"):
        for decade in rng.sample(range(-8, 2), rng.choice([0, 0, 1, 3])):
            logs = [rng.uniform(-2.0, 2.0) for _ in range(rng.randint(1, 7))]
            made.ratios[variant, decade] = Ratio(logs, rng.randint(0, made.calls))
    return made


@needs_c
@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.py")), ids=lambda p: p.stem)
def test_what_c_picks_is_what_the_definition_says_of_any_site_size_and_history(path: Path):
    rng, compared, asked = random.Random(path.stem), 0, 0
    for one, entry in sites(path):
        for _ in range(4):
            model = Evaluator(offer(one, rng), WITH_GPU, 2)
            for _ in range(20):
                scale = 10.0 ** rng.uniform(-3, 3)
                env = {leaf: max(int(value * scale * rng.uniform(0.5, 2)), 0) for leaf, value in entry.items()}
                learned, chosen = history(rng), rng.choice(model.variants)
                unpaid = {v: rng.choice([0.0, 2e-3, 0.2]) for v in model.variants}
                defined = define_pick(model, env, learned), define_box(model, env, chosen, learned, unpaid)
                found = model.picker.pick(env, learned.known(), learned.calls)
                span = model.picker.box(env, chosen, learned.known(), unpaid)
                asked += 1
                compared += found is not None and span is not None
                assert found is None or found == defined[0]
                assert span is None or (span == defined[1] and list(span) == list(defined[1]))
                assert (pick(model, env, learned), box(model, env, chosen, learned, unpaid)) == defined
    assert compared > 0.8 * asked


@needs_c
def test_sizes_close_to_zero_and_below_have_the_ranges_that_the_definition_gives():
    lo, hi = QParam("lo"), QParam("hi")
    chunk = nest(loop("i", var("lo"), var("hi"), store("x", (var("i"),), num(0.0))), {"x": vector()}, lo=INT, hi=INT)
    model, rng = Evaluator(candidates(chunk), PROFILE, 2), random.Random(1)
    for _ in range(500):
        span = rng.choice([1, 30, 10**6, 1 << 58])
        env = {**env_of(rng.randint(0, span), x=1), lo: rng.randint(-span, span), hi: rng.randint(-span, span)}
        for chosen in ("interp", "seq"):
            unpaid = {"seq": 2e-3, "omp": 2e-3}
            defined = define_box(model, env, chosen, History(), unpaid)
            assert box(model, env, chosen, History(), unpaid) == defined


@needs_c
def test_what_is_not_usual_is_left_to_the_definition():
    model, env = Evaluator(candidates(saxpy()), PROFILE, 2), env_of(1000, x=1, y=1)
    picks, boxes = model.picker.pick, model.picker.box
    assert picks(env, (), 0) is None and boxes(env, "seq", (), {}) is None  # no tape yet
    for _ in range(3):
        expected = pick(model, env, History()), box(model, env, "seq", History(), {})
    assert (picks(env, (), 0), boxes(env, "seq", (), {})) == expected
    n = QParam("n")
    for value in (10**400, True, "1000", None):
        assert picks({**env, n: value}, (), 0) is None
    assert picks({}, (), 0) is None and boxes({}, "seq", (), {}) is None
    assert boxes({**env, n: 1 << 62}, "seq", (), {}) is None
    assert boxes(env, "cuda", (), {}) is None
    assert picks(env, (("seq", 1.5, 0.0, True),), 0) is None and picks(env, ((),), 0) is None
    assert picks(env, (("seq", -4, 0.0, True),) * 65, 0) is None
    assert picks(env, (("no such", -4, 9.0, True),), 0)[1] == expected[0][1]


@needs_c
def test_a_trip_count_that_is_given_instead_of_estimated_is_left_to_the_definition():
    one, env = next((one, env) for one, env in sites(KERNELS / "collatz.py") if count(one).unknown)
    model = Evaluator(candidates(one), PROFILE, 2)
    for _ in range(3):
        plain = pick(model, env, History())
    assert model._estimated and model.picker.pick(env, (), 0) == plain
    longer = {**env, model._estimated[0]: 10**6}
    assert model.picker.pick(longer, (), 0) is None and pick(model, longer, History())[1] != plain[1]


@needs_c
def test_prices_are_not_asked_for_by_c():
    tiny = {**env_of(5, x=1, y=1)}
    model = Evaluator(candidates(saxpy()), PROFILE, 2)
    for _ in range(3):
        define_box(model, tiny, "interp", History(), {"seq": 10.0, "omp": 10.0})
    assert model.picker.box(tiny, "interp", (), {}) is None
    assert model.picker.box(tiny, "interp", (), {"seq": 10.0, "omp": 10.0}) is not None


@needs_c
def test_a_picker_of_wrong_parts_is_refused():
    model = Evaluator(candidates(matmul()), PROFILE, 2)
    right = (
        model.variants, model.leaves, (), model.deciding, (-1,) * len(model.deciding), False, rules.figures(PROFILE)
    )  # fmt: skip
    assert Picker(*right).pick({}, (), 0) is None
    wrong = {0: ("seq",), 1: tuple(map(QParam, map(str, range(65)))), 4: (), 6: (1.0,)}
    for place, value in wrong.items():
        with pytest.raises(ValueError, match="not a picker"):
            Picker(*right[:place], value, *right[place + 1 :])
    with pytest.raises(ValueError, match="not a picker"):
        Picker(*right[:4], (99,) * len(model.deciding), *right[5:])
    _, other = record(lambda v: [v[0] + 1.0], [1.0])
    for tape in (None, other.tape()):
        with pytest.raises(TypeError):
            Picker(*right).use(tape)


def test_what_was_recorded_is_forgotten_when_it_is_too_long(monkeypatch):
    monkeypatch.setattr(evaluate, "MOST_STEPS", 300)
    model, begun = Evaluator(candidates(matmul()), PROFILE, 2), 0
    for size in range(800):
        before = model._tree
        env = env_of(int(1.02**size), a=2, b=2, c=2)
        assert model.parts(env) == model.parts(env)
        begun += before is not None and len(before.steps) > len(model._tree.steps)
    assert begun and len(model._tree.steps) < 2000


def test_without_the_extension_the_definitions_are_used():
    model, env = Evaluator(candidates(matmul()), PROFILE, 2), env_of(50, a=2, b=2, c=2)
    model.picker = None
    assert pick(model, env, History()) == define_pick(model, env, History())
    assert box(model, env, "seq", History(), {}) == define_box(model, env, "seq", History(), {})


@pytest.mark.parametrize("interp", [1e-8, 1e-7, 1e-6, 1.9e-6, 1e-5, 1.0])
@pytest.mark.parametrize("seq", [1e-8, 1e-7, 1e-6, 1e-5])
def test_what_a_compiler_may_cost_is_nothing_or_anything_but_for_tiny_loops(interp: float, seq: float):
    compiled, price = rules.worth({"interp": interp, "seq": seq}, PROFILE)
    gain = interp - PROFILE.decline_s - seq
    assert compiled == "seq"
    if gain <= 0.0:
        assert price == -math.inf and rules.negligible("seq", price, {})
    elif interp > rules.RETIRE_SECONDS:
        assert price == math.inf and not rules.negligible("seq", price, {})
    else:
        assert rules.negligible("seq", price, {"seq": 1.01 * rules.RETIRE_CALLS * gain})
        assert not rules.negligible("seq", price, {"seq": 0.99 * rules.RETIRE_CALLS * gain})
