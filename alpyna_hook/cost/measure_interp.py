"""Micro-benchmarks of the interpreter: seconds per operation class on this CPython and this machine.

In: a time budget in seconds.  Out: {class of `classes.INTERP_OPS`: seconds}.  Each class is a statement,
repeated in the body of a loop; the empty loop and the loading of names around it are what the class includes.
The machine's own figures (bandwidth, flop rates, fork/join, compile time) are in `measure`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import CodeType
from typing import Any

REPEAT = 8  # statements per loop trip, so that the loop itself weighs little

# class -> (statement, classes it contains besides: their seconds are subtracted)
STATEMENTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "assign": ("t = u", ()),
    "int_arith": ("i + j", ()),
    "int_div": ("i // 3", ()),
    "float_arith": ("x * y", ()),
    "pow": ("x ** y", ()),
    "complex_arith": ("z * z", ()),
    "np_arith": ("p * q", ()),
    "np_int_arith": ("pi * pj", ()),
    "np_pow": ("p ** q", ()),
    "compare": ("x < y", ()),
    "np_compare": ("p < q", ()),
    "branch": ("if t: pass", ()),
    "unary": ("-x", ()),
    "attribute": ("o.n", ()),
    "load1": ("a[i]", ()),
    "load2": ("b[i, j]", ()),
    "loadn": ("c[i, j, i]", ()),
    "store1": ("a[i] = x", ()),
    "store2": ("b[i, j] = x", ()),
    "storen": ("c[i, j, i] = x", ()),
    "math_call": ("m.exp(x)", ()),
    "builtin_call": ("abs(x)", ()),
    "np_call": ("np.exp(p)", ()),
    "np_cast": ("np.float64(x)", ()),
    "loop_entry": ("for _ in range(i, i): pass", ()),
}


def interpreter(budget: float = 0.5) -> dict[str, float]:
    """Seconds per interpreter operation; best of several runs per class, about `budget` seconds in all."""
    share = budget / (len(STATEMENTS) + 1)
    empty = _loop_seconds("pass", share)
    figures = {"range_iter": empty, "jump": 0.1 * empty}
    for name, (statement, _) in STATEMENTS.items():
        figures[name] = max(_loop_seconds(statement, share) - empty / REPEAT, 1e-10)
    return figures


def _loop_seconds(statement: str, share: float) -> float:
    """Seconds per execution of `statement` (per trip for "pass"), best of the runs that fit into `share` seconds."""
    lines = ["pass"] if statement == "pass" else [statement] * REPEAT
    text = "def f(n, a, b, c, i, j, x, y, z, p, q, pi, pj, o, m, np, u, t):\n for k in range(n):\n"
    text += "".join(f"  {line}\n" for line in lines)
    space: dict[str, Any] = {}
    code: CodeType = compile(text, "<alpyna calibration>", "exec")
    exec(code, space)
    function: Callable[..., None] = space["f"]
    arguments = _arguments()
    trips = 200
    deadline = time.perf_counter() + share
    best = float("inf")
    while True:
        start = time.perf_counter()
        function(trips, *arguments)
        spent = time.perf_counter() - start
        best = min(best, spent / (trips * len(lines)))
        if start + spent > deadline:
            return best
        if spent < share / 8:
            trips *= 2


def _arguments() -> tuple[Any, ...]:
    import math

    import numpy as np

    class Owner:
        def __init__(self) -> None:
            self.n = 3

    return (
        np.ones(64), np.ones((8, 8)), np.ones((8, 8, 8)), 5, 3, 1.25, 0.75, 1 + 2j, np.float64(1.25), np.float64(0.75),
        np.int64(5), np.int64(3), Owner(), math, np, 2.5, False,
    )  # fmt: skip
