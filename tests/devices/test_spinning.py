"""Threads of a team do not spin for long, unless the user says so; the program sees nothing of it."""

from __future__ import annotations

import pytest
from tests.conftest import Project

PROGRAM = """\
import os, subprocess, sys
import numpy as np
a = np.zeros(100000)
for i in range(100000):
    a[i] = i * 0.5
child = "import os; print(os.environ.get('GOMP_SPINCOUNT'))"
print(os.environ.get("GOMP_SPINCOUNT"), os.getenv("GOMP_SPINCOUNT"), flush=True)
subprocess.run([sys.executable, "-S", "-c", child])
"""


def spins(stderr: str) -> str:
    """What libgomp says of it when it is loaded."""
    (line,) = {line.strip() for line in stderr.splitlines() if "GOMP_SPINCOUNT" in line}
    return line.partition("=")[2].strip(" '")


@pytest.mark.parametrize(("environment", "rounds", "seen"), [
    ({}, "10000", "None"), ({"GOMP_SPINCOUNT": "123"}, "123", "123"), ({"OMP_WAIT_POLICY": "passive"}, "0", "None"),
])  # fmt: skip
def test_libgomp_spins_briefly_or_as_the_user_wants(
    project: Project, environment: dict[str, str], rounds: str, seen: str
) -> None:
    project.write({"script.py": PROGRAM})
    options = {"OMP_DISPLAY_ENV": "verbose", **environment}
    done = project.runner("--variant", "omp", "--threads", "2", "script.py", **options)
    assert done.status == 0, done.stderr
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("OpenMP is not libgomp")
    assert spins(done.stderr) == rounds
    assert done.stdout.split() == [seen] * 3
