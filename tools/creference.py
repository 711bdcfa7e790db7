"""Builds tools/reference/KERNEL.c and calls it with the arguments a kernel's `setup` returns.

Every reference exports `void kernel(...)`.  An int is passed as int64_t, a float as double, and an
array as its data pointer followed by its dimensions (int64_t each); arrays must be C-contiguous.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__alpyna__ = False

ROOT = Path(__file__).resolve().parent.parent
FLAGS = ("-O3", "-march=native", "-fopenmp", "-ffp-contract=off", "-shared", "-fPIC")


def compiler() -> str:
    """The C compiler's command: the environment's CC, else gcc."""
    return os.environ.get("CC", "gcc")


def build(kernel: str, folder: Path | None = None) -> Path:
    """Path of the shared library for `kernel`, compiled unless one of the same text and flags is there.

    Raises FileNotFoundError if there is no reference or no compiler, CalledProcessError if it does not compile.
    """
    source = ROOT / "tools" / "reference" / f"{kernel}.c"
    folder = folder or ROOT / "build" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(source.read_bytes() + " ".join((compiler(), *FLAGS)).encode()).hexdigest()[:16]
    library = folder / f"{kernel}-{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            made = Path(scratch) / "out.so"
            subprocess.run(
                [compiler(), *FLAGS, str(source), "-o", str(made), "-lm"], check=True, capture_output=True, text=True
            )
            made.replace(library)
    return library


def load(kernel: str) -> Callable[[Sequence[Any]], Callable[[], None]]:
    """A function that binds arguments to the reference and returns a call without conversion work."""
    function = ctypes.CDLL(str(build(kernel))).kernel
    function.restype = None

    def bind(args: Sequence[Any]) -> Callable[[], None]:
        converted = [c for arg in args for c in _convert(arg)]
        return lambda: function(*converted)

    return bind


def _convert(arg: Any) -> list[Any]:
    if isinstance(arg, np.ndarray):
        if not arg.flags.c_contiguous:
            raise ValueError("the C references take C-contiguous arrays only")
        return [ctypes.c_void_p(arg.ctypes.data), *map(ctypes.c_int64, arg.shape)]
    if isinstance(arg, float):
        return [ctypes.c_double(arg)]
    return [ctypes.c_int64(arg)]
