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
