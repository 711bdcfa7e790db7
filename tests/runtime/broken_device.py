"""Runs `python -m alpyna ARGUMENTS...` in a process whose OpenCL device fails.

    python broken_device.py OPERATION NTH ERROR ARGUMENTS...

From the NTH call on, the device's OPERATION raises ERROR: "vendor" (what PyOpenCL raises), "memory", or "interrupt"
(KeyboardInterrupt, once). OPERATION "absent": there is no device; "single": it has no double precision; "launch-anew":
"launch", and loops are specialised anew at each look.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import pyopencl as cl  # noqa: E402

from alpyna_hook import cli  # noqa: E402
from alpyna_hook.devices import opencl  # noqa: E402


def main() -> int:
    operation, nth, error = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    if operation == "absent":
        opencl._choose = lambda package: "there is no OpenCL device"
    elif operation == "single":
        opencl._abilities = lambda package, device: frozenset(("denorm32", "div32"))
    elif operation == "launch-anew":
        from alpyna_hook.runtime import specials

        specials.outgrown = lambda spec, entry: True
        break_("launch", nth, error)
    elif operation != "none":
        break_(operation, nth, error)
    return cli.main(["run", *sys.argv[4:]])


def break_(operation: str, nth: int, error: str) -> None:
    works = getattr(opencl.OpenCLDevice, operation)
    calls = [0]

    def call(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == nth or (calls[0] > nth and error != "interrupt"):
            if error == "interrupt":
                raise KeyboardInterrupt
            if error == "memory":
                raise cl.MemoryError("clSomething failed: MEM_OBJECT_ALLOCATION_FAILURE")
            raise cl.Error("clSomething failed: OUT_OF_RESOURCES")
        return works(*args)

    setattr(opencl.OpenCLDevice, operation, call)


if __name__ == "__main__":
    sys.exit(main())
