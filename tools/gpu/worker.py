"""One process of gpu_check.py: runs a program under Alpyna and writes down what the report leaves out.

    python tools/gpu/worker.py texts OUT SCRIPT [ARGS]      CUDA text of every loop nest that ran, or why there is none
    python tools/gpu/worker.py resident OUT SCRIPT [ARGS]   seconds of each device program, its arrays being there

`texts` needs neither a GPU nor PyCUDA: the program itself runs on the host.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

__alpyna__ = False

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from alpyna_hook import cli  # noqa: E402
from alpyna_hook.runtime import records  # noqa: E402

REPEATS = 5


def run(variant: str, arguments: list[str]) -> None:
    try:
        cli.main(["run", "--variant", variant, *arguments])
    except SystemExit as end:
        if end.code not in (None, 0):
            raise


def texts(arguments: list[str]) -> list[dict[str, Any]]:
    from alpyna_hook.runtime import offload

    offload.targets = lambda *ignored: ("cuda",)
    run("seq", arguments)
    found: list[dict[str, Any]] = []
    for site in records.all_sites():
        codes = [spec.code for spec in site.specialisations]
        if not codes:
            continue
        known = list(dict.fromkeys(code["cuda"] for code in codes if "cuda" in code))
        found.append({"site": site.id, "texts": known, "why": "" if known else site.reason or site.note})
    return found


def resident(arguments: list[str]) -> list[dict[str, Any]]:
    """Bytes are those that have to cross the memory once: what is read and what is written."""
    from alpyna_hook.devices import program

    found: list[dict[str, Any]] = []

    def timed(self: Any, run: Any, operands: Any, slots: Any, outputs: int) -> int:
        inputs = self._arguments(slots, run.place(list(operands.values())))
        times = []
        for _ in range(REPEATS):
            self._device.finish()
            start = time.perf_counter()
            code, outs = self._driver(run, *inputs)
            self._device.finish()
            times.append(time.perf_counter() - start)
            if code:
                break
        moved = sum(o.bytes * (o.read + o.written) for o in operands.values())
        found.append({"site": self.name, "code": code, "seconds": min(times), "bytes": moved})
        if code == 0:
            self._store(outs, outputs)
            run.conclude()
        else:
            run.abandon()
            program.ctypes.c_int64.from_address(outputs).value = outs[0]
        return int(code)

    program.Program._run = timed  # type: ignore[method-assign]
    run("cuda", arguments)
    return found


if __name__ == "__main__":
    mode, out, *rest = sys.argv[1:]
    Path(out).write_text(json.dumps({"texts": texts, "resident": resident}[mode](rest)))
