"""Data with NaNs: comparisons that tell nobody of them are not what leaves a loop to the interpreter."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import pytest

from tests.conftest import Project

CLEANING = """\
import numpy as np

SPECIAL = (np.nan, -np.nan, 0.0, -0.0, np.inf, -np.inf, 5e-324, -5e-324, 1.5, -1.5, 3.0, 1e308)


def clip(a, out):
    for i in range(a.shape[0]):
        z = (a[i] - 1.0) / 8.0
        out[i] = min(max(z, -0.25), 0.25)


def count(a, b):
    less = same_or_less = more = 0
    s = 0.0
    for i in range(a.shape[0]):
        s = s + 0.5
        if a[i] < b[i]:
            less += 1
        if a[i] <= b[i]:
            same_or_less += 1
        if b[i] >= a[i] * 1.0 or not a[i] > b[i]:
            more += 1
    return less, same_or_less, more, s


def pick(a, b, low, high):
    for i in range(a.shape[0]):
        low[i] = np.minimum(a[i], b[i]) * 1.0
        high[i] = np.maximum(a[i], b[i]) * 1.0


def spread(a):
    low, high = np.inf, -np.inf
    for x in a:
        if x < low:
            low = x * 1.0
        if x > high:
            high = x * 1.0
    return low, high


def differences(a, b, out):
    for i in range(a.shape[0]):
        if not a[i] < b[i]:
            out[i] = a[i] - b[i]


pairs = [(x, y) for x in SPECIAL for y in SPECIAL]
for dtype in (np.float64, np.float32):
    with np.errstate(over="ignore"):
        a = np.array([x for x, _ in pairs]).astype(dtype)
        b = np.array([y for _, y in pairs]).astype(dtype)
    for offset in (0, 100):
        x, y, low, high = np.roll(a, offset), np.roll(b, offset), np.zeros(len(a), dtype), np.zeros(len(a), dtype)
        for _ in range(2):
            clip(x, low)
            print(low.tobytes().hex(), count(x, y))
            pick(x, y, low, high)
            print(np.isnan(low).sum(), np.nan_to_num(low).tobytes().hex(), np.nan_to_num(high).tobytes().hex())
            print(spread(x[1:]), spread(x[30:]))
        with np.errstate(all="ignore"):
            differences(x, y, high)
        print(np.nan_to_num(high))
    differences(x, y, high)  # inf - inf
"""


def reported(project: Project) -> list[dict[str, Any]]:
    sites: list[dict[str, Any]] = json.loads((project.folder / "report.json").read_text(encoding="utf-8"))["sites"]
    return sites


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_nans_compare_as_in_python_in_compiled_loops(variant: str, project: Project) -> None:
    project.write({"cleaning.py": CLEANING})
    expected = project.plain("cleaning.py")
    assert "invalid value encountered" in expected.stderr
    assert project.runner("--variant", variant, "--report", "report.json", "cleaning.py") == expected
    sites = {site["function"]: site for site in reported(project)}
    for function in ("clip", "count", "pick"):
        decisions = [d for s in sites[function]["specialisations"] for d in s["decisions"] if d["variant"] != "interp"]
        calls, faults = (sum(d[figure] for d in decisions) for figure in ("calls", "faults"))
        assert faults <= 2 < calls - faults, f"{function}: {faults} of {calls} calls met a fault"


@pytest.mark.skipif(find_spec("pyopencl") is None, reason="PyOpenCL is not installed")
def test_nans_compare_as_in_python_on_a_device(project: Project) -> None:
    project.write({"cleaning.py": CLEANING})
    expected = project.plain("cleaning.py")
    assert project.runner("--variant", "opencl", "--report", "report.json", "cleaning.py") == expected
    sites = {site["function"]: site for site in reported(project)}
    ran = {f: {d["variant"] for s in sites[f]["specialisations"] for d in s["decisions"]} for f in ("clip", "pick")}
    assert all("opencl" in variants for variants in ran.values()), ran


def test_one_call_with_nans_is_compiled_once_more(project: Project) -> None:
    text = (
        "import numpy as np\na = np.array([np.nan, 1.0, 9.0] * 100)\n"
        "for i in range(len(a)):\n    a[i] = max(a[i] * 0.5, 1.0)\nprint(a)\n"
    )
    project.write({"once.py": text})
    expected = project.plain("once.py")
    assert project.runner("--variant", "seq", "--report", "report.json", "once.py") == expected
    (site,) = reported(project)
    ran = [(d["calls"], d["faults"]) for s in site["specialisations"] for d in s["decisions"]]
    assert ran == [(1, 1), (1, 0)]
