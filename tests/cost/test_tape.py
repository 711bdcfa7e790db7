"""Recorded predictions equal the model that they were recorded from, or say that they cannot tell."""

from __future__ import annotations

import math
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from build import matmul, saxpy
from test_decide import PROFILE, candidates, env_of
from test_kernels import KERNELS, sites
from test_offload import WITH_GPU

from alpyna_hook.cost import tape as tapes
from alpyna_hook.cost.counts import count
from alpyna_hook.cost.evaluate import MOST_STEPS, Evaluator
from alpyna_hook.cost.model import bind
from alpyna_hook.cost.priced import Candidate
from alpyna_hook.cost.tape import Tape, Twin, larger, record, smaller, square_root
from alpyna_hook.ir.affine import QParam
from alpyna_hook.ir.nodes import Loop

BOTH = [Tape, Twin] if Tape is not Twin else [Twin]


def everything(v):
    """Uses each operation."""
    a, b = v
    far = -a + abs(b) * 2 - 1 / (3 + abs(a))
    near = smaller(a, b, 7.0) + larger(1.0, a, b) - (5 - b)
    return [far, near, square_root(abs(a)), math.ceil(b / 3), a, 4.0, far * near]


@pytest.mark.parametrize("kind", BOTH)
def test_every_operation_gives_what_python_gives(kind, monkeypatch):
    monkeypatch.setattr(tapes, "Tape", kind)
    found, tree = record(everything, [2, -3.5])
    tape = tree.tape()
    assert found == everything([2.0, -3.5]) == list(tape((2, -3.5)))
    for inputs in ((0.0, 0.0), (-7, 11), (1e9, 1e-9), (2.5, 2.5)):
        assert list(tape(inputs)) == everything(inputs)


COMPARISONS = [
    lambda a, b: a < b, lambda a, b: a <= b, lambda a, b: a > b, lambda a, b: a >= b,
    lambda a, b: a == b, lambda a, b: a != b, lambda a, b: bool(a), lambda a, b: a < 2, lambda a, b: 2 <= b,
]  # fmt: skip


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("number", range(len(COMPARISONS)))
def test_a_comparison_that_turns_out_otherwise_stops_a_tape(kind, number, monkeypatch):
    monkeypatch.setattr(tapes, "Tape", kind)
    holds = COMPARISONS[number]
    points = [(a, b) for a in (0.0, 1.0, 2.0, 3.0, math.nan) for b in (1.0, 2.0, math.inf)]
    for first in points:
        _, tree = record(lambda v: [v[0] if holds(*v) else v[1]], first)
        for other in points:
            same = holds(*first) == holds(*other)
            assert (tree.tape()(other) is not None) == same
            if not same:
                _, both = record(lambda v: [v[0] if holds(*v) else v[1]], other, tree)
                for inputs in (first, other):
                    assert repr(both.tape()(inputs)) == repr((inputs[0 if holds(*inputs) else 1],))


def branching(v):
    """Thirty-two ways, which have much in common."""
    total, (a, b) = 1.0, v
    for k in range(5):
        scaled = total * a - b / (k + 1)
        total = total + (scaled * b if scaled > k * a else larger(scaled, b) - k)
        if total == 0.0:
            return [total, a]
    return [total, a + b]


@pytest.mark.parametrize("kind", BOTH)
def test_runs_that_differ_are_one_tape(kind, monkeypatch):
    monkeypatch.setattr(tapes, "Tape", kind)
    rng, tree, recorded = random.Random(5), None, 0
    for _ in range(500):
        inputs = (rng.uniform(-3, 3), rng.choice([0, 1, rng.uniform(-9, 9)]))
        expected = branching([float(x) for x in inputs])
        if tree is None or tree.tape()(inputs) is None:
            before, recorded = tree, recorded + 1
            steps = 0 if before is None else len(before.steps)
            found, tree = record(branching, inputs, before)
            assert found == expected
            assert before is None or len(before.steps) == steps < len(tree.steps)  # others may be using it
        assert list(tree.tape()(inputs)) == expected
    assert 10 < recorded < 100 and len(tree.outputs) == recorded
    assert record(branching, inputs, tree)[1] is tree  # as another thread may


@pytest.mark.parametrize("kind", BOTH)
def test_what_changes_nothing_and_what_is_equal_is_not_recorded(kind, monkeypatch):
    monkeypatch.setattr(tapes, "Tape", kind)
    _, tree = record(lambda v: [sum([v[0]]) * 1.0 / 1 - 0, 1 * v[0] + 0.0, v[0] * v[1] - v[1] * v[0]], [2.0, 3.0])
    assert [tapes._NAMES[step[0]] for step in tree.steps] == ["*", "-", "end"]
    assert tree.tape()((2.0, 3.0)) == (2.0, 2.0, 0.0)


@pytest.mark.parametrize("kind", BOTH)
def test_what_is_no_tape_or_no_tuple_of_its_inputs_is_refused(kind):
    def packed(*code):
        return struct.pack(f"{len(code)}i", *code)

    end = (16, 0, 0, -1)
    tape = kind(packed(0, 0, 1, -1, *end), b"", 2, packed(2), 1)
    assert tape((1, 2.5)) == (3.5,)
    for wrong in ((1,), (1, 2, 3), [1, 2], ("1", 2), (True, 2), (None, 2), 1):
        with pytest.raises(TypeError):
            tape(wrong)
    with pytest.raises(OverflowError):
        tape((10**400, 1))
    if kind is not Twin:
        add = (0, 0, 1, -1)
        wrong_steps = [(0, 0, 2, -1), (99, 0, 0, -1), (0, 0, -1, -1), (10, 0, 1, 0), (10, 0, 1, 2), (16, 1, 0, -1)]
        wrong_code = [(packed(*step, *end), packed(2), 1) for step in wrong_steps]
        wrong_outputs = [(packed(*add, *end), packed(place), 1) for place in (4, -1)]
        for code, outputs, width in [
            *wrong_code, *wrong_outputs, (packed(*add), packed(2), 1), (b"", b"", 1), (packed(*end), packed(0), 0),
        ]:  # fmt: skip
            with pytest.raises(ValueError, match="not a tape"):
                kind(code, b"", 2, outputs, width)


def test_an_operation_that_would_lose_the_origin_of_a_number_is_an_error():
    for lossy in (math.sqrt, float, int, math.floor):
        with pytest.raises(TypeError):
            record(lambda v, lossy=lossy: [lossy(v[0])], [2.0])


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.py")), ids=lambda p: p.stem)
def test_recorded_predictions_of_every_site_equal_the_model_at_all_sizes(path: Path):
    rng = random.Random(path.stem)
    for nest, entry in sites(path):
        counts = count(nest)
        outer = next(s for s in nest.body if isinstance(s, Loop))
        names = tuple(array.name for array in counts.arrays)
        offer = {
            "interp": Candidate(counts),
            "seq": Candidate(counts, strips=((outer.counter, 4),)),
            "omp": Candidate(counts, frozenset({outer.counter}), min_work=((outer.counter, 1000, 3),)),
            "cuda": Candidate(counts, frozenset({outer.counter}), journal=False, reads=names, writes=names[-1:]),
        }
        model = Evaluator(offer, WITH_GPU, 2)
        bounds = {v: bind(c, WITH_GPU, v) for v, c in offer.items()}
        exact = 0
        for _ in range(40):
            scale = 10.0 ** rng.uniform(-2, 2)
            env = {leaf: max(int(value * scale * rng.uniform(0.5, 2)), 0) for leaf, value in entry.items()}
            expected = {v: bound.parts(env, 2) for v, bound in bounds.items()}
            found = model.parts(env)
            for variant, parts in expected.items():
                assert found[variant] == pytest.approx(parts, rel=1e-12)
            exact += found == expected
        assert exact > 30 and model._tree is not None and len(model._tree.steps) <= MOST_STEPS


def test_most_predictions_in_a_known_regime_run_a_tape():
    model, walked = Evaluator(candidates(matmul()), PROFILE, 2), []
    model._walk = lambda inputs, walk=model._walk: walked.append(inputs) or walk(inputs)  # type: ignore[method-assign]
    for n in range(100, 200):
        model.parts(env_of(n, a=2, b=2, c=2))
    assert len(walked) < 8


def test_estimated_trip_counts_may_be_given():
    model = Evaluator(candidates(saxpy()), PROFILE, 2)
    env = env_of(100, x=1, y=1)
    assert model.parts({**env, QParam("@other"): 5}) == model.parts(env)


def test_the_twin_is_used_without_the_extension():
    env = {**os.environ, "ALPYNA_PURE": "1"}
    code = "from alpyna_hook.cost import tape; print(tape.IMPLEMENTATION)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "python\n"
