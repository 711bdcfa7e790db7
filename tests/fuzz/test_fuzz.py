"""A fixed slice of the random programs: all that can be seen of them is the same under Alpyna."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from fuzzing import batch, generate, shrink  # noqa: E402

SEEDS = range(100_000, 100_040)
FOUND = sorted((Path(__file__).resolve().parent / "found").glob("*.py"))  # programs that once differed


@pytest.fixture(scope="module")
def programs() -> dict[str, str]:
    slice_ = {f"fz_{seed}": generate.program(seed) for seed in SEEDS}
    return {**slice_, **{f"fz_{path.stem}": path.read_text() for path in FOUND}}


@pytest.fixture(scope="module")
def expected(programs: dict[str, str]) -> dict[str, batch.Seen]:
    return batch.observe(programs, "cpython")


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_random_programs_behave_as_under_cpython(
    programs: dict[str, str], expected: dict[str, batch.Seen], variant: str
) -> None:
    differences = batch.compare(expected, batch.observe(batch.ended(programs, expected), variant), variant)
    assert not differences, "\n".join(batch.explain(d) + "\n" + programs[d.name] for d in differences)


def test_the_slice_has_plain_runs_warnings_and_exceptions(expected: dict[str, batch.Seen]) -> None:
    assert any(seen["error"] for seen in expected.values())
    assert any(seen["warnings"] for seen in expected.values())
    assert sum(not seen["error"] for seen in expected.values()) > len(expected) / 2


def test_a_seed_is_one_program() -> None:
    assert generate.program(7) == generate.program(7) != generate.program(8)


def test_a_changed_value_type_name_or_line_is_a_difference() -> None:
    warning = "import warnings\nwarnings.warn('a')"
    texts = ["x = 1.0", "x = 1", "y = 1", warning, "\n" + warning]
    seen = batch.observe({f"fz_{i}": text for i, text in enumerate(texts)}, "cpython")
    for one, two in ((0, 1), (1, 2), (3, 4)):
        assert batch.compare({"fz": seen[f"fz_{one}"]}, {"fz": seen[f"fz_{two}"]}, "seq")
    assert not batch.compare(seen, seen, "seq")


def test_a_program_that_kills_its_process_does_not_hide_the_next() -> None:
    seen = batch.observe({"fz_a": "import os\nos._exit(7)", "fz_b": "x = 1"}, "cpython")
    assert "exit status 7" in seen["fz_a"]["crash"]
    assert seen["fz_b"]["names"] == {"x": ["int", "1"]}


def test_shrinking_keeps_what_is_interesting_and_little_else() -> None:
    text = generate.program(1) + "if n > 0:\n    marker = n // 1 + 7\n"
    small = shrink.shrink(text, lambda texts: ["marker =" in t for t in texts])
    assert "marker =" in small
    assert len(small.splitlines()) <= 2
