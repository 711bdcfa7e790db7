"""Every kernel prints the same bytes under Alpyna as under CPython, and its loops get the right verdicts."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
KERNELS = sorted(p.stem for p in (ROOT / "kernels").glob("*.py"))

# Verdicts under fp=strict, one mark for each `for` in source order: + is parallel, - is not (a value is
# carried from one iteration to the next), . may be either (depends on how the nest is split).
# Only the function that `python kernels/X.py` runs; "<module>" where the loops stand at module level.
VERDICTS: dict[str, dict[str, str]] = {
    "arc_distance": {"kernel": "+"},
    "atax": {"kernel": ".-+"},
    "bicg": {"kernel": ".."},
    "black_scholes": {"kernel": "+"},
    "collatz": {"<module>": "+-"},
    "conv2d": {"kernel": "++--"},
    "floyd_warshall": {"kernel": "-.."},
    "game_of_life": {"<module>": "-++++.."},
    "gaussian_blur": {"kernel": "++-++-"},
    "gemver": {"kernel": "+++-++-"},
    "heat_3d": {"kernel": "-++++++"},
    "hilbert": {"<module>": "++"},
    "histogram": {"kernel": "+"},
    "jacobi_2d": {"kernel": "-++++"},
    "lu": {"kernel": "-+++"},
    "mandelbrot": {"kernel": "++"},
    "matmul": {"kernel": "++-"},
    "nbody": {"accelerations": "+-", "kernel": "++"},
    "prefix_sum": {"kernel": "-"},
    "saxpy": {"kernel": "+"},
    "syrk": {"kernel": "++-+"},
    "transpose": {"kernel": "++"},
}


def tree(kernel: str) -> ast.Module:
    return ast.parse((ROOT / "kernels" / f"{kernel}.py").read_text())


def test_size(kernel: str) -> list[str]:
    for node in tree(kernel).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SIZES":
            size = ast.literal_eval(node.value)["test"]
            return [str(n) for n in (size if isinstance(size, tuple) else (size,))]
    raise KeyError(kernel)


test_size.__test__ = False  # type: ignore[attr-defined]


def loops_of(kernel: str, function: str) -> list[tuple[int, str]]:
    """(line, loop variable) of the `for` loops of a function, or of the module outside functions."""
    body = tree(kernel).body
    if function == "<module>":
        roots: list[Any] = [s for s in body if not isinstance(s, ast.FunctionDef)]
    else:
        roots = [s for s in body if isinstance(s, ast.FunctionDef) and s.name == function]
    nodes = [n for root in roots for n in ast.walk(root) if isinstance(n, ast.For)]
    return sorted((n.lineno, ast.unparse(n.target)) for n in nodes)


def run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("ALPYNA") or k in ("ALPYNA_CACHE_DIR", "ALPYNA_CC")}
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, timeout=120)


@cache
def plain(kernel: str) -> bytes:
    done = run([f"kernels/{kernel}.py", *test_size(kernel)])
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@cache
def accelerated(kernel: str, variant: str, folder: Path) -> tuple[bytes, bytes, list[dict[str, Any]]]:
    """stdout, stderr and the report's sites of one run."""
    report = folder / f"{kernel}-{variant}.json"
    options = ["--variant", variant, "--report", str(report)]
    done = run(["-m", "alpyna", *options, f"kernels/{kernel}.py", *test_size(kernel)])
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout, done.stderr, json.loads(report.read_text())["sites"]


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


def test_there_are_at_least_twenty_kernels_each_with_verdicts() -> None:
    assert len(KERNELS) >= 20
    assert sorted(VERDICTS) == KERNELS


@pytest.mark.parametrize("kernel", KERNELS)
def test_no_kernel_knows_of_alpyna(kernel: str) -> None:
    assert "alpyna" not in (ROOT / "kernels" / f"{kernel}.py").read_text()


@pytest.mark.parametrize("variant", ["interp", "seq", "omp"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_output_is_byte_identical(kernel: str, variant: str, reports: Path) -> None:
    stdout, stderr, _ = accelerated(kernel, variant, reports)
    assert stdout == plain(kernel)
    assert stderr == b""


# Why a kernel has loops that no device gets under fp=strict: a word of the reason in the report.
NOT_ON_DEVICES = {
    "arc_distance": "bit-reproducible", "black_scholes": "bit-reproducible", "collatz": "no loop is parallel",
    "histogram": "atomic", "prefix_sum": "no loop is parallel",
}  # fmt: skip


@pytest.mark.skipif(find_spec("pyopencl") is None, reason="PyOpenCL is not installed")
@pytest.mark.parametrize("kernel", KERNELS)
def test_output_is_byte_identical_on_an_opencl_device(kernel: str, reports: Path) -> None:
    stdout, stderr, sites = accelerated(kernel, "opencl", reports)
    assert stdout == plain(kernel)
    assert stderr == b""
    reached = [s for s in sites if s["status"] != "not_reached"]
    ran = {d["variant"] for s in reached for p in s["specialisations"] for d in p["decisions"]}
    reasons = " ".join(s["reason"] for s in reached)
    assert ("opencl" in ran) != (kernel in NOT_ON_DEVICES) or kernel == "collatz"
    assert NOT_ON_DEVICES.get(kernel, "") in reasons


@pytest.mark.parametrize("variant", ["seq", "omp"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_main_loops_are_accelerated(kernel: str, variant: str, reports: Path) -> None:
    sites = accelerated(kernel, variant, reports)[2]
    for function in VERDICTS[kernel]:
        mine = [s for s in sites if s["function"] == function]
        assert mine, f"no site in {function}"
        assert {s["status"] for s in mine} == {"accelerated"}, [(s["line"], s["status"], s["reason"]) for s in mine]


@pytest.mark.parametrize("kernel", KERNELS)
def test_verdict_of_each_loop(kernel: str, reports: Path) -> None:
    sites = accelerated(kernel, "omp", reports)[2]
    for function, marks in VERDICTS[kernel].items():
        loops = loops_of(kernel, function)
        assert len(loops) == len(marks), f"the table has {len(marks)} marks for {len(loops)} loops of {function}"
        mine = [site for site in sites if site["function"] == function]
        verdicts = {(loop["line"], loop["var"]): loop for site in mine for loop in site["loops"]}
        for loop, mark in zip(loops, marks):
            assert loop in verdicts, f"{function}, line {loop[0]}: loop over {loop[1]} is not in the report"
            if mark != ".":
                assert verdicts[loop]["parallel"] == (mark == "+"), verdicts[loop]
