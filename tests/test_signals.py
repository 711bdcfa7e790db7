"""What a signal handler of the program raises reaches the program, wherever it hits."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from alpyna_hook import signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX")


class TimeIsUpError(Exception):
    pass


def plain(number: int, frame: Any) -> None:
    raise TimeIsUpError


def anything(*args: Any) -> None:
    raise TimeIsUpError


def forgets(number: int, frame: Any) -> None:
    del frame
    raise TimeIsUpError


def resets(number: int, frame: Any) -> None:
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    deeper()


def deeper() -> None:
    raise TimeIsUpError


class Limit:
    def method(self, number: int, frame: Any) -> None:
        raise TimeIsUpError

    def __call__(self, number: int, frame: Any) -> None:
        raise TimeIsUpError


def caught(work: Callable[[], Any]) -> Exception:
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    "handler", [plain, anything, forgets, resets, Limit().method, Limit(), partial(plain), partial(anything)]
)
def test_handlers_are_known_by_their_tracebacks(handler: Any) -> None:
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        error = caught(lambda: [signal.raise_signal(signal.SIGUSR1), None])
        assert isinstance(error, TimeIsUpError) and signals.from_handler(error)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_other_exceptions_are_not_taken_for_theirs() -> None:
    assert not signals.from_handler(caught(deeper))
    assert not signals.from_handler(caught(lambda: plain(1, None)))
    assert not signals.from_handler(caught(lambda: int("x")))
    assert not signals.from_handler(ValueError())


PROGRAM = """\
import signal
import numpy as np

def late(number, frame):
    raise TimeoutError("time is up")

def step(a, b):
    for i in range(len(a)):
        b[i] = a[i] * 0.5 + b[i]

signal.signal(signal.SIGALRM, late)
a, b = np.arange(2000.0), np.zeros(2000)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    step(a, b)
    while True:
        pass
except TimeoutError as error:
    lines = []
    step_line = error.__traceback__
    while step_line is not None:
        lines.append(step_line.tb_frame.f_code.co_name)
        step_line = step_line.tb_next
    print(error, lines[0], "step" in lines)
b[:] = 0
step(a, b)
step(a, b)
print(b.sum())
"""


def test_a_time_limit_ends_a_loop_that_waits_for_the_compiler(project: Any, tmp_path: Path) -> None:
    compiler = tmp_path / "slow-cc"
    compiler.write_text('#!/bin/sh\n[ -e "$0.late" ] || sleep 3\nexec cc "$@"\n')
    compiler.chmod(0o755)
    project.write({"main.py": PROGRAM})
    environ = {"ALPYNA_CC": str(compiler), "ALPYNA_CACHE_DIR": str(tmp_path / "cache")}
    found = project.runner("--variant", "seq", "main.py", **environ)
    assert (found.stdout, found.stderr) == (f"time is up <module> True\n{float(sum(range(2000)))}\n", "")


INTERRUPTED = """\
import numpy as np, os, signal, threading

def smooth(a, times):
    for k in range(times):
        for i in range(1, len(a)):
            a[i] = a[i] * 0.5 + a[i - 1]

threading.Timer(DELAY, os.kill, (os.getpid(), signal.SIGINT)).start()
smooth(np.zeros(2000), 400000)
while True:
    pass
"""


@pytest.mark.parametrize("delay", [0.2, 0.5, 0.8])
def test_an_interrupt_shows_no_frame_of_ours(delay: float, project: Any) -> None:
    """While modules are imported, the compiler works, the kernel runs, or after it."""
    project.write({"main.py": INTERRUPTED.replace("DELAY", str(delay))})
    found = project.runner("--variant", "seq", "main.py")
    assert found.status == -signal.SIGINT and found.stderr.endswith("KeyboardInterrupt\n")
    assert "main.py" in found.stderr and "alpyna" not in found.stderr


WAITING = """\
import signal, threading, time
import numpy as np

class Worker:
    stop = False

def wait(worker, counts):
    spins = 0
    while not worker.stop:
        counts[spins % 10] += 1
        spins += 1
    worker.stop = False
    return spins > 0

def alarm(*args):
    worker.stop = True

worker = Worker()
threading.Timer(0.2, alarm).start()
print(wait(worker, np.zeros(10)))
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.2)
print(wait(worker, np.zeros(10)))
done = False
def finish():
    global done
    done = True
threading.Timer(0.2, finish).start()
while not done:
    pass
print(done)
"""


@pytest.mark.parametrize("variant", ["seq", "omp", "auto"])
def test_a_loop_that_waits_for_a_thread_or_a_signal_ends(variant: str, project: Any) -> None:
    project.write({"main.py": WAITING})
    found = project.runner("--variant", variant, "main.py")
    assert (found.status, found.stdout, found.stderr) == (0, "True\nTrue\nTrue\n", "")
