"""Whole programs as newcomers write them behave the same with Alpyna on: stdout, stderr and exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PROGRAMS = sorted(p.stem for p in HERE.glob("*.py") if not p.stem.startswith("test_"))


def run(*command: str) -> tuple[int, bytes, bytes]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("ALPYNA") or k in ("ALPYNA_CACHE_DIR", "ALPYNA_CC")}
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


@cache
def plain(program: str) -> tuple[int, bytes, bytes]:
    return run(f"tests/programs/{program}.py")


@pytest.mark.parametrize("variant", ["auto", "interp", "seq", "omp"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_program_behaves_as_under_cpython(program: str, variant: str) -> None:
    assert run("-m", "alpyna", "--variant", variant, f"tests/programs/{program}.py") == plain(program)


def sites(program: str, tmp_path: Path) -> dict[str, str]:
    """Source text of each site's first line -> status, of a run with everything compiled that can be."""
    report = tmp_path / "out.json"
    run("-m", "alpyna", "--variant", "seq", "--report", str(report), f"tests/programs/{program}.py")
    lines = (HERE / f"{program}.py").read_text().splitlines()
    found = json.loads(report.read_text())["sites"]
    return {f"{s['function']}: {lines[s['line'] - 1].strip()}": s["status"] for s in found}


def test_loops_that_draw_random_numbers_stay_in_the_interpreter(tmp_path: Path) -> None:
    found = sites("monte_carlo", tmp_path)
    assert found["<module>: for _ in range(n):"] == "rejected"


def test_loops_over_attributes_of_self_and_at_module_level_are_accelerated(tmp_path: Path) -> None:
    found = sites("newcomer_climate", tmp_path)
    wanted = ["Climate.diffuse: for i in range(1, self.grid.nlat - 1):"]
    wanted += ["Climate.mean: for i in range(self.grid.nlat):"]
    wanted += ["Climate.radiate: for i in range(n):", "<module>: for j in range(nlon):"]
    for name in wanted:
        assert found.get(name) == "accelerated", found


def test_an_integrator_at_module_level_is_accelerated(tmp_path: Path) -> None:
    found = sites("pendulum", tmp_path)
    assert found["<module>: for i in range(steps):"] == "accelerated"
    assert found["<module>: for i in range(steps + 1):"] == "accelerated"


def test_loops_over_strings_stay_in_the_interpreter(tmp_path: Path) -> None:
    assert sites("words", tmp_path)["<module>: for line in TEXT.splitlines():"] == "rejected"


def test_loops_that_keep_a_best_so_far_from_infinity_on_are_accelerated(tmp_path: Path) -> None:
    found = sites("clustering", tmp_path)
    assert found["kmeans: for i in range(n):"] == "accelerated", found


def test_loops_that_are_left_by_return_and_raise_or_have_an_else_are_accelerated(tmp_path: Path) -> None:
    found = sites("leaving_early", tmp_path)
    wanted = ["is_prime: while d * d <= n:", "count_primes: for k in range(2, n):", "escape: for n in range(limit):"]
    wanted += ["position: for r in range(m.shape[0]):", "triple: for a in range(1, total):"]
    wanted += ["settle: for step in range(1000):", "check: for i in range(len(a)):"]
    assert {name: found.get(name) for name in wanted} == dict.fromkeys(wanted, "accelerated")
