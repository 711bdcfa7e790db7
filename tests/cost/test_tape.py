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
from alpyna_hook.cost.evaluate import MOST_TAPES, Evaluator
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
    found, tape = record(everything, [2, -3.5])
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
        _, tape = record(lambda v: [v[0] if holds(*v) else v[1]], first)
        for other in points:
            same = holds(*first) == holds(*other)
            assert (tape(other) is not None) == same


@pytest.mark.parametrize("kind", BOTH)
def test_what_is_no_tape_or_no_tuple_of_its_inputs_is_refused(kind):
    def packed(*code):
        return struct.pack(f"{len(code)}i", *code)

    tape = kind(packed(0, 0, 1), b"", 2, packed(2))
    assert tape((1, 2.5)) == (3.5,)
    for wrong in ((1,), (1, 2, 3), [1, 2], ("1", 2), (True, 2), (None, 2), 1):
        with pytest.raises(TypeError):
            tape(wrong)
    with pytest.raises(OverflowError):
        tape((10**400, 1))
    if kind is not Twin:
        wrong_code = [(packed(*step), packed(2)) for step in ((0, 0, 2), (99, 0, 0), (0, 0, -1))]
        for code, outputs in [*wrong_code, (packed(0, 0, 1), packed(3)), (packed(0, 0, 1), packed(-1))]:
            with pytest.raises(ValueError, match="not a tape"):
                kind(code, b"", 2, outputs)


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
        assert exact > 30 and 0 < len(model._tapes) <= MOST_TAPES


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
