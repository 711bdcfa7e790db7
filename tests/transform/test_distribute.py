"""Which loops are split, and that the split nest computes the same."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from nests import outline, typed
from replay import Fault, replay

from alpyna_hook.analysis.bounds import prove
from alpyna_hook.analysis.parallel import parallelism
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.verify import verify
from alpyna_hook.transform.distribute import distribute

N = 9


def values() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    vectors = {name: rng.random(N) for name in "abcdpqrs"}
    return {**vectors, "A": rng.random((N, N)), "B": rng.random((N, N)), "h": np.zeros(N, np.int64),
            "n": N, "m": N, "t": 0.0, "x": 0.0, "k": 1}  # fmt: skip


def split(text: str) -> tuple[Nest, Nest, str]:
    nest, entry = typed(text, **values())
    nest = prove(nest, entry).nest
    result = distribute(nest, entry)
    verify(result)
    return nest, result, outline(result.body, parallelism(result, entry).verdicts)


CASES = [
    ("carried and independent", "for i in range(1, n):\n    a[i] = a[i - 1] + b[i]\n    c[i] = d[i] * 2.0", "i i.1*"),
    ("independent first", "for i in range(1, n):\n    c[i] = d[i] * 2.0\n    a[i] = a[i - 1] + c[i]", "i* i.1"),
    ("forward dependence between parallel parts",
     "for i in range(1, n):\n    a[i] = b[i]\n    c[i] = a[i - 1]", "i* i.1*"),
    ("backward dependence is turned round", "for i in range(n - 1):\n    c[i] = a[i] * 2.0\n    a[i + 1] = b[i]",
     "i* i.1*"),
    ("recurrence through two statements", "for i in range(1, n):\n    a[i] = c[i - 1]\n    c[i] = a[i] + 1.0", "i"),
    ("shared scalar", "for i in range(1, n):\n    t = b[i]\n    a[i] = a[i - 1] + t\n    c[i] = t", "i"),
    ("bicg", """
        for i in range(n):
            q[i] = 0.0
            for j in range(m):
                s[j] = s[j] + r[i] * A[i, j]
                q[i] = q[i] + A[i, j] * p[j]
     """, "i*(j) i.1(j.1*)"),
    ("already parallel", "for i in range(n):\n    a[i] = b[i]\n    c[i] = d[i]", "i*"),
    ("inner loop split inside a sequential one", """
        for t in range(3):
            for i in range(1, n):
                a[i] = a[i - 1] * 0.5
                c[i] = c[i] + b[i]
     """, None),
    ("two recurrences stay in one loop", "for i in range(1, n):\n    a[i] = a[i - 1]\n    c[i] = c[i - 1]", "i"),
    ("break", "for i in range(1, n):\n    if b[i] > 2.0:\n        break\n    a[i] = a[i - 1]\n    c[i] = d[i]", "i"),
    ("continue",
     "for i in range(1, n):\n    if b[i] > 0.5:\n        continue\n    a[i] = a[i - 1]\n    c[i] = d[i]", "i"),
    ("condition moves with its statement", """
        for i in range(1, n):
            a[i] = a[i - 1] + b[i]
            if d[i] > 0.5:
                c[i] = 1.0
     """, "i i.1*"),
    ("scatter", "for i in range(n):\n    b[h[i]] = d[i]\n    c[i] = d[i] + 1.0", "i i.1*"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [x[1:] for x in CASES], ids=[x[0] for x in CASES])
def test_split(text: str, expected: str | None) -> None:
    before, after, shape = split(text)
    if expected is not None:
        assert shape == expected
    live = {v.name for v in before.live_ins if v.role != "function"}
    mine = {k: v for k, v in values().items() if k in live}
    old, new = replay(before, mine), replay(after, mine)
    assert old.keys() == new.keys() and all(np.array_equal(old[k], new[k]) for k in old)


def random_body(rng: random.Random) -> str:
    def element() -> str:
        return f"{rng.choice('abcd')}[{rng.choice(['i', 'i - 1', 'i + 1', 'k', 'n - 1 - i'])}]"

    lines = ["for i in range(1, n - 1):"]
    for _ in range(rng.randint(2, 4)):
        if rng.random() < 0.2:
            lines.append(f"    t = {element()}")
        elif rng.random() < 0.3:
            lines += ["    for j in range(n):", f"        A[i, j] = {element()} + B[j, i]",
                      f"        {element()} = A[{rng.choice(['i, j', 'j, i', 'i - 1, j'])}] + {element()}"]  # fmt: skip
        else:
            lines.append(f"    {element()} = {element()} + {rng.choice([element(), '1.0', 't'])}")
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(60))
def test_random_bodies_compute_the_same_when_split(seed: int) -> None:
    text = random_body(random.Random(seed))
    before, after, _ = split(text)
    live = {v.name for v in before.live_ins if v.role != "function"}
    mine = {k: v for k, v in values().items() if k in live}
    try:
        old = replay(before, mine)
    except Fault:
        return
    new = replay(after, mine)
    assert all(np.array_equal(old[k], new[k]) for k in old), text


def test_a_nest_that_does_not_profit_is_returned_as_it_is() -> None:
    before, after, _ = split("for i in range(n):\n    a[i] = b[i]\n    c[i] = d[i]")
    assert after is before
