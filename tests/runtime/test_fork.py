"""Forks of a process that ran OpenMP kernels: children run kernels too, and nobody is told of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import multiprocessing
import os
import numpy as np


def work(k):
    a = np.zeros((300, 300))
    for i in range(300):
        for j in range(300):
            a[i, j] = (i * j + k) % 7
    return float(a.sum())


print(work(0), work(1), flush=True)
child = os.fork()
if not child:
    print(work(2), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(work(3))
if __name__ == "__main__":
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(work, range(4)))
print(work(8))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_forked_child_gives_the_same_results_and_ends(tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(PROGRAM)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "ALPYNA_CACHE_DIR": str(tmp_path / "cache")}

    def output(*command: str) -> tuple[bytes, bytes]:
        done = subprocess.run(
            [sys.executable, "-W", "always", *command, str(script)], capture_output=True, timeout=60, check=True,
            env=environ,
        )  # fmt: skip
        return done.stdout, done.stderr

    assert output("-m", "alpyna", "--variant", "omp") == output()
