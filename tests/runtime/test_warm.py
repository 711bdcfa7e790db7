"""A process that finds its kernels in the disk cache imports neither the passes nor what runs a compiler."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
a = np.ones(100)
for i in range(1, 100):
    a[i] = a[i] * 2.0 + 1.0
print(a.sum())
print(sorted(m for m in sys.modules if m.startswith("alpyna_hook.")))
print("subprocess" in sys.modules, "islpy" in sys.modules)
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_a_warm_start_imports_no_pass_and_no_subprocess(tmp_path: pathlib.Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environ = {**os.environ, "ALPYNA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "alpyna", "--variant", "seq", str(program)]
    cold, warm = (
        subprocess.run(command, env=environ, capture_output=True, text=True, timeout=100, check=True).stdout.split("\n")
        for _ in range(2)
    )
    assert cold[0] == warm[0] == "298.0"
    assert "'alpyna_hook.pipeline'" in cold[1] and cold[2].startswith("True")
    for module in ("pipeline", "analysis.inference", "codegen.kernel", "transform.schedule"):
        assert f"'alpyna_hook.{module}'" not in warm[1]
    assert warm[2] == "False False"
