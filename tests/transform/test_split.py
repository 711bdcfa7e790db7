"""Loops cut where their dependences meet."""

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
from alpyna_hook.transform.split import split_ranges

N = 7


def values(**kw: Any) -> dict[str, Any]:
    rng = np.random.default_rng(4)
    base = {"d": rng.random((N, N)) - 0.2, "a": rng.random(N), "b": rng.random(N), "n": N, "k": 3, "s": 0.0}
    return {**base, **kw}


def cut(text: str, **kw: Any) -> tuple[Nest, Nest, str]:
    nest, entry = typed(text, **values(**kw))
    nest = prove(nest, entry).nest
    result = split_ranges(nest, entry)
    verify(result)
    return nest, result, outline(result.body, parallelism(result, entry).verdicts)


FLOYD = """
    for k in range(n):
        for i in range(n):
            for j in range(n):
                if d[i, k] + d[k, j] < d[i, j]:
                    d[i, j] = d[i, k] + d[k, j]
"""
CASES = [
    ("one element read by all", "for i in range(n):\n    a[i] = a[i] + a[k]", "i* i.1* i.2*"),
    ("first element read by all", "for i in range(n):\n    a[i] = a[i] * a[0]", "i* i.1* i.2*"),
    ("pivot row", "for i in range(n):\n    for j in range(n):\n        d[i, j] -= 0.5 * d[k, j]", None),
    ("floyd-warshall", FLOYD, None),
    ("recurrence", "for i in range(1, n):\n    a[i] = a[i - 1] + a[k]", "i"),
    ("carried scalar", "for i in range(n):\n    s = s * 0.5 + a[k]\n    a[i] = s", "i"),
    ("already parallel", "for i in range(n):\n    b[i] = a[i] + a[k]", "i*"),
    ("offset", "for i in range(n - 1):\n    a[i + 1] = a[i + 1] + a[k]", "i* i.1* i.2*"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [x[1:] for x in CASES], ids=[x[0] for x in CASES])
def test_shape_and_same_result(text: str, expected: str | None) -> None:
    before, after, shape = cut(text)
    if expected is not None:
        assert shape == expected
    live = {v.name for v in before.live_ins if v.role != "function"}
    for k in (0, 3, N - 1):
        mine = {name: v for name, v in values(k=k).items() if name in live}
        old, new = replay(before, mine), replay(after, mine)
        assert old.keys() == new.keys() and all(np.array_equal(old[x], new[x]) for x in old)


def test_rows_of_floyd_warshall_are_parallel_and_their_columns_vectorisable() -> None:
    _, after, shape = cut(FLOYD)
    assert shape.startswith("k(i*(") and shape.count("i") >= 3
    entry = typed(FLOYD, **values())[1]
    verdicts = parallelism(after, entry).verdicts
    rows = [c for c in verdicts if c.startswith("i")]
    assert len(rows) == 3 and all(verdicts[c].parallel for c in rows)


def test_a_cut_outside_the_range_leaves_the_loop_whole_in_effect() -> None:
    text = "for i in range(k + 1, n):\n    a[i] = a[i] + a[k]"
    before, after, shape = cut(text)
    assert after is before and shape == "i*"
