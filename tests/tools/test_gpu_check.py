"""The GPU check says what is missing, and compiles without a GPU."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def check(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tools/gpu_check.py", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(find_spec("pycuda") is not None, reason="there may be a CUDA device")
def test_without_a_device_it_says_so() -> None:
    done = check("--parts", "figures")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("no CUDA device: ") and len(done.stderr.splitlines()) == 1


def test_an_unknown_kernel_is_a_usage_error() -> None:
    assert check("--kernels", "nothing").returncode == 2


COPYING = """\
import sys
from alpyna_hook import cli
from alpyna_hook.devices import opencl
made = opencl.OpenCLDevice.__init__
def make(self, *args):
    made(self, *args)
    self.shares_memory = False
opencl.OpenCLDevice.__init__ = make
sys.exit(cli.main(["run", "--variant", "opencl", "tools/gpu/residency.py", "opencl", "400000"]))
"""


@pytest.mark.skipif(find_spec("pyopencl") is None, reason="PyOpenCL is not installed")
def test_a_device_with_memory_of_its_own_is_sent_only_what_is_new() -> None:
    done = subprocess.run([sys.executable, "-c", COPYING], cwd=ROOT, capture_output=True, text=True, timeout=300)
    rows = json.loads(done.stdout)
    assert done.stderr == "" and len(rows) == 7
    assert all(row["right"] and row["sent"] == row["expected"] for row in rows), rows


def test_comparing_has_rates() -> None:
    code = "import sys; sys.path.insert(0, 'tools'); from gpu import figures; print(len(figures.comparing(1 << 20)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert (done.stdout, done.stderr) == ("6\n", "")


@pytest.mark.skipif(not shutil.which("nvcc"), reason="no nvcc")
def test_a_dry_run_makes_machine_code_or_says_why_not(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = check("--dry-run", "--kernels", "saxpy,prefix_sum", "--json", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(out.read_text())["rows"]
    saxpy, prefix_sum, *others = rows
    assert others and all(row["verdict"] == "ok" for row in others)
    assert saxpy["verdict"] == "ok" and saxpy["sm_80 bytes"] > 1000 and saxpy["sm_90 bytes"] > 1000
    assert prefix_sum["verdict"] == "not eligible" and "no loop is parallel" in prefix_sum["note"]
