"""A specialisation that was made for a small call, and large ones after it."""

from __future__ import annotations

import pytest

from tests.conftest import Project

GROWING = """\
import numpy as np


def eliminate(a):
    n = a.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            a[i, k] = a[i, k] / a[k, k]
            for j in range(k + 1, n):
                a[i, j] = a[i, j] - a[i, k] * a[k, j]


for n in SIZES:
    a = np.arange(1.0, n * n + 1).reshape(n, n) + n * n * np.eye(n)
    eliminate(a)
    print(a.sum().hex())
"""
REPORT = """
from alpyna_hook.runtime import records

(special,) = next(iter(records.all_sites())).specialisations[-1:]
print("saved" if "_saved" in special.code["VARIANT"] else "not saved")
"""


@pytest.mark.parametrize("variant", ["seq", "omp"])
@pytest.mark.parametrize("sizes", [(5,), (5, 9, 200), (5, 200, 5), (200,)])
def test_rows_are_saved_only_where_that_is_not_done_often(
    project: Project, variant: str, sizes: tuple[int, ...]
) -> None:
    program = GROWING.replace("SIZES", str(sizes))
    project.write({"plain.py": program, "p.py": program + REPORT.replace("VARIANT", variant)})
    expected = project.plain("plain.py").stdout + ("saved\n" if max(sizes) < 16 else "not saved\n")
    for _ in range(2):  # with cold caches and with warm ones
        done = project.runner("--variant", variant, "p.py")
        assert (done.status, done.stdout) == (0, expected), done.stderr


SWEEPS = """\
import numpy as np


def smooth(a, b):
    for t in range(3):
        for i in range(1, a.shape[0] - 1):
            for j in range(1, a.shape[1] - 1):
                b[i, j] = 0.2 * (a[i, j] + a[i - 1, j] + a[i + 1, j] + a[i, j - 1] + a[i, j + 1])
        for i in range(1, a.shape[0] - 1):
            for j in range(1, a.shape[1] - 1):
                a[i, j] = 0.2 * (b[i, j] + b[i - 1, j] + b[i + 1, j] + b[i, j - 1] + b[i, j + 1])


for n in SIZES:
    a = np.arange(1.0, n * n + 1).reshape(n, n)
    smooth(a, np.zeros((n, n)))
    print(a.sum().hex())
"""


@pytest.mark.parametrize("sizes", [(5,), (5, 9, 500, 5), (500, 5)])
def test_a_device_launches_loops_that_have_enough_to_do(project: Project, sizes: tuple[int, ...]) -> None:
    pytest.importorskip("pyopencl")
    program = SWEEPS.replace("SIZES", str(sizes))
    report = REPORT.replace("VARIANT", "opencl").replace("_saved", "get_global_id(0) != 0").replace("saved", "alone")
    project.write({"plain.py": program, "p.py": program + report})
    expected = project.plain("plain.py").stdout + ("alone\n" if max(sizes) < 16 else "not alone\n")
    for _ in range(2):
        done = project.runner("--variant", "opencl", "p.py")
        assert (done.status, done.stdout) == (0, expected), done.stderr
