"""Loops over CuPy arrays: run on the CUDA device where these lie, as plain Python with CuPy runs them, or left alone.

CuPy and the device are pretended (pretended/cupy.py, beside_cupy.py): their memory is the host's, but goes by addresses
where the host can read nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pyopencl")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PROLOGUE = """
import math
import numpy as np, cupy

rng = np.random.default_rng(1)

def floats(*shape, dtype="f8"):
    return cupy.asarray(rng.normal(size=shape).astype(dtype))

def ints(*shape, dtype="i8"):
    return cupy.asarray(rng.integers(-50, 50, shape).astype(dtype))

def show(*found):
    for x in found:
        print(x.inside.tobytes().hex() if type(x) is cupy.ndarray else x.tobytes().hex() if hasattr(x, "shape") else x)

n = 300
a, b, c, d, whole = floats(n), floats(n), floats(n, dtype="f4"), floats(n, dtype="f4"), floats(2 * n)
k, m, f, h = ints(n), ints(n, dtype="i1"), cupy.asarray(np.zeros(n, bool)), rng.normal(size=n)
"""

FLOATS = """
def run(n, s, a, b, c, d, whole, z, h):
    for i in range(n):
        b[i] = b[i] / a[i] * s - whole[i]
    for i in range(n):
        d[i] = c[i] * 0.5 - d[i]
    for i in range(n):
        a[i] = -abs(a[i]) + c[i] * 2
    for i in range(n):
        b[i] = max(b[i], 0.0)
        if a[i] < -1.5 or not c[i]:
            b[i] += h[i]
    for i in range(n):
        d[i] = c[i] / 3 * s
    for i in range(n):
        z[i] = h[i] * s
    for i in range(n):
        h[i] = math.sqrt(a[i]) if a[i] > 0 else float(a[i])
a[3] = b[3] = a[4] = 0.0
a[5] = -0.0
h[7] = -0.0
b[8] = 1e308
z = floats(n)
run(n, 0.25, a, b, c, d, cupy.ndarray(whole.inside[::2]), z, h)
run(n, -1.0, a, b, c, d, cupy.ndarray(whole.inside[::2]), z, h)
show(a, b, c, d, whole, z, h)
"""

INTEGERS = """
def run(n, w, k, m, f, b):
    hits = 0
    for i in range(n):
        k[i] = k[i] * w - k[i]
    for i in range(n):
        m[i] = m[i] * 2
    for i in range(n):
        f[i] = k[i] > 20
    for i in range(n):
        b[i] = k[i]
        if f[i]:
            b[i] = 0
    for i in range(n):
        if k[i] >= k[0]:
            hits += 1
    return hits
show(run(n, 3, k, m, f, b), run(n, 1, k, m, f, b), k, m, f, b)
"""

NESTS = """
def matmul(x, y, z):
    for i in range(x.shape[0]):
        for j in range(y.shape[1]):
            acc = 0.0
            for p in range(x.shape[1]):
                acc += x[i, p] * y[p, j]
            z[i, j] = acc

def smooth(x, y):
    for t in range(3):
        for i in range(1, len(x) - 1):
            y[i] = 0.25 * (x[i - 1] + 2 * x[i] + x[i + 1])
        for i in range(1, len(x) - 1):
            x[i] = y[i]

x, y, z = floats(9, 8), floats(8, 7), floats(9, 7)
matmul(x, y, z)
matmul(cupy.ndarray(x.inside.T), z, y := floats(8, 7))
smooth(a, b)
show(z, y, a, b)
"""

FAULTS = """
def gather(n, index, x, y):
    for i in range(n):
        y[i] = x[index[i]] + y[i]
index = np.arange(n)
gather(n, index, a, b)
index[200] = 5000
try:
    gather(n, index, a, b)
except IndexError as error:
    print(error.__traceback__.tb_next.tb_lineno)
show(a, b)
"""

SAME = """
def add(n, x, y):
    for i in range(n):
        x[i] = x[i] * 0.5 + y[i]
add(n, a, a)
add(n, a, cupy.ndarray(a.inside))
add(n, a, b)
show(a, b)
"""


@dataclass(frozen=True)
class Ran:
    plain: str
    ours: str
    errors: str
    sites: list[dict[str, Any]]
    log: list[tuple[str, int]]

    def asked(self, *operations: str) -> list[int]:
        return [size for operation, size in self.log if operation in operations]

    @property
    def variants(self) -> set[str]:
        """What ran the loops that are not rejected."""
        made = (p for s in self.sites for p in s["specialisations"])
        return {d["variant"] for p in made for d in p["decisions"]}

    @property
    def reasons(self) -> str:
        return " ".join(s["reason"] or "" for s in self.sites)


def run(program: str, folder: Path, cache: Path, **environ: str) -> Ran:
    script, report, log = folder / "program.py", folder / "report.json", folder / "log.json"
    script.write_text(PROLOGUE + program)
    kept = {key: v for key, v in os.environ.items() if not key.startswith("ALPYNA")}
    kept |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE / 'pretended'}", "ALPYNA_CACHE_DIR": str(cache), **environ}
    plain = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, env=kept)
    assert plain.returncode == 0, plain.stderr
    command = [sys.executable, str(HERE / "beside_cupy.py"), str(log), "--variant", "cuda", "--report", str(report)]
    ours = subprocess.run([*command, str(script)], capture_output=True, text=True, timeout=240, env=kept)
    assert ours.returncode == 0, ours.stderr
    sites = [s for s in json.loads(report.read_text())["sites"] if s["function"] not in ("<module>", "show")]
    return Ran(plain.stdout, ours.stdout, ours.stderr, sites, json.loads(log.read_text()))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("program", [FLOATS, INTEGERS, NESTS, FAULTS, SAME])
def test_loops_over_cupy_arrays_give_what_cupy_gives(program: str, tmp_path: Path, cache: Path) -> None:
    found = run(program, tmp_path, cache)
    assert (found.ours, found.errors) == (found.plain, "")
    assert found.variants == {"cuda"} and {s["status"] for s in found.sites} <= {"accelerated", "interpreted"}


AXPY = """
def axpy(n, s, x, y):
    for i in range(n):
        y[i] = s * x[i] + y[i]
for call in range(3):
    axpy(n, 0.5, a, b)
show(b)
"""


def test_nothing_is_copied_and_the_named_stream_is_awaited(tmp_path: Path, cache: Path) -> None:
    found = run(AXPY, tmp_path, cache)
    assert found.ours == found.plain and found.variants == {"cuda"}
    assert not found.asked("upload", "download", "send", "fetch")
    assert found.asked("adopt") == [2400] * 6 and len(found.asked("disown")) == 6
    assert found.asked("duplicate") == [2400] * 3  # to put back what is written, on the device
    assert found.asked("await") == [7] * 3
    first = [operation for operation, _ in found.log]
    assert first.index("await") < first.index("adopt")


def test_no_stream_is_awaited_where_none_is_named(tmp_path: Path, cache: Path) -> None:
    found = run("cupy.stream[0] = 0\n" + AXPY, tmp_path, cache)
    assert found.ours == found.plain and found.variants == {"cuda"} and not found.asked("await")


def test_arrays_of_numpy_beside_them_are_copied_as_ever(tmp_path: Path, cache: Path) -> None:
    program = "def add(n, x, y):\n    for i in range(n):\n        y[i] = x[i] + y[i]\nadd(n, h, b)\nshow(b)\n"
    found = run(program, tmp_path, cache)
    assert found.ours == found.plain and found.variants == {"cuda"}
    assert found.asked("send", "upload") == [2400] and not found.asked("fetch")


def test_a_loop_serves_cupys_arrays_and_numpys_in_turn(tmp_path: Path, cache: Path) -> None:
    program = AXPY + "for call in range(3):\n    axpy(n, 0.5, h, h)\n    axpy(n, 0.5, a, b)\nshow(b, h)\n"
    found = run(program, tmp_path, cache)
    assert found.ours == found.plain
    signatures = [p["signature"]["x"] for p in found.sites[0]["specialisations"]]
    assert signatures == ["f64[1Cr]@cupy", "f64[1Cr]"]


def test_what_a_loop_had_written_when_it_met_a_fault_is_put_back_on_the_device(tmp_path: Path, cache: Path) -> None:
    found = run(FAULTS, tmp_path, cache)
    assert found.ours == found.plain
    assert found.asked("duplicate") == [2400] * 3  # saved twice, put back once


@pytest.mark.parametrize("operation", ["await_stream", "adopt", "launch", "duplicate", "finish", "allocate"])
def test_a_device_that_fails_leaves_the_loop_to_cupy(operation: str, tmp_path: Path, cache: Path) -> None:
    found = run(AXPY, tmp_path, cache, FAILS=operation)
    assert found.ours == found.plain
    assert f"{operation} was made to fail" in found.errors


LAST = "def last(n, x):\n    for i in range(n):\n        t = x[i]\n    return t\nprint(float(last(n, a)))\n"
TOTAL = "def total(x):\n    s = 0.0\n    for v in x:\n        s += float(v)\n    return s\nprint(total(a))\n"
PICK = "def pick(n, s, x):\n    for i in range(n):\n        x[i] = s\npick(n, a[0], b)\nshow(b)\n"
SILENT = "del cupy.ndarray.__cuda_array_interface__\n"
SHARED = "cupy.shift[0] = 0\na = a.inside\nb = cupy.ndarray(a)\n"
ATTRIBUTE = """
class Holder:
    x = a
def own(n, g):
    for i in range(n):
        g.x[i] = 1.0
own(n, Holder())
show(a)
"""
LEFT_ALONE = [
    ("cupy.__version__ = '13.6.0'\n" + AXPY, "CuPy before version 14"),
    ("cupy.cuda.runtime.getDevice = lambda: 1\n" + AXPY, "x is on device 0, which is not both"),
    ("a.device.id = 1\n" + AXPY, "x is on device 1, which is not both"),
    ("a = cupy.ndarray(a.inside[::-1])\n" + AXPY, "x runs backwards through memory"),
    ("a = cupy.ndarray(a.inside * 1j)\nb = cupy.ndarray(b.inside * 1j)\n" + AXPY, "elements of type complex128"),
    ("b = cupy.ndarray(whole.inside[::2])\n" + AXPY, "there are gaps between its elements"),
    ("b = cupy.ndarray(a.inside[1:])\nn = 200\n" + AXPY, "share memory with another array"),
    (SILENT + AXPY, "x does not say where it lies (AttributeError)"),
    ("a, b = c, d\n" + AXPY.replace("0.5", "1e39"), "a Python float is beyond the range of float32"),
    (SHARED + AXPY, "it shares memory with an array that is not CuPy's"),
    (LAST, "`t`, which the loop leaves behind, would be a CuPy array"), (TOTAL, "cannot run: no loop is parallel"),
    (PICK, "s has no dimensions"),
    (ATTRIBUTE, "g.x cannot be handed to compiled code: it is a cupy.ndarray"),
]  # fmt: skip


@pytest.mark.parametrize("program, words", LEFT_ALONE)
def test_what_cannot_be_done_the_same_is_left_to_cupy(program: str, words: str, tmp_path: Path, cache: Path) -> None:
    found = run(program, tmp_path, cache)
    assert (found.ours, found.errors) == (found.plain, "")
    assert words in found.reasons
    assert "cuda" not in found.variants


def test_without_a_cuda_device_cupy_runs_its_loops(project: Any) -> None:
    project.write({"main.py": PROLOGUE + AXPY, "cupy.py": (HERE / "pretended" / "cupy.py").read_text()})
    expected = project.plain("main.py")
    for variant in ("auto", "seq", "omp", "opencl"):
        found = project.runner("--variant", variant, "--report", "report.txt", "main.py")
        assert (found.stdout, found.status) == (expected.stdout, 0)
        report = " ".join((project.folder / "report.txt").read_text().split())
        assert "lie on a CUDA device, where the loop cannot run" in report or "too little work" in report
