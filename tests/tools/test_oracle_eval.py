"""The oracle's evaluation: scores of made-up points, sizes, and one real run on two sizes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).resolve().parent.parent.parent / "tools"
sys.path.insert(0, str(TOOLS))

from oracle import repeats, score  # noqa: E402
from oracle.measuring import Choice, Platform, Point, _extrapolate, _rounds, _runs, measure, sizes_of  # noqa: E402

TWO = Platform("2 threads", 2, ("interp", "seq", "omp"))


def point(size: int, times: tuple[float, float, float], first: str, kernel: str = "k") -> Point:
    seconds = dict(zip(TWO.variants, times))
    chosen = Choice({"1": [first]}, first, seconds.get(first, 2.0), 1e-5)
    predicted = {"interp": 1e-6 * size}
    return Point(kernel, size, seconds, {}, [], predicted, {TWO.name: chosen}, {TWO.name: chosen})


def of(points: list[Point], strategy: str) -> score.Score:
    return next(s for s in score.scores(points, [TWO]) if s.strategy == strategy)


def test_slowdown_is_against_the_fastest_variant():
    points = [point(1, (1.0, 2.0, 4.0), "interp"), point(2, (9.0, 3.0, 1.0), "seq")]
    first = of(points, "oracle, first")
    assert (first.mean, first.worst, first.worst_at) == (2.0, 3.0, "k 2")
    assert first.geometric == pytest.approx(3.0**0.5) and first.of_best == pytest.approx(100 * (1 + 1 / 3) / 2)
    assert first.right == 50.0 and first.intervals == {"k": (2, 2, 3.0)}


def test_a_mixture_that_is_faster_than_every_variant_is_the_best():
    mixed = point(1, (9.0, 4.0, 4.0), "mixed")  # 2.0 s
    assert of([mixed], "oracle, first").mean == 1.0
    assert of([mixed], "always seq").mean == 2.0


def test_one_mixture_in_two_processes_is_one_choice():
    mixed = point(1, (9.0, 4.0, 4.0), "mixed")
    mixed.settled[TWO.name] = Choice(mixed.first[TWO.name].sites, "mixed", 3.0)  # the first one took 2.0
    assert of([mixed], "oracle, settled").mean == 1.0
    mixed.settled[TWO.name] = Choice({"1": ["omp", "seq"]}, "mixed", 3.0)
    assert of([mixed], "oracle, settled").mean == 1.5


def test_the_threshold_is_fitted_to_the_other_programs():
    # interp below 10, seq below 1000, then omp: another program shows it
    shape = [(1, (1.0, 2.0, 9.0)), (100, (50.0, 1.0, 3.0)), (10**6, (1e3, 5.0, 1.0))]
    points = [point(n, times, "seq", kernel) for kernel in "ab" for n, times in shape]
    assert of(points, "threshold").mean == 1.0
    alone = [point(n, times, "seq", "a") for n, times in shape]
    assert of(alone, "threshold").mean > 1.0


def test_points_where_only_the_interpreter_was_timed_do_not_count():
    lonely = Point("k", 3, {"interp": 1.0}, {}, [], {}, {TWO.name: Choice({}, "interp", 1.0)})
    assert score.scores([lonely], [TWO]) == []


def test_interpreter_times_are_extrapolated_and_marked():
    small, large = point(10, (2.0, 1.0, 1.0), "seq"), point(40, (0.0, 1.0, 1.0), "seq")
    del large.times_s["interp"]
    _extrapolate([small, large])
    assert large.times_s["interp"] == pytest.approx(8.0) and large.extrapolated == ["interp"]


class Told:
    """A worker that takes 1 s for its own variant, and 2 s for the mixture that it is told to run."""

    def __init__(self) -> None:
        self.follows, self.heard = "", []

    def ask(self, **command: Any) -> dict[str, Any]:
        self.heard.append(command["op"])
        self.follows = command.get("platform", self.follows)
        return {"times_s": [2.0 if self.follows else 1.0]}


def test_a_mixture_is_timed_in_turns_with_the_variants():
    seq, omp, auto = Told(), Told(), Told()
    mixed = Point("k", 1, first={TWO.name: Choice({"1": ["seq"], "2": ["omp"]}, "mixed")})
    runs = _runs(mixed, {"seq": seq, "omp": omp}, {TWO.name: auto})
    times = _rounds(mixed, runs, 1.0)
    assert {name: set(found) for name, found in times.items()} == {
        "seq": {1.0}, "omp": {1.0}, f"first {TWO.name}": {2.0}, f"auto {TWO.name}": {1.0},
    }  # fmt: skip
    assert seq.heard == ["follow", "round"] * 6 and omp.heard == ["round"] * 3


def test_a_poor_choice_is_noise_unless_the_median_of_all_runs_is_poor(monkeypatch):
    poor, fine = point(7, (9.0, 3.0, 2.0), "seq"), point(7, (9.0, 3.0, 2.0), "omp")
    good = point(8, (9.0, 3.0, 2.0), "omp")
    asked = []

    def measure(kernel, sizes, platforms, seconds, middle):
        asked.append((kernel, sizes, platforms, seconds))
        return [fine if len(asked) == 1 else poor]

    monkeypatch.setattr(repeats, "measure", measure)
    again = list(repeats.again([poor, good], [TWO], 0.5, min, 2))
    assert asked == [("k", [7], [TWO], 0.5)] * 2  # the poor one alone
    (one,) = repeats.suspects([poor, good], [TWO], again)
    assert (one.choice, one.factors, one.beyond_noise) == ("settled", (1.5, 1.0, 1.5), True)
    (one,) = repeats.suspects([poor, good], [TWO], [fine, fine])
    assert one.median == 1.0 and not one.beyond_noise
    assert "1 of them" not in repeats.markdown([one])[1]
    assert score.scores([poor, good], [TWO])[1].mean == 1.25  # that of the first run


@pytest.mark.parametrize("kernel", sorted(p.stem for p in (TOOLS.parent / "kernels").glob("*.py")))
def test_every_kernel_has_ten_sizes_from_small_to_large(kernel: str):
    sizes = sizes_of(kernel, 10)
    assert len(sizes) == 10 and sizes == sorted(sizes)


def test_a_real_run_times_every_variant_and_knows_what_was_chosen(tmp_path, monkeypatch):
    monkeypatch.setenv("ALPYNA_CACHE_DIR", str(tmp_path))
    small, large = measure("saxpy", [300, 30_000], [TWO], 1.0, min)
    assert not small.errors and not large.errors
    assert set(small.times_s) >= {"interp", "seq"} and large.times_s["seq"] < large.times_s["interp"]
    assert large.first[TWO.name].variant in ("seq", "omp") and large.first[TWO.name].decide_s is not None
    assert large.settled[TWO.name].seconds is not None
    # the first point of a process: compiling is no second question
    assert 50 < large.predicted_s["interp"] / small.predicted_s["interp"] < 150
