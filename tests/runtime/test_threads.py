"""Other threads of the program while a loop runs."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

TICKING = """\
import threading, time
import numpy as np

def smooth(a, times):
    for k in range(times):
        for i in range(1, len(a)):
            a[i] = a[i] * 0.5 + a[i - 1] * 0.5

smooth(np.ones(2000), 50000)
ticks, done = [], threading.Event()
def tick():
    while not done.wait(0.005):
        ticks.append(time.perf_counter())
thread = threading.Thread(target=tick)
thread.start()
start = time.perf_counter()
smooth(np.ones(2000), 50000)
end = time.perf_counter()
done.set()
thread.join()
print(end - start > 0.05, any(start + 0.02 < t < end - 0.005 for t in ticks))
"""

SIDE_BY_SIDE = """\
import threading
import numpy as np

def smooth(a, times):
    for k in range(times):
        for i in range(1, len(a)):
            a[i] = a[i] * 2.0 - a[i - 1]

def work(number, found):
    a = np.linspace(number, number + 1, 3000)
    for _ in range(3):
        smooth(a, 100 + number)
        with np.errstate(all="ignore"):
            a /= np.abs(a).max()
    found[number] = a

found, alone = {}, {}
threads = [threading.Thread(target=work, args=(k, found)) for k in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
for number in range(4):
    work(number, alone)
    print(found[number].tobytes() == alone[number].tobytes(), found[number][-1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a C compiler")
@pytest.mark.parametrize("variant", ["seq", "auto"])
def test_other_threads_run_during_a_long_loop_that_can_fault(variant: str, project: Any) -> None:
    project.write({"main.py": TICKING})
    found = project.runner("--variant", variant, "main.py")
    assert (found.status, found.stdout, found.stderr) == (0, "True True\n", "")


def test_a_long_call_of_an_entry_that_was_made_for_a_short_one_is_timed(project: Any) -> None:
    project.write({"main.py": TICKING.replace("smooth(np.ones(2000), 50000)\nticks", "smooth(np.ones(20), 1)\nticks")})
    found = project.runner("--variant", "seq", "--report", "report.json", "main.py")
    site, *_ = json.loads((project.folder / "report.json").read_text())["sites"]
    (decision,) = site["specialisations"][0]["decisions"]
    assert found.stdout.startswith("True") and decision["calls"] == 2 and decision["total_s"] > 0.05


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_threads_that_run_one_loop_side_by_side_do_not_meet(variant: str, project: Any) -> None:
    """Faults included: sums overflow, and the interpreter goes on from the block where they do."""
    project.write({"main.py": SIDE_BY_SIDE})
    plain = project.plain("-W", "ignore", "main.py")
    found = project.runner("--variant", variant, "main.py", flags=("-W", "ignore"))
    assert (found.status, found.stdout, found.stderr) == (0, plain.stdout, "") and "False" not in plain.stdout


LATE = """\
import atexit, threading, time
import numpy as np

def scale(a, b):
    for i in range(len(a)):
        b[i] = a[i] * 0.5 + b[i]

def shift(a, b):
    for i in range(1, len(a)):
        b[i] = a[i - 1] + 1.0

def work(name):
    a, b = np.arange(1e5), np.zeros(100000)
    for _ in range(3):
        scale(a, b)
        shift(a, b)
    print(name, float(b[5]), flush=True)

class Last:
    def __del__(self):
        work("del")

def late():
    time.sleep(0.1)
    work("thread")

last = Last()
threading.Thread(target=late).start()
atexit.register(work, "atexit")
print("main", flush=True)
"""


@pytest.mark.parametrize("cached", [False, True])
def test_loops_run_while_the_interpreter_ends(cached: bool, project: Any) -> None:
    """In threads that outlive the main one, in atexit functions, and when modules are gone."""
    project.write({"main.py": LATE})
    project.environment["ALPYNA_CACHE_DIR"] = str(project.folder / "own")
    for _ in range(1 + cached):
        found = project.runner("--variant", "seq", "main.py")
    assert (found.status, found.stdout, found.stderr) == (0, "main\nthread 5.0\natexit 5.0\ndel 5.0\n", "")
