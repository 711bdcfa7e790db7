"""Measures what Alpyna costs where it does not pay, and before it pays. Nothing is written.

In:  `python tools/bench_overhead.py [--rounds N]`; needs a C compiler.
Out: on stdout, each with the load of the machine beside it:
     start-up      seconds of `python -m alpyna empty.py` beside those of `python empty.py`
     first call    of a site in a new process, sequential code: cold cache (the compiler unknown, too), and warm
     never pays    CPU time of a program of three-iteration loops in hot functions, beside plain CPython

Runs are interleaved, so that what else the machine does meets both alike; figures are medians, and of the differences
or ratios of neighbours. All modules have their bytecode (kept aside), as those of an installed package have, whatever
PYTHONDONTWRITEBYTECODE says.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

FIRST_CALL = """
import time
import numpy as np

def step(a, b, n):
    for i in range(1, n):
        b[i] = a[i] * 2.0 + a[i - 1]

a, b = np.arange(100.0), np.zeros(100)
wall, own = time.perf_counter(), time.process_time()
step(a, b, 100)
print(time.perf_counter() - wall, time.process_time() - own)
"""

NEVER_PAYS = """
import time
import numpy as np

def norm(v):
    s = 0.0
    for i in range(3):
        s += v[i] * v[i]
    return s

def cross(a, b, out):
    for i in range(3):
        out[i] = a[i - 2] * b[i - 1] - a[i - 1] * b[i - 2]

def ints(n):
    t = 0
    for i in range(n):
        t += i * n
    return t

a, b, c = np.ones(3), np.arange(3.0), np.zeros(3)

def main(calls):
    for k in [0] * calls:
        norm(a)
        cross(a, b, c)
        ints(3)

for batch in [0] * 10:
    start = time.process_time()
    main({calls})
    print(time.process_time() - start)
"""


def run(arguments: list[str], environ: Mapping[str, str]) -> tuple[float, list[float]]:
    """Seconds of a Python process, and the figures in its output."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments], env={**inherited, **environ}, stdout=subprocess.PIPE, text=True, check=True,
        cwd=ROOT,
    )  # fmt: skip
    return time.perf_counter() - start, [float(word) for word in done.stdout.split()]


def load() -> str:
    """How busy the machine is."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"


def middle(values: list[float]) -> str:
    """Median and range, in milliseconds."""
    return f"{statistics.median(values) * 1e3:.1f} ms ({min(values) * 1e3:.1f} to {max(values) * 1e3:.1f})"


def start_up(empty: str, environ: Mapping[str, str], rounds: int) -> None:
    pairs = [(run([empty], environ)[0], run(["-m", "alpyna", empty], environ)[0]) for _ in range(rounds)]
    print(f"start-up, python           {middle([a for a, _ in pairs])}; {load()}")
    print(f"start-up, more by alpyna   {middle([b - a for a, b in pairs])}")


def first_call(program: str, environ: Mapping[str, str], rounds: int) -> None:
    command = ["-m", "alpyna", "--variant", "seq", program]
    cold, warm = [], []
    for _ in range(rounds):
        shutil.rmtree(environ["ALPYNA_CACHE_DIR"], ignore_errors=True)
        cold.append(run(command, environ)[1])
        warm.append(run(command, environ)[1])
    for name, times in (("cold", cold), ("warm", warm)):
        print(f"first call, {name}           {middle([wall for wall, _ in times])}; CPU time without the compiler's "
              f"{middle([own for _, own in times])}; {load()}")  # fmt: skip


def never_pays(program: str, environ: Mapping[str, str], rounds: int) -> None:
    pairs = [(run([program], environ)[1], run(["-m", "alpyna", program], environ)[1]) for _ in range(rounds)]
    print(f"never pays, python         {middle([sum(a) for a, _ in pairs])}; {load()}")
    for name, ratios in (
        ("all", [sum(b) / sum(a) for a, b in pairs]),
        ("later", [statistics.median(b[1:]) / statistics.median(a[1:]) for a, b in pairs]),
    ):
        print(f"never pays, alpyna/python  {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), "
              f"{name} batches")
    print(f"never pays, more, once     {middle([b[0] - statistics.median(b[1:]) for _, b in pairs])}")


def main() -> None:
    parser = argparse.ArgumentParser(description="What Alpyna costs where it does not pay, and before it pays.")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        names = {}
        for name, text in (
            ("empty", ""), ("first", FIRST_CALL), ("never", NEVER_PAYS.replace("{calls}", "100_000")),
        ):  # fmt: skip
            names[name] = os.path.join(folder, f"{name}.py")
            with open(names[name], "w", encoding="utf-8") as file:
                file.write(text)
        environ = {
            "ALPYNA_CACHE_DIR": os.path.join(folder, "cache"),
            "PYTHONPYCACHEPREFIX": os.path.join(folder, "bytecode"),
        }
        for command in ([], ["-m", "alpyna"], ["-m", "alpyna", "--variant", "seq"]):  # make the bytecode
            for program in names.values():
                run([*command, program], environ)
        start_up(names["empty"], environ, 3 * rounds)
        first_call(names["first"], environ, rounds)
        never_pays(names["never"], environ, rounds)


if __name__ == "__main__":
    main()
