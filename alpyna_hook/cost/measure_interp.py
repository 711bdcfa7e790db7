"""Micro-benchmarks of the interpreter: seconds per operation class on this CPython and this machine.

In: clocks.  Out: tasks to be sampled, and from their seconds {class of `classes.INTERP_OPS`: seconds}.  Each class
is a statement, repeated in the body of a loop; the empty loop and the loading of names around it are what the class
includes.
The machine's own figures (bandwidth, flop rates, fork/join, compile time) are in `measure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

from alpyna_hook.cost.noise import Clocks, Task, in_rounds, sampled

REPEAT = 8  # statements per loop trip, so that the loop itself weighs little
RUN_S = 2e-4  # of one run: long against the clock's resolution, short against a scheduler's time slice

# class -> statement
STATEMENTS: dict[str, str] = {
    "assign": "t = u",
    "int_arith": "i + j",
    "int_div": "i // 3",
    "float_arith": "x * y",
    "pow": "x ** y",
    "complex_arith": "z * z",
    "np_arith": "p * q",
    "np_int_arith": "pi * pj",
    "np_pow": "p ** q",
    "np_mixed": "p * ps",
    "np_int_float": "pi * x",
    "compare": "x < y",
    "np_compare": "p < q",
    "np_int_compare": "pi < j",
    "branch": "if t: pass",
    "unary": "-x",
    "attribute": "o.n",
    "np_attribute": "pz.real",
    "load1": "a[i]",
    "load2": "b[i, j]",
    "loadn": "c[i, j, i]",
    "store1": "a[i] = x",
    "store2": "b[i, j] = x",
    "storen": "c[i, j, i] = x",
    "math_call": "m.exp(x)",
    "builtin_call": "abs(x)",
    "builtin2_call": "min(i, j)",
    "int_call": "int(x)",
    "np_call": "np.exp(p)",
    "np_cast": "np.float64(x)",
    "loop_entry": "for _ in range(i, i): pass",
}


def tasks(clocks: Clocks, weight: float = 1.0) -> dict[str, Task]:
    """A task per statement, and "empty" for the loop around it; each gives seconds per statement (trip)."""
    arguments = _arguments()
    texts = {"empty": "pass"} | STATEMENTS
    return {name: _task(text, arguments, clocks, weight) for name, text in texts.items()}


def figures(raw: Mapping[str, float]) -> dict[str, float]:
    """Seconds per operation class from those of the tasks; without a class's statement or the empty loop, not there."""
    if "empty" not in raw:
        return {}
    empty = raw["empty"]
    found = {"range_iter": empty, "jump": 0.1 * empty}
    return found | {name: max(raw[name] - empty / REPEAT, 1e-10) for name in STATEMENTS if name in raw}


def interpreter(budget: float = 0.5, clocks: Clocks = Clocks()) -> dict[str, float]:
    """Seconds per interpreter operation: the best of three rounds, about `budget` seconds in all."""
    settled = in_rounds(tasks(clocks), budget, 3, clocks)
    return figures({name: figure.value for name, figure in settled.items() if figure.value is not None})


def _task(statement: str, arguments: tuple[Any, ...], clocks: Clocks, weight: float) -> Task:
    """Times `statement` in runs of about RUN_S."""
    lines = ["pass"] if statement == "pass" else [statement] * REPEAT
    text = "def f(n, a, b, c, i, j, x, y, z, p, q, pi, pj, ps, pz, o, m, np, u, t):\n for k in range(n):\n"
    text += "".join(f"  {line}\n" for line in lines)
    space: dict[str, Any] = {}
    code: CodeType = compile(text, "<alpyna calibration>", "exec")
    exec(code, space)
    function: Callable[..., None] = space["f"]
    trips = 64

    def run() -> float:
        nonlocal trips
        start = clocks.wall()
        function(trips, *arguments)
        spent = clocks.wall() - start
        seconds = spent / (trips * len(lines))
        if spent < RUN_S / 2:
            trips *= 2
        return seconds

    return Task(lambda share: sampled(run, share, clocks), weight)


def _arguments() -> tuple[Any, ...]:
    import math

    import numpy as np

    class Owner:
        def __init__(self) -> None:
            self.n = 3

    return (
        np.ones(64), np.ones((8, 8)), np.ones((8, 8, 8)), 5, 3, 1.25, 0.75, 1 + 2j, np.float64(1.25), np.float64(0.75),
        np.int64(5), np.int64(3), np.uint8(5), np.complex128(1 + 2j), Owner(), math, np, 2.5, False,
    )  # fmt: skip
