"""Runs the modules of a folder one after the other and writes what each did, one JSON line each.

    python worker.py FOLDER OUT NAMES       NAMES: file with one module name per line
    python -m alpyna --variant V --modules 'fz_*' worker.py FOLDER OUT NAMES

Seen of a program: stdout, the exception with its traceback lines, warnings with their lines, each global name with
type and value (arrays: dtype, shape and bytes), and Alpyna's internal errors, of which the program sees nothing.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib.util
import io
import json
import os
import signal
import sys
import traceback
import types
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

__alpyna__ = False

LIMIT_S = float(os.environ.get("FUZZ_LIMIT_S", "5"))
BLOCK_BYTES = int(os.environ.get("FUZZ_BLOCK_BYTES", "8"))  # of a loop run in blocks: a row or two


bugs: list[str] = []  # internal errors of the program that runs


class OutOfTime(BaseException):
    """A program ran longer than LIMIT_S."""


def describe(value: Any) -> Any:
    """A comparable picture of a value: type and exact contents."""
    if isinstance(value, np.ndarray):
        data = hashlib.sha256(value.tobytes()).hexdigest()[:20]
        text = np.array2string(value, threshold=60, precision=17)
        return ["ndarray", str(value.dtype), list(value.shape), data, text]
    if isinstance(value, tuple):
        return ["tuple", [describe(v) for v in value]]
    if value is None or isinstance(value, (str, bool, int, float, complex, np.generic)):
        return [type(value).__name__, repr(value)]
    return [type(value).__name__]


def visible(namespace: dict[str, Any]) -> dict[str, Any]:
    """The program's own global names; functions, classes and modules left out."""
    skip = (types.ModuleType, types.FunctionType, type)
    return {k: describe(v) for k, v in namespace.items() if not k.startswith("__") and not isinstance(v, skip)}


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    def out(*_: Any) -> None:
        raise OutOfTime

    signal.signal(signal.SIGALRM, out)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def observe(name: str, path: str) -> dict[str, Any]:
    """Import one module and tell all about it."""
    bugs.clear()
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.loader is not None, name
    module = importlib.util.module_from_spec(spec)
    error: Any = None
    out = io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(out):
        warnings.simplefilter("always")
        try:
            with time_limit():
                spec.loader.exec_module(module)
        except OutOfTime:
            return {"name": name, "timeout": True}
        except BaseException as e:
            frames = traceback.extract_tb(e.__traceback__)
            lines = [[f.name, f.lineno] for f in frames if f.filename == path]
            foreign = [f.filename for f in frames[-1:] if f.filename != path]
            error = [type(e).__name__, str(e), lines, foreign]
    noted = [[w.category.__name__, str(w.message), w.lineno, os.path.basename(w.filename)] for w in caught]
    seen = {"name": name, "error": error, "warnings": noted, "stdout": out.getvalue(), "names": visible(vars(module))}
    return {**seen, "bugs": bugs[:]} if bugs else seen


def like_an_accelerator(style: str) -> None:
    """Makes the OpenCL device, if it is a CPU, take programs of this style, and copies in place of shared memory."""
    from alpyna_hook.devices import opencl

    open_it = opencl.open_device

    def open_device(cache: Any) -> Any:
        device: Any = open_it(cache)
        if not isinstance(device, str):
            device.style, device.shares_memory = style, False
        return device

    opencl.open_device = open_device


def keep_bugs() -> None:
    """Internal errors are noted instead of swallowed, unless the program has replaced what Alpyna itself is made of."""
    from alpyna_hook import log

    ours = dict(vars(builtins))

    def bug(where: str, exception: BaseException) -> None:
        if vars(builtins).items() >= ours.items():
            bugs.append(f"{where}: {type(exception).__name__}: {exception}")

    log.bug = bug


def main() -> None:
    folder, out, names = sys.argv[1:4]
    if "FUZZ_STYLE" in os.environ:
        like_an_accelerator(os.environ["FUZZ_STYLE"])
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    if "alpyna_hook" in sys.modules:
        from alpyna_hook.transform import blocks

        blocks.BLOCK_BYTES = BLOCK_BYTES
        keep_bugs()
    with open(out, "a") as sink, open(names) as wanted:
        for name in wanted.read().split():
            print(json.dumps({"begin": name}), file=sink, flush=True)
            print(json.dumps(observe(name, os.path.join(folder, f"{name}.py"))), file=sink, flush=True)


if __name__ == "__main__":
    main()
