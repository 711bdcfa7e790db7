"""Loops run in blocks: which are chosen, and what an exception in the middle of one leaves behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from fuzzing import batch  # noqa: E402
from nests import nest_of  # noqa: E402

from alpyna_hook.transform.blocks import restartable  # noqa: E402

PROGRAMS = {p.stem: p.read_text() for p in sorted((Path(__file__).parent / "programs/blocks").glob("*.py"))}


@pytest.fixture(scope="module")
def expected() -> dict[str, batch.Seen]:
    return batch.observe({f"fz_{name}": text for name, text in PROGRAMS.items()}, "cpython")


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_the_program_does_as_under_cpython(expected: dict[str, batch.Seen], variant: str) -> None:
    seen = batch.observe({f"fz_{name}": text for name, text in PROGRAMS.items()}, variant)
    differences = batch.compare(expected, seen, variant)
    assert not differences, "\n".join(map(batch.explain, differences))


SWEEPS = """
    def f(a, b, c, T, n):
        x = 0.0
        for t in {outer}:
            for i in range(n):
                {first}
                b[i] = a[i] * x
            for k in {inner}:
                c[k] = b[k] / {last}
"""


@pytest.mark.parametrize(
    "case",
    [
        ("two sweeps", {}, True),
        ("own scalar", {"first": "x = a[i] * 2"}, True),
        ("scalar of the sweep before", {"first": "x = a[i] * 2", "last": "x"}, False),
        ("variable of the sweep before", {"last": "i"}, False),
        ("variable of the loop around", {"last": "t"}, True),
        ("bounds of the loop around move", {"outer": "range(t0, T)"}, True),
        ("bounds that the nest writes", {"inner": "range(int(b[0]))"}, False),
        ("bounds from a scalar of the sweep before", {"first": "m = i", "inner": "range(m)"}, False),
    ],
    ids=lambda case: case[0],
)
def test_a_nest_restarts_only_where_nothing_but_arrays_is_handed_on(case: tuple[str, dict[str, str], bool]) -> None:
    _, parts, wanted = case
    text = SWEEPS.format(**{"outer": "range(T)", "first": "pass", "inner": "range(n)", "last": "2.0", **parts})
    assert restartable(nest_of(text)) is wanted
