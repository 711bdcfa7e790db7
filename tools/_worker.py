"""One contender of bench.py: reads JSON commands on stdin, answers each with one JSON line on stdout.

    python tools/_worker.py HOW             HOW is "python" (the kernel module as it is), "c", "numba" or "numba_cuda"
    python -m alpyna --variant V --modules 'kernels.*' tools/_worker.py python

    {"op": "load", "kernel": K, "size": S}  -> {"first_s", "digest", "result"}   one call on fresh arguments
    {"op": "round", "budget_s": B}          -> {"times_s": [...]}                calls until B seconds are spent
Every call gets the same argument objects with their first contents; restoring them is not timed.
An error is answered with {"error": text}; the worker goes on.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__alpyna__ = False

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools" / "reference")]


class Loaded:
    """A kernel with the arguments of one size, ready to be called again and again."""

    def __init__(self, how: str, kernel: str, size: Any) -> None:
        module = importlib.import_module(f"kernels.{kernel}")
        self.args = module.setup(tuple(size) if isinstance(size, list) else size)
        self.pristine = [a.copy() if isinstance(a, np.ndarray) else a for a in self.args]
        self.call: Callable[[], Any] = self._bind(how, kernel, module.kernel)

    def _bind(self, how: str, kernel: str, plain: Callable[..., Any]) -> Callable[[], Any]:
        if how == "c":
            import creference

            return creference.load(kernel)(self.args)
        if how in ("numba", "numba_cuda"):
            compiled = getattr(importlib.import_module(f"{how}_kernels"), kernel)
            return lambda: compiled(*self.args)
        return lambda: plain(*self.args)

    def timed(self) -> tuple[float, Any]:
        """Seconds of one call on restored arguments, and what it returned."""
        for arg, first in zip(self.args, self.pristine):
            if isinstance(arg, np.ndarray):
                np.copyto(arg, first)
        start = time.perf_counter()
        result = self.call()
        return time.perf_counter() - start, result

    def digest(self) -> str:
        """Hash of the bytes of all array arguments as they are now."""
        h = hashlib.sha256()
        for arg in self.args:
            if isinstance(arg, np.ndarray):
                h.update(arg.tobytes())
        return h.hexdigest()


def answer(how: str, command: dict[str, Any], loaded: Loaded | None) -> tuple[dict[str, Any], Loaded | None]:
    """The reply to one command, and the kernel that is loaded after it."""
    if command["op"] == "load":
        loaded = Loaded(how, command["kernel"], command["size"])
        seconds, result = loaded.timed()
        return {"first_s": seconds, "digest": loaded.digest(), "result": repr(result)}, loaded
    if loaded is None:
        raise ValueError("nothing is loaded")
    times: list[float] = []
    while not times or sum(times) < command["budget_s"]:
        times.append(loaded.timed()[0])
    return {"times_s": times}, loaded


def main() -> None:
    how = sys.argv[1]
    loaded: Loaded | None = None
    for line in sys.stdin:
        try:
            reply, loaded = answer(how, json.loads(line), loaded)
        except Exception as error:  # the parent reports it beside the other contenders' figures
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
