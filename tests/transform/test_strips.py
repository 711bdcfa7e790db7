"""Loops in strips: values, names left behind and faults are those of the plain loop."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from fuzzing import batch  # noqa: E402

PROGRAMS = {p.stem: p.read_text() for p in sorted((Path(__file__).parent / "programs/strips").glob("*.py"))}


@pytest.fixture(scope="module")
def expected() -> dict[str, batch.Seen]:
    return batch.observe({f"fz_{name}": text for name, text in PROGRAMS.items()}, "cpython")


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_the_program_does_as_under_cpython(expected: dict[str, batch.Seen], variant: str) -> None:
    seen = batch.observe({f"fz_{name}": text for name, text in PROGRAMS.items()}, variant)
    differences = batch.compare(expected, seen, variant)
    assert not differences, "\n".join(map(batch.explain, differences))
