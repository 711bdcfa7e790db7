"""Runs `python -m alpyna ARGUMENTS...` where variant "cuda" is an OpenCL device that can work in CuPy's memory.

    python beside_cupy.py LOG ARGUMENTS...

CuPy is the pretended one beside this file, whose memory is the host's; for arrays of NumPy the device has memory of its
own. LOG gets a list of what was asked of the device, as JSON: operation and bytes (or the stream).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parents[1]), str(HERE / "pretended")]

import numpy as np  # noqa: E402
import pyopencl as cl  # noqa: E402

from alpyna_hook import cli  # noqa: E402
from alpyna_hook.codegen.accelerators import DIALECTS  # noqa: E402
from alpyna_hook.devices import cuda, memory, opencl  # noqa: E402
from alpyna_hook.devices.base import DeviceError  # noqa: E402

LOG: list[tuple[str, int]] = []
FAILING = [name for name in (os.environ.get("FAILS", ""),) if name]  # an operation of the device; it fails once


def strike(name: str) -> None:
    if name in FAILING:
        FAILING.remove(name)
        raise DeviceError(f"{name} was made to fail")


class Device:
    """An OpenCL device of the host, beside CuPy."""

    variant, shares_memory = "cuda", False

    def __init__(self, device: Any) -> None:
        self._device = device
        self._adopted: dict[int, Any] = {}

    def __getattr__(self, name: str) -> Any:
        strike(name)
        value = getattr(self._device, name)
        if name in ("upload", "download", "send", "fetch"):
            arrays = {"upload": 1, "download": 0, "send": 2, "fetch": 0}

            def noted(*args: Any) -> Any:
                LOG.append((name, args[arrays[name]].nbytes))
                return value(*args)

            return noted
        return value

    def adopt(self, address: int, size: int) -> Any:
        strike("adopt")
        LOG.append(("adopt", size))
        import cupy

        memory_there = np.frombuffer(memory.bytes_at(address - cupy.shift[0], size), np.uint8)
        return self._device._over(memory_there, True)

    def disown(self, buffer: Any) -> None:
        LOG.append(("disown", 0))
        buffer.release()

    def duplicate(self, target: Any, source: Any, size: int) -> None:
        strike("duplicate")
        LOG.append(("duplicate", size))
        cl.enqueue_copy(self._device._queue, target, source, byte_count=size).wait()

    def await_stream(self, handle: int) -> None:
        strike("await_stream")
        LOG.append(("await", handle))


def main() -> int:
    log, arguments = Path(sys.argv[1]).absolute(), sys.argv[2:]
    DIALECTS["cuda"] = DIALECTS["opencl"]
    cuda.open_device = lambda cache: Device(opencl.open_device(cache))
    try:
        return cli.main(["run", *arguments])
    finally:
        log.write_text(json.dumps(LOG))


if __name__ == "__main__":
    sys.exit(main())
