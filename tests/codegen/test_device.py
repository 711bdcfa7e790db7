"""Device programs do as CPython does: results bit by bit, live-outs, faults, and what they decline."""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_device import interpret, run, specialised

pytest.importorskip("pyopencl")
STYLES = ["opencl:grid", "opencl:rows"]


def check(text: str, style: str, given: dict[str, Any], fp: str = "strict") -> dict[str, Any]:
    """Runs `text` both ways and compares arrays and live-outs; the live-outs."""
    spec = specialised(text, style, given, fp)
    assert not spec.without, spec.without
    plain, names = copy.deepcopy(given), dict(given)
    interpret(text, plain)
    code, outs = run(spec, names)
    assert code == 0, outs
    for name, value in names.items():
        if isinstance(value, np.ndarray):
            assert value.tobytes() == plain[name].tobytes(), name
    for name, value in outs.items():
        assert type(value) is type(plain[name]), name
        assert np.array(value).tobytes() == np.array(plain[name]).tobytes(), name
    return outs


@pytest.mark.parametrize("style", STYLES)
class TestResults:
    def test_saxpy(self, style: str) -> None:
        x, y = np.arange(100.0) / 7, np.arange(100.0)
        check("for i in range(n):\n    y[i] = a * x[i] + y[i]", style, {"n": 100, "a": 0.1, "x": x, "y": y})

    def test_jacobi(self, style: str) -> None:
        text = """
        for t in range(3):
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    b[i, j] = 0.2 * (a[i, j] + a[i, j - 1] + a[i, j + 1] + a[i + 1, j] + a[i - 1, j])
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    a[i, j] = b[i, j]
        """
        a = np.sin(np.arange(400.0)).reshape(20, 20)
        check(text, style, {"n": 20, "a": a, "b": a.copy()})

    def test_matmul(self, style: str) -> None:
        text = """
        for i in range(n):
            for j in range(n):
                s = 0.0
                for k in range(n):
                    s += a[i, k] * b[k, j]
                c[i, j] = s
        """
        a = np.sin(np.arange(400.0)).reshape(20, 20)
        check(text, style, {"n": 20, "a": a, "b": a + 1, "c": a.copy()})
