"""Predicted against measured seconds: python tools/check_model.py [--kernels NAMES] [--size KEY] [--json FILE].

In: the programs of kernels/.  Out: a table, one line per kernel and variant: predicted seconds of one call (of all its
sites), measured seconds (best of several calls), their ratio; then the geometric mean and spread of the ratios per
variant.  Each variant is forced in a process of its own; the interpreter's time is that of plain Python.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KERNELS = ROOT / "kernels"
TIMEOUT_S = 300.0

# What each process runs: the kernel function, called with fresh arguments each time.
DRIVER = """
import importlib, json, time
module = importlib.import_module({name!r})
best = float("inf")
for _ in range({calls}):
    arguments = module.setup(module.SIZES[{size!r}])
    start = time.perf_counter()
    module.kernel(*arguments)
    best = min(best, time.perf_counter() - start)
print(json.dumps(best))
"""


@dataclass(frozen=True)
class Line:
    """One kernel under one variant: seconds of one call of its `kernel` function. `sites`: loops that ran compiled."""

    kernel: str
    variant: str
    sites: int
    predicted_s: float
    measured_s: float

    @property
    def ratio(self) -> float:
        """Above 1: the model thinks it slower than it is."""
        return self.predicted_s / self.measured_s


def main() -> int:
    """Run and print; 1 if nothing could be compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kernels", default="", help="comma-separated names; all if empty")
    parser.add_argument("--size", default="default", help="key of SIZES in the kernels")
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--variants", default="interp,seq,omp")
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    names = options.kernels.split(",") if options.kernels else sorted(p.stem for p in KERNELS.glob("*.py"))
    lines: list[Line] = []
    for name in names:
        for line in check(name, options.size, options.calls, options.variants.split(",")):
            lines.append(line)
            print(
                f"{line.kernel:<16} {line.variant:<7} predicted {_time(line.predicted_s)}  "
                f"measured {_time(line.measured_s)}  ratio {line.ratio:6.2f}",
                flush=True,
            )
    for variant in options.variants.split(","):
        summary(variant, [line.ratio for line in lines if line.variant == variant])
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")
    return 0 if lines else 1


def check(name: str, size: str, calls: int, variants: list[str]) -> Iterator[Line]:
    """Comparisons for one kernel."""
    interpreted = 0.0
    for variant in [v for v in variants if v != "interp"]:
        report, measured = accelerated(name, size, calls, variant)
        chosen = [d for site in report.get("sites", []) for s in site["specialisations"] for d in s["decisions"]]
        chosen = [d for d in chosen if d["calls"] and d["variant"] in d["predicted_s"]]
        interpreted = sum(d["predicted_s"].get("interp", math.nan) * d["calls"] / calls for d in chosen)
        predicted = sum(d["predicted_s"][d["variant"]] * d["calls"] / calls for d in chosen)
        if any(d["variant"] == variant for d in chosen):
            yield Line(name, variant, len(chosen), predicted, measured)
    if "interp" in variants and interpreted > 0.0:
        yield Line(name, "interp", 0, interpreted, plain(name, size))


def accelerated(name: str, size: str, calls: int, variant: str) -> tuple[dict[str, Any], float]:
    """(JSON report, best seconds of one call) of a process in which `variant` was forced; ({}, nan) if it failed."""
    with tempfile.TemporaryDirectory() as folder:
        script, report = Path(folder, "driver.py"), Path(folder, "report.json")
        shutil.copy(KERNELS / f"{name}.py", folder)  # beside the script: marked
        script.write_text(DRIVER.format(name=name, size=size, calls=calls))
        output = _run(["-m", "alpyna", "--variant", variant, "--report", str(report), str(script)])
        if not output or not report.exists():
            return {}, math.nan
        return json.loads(report.read_text()), float(output.splitlines()[-1])


def plain(name: str, size: str) -> float:
    """Seconds of one call of the kernel under plain Python; nan if it failed."""
    output = _run(["-c", DRIVER.format(name=name, size=size, calls=2)])
    return float(output.splitlines()[-1]) if output else math.nan


def _run(arguments: list[str]) -> str | None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{KERNELS}"}
    try:
        done = subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        print(f"timed out: {' '.join(arguments[-2:])}", file=sys.stderr)
        return None
    if done.returncode:
        print(done.stderr, file=sys.stderr)
    return done.stdout if done.returncode == 0 else None


def summary(variant: str, ratios: list[float]) -> None:
    """Geometric mean of predicted/measured, and the standard deviation of its logarithm as a factor."""
    logs = [math.log(r) for r in ratios if r > 0 and math.isfinite(r)]
    if not logs:
        return
    mean = sum(logs) / len(logs)
    spread = math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs))
    worst = math.exp(max(abs(x) for x in logs))
    print(f"{variant}: predicted / measured {math.exp(mean):.2f} x/: {math.exp(spread):.2f}, worst {worst:.1f}")


def _time(seconds: float) -> str:
    return f"{seconds * 1e3:10.3f} ms"


if __name__ == "__main__":
    sys.exit(main())
