"""Device programs do as CPython does: results bit by bit, live-outs, faults, and what they decline."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_device import Runtime, check, nvcc, run, specialised

from alpyna_hook.transform import device as transform

pytest.importorskip("pyopencl")
STYLES = ["opencl:grid", "opencl:rows"]


@pytest.fixture(autouse=True)
def no_loop_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor the small ones of tests: parallel loops inside sequential ones are launched again and again."""
    monkeypatch.setattr(transform, "LAUNCH_WORK", 0)


TWICE = """
for i in range(n):
    t = 0.0
    for j in range(m):
        t += a[i, j] * x[j]
    for j in range(m):
        y[j] = y[j] + a[i, j] * t
"""


@pytest.mark.parametrize("work", [0, 10**9])
def test_short_loops_inside_a_sequential_one_are_one_work_items(monkeypatch: pytest.MonkeyPatch, work: int) -> None:
    monkeypatch.setattr(transform, "LAUNCH_WORK", work)
    text = "def f(a, x, y, n, m):\n" + TWICE.replace("\n", "\n    ")
    given = {"n": 30, "m": 41, "a": np.sin(np.arange(30 * 41.0)).reshape(30, 41), "x": np.ones(41), "y": np.zeros(41)}
    spec = specialised(text, "opencl:rows", given)
    expected = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in given.items()}
    exec(TWICE, expected)
    launched = Runtime.launch
    launches: list[int] = []
    monkeypatch.setattr(Runtime, "launch", lambda rt, k, *rest: (launches.append(k), launched(rt, k, *rest)))
    assert run(spec, given)[0] == 0
    assert given["y"].tobytes() == expected["y"].tobytes()
    assert len(launches) == (1 if work else 60)


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


OVERWRITTEN = [
    ("for i in range(n):\n    for j in range(m):\n        c[i, j] = a[j, i]", {"n": 4, "m": 5}, ["c"]),
    ("for i in range(n):\n    for j in range(m):\n        c[i, j] = a[j, i]", {"n": 4, "m": 4}, []),
    ("for i in range(n):\n    for j in range(m):\n        c[i, j] = c[i, j] + 1.0", {"n": 4, "m": 5}, []),
    ("for i in range(n):\n    for j in range(m):\n        if a[j, i] > 0.0:\n            c[i, j] = 1.0",
     {"n": 4, "m": 5}, []),
    ("for i in range(n):\n    for j in range(1, m):\n        c[i, j] = 1.0", {"n": 4, "m": 5}, []),
    ("for i in range(n):\n    for j in range(m):\n        c[i, i] = 1.0", {"n": 4, "m": 5}, []),
    ("for i in range(n):\n    for j in range(m):\n        for k in range(2):\n            c[i, j] = 1.0 * k",
     {"n": 4, "m": 5}, []),
]  # fmt: skip


@pytest.mark.parametrize("text, sizes, expected", OVERWRITTEN)
def test_arrays_are_only_said_to_be_overwritten_where_all_elements_are(
    text: str, sizes: dict[str, int], expected: list[str]
) -> None:
    given = {**sizes, "a": np.ones((5, 4)), "c": np.ones((4, 5))}
    for style in STYLES:
        spec = specialised(text, style, given)
        program = spec.sources["opencl"].device
        assert program is not None
        scope: dict[str, Any] = {}
        exec(program.driver, scope)
        inputs = [given.get(x, 13) if x in sizes else 0 for x in program.inputs]
        for array in ("a", "c"):
            for axis, dim in enumerate(given[array].shape):
                if f"{array}_n{axis}" in program.inputs:
                    inputs[program.inputs.index(f"{array}_n{axis}")] = dim
        assert scope["overwritten"](*inputs) == expected


GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "codegen"
SQUARE = np.sin(np.arange(400.0)).reshape(20, 20)
NESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "saxpy": ("for i in range(n):\n    y[i] = a * x[i] + y[i]", {"n": 20, "a": 0.1, "x": SQUARE[0], "y": SQUARE[1]}),
    "matmul": ("""
        for i in range(n):
            for j in range(n):
                s = 0.0
                for k in range(n):
                    s += a[i, k] * b[k, j]
                c[i, j] = s
    """, {"n": 20, "a": SQUARE, "b": SQUARE + 1, "c": SQUARE.copy()}),
    "sweeps": ("""
        for t in range(3):
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    b[i, j] = 0.2 * (a[i, j] + a[i, j - 1] + a[i, j + 1] + a[i + 1, j] + a[i - 1, j])
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    a[i, j] = b[i, j]
    """, {"n": 20, "a": SQUARE, "b": SQUARE.copy()}),
    "sum_of_a_triangle": ("""
        for i in range(n):
            for j in range(i, n):
                total = total + k[i, j]
    """, {"n": 20, "total": 0, "k": np.arange(400).reshape(20, 20)}),
}  # fmt: skip


def _kernels(text: str) -> str:
    return text[text.index("__kernel void" if "__kernel void" in text else 'extern "C" __global__') :]


@pytest.mark.parametrize("device", [*STYLES, "cuda"])
@pytest.mark.parametrize("name", sorted(NESTS))
def test_the_text_is_the_one_that_was_read_and_approved(name: str, device: str) -> None:
    """ALPYNA_GOLDEN=write writes the files anew; read the difference before you commit it."""
    text, given = NESTS[name]
    spec = specialised(text, device, given)
    variant: Any = device.partition(":")[0]
    source = spec.sources[variant]
    assert source.device is not None
    driver = source.device.driver
    found = _kernels(source.text) + "\n\n" + driver[driver.index("def run(") :]
    golden = GOLDEN / f"{name}.{device.replace(':', '.')}.txt"
    if os.environ.get("ALPYNA_GOLDEN") == "write":
        golden.write_text(found, encoding="utf-8")
    assert golden.exists(), f"{golden.name} is missing; ALPYNA_GOLDEN=write writes it"
    assert found == golden.read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")
def test_nvcc_compiles_the_cuda_text(tmp_path: Path) -> None:
    for name, (text, given) in NESTS.items():
        spec = specialised(text, "cuda", given)
        nvcc(spec.sources["cuda"].text, tmp_path / f"{name}.cu")
