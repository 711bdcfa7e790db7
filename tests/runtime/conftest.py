"""Fixtures: the two guards, and the kernels of guard_kernels.c by name."""

from __future__ import annotations

import ctypes
import importlib
import pathlib
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest


@pytest.fixture(params=["_guard", "guard_py"])
def guard(request: pytest.FixtureRequest) -> Any:
    """Each implementation in turn."""
    name = f"alpyna_hook.runtime.{request.param}"
    if request.param == "_guard":
        return pytest.importorskip(name, reason="the C extension is not built")
    return importlib.import_module(name)


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], int]:
    """kernel("echo") -> its address."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = pathlib.Path(__file__).with_name("guard_kernels.c")
    library = tmp_path_factory.mktemp("kernels") / "kernels.so"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", source, "-o", library], check=True)
    loaded = ctypes.CDLL(str(library))

    def address(name: str) -> int:
        found = ctypes.cast(loaded[name], ctypes.c_void_p).value
        assert found is not None
        return found

    return address
