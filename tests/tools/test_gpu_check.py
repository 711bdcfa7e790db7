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


@pytest.mark.skipif(not shutil.which("nvcc"), reason="no nvcc")
def test_a_dry_run_makes_machine_code_or_says_why_not(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = check("--dry-run", "--kernels", "saxpy,prefix_sum", "--json", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    saxpy, prefix_sum = json.loads(out.read_text())["rows"]
    assert saxpy["verdict"] == "ok" and saxpy["sm_80 bytes"] > 1000 and saxpy["sm_90 bytes"] > 1000
    assert prefix_sum["verdict"] == "not eligible" and "no loop is parallel" in prefix_sum["note"]
