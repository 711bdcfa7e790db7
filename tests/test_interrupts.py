"""Signals that come while compiled code runs: it stops between two iterations, as CPython does, or goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from alpyna_hook.runtime import guard

ROOT = Path(__file__).resolve().parents[1]
FULL_S = 20.0  # the loops would take longer than that; what is stopped ends much sooner

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX"),
    pytest.mark.skipif(guard.IMPLEMENTATION != "c", reason="kernels look for signals by the C guard"),
]

# `loop(*arrays, end)` is stopped; as many iterations on fresh arrays must leave the same behind. `i` tells how many.
PROGRAM = """\
import json, math, signal, sys, time
import numpy as np

{loop}
loop(*arrays(), 3)
print("go", flush=True)
began = time.perf_counter()
data = arrays()
stopped, i, *names = loop(*data, {end})
took = time.perf_counter() - began
fresh = arrays()
_, j, *others = loop(*fresh, {again})
same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(data, fresh))
print(json.dumps({{
    "stopped": stopped, "done": i, "took": took, "arrays": same, "count": i == j,
    "names": repr(names) == repr(others), "types": [*map(type, names)] == [*map(type, others)],
}}))
"""

FUNCTION = """\
def loop({given}, end):
    i, line, {names} = {start}
    stopped = False
    try:
{text}
    except KeyboardInterrupt as error:
        stopped = True
        step = error.__traceback__
        lines = open(__file__).read().splitlines()
        assert step.tb_next is None and lines[step.tb_lineno - 1].strip().startswith(("for", "while")), step.tb_lineno
    return stopped, i, {names}
def arrays():
    rng = np.random.default_rng(5)
    return {made}
"""


def function(given: str, names: str, text: str, made: str, start: str = "") -> str:
    inside = "\n".join("        " + line for line in text.strip("\n").splitlines())
    start = start or "-1, None, " + ", ".join("None" for _ in names.split(",") if _.strip())
    return FUNCTION.format(given=given, names=names, start=start, text=inside, made=made)


LOOPS = {
    "matmul": (function("a, b, c", "j, s", """
for i in range(end):
    for j in range(b.shape[1]):
        s = 0.0
        for k in range(b.shape[0]):
            s += a[i % 50, k] * b[k, j]
        c[i, j] = s
""", "rng.random((50, 1500)), rng.random((1500, 1500)), np.full((40000, 1500), -1.0)"), 40000, "i + 1"),
    "stencil": (function("a, b", "j, k", """
for i in range(end):
    for j in range(1, a.shape[0] - 1):
        for k in range(1, a.shape[1] - 1):
            b[j, k] = 0.2 * (a[j, k] + a[j - 1, k] + a[j + 1, k] + a[j, k - 1] + a[j, k + 1])
    for j in range(1, a.shape[0] - 1):
        for k in range(1, a.shape[1] - 1):
            a[j, k] = b[j, k]
""", "rng.random((700, 700)), np.zeros((700, 700))"), 200000, "i + 1"),
    "in place": (function("a", "j", """
for i in range(end):
    for j in range(1, len(a)):
        a[j] = a[j] * 0.5 + a[j - 1] * 0.25
""", "(rng.random(3000),)"), 20000000, "i + 1"),
    "recurrence": (function("a", "s, t", """
for i in range(end):
    s, t = s * 0.999 + 0.5, s
""", "(rng.random(3),)", "-1, 0, 1.5, 0"), 30 * 10**9, "i + 1"),
    "sum": (function("a", "s", """
for i in range(end):
    s += (i * 3) % 7 + 1
""", "(rng.random(3),)", "-1, 0, 0"), 60 * 10**9, "i + 1"),
    "class that changes": (function("a", "s, t", """
for i in range(end):
    s = a[i % 3] + s * 0.5
    if i % 1000 == 0:
        t = i
""", "(rng.random(3),)", "-1, 0, 0, 0"), 10 * 10**9, "i + 1"),
    "uneven": (function("a", "j, n, x", """
for i in range(end):
    for j in range(400):
        x, n = 0.3, 0
        while x < 1.0e6 and n < 3000 + i % 7:
            x = x * x + 0.1
            n += 1
        a[i, j] = n
""", "(np.zeros((200000, 400), np.int16),)"), 200000, "i + 1"),
    "last values": (function("a", "j, t, u, v", """
for i in range(end):
    u = i * 2
    if i % 37 == 5:
        t = i
    for j in range(400):
        v = j
        for k in range(300):
            v = (v * 5 + k) % 1013
        a[i, j] = v
""", "(np.zeros((300000, 400), np.int16),)"), 300000, "i + 1"),
    "backwards": (function("a", "j", """
for i in range(0, -end, -3):
    for j in range(1, 3000):
        a[j] = a[j] * 0.5 + a[j - 1] / (i - 1)
""", "(rng.random(3000),)"), 90 * 10**6, "1 - i"),
    "while": (function("a", "j, s", """
while i < end:
    i += 1
    s = 0.0
    for j in range(1, len(a)):
        s += a[j]
        a[j] = s * 0.001
""", "(rng.random(1000),)", "0, 0, 0, 0"), 60 * 10**6, "i"),
    "break": (function("a", "j, s", """
for i in range(end):
    s = 0.0
    for j in range(1, len(a)):
        s += a[j]
        a[j] = s * 0.001
    if s < 0.0:
        break
""", "(rng.random(1000),)"), 60 * 10**6, "i + 1"),
}

# Threads copy what they add into, which is too dear for each piece of a loop: in `omp` it runs to its end.
SEQUENTIAL = {
    "histogram": (function("a, h", "j", """
for i in range(end):
    for j in range(len(a)):
        h[a[j]] += 1
""", "rng.integers(0, 50, 5000), np.zeros(50, np.int64)"), 30 * 10**6, "i + 1"),
}


def start(tmp_path: Path, text: str, variant: str, *options: str) -> subprocess.Popen[str]:
    """A program that has printed "go"."""
    (tmp_path / "main.py").write_text(text)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "ALPYNA_CACHE_DIR": str(tmp_path / "cache")}
    process = subprocess.Popen(
        [sys.executable, "-m", "alpyna", "--variant", variant, *options, "main.py"], cwd=tmp_path, env=environ,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    assert process.stdout is not None
    line = process.stdout.readline()
    if line != "go\n":
        pytest.fail(line + process.communicate()[1])
    return process


def end(process: subprocess.Popen[str], limit: float = 30.0) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=limit)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("name", "variant"), [*((n, v) for n in LOOPS for v in ("seq", "omp")), *((n, "seq") for n in SEQUENTIAL)]
)
def test_an_interrupted_loop_has_done_its_first_iterations(name: str, variant: str, tmp_path: Path) -> None:
    loop, count, again = {**LOOPS, **SEQUENTIAL}[name]
    process = start(tmp_path, PROGRAM.format(loop=loop, end=count, again=again), variant)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    status, out, err = end(process)
    assert (status, err) == (0, "")
    seen: dict[str, Any] = json.loads(out)
    assert seen.pop("took") < FULL_S / 2 and 0 < abs(seen.pop("done")) < count - 3
    assert seen == dict.fromkeys(["stopped", "arrays", "count", "names", "types"], True)


LONG = """\
import os, signal, sys, threading, time
import numpy as np

def smooth(a, times):
    for t in range(times):
        for k in range(1, len(a)):
            a[k] = a[k] * 0.5 + a[k - 1] * 0.25
    return t

smooth(np.ones(3000), 3)
"""


@pytest.mark.parametrize("variant", ["seq", "omp", "auto"])
def test_an_interrupt_that_nobody_catches_ends_the_program(variant: str, tmp_path: Path) -> None:
    process = start(tmp_path, LONG + 'print("go", flush=True)\nsmooth(np.ones(3000), 10**8)\nprint("done")\n', variant)
    time.sleep(0.7)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    status, out, err = end(process)
    assert (status, out) == (-signal.SIGINT, "") and time.monotonic() - began < FULL_S / 2
    assert err.endswith("KeyboardInterrupt\n") and "in smooth" in err and "alpyna" not in err
    assert err.count("File") == 2


MODULE = """\
a = np.random.default_rng(1).random(3000)
total, low = 0, None
print("go", flush=True)
try:
    for t in range(10**8):
        total += t % 3
        for k in range(1, len(a)):
            a[k] = a[k] * 0.5 + a[k - 1] * 0.25
        if t % 100 == 0:
            low = a[7]
except KeyboardInterrupt:
    print("stopped")
seen, b = (t, total, k, low), a
a = np.random.default_rng(1).random(3000)
total, low = 0, None
for t in range(t + 1):
    total += t % 3
    for k in range(1, len(a)):
        a[k] = a[k] * 0.5 + a[k - 1] * 0.25
    if t % 100 == 0:
        low = a[7]
print(seen == (t, total, k, low), repr(seen) == repr((t, total, k, low)), (a == b).all(), t > 1000)
print(sorted(name for name in globals() if "alp" in name or "@" in name))
"""


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_the_names_of_a_module_are_those_of_the_last_iteration(variant: str, tmp_path: Path) -> None:
    process = start(tmp_path, LONG + MODULE, variant)
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    assert end(process) == (0, "stopped\nTrue True True True\n[]\n", "")


COUNTING = """\
times = []
def note(number, frame):
    times.append(time.monotonic() - began)
    smooth(np.ones(10), 5)  # another call of the loop that was interrupted
    with np.errstate(all="ignore"):
        np.float64(1.0) / np.float64(0.0)
signal.signal(signal.SIGINT, note)
signal.signal(signal.SIGALRM, note)
began = time.monotonic()
a, b = np.ones(3000), np.ones(3000)
smooth(b, 400000)
alone = time.monotonic() - began
print("go", flush=True)
signal.setitimer(signal.ITIMER_REAL, 0.2, 0.3)
began = time.monotonic()
print(smooth(a, 400000))
together = time.monotonic() - began
signal.setitimer(signal.ITIMER_REAL, 0)
print((a == b).all(), len(times) >= 3, times[0] < alone / 2, together < 3 * alone + 1)
"""


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_a_handler_that_returns_lets_compiled_code_go_on(variant: str, tmp_path: Path) -> None:
    process = start(tmp_path, LONG + COUNTING, variant)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert end(process) == (0, "399999\nTrue True True True\n", "")


LIMIT = """\
class TimeIsUp(NameError):
    pass
def late(number, frame):
    raise TimeIsUp("late")
signal.signal(signal.SIGALRM, late)
def limited(a, times):
    done = 0
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        for t in range(scale * times):
            for k in range(1, len(a)):
                a[k] = a[k] * 0.5 + a[k - 1] * 0.25
            {more}
    except TimeIsUp as error:
        step, names = error.__traceback__, []
        while step is not None:
            names.append(step.tb_frame.f_code.co_name)
            step = step.tb_next
        return done, names[0], names[-1], [n for n in names if n.startswith("_")]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
scale = 1
limited(np.ones(3000), 3)
a, b = np.ones(3000), np.ones(3000)
print("go", flush=True)
began = time.monotonic()
done, *names = limited(a, 10**8)
print(names, time.monotonic() - began < 5)
if done:
    smooth(b, done)
    print((a == b).all())
"""


@pytest.mark.parametrize("more", ["pass", "done = t + 1"])
def test_an_exception_of_a_handler_is_not_taken_for_a_name_without_value(more: str, tmp_path: Path) -> None:
    """`scale` is looked up in front of the loop, where a NameError is expected."""
    process = start(tmp_path, LONG + LIMIT.format(more=more), "seq")
    status, out, err = end(process)
    names = "['limited', 'late', []] True\n" if "=" in more else "['limited', 'late', ['_note_unbound']] True\n"
    assert (status, out, err) == (0, names + ("True\n" if "=" in more else ""), "")


THREADS = """\
def other():
    global inside
    inside = 0
    while working:
        inside += 1
working = True
threading.Thread(target=other).start()
print("go", flush=True)
try:
    smooth(np.ones(3000), 10**8)
except KeyboardInterrupt:
    print("stopped")
working = False
print(inside > 0)
worker = threading.Thread(target=smooth, args=(np.ones(3000), 300000))
worker.start()
worker.join()
print("joined")
"""


def test_a_busy_thread_does_not_keep_an_interrupt_away(tmp_path: Path) -> None:
    process = start(tmp_path, LONG + THREADS, "seq")
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    assert end(process) == (0, "stopped\nTrue\njoined\n", "")
