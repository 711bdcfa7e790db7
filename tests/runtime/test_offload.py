"""Whole programs under `--variant opencl`: as plain Python whatever the device does, and one line that says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from alpyna_hook.cost import profiles
from alpyna_hook.cost.machine import DeviceFigures, default_profile
from alpyna_hook.devices import opencl
from alpyna_hook.runtime import diskcache

pytest.importorskip("pyopencl")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

PROGRAM = """
import numpy as np


def step(a, b, n):
    for i in range(n):
        b[i] = a[i] * 0.5 + b[i]
    return b


def count(a, n):
    total = 0
    for i in range(n):
        if a[i] > 2.5:
            total += 1
    return total


a, b = np.arange(3000.0) % 7, np.zeros(3000)
for k in range(4):
    step(a, b, 2000 + k)
print(b.sum(), b[1999:2005], count(a, 3000), count(a[::-2], 1500))
"""

FAULTY = """
import numpy as np


def divide(a, b):
    for i in range(len(a)):
        a[i] = 10 // int(b[i])


a, b = np.zeros(1000), np.ones(1000, np.int64)
b[700] = 0
try:
    divide(a, b)
except ZeroDivisionError as error:
    print(error, error.__traceback__.tb_next.tb_lineno)
print(a.sum())
"""

FORKING = """
import os
import numpy as np


def work(k):
    a = np.zeros((100, 100))
    for i in range(100):
        for j in range(100):
            a[i, j] = (i * j + k) % 7
    return float(a.sum())


print(work(0), flush=True)
child = os.fork()
if not child:
    print(work(1), flush=True)
    raise SystemExit
os.waitpid(child, 0)
print(work(2))
"""


def run(*command: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("ALPYNA")}
    environ |= {"PYTHONPATH": str(ROOT), "ALPYNA_CACHE_DIR": str(cache)}
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=120, env=environ)


def broken(operation: str, nth: int, error: str, script: Path, report: Path, cache: Path) -> tuple[Any, Any]:
    """The process, and the report's sites."""
    options = ["--variant", "opencl", "--report", str(report), str(script)]
    done = run(str(HERE / "broken_device.py"), operation, str(nth), error, *options, cache=cache)
    return done, json.loads(report.read_text()) if report.exists() else None


def variants(document: Any) -> set[str]:
    return {d["variant"] for site in document["sites"] for p in site["specialisations"] for d in p["decisions"]}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("program", [PROGRAM, FAULTY])
def test_a_device_that_works_is_used_without_a_word(program: str, script: Path, tmp_path: Path, cache: Path) -> None:
    script.write_text(program)
    plain = run(str(script), cache=cache)
    done, document = broken("none", 0, "", script, tmp_path / "r.json", cache)
    assert (done.stdout, done.stderr, done.returncode) == (plain.stdout, "", 0)
    assert "opencl" in variants(document)
    assert any(device["name"].startswith("opencl: ") for device in document["devices"])


@pytest.mark.parametrize(
    "operation, nth, error",
    [
        ("absent", 0, ""), ("single", 0, ""), ("build", 1, "vendor"), ("build", 2, "memory"), ("allocate", 1, "memory"),
        ("wrap", 1, "vendor"), ("wrap", 5, "memory"), ("launch", 1, "vendor"), ("launch", 3, "vendor"),
        ("download", 1, "vendor"), ("finish", 100, "vendor"),
    ],
)  # fmt: skip
def test_a_device_that_fails_leaves_the_results_right(
    operation: str, nth: int, error: str, script: Path, tmp_path: Path, cache: Path
) -> None:
    plain = run(str(script), cache=cache)
    done, document = broken(operation, nth, error, script, tmp_path / "r.json", cache)
    assert (done.stdout, done.returncode) == (plain.stdout, 0)
    lines = done.stderr.splitlines()
    sites = [site for site in document["sites"] if site["status"] != "not_reached"]
    assert all(site["status"] == "accelerated" for site in sites if site["function"] != "<module>")
    if operation == "finish":
        return
    assert all(line.startswith("alpyna: ") for line in lines) and 1 <= len(lines) <= len(sites)
    if operation != "absent":
        assert any("opencl: " in site["reason"] for site in sites)
    assert variants(document) & {"seq", "omp"}


def test_a_device_that_failed_is_not_asked_again_by_code_that_is_made_anew(
    script: Path, tmp_path: Path, cache: Path
) -> None:  # fmt: skip
    plain = run(str(script), cache=cache)
    done, document = broken("launch-anew", 1, "vendor", script, tmp_path / "r.json", cache)
    assert (done.stdout, done.returncode, done.stderr.count("\n")) == (plain.stdout, 0, 2)
    assert variants(document) & {"seq", "omp"}


def test_an_interrupt_while_the_device_works_ends_the_program(script: Path, tmp_path: Path, cache: Path) -> None:
    done, _ = broken("launch", 2, "interrupt", script, tmp_path / "r.json", cache)
    assert done.returncode != 0 and done.stdout == ""
    assert done.stderr.rstrip().endswith("KeyboardInterrupt") and "step(a, b, 2000 + k)" in done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_forked_child_runs_on_the_host(script: Path, tmp_path: Path, cache: Path) -> None:
    script.write_text(FORKING)
    plain = run(str(script), cache=cache)
    done, _ = broken("none", 0, "", script, tmp_path / "r.json", cache)
    assert (done.stdout, done.returncode) == (plain.stdout, 0)
    assert len(done.stderr.splitlines()) <= 1


DEEP = """
import numpy as np

def step(a, b, n):
    for i in range(n):
        b[i] = a[i] * 0.5 + b[i]

def deep(k):
    step(a, b, 3000) if k == 0 else deep(k - 1)

def left():
    try:
        return 1 + left()
    except RecursionError:
        return 1

a, b = np.arange(3000.0) % 7, np.zeros(3000)
step(a, b, 3000)
done = 1
for k in range(left() - 30, left() + 2):
    try:
        deep(k)
        done += 1
    except RecursionError:
        pass
print(b.sum() == a.sum() * 0.5 * done)
"""


def test_near_the_recursion_limit_a_loop_runs_once_or_not_at_all(script: Path, cache: Path) -> None:
    script.write_text(DEEP)
    assert run("-m", "alpyna", "--variant", "opencl", str(script), cache=cache).stdout == "True\n"


@pytest.mark.skipif(find_spec("pycuda") is not None, reason="there may be a CUDA device")
def test_a_variant_without_a_device_costs_one_line(script: Path, cache: Path) -> None:
    plain = run(str(script), cache=cache)
    done = run("-m", "alpyna", "--variant", "cuda", str(script), cache=cache)
    assert (done.stdout, done.returncode) == (plain.stdout, 0)
    (line,) = done.stderr.splitlines()
    assert line.startswith("alpyna: cuda: PyCUDA cannot be imported") and line.endswith("loops run on the host")


MODULES = "\nimport sys\nprint([m for m in sys.modules if m in ('pyopencl', 'pycuda')])\n"
HEAVY = """
import numpy as np


def sweep(a, n):
    for i in range(n):
        for j in range(n):
            a[i, j] = a[i, j] * 0.5 + (i - j) * 0.25 + (i + j) * 0.125


a = np.ones((900, 900))
sweep(a, 900)
print(a.sum())
"""


@pytest.fixture
def calibrated(cache: Path, tmp_path: Path) -> Path:
    """A cache folder with the profile of a machine whose own CPU is an OpenCL device."""
    opened = opencl.open_device(diskcache.DiskCache(str(cache)))
    assert not isinstance(opened, str)
    return profile_of(opened.name, tmp_path)


def profile_of(device: str, tmp_path: Path) -> Path:
    figures = DeviceFigures(
        device, "rows", True, 8e-6, 2e-6, 5e-6, 1e12, 5e-6, 1e12, 5e10, {"f64": 5e9, "f32": 5e9, "int": 7e9}, 8, 0.05,
    )  # fmt: skip
    profile = replace(default_profile(2), origin="full", devices={"opencl": figures})
    assert profiles.save(profile, tmp_path / "calibrated")
    return tmp_path / "calibrated"


def report(script: Path, folder: Path, **environment: str) -> tuple[str, dict[str, Any]]:
    """What the program prints, and the decisions of its last site, by shape."""
    out = script.with_suffix(".json")
    command = ("-m", "alpyna", "--threads", "2", "--report", str(out), str(script))
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=ROOT,
        env={**os.environ, "ALPYNA_CACHE_DIR": str(folder), **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sites = [site for site in json.loads(out.read_text())["sites"] if site["function"] == "sweep"]
    return done.stdout, sites[0]["specialisations"][0]["decisions"][-1]


def test_a_calibrated_cpu_is_priced_and_not_opened_where_threads_are_as_good(script: Path, calibrated: Path) -> None:
    script.write_text(HEAVY + MODULES)
    said, decision = report(script, calibrated)
    assert decision["variant"] in ("seq", "omp")
    assert decision["predicted_s"]["opencl"] > 0.9 * decision["predicted_s"]["omp"]
    assert said.splitlines()[-1] == "[]"


def test_a_calibrated_cpu_is_taken_where_it_pays(script: Path, calibrated: Path, cache: Path) -> None:
    script.write_text(HEAVY)
    plain = run(str(script), cache=cache)
    said, decision = report(script, calibrated, ALPYNA_CC="/no/such/compiler")
    assert decision["variant"] == "opencl"
    assert said == plain.stdout


def test_a_device_that_is_not_the_calibrated_one_is_left_alone(script: Path, tmp_path: Path, cache: Path) -> None:
    script.write_text(HEAVY)
    plain = run(str(script), cache=cache)
    said, decision = report(script, profile_of("a GPU that was there", tmp_path), ALPYNA_CC="/no/such/compiler")
    assert decision["variant"] == "interp" and said == plain.stdout
    site = next(s for s in json.loads(script.with_suffix(".json").read_text())["sites"] if s["function"] == "sweep")
    assert "is not the device that was calibrated" in site["reason"]


@pytest.mark.parametrize("wanted", ["opencl", "cuda"])
def test_a_pin_on_a_device_is_like_forcing_it(wanted: str, script: Path, tmp_path: Path) -> None:
    if wanted == "cuda" and find_spec("pycuda") is not None:
        pytest.skip("there may be a CUDA device")
    script.write_text(HEAVY)
    (tmp_path / "pyproject.toml").write_text(f'[tool.alpyna]\npin = {{"__main__:6" = "{wanted}"}}\n')
    out = tmp_path / "report.json"
    done = run("-m", "alpyna", "--report", str(out), str(script), cache=tmp_path / "nothing calibrated")
    assert done.stdout == run(str(script), cache=tmp_path).stdout
    assert (wanted in variants(json.loads(out.read_text()))) == (wanted == "opencl")
    assert done.stderr.count("loops run on the host") == done.stderr.count("\n") == (wanted == "cuda")


def test_no_vendors_package_is_imported_unless_asked_for(script: Path, cache: Path) -> None:
    script.write_text(PROGRAM + MODULES)
    done = run("-m", "alpyna", str(script), cache=cache)
    assert done.stdout.splitlines()[-1] == "[]"
