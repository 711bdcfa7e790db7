"""Data with NaNs: comparisons that tell nobody of them are not what leaves a loop to the interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


def run(*arguments: str, cache: Path) -> tuple[str, str]:
    environment = {"ALPYNA_CACHE_DIR": str(cache), "PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_nans_compare_as_in_python_in_compiled_loops(variant: str, tmp_path: Path) -> None:
    script, report = tmp_path / "cleaning.py", tmp_path / "report.json"
    script.write_text(CLEANING, encoding="utf-8")
    expected = run(str(script), cache=tmp_path)
    assert "invalid value encountered" in expected[1]
    options = ("-m", "alpyna", "--variant", variant, "--report", str(report))
    assert run(*options, str(script), cache=tmp_path) == expected
    sites = {site["function"]: site for site in json.loads(report.read_text(encoding="utf-8"))["sites"]}
    for function in ("clip", "count", "pick"):
        decisions = [d for s in sites[function]["specialisations"] for d in s["decisions"] if d["variant"] != "interp"]
        calls, faults = (sum(d[figure] for d in decisions) for figure in ("calls", "faults"))
        assert faults <= 2 < calls - faults, f"{function}: {faults} of {calls} calls met a fault"


def test_one_call_with_nans_is_compiled_once_more(tmp_path: Path) -> None:
    script, report = tmp_path / "once.py", tmp_path / "report.json"
    script.write_text(
        "import numpy as np\na = np.array([np.nan, 1.0, 9.0] * 100)\n"
        "for i in range(len(a)):\n    a[i] = max(a[i] * 0.5, 1.0)\nprint(a)\n",
        encoding="utf-8",
    )
    expected = run(str(script), cache=tmp_path)
    assert run("-m", "alpyna", "--variant", "seq", "--report", str(report), str(script), cache=tmp_path) == expected
    (site,) = json.loads(report.read_text(encoding="utf-8"))["sites"]
    ran = [(d["calls"], d["faults"]) for s in site["specialisations"] for d in s["decisions"]]
    assert ran == [(1, 1), (1, 0)]
