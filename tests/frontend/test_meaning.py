"""A lowered nest computes what the loop computes: values, types, and names that stay unset."""

from __future__ import annotations

from pathlib import Path

import pytest
from nest_interpreter import run_lowered, run_plain

PROGRAMS = sorted((Path(__file__).parents[1] / "golden" / "frontend").glob("*.py"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_lowered_loops_compute_what_python_computes(path: Path) -> None:
    text = path.read_text()
    expected = run_plain(text)
    got, ran = run_lowered(text)
    assert got == expected
    assert ran
