"""Neighbouring parallel loops that become one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nests import outline, typed
from replay import replay

from alpyna_hook.analysis.bounds import prove
from alpyna_hook.analysis.parallel import parallelism
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.verify import verify
from alpyna_hook.transform.fuse import fuse
from alpyna_hook.transform.schedule import LoopFacts

N = 7


def values(n: int = N) -> dict[str, Any]:
    rng = np.random.default_rng(4)
    base = {"d": rng.random((N, N)) + 1.0, "n": n, "m": 3, "s": 0.0, "w": 4}
    return {**base, **{name: rng.random(N) for name in "abc"}, "h": np.zeros(N, int)}


def fused(text: str) -> tuple[Nest, Nest, str]:
    nest, entry = typed(text, **values())
    nest = prove(nest, entry).nest

    def analysed(nest: Nest) -> dict[str, LoopFacts]:
        return {
            counter: LoopFacts(
                v.parallel, v.parallel, v.preconditions, tuple((r.name, r.op) for r in v.reductions),
                array_reductions=tuple((r.array, r.op) for r in v.array_reductions), conditional=v.conditional,
            )
            for counter, v in parallelism(nest, entry).verdicts.items()
        }  # fmt: skip

    result, facts = fuse(nest, analysed(nest), analysed)
    verify(result)
    assert facts == analysed(result)
    return nest, result, outline(result.body, parallelism(result, entry).verdicts)


LU = """
for k in range(n):
    for i in range(k + 1, n):
        d[i, k] /= d[k, k]
    for i in range(k + 1, n):
        for j in range(k + 1, n):
            d[i, j] -= d[i, k] * d[k, j]
"""


def steps(first: str, second: str, head: str = "for t in range(m):", ranges: tuple[str, str] = ("n - 1",) * 2) -> str:
    sweeps = (f"    for i in range({stop}):\n        {body}" for stop, body in zip(ranges, (first, second)))
    return "\n".join((head, *sweeps))


def lines(*parts: str) -> str:
    return "\n        ".join(parts)


CASES = [
    ("lu", LU, "k(i*(j*))"),
    ("same elements", steps("b[i] = a[i] * 2.0", "c[i] = b[i] + 1.0"), "t(i*)"),
    ("back and forth", steps("b[i] = a[i] * 2.0", "a[i] = b[i] + c[i]"), "t(i*)"),
    ("reads what is written later", steps("b[i] = a[i] * c[i]", "a[i] = b[i + 1] * c[i]"), "t(i* i_2*)"),
    ("reads what was written before", steps("b[i + 1] = a[i] * c[i]", "a[i] = b[i] * c[i]"), "t(i* i_2*)"),
    ("overwrites what is still to be read", steps("b[i] = a[i + 1] * c[i]", "a[i] = b[i] * c[i]"), "t(i* i_2*)"),
    ("other range", steps("b[i] = a[i]", "a[i] = b[i] * c[i]", ranges=("n - 1", "n")), "t(i* i_2*)"),
    ("range that is written another way", steps("b[i] = a[i]", "c[i] = a[i]", ranges=("n - 1", "0, n - 1")), "t(i*)"),
    ("scalar handed on", steps("s = a[i] * c[i]", "a[i] = s * 0.5"), "t(i* i_2*)"),
    ("temporaries of their own", steps("u = c[i] * a[i]; b[i] = u", "v = b[i] + c[i]; a[i] = v * v"), "t(i*)"),
    ("one temporary", steps("u = c[i] * a[i]; b[i] = u", "u = b[i] + c[i]; a[i] = u * u"), "t(i* i_2*)"),
    ("reduction", steps("s += a[i] * c[i]", "a[i] = b[i] * 0.5"), "t(i i_2*)"),
    ("histogram", steps("h[i // 2] += 1", "a[i] = b[i] * a[i]"), "t(i* i_2*)"),
    ("not repeated", "for i in range(n):\n    b[i] = a[i]\n    for j in range(m):\n        c[i] = c[i] * 0.5", "i*(j)"),
    ("while", steps("b[i] = a[i]", "a[i] = b[i] * c[i]", "while w > 0:\n    w -= 1"), "i*"),
    (
        "leaves its part of an iteration",
        steps(lines("if a[i] > 0.5:", "    continue", "b[i] = a[i]"), "a[i] = b[i] * c[i]"),
        "t(i* i_2*)",
    ),
    (
        "leaves the rest of an iteration",
        steps("b[i] = a[i]", lines("if a[i] > 0.5:", "    continue", "a[i] = b[i] * c[i]")),
        "t(i*)",
    ),
    (
        "three",
        steps("b[i] = a[i]", "c[i] = c[i] * b[i]\n    for i in range(n - 1):\n        a[i] = c[i] + a[i]"),
        "t(i*)",
    ),
    (
        "loop variables of different names",
        "for t in range(m):\n    for i in range(n):\n        b[i] = a[i]\n"
        "    for j in range(n):\n        a[j] = b[j] * a[j]\ns = i + j",
        "t(i*)",
    ),
    (
        "loop variable that is changed",
        steps("i = i * 1; b[i] = a[i]", "a[i] = b[i] * c[i]"),
        "t(i* i_2*)",
    ),
    ("range that is the loop variable's own", steps("b[i] = a[i]", "a[i] = b[i]", ranges=("w", "w")), "t(i*)"),
    (
        "an assignment between",
        LU.replace("d[k, k]\n", "d[k, k]\n    s = 1.0\n"),
        "k(i* i_2*(j*))",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [x[1:] for x in CASES], ids=[x[0] for x in CASES])
def test_shape_and_same_result(text: str, expected: str) -> None:
    before, after, shape = fused(text)
    live = {v.name for v in before.live_ins if v.role != "function"}
    for n in (0, 1, 2, N):
        mine = {name: v for name, v in values(n).items() if name in live}
        old, new = replay(before, mine), replay(after, mine)
        assert old.keys() == new.keys() and all(np.array_equal(old[x], new[x]) for x in old)
    assert shape == expected
