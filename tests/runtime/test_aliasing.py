"""Calls with arrays that overlap, and those with arrays that do not, have entries of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import numpy as np

def add(x, y, n):
    for i in range(n):
        y[i] = y[i] * 0.5 + x[i]

n = 200_000
memory, a, b = np.arange(2.0 * n), np.ones(n), np.zeros(n)
for k in range(3):
    add(a, b, n)
    add(memory[:n], memory[n // 2 :], n)
    add(b, b, n)
print(a.sum(), b.sum(), memory.sum())
"""


@pytest.mark.parametrize("pure", ["0", "1"])
def test_one_call_with_overlapping_arrays_does_not_cost_the_others_their_threads(pure: str, tmp_path: Path) -> None:
    script, out = tmp_path / "program.py", tmp_path / "report.json"
    script.write_text(PROGRAM)
    env = {**os.environ, "ALPYNA_PURE": pure}
    plain = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    command = [sys.executable, "-m", "alpyna", "--variant", "omp", "--threads", "2", "--report", str(out), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
    assert (done.stdout, done.stderr) == (plain.stdout, "")
    site = next(s for s in json.loads(out.read_text())["sites"] if s["function"] == "add")
    calls = [(d["variant"], d["calls"]) for p in site["specialisations"] for d in p["decisions"]]
    assert sorted(calls) == [("omp", 3), ("omp", 3), ("seq", 3)]
