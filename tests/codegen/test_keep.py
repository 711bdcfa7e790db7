"""Which values a kernel keeps because a C compiler might not compute them."""

from __future__ import annotations

import pytest

from alpyna_hook.codegen.keep import kept_values
from alpyna_hook.ir.nodes import Assign, If, Nest, Store, While, walk_stmts
from tests.analysis.lowering import lower, typed

TYPES = {"n": "int", "m": "int", "a": "float64[1]", "r": "float64[1]", "flag": "bool", "s": "float64", "t": "float64"}


def kept(body: str) -> list[int]:
    """Line numbers in `body`, from 1, of what its first loop keeps; s is read after it."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    nest = lower(f"def f(n, m, a, r, flag, s, t):\n{lines}    return s\n")
    full = typed(nest, **{x.name: TYPES[x.name] for x in nest.live_ins if x.name in TYPES})
    assert isinstance(full, Nest)
    found = kept_values(full.body, frozenset(out.name for out in full.live_outs))
    marked = {s.span.line - 3 for s in walk_stmts(full.body) if id(s) in found}
    assert all(isinstance(s, (Assign, Store, If, While)) for s in walk_stmts(full.body) if id(s) in found)
    return sorted(marked)


LOOP = "for i in range(n):\n"


@pytest.mark.parametrize(
    "body",
    [
        "    t = a[i] / 2\n    t = a[i] + 1\n    r[i] = t",  # overwritten before it is read
        "    s = a[i] / 2",  # only the last one is read after the loop
        "    t = a[i] / 2\n    if flag:\n        r[i] = t",
        "    t = a[i] / 2\n    if flag:\n        continue\n    r[i] = t",
        "    t = a[i] / 2\n    for j in range(m):\n        r[j] = t",  # which may make no trip
        "    t = a[i] / 2\n    r[i] = t if flag else 0.0",
        "    r[i] = a[i] / 2\n    r[i] = 0.0",
        "    r[0] = a[i] / 2",
        "    if a[i] / 2 > 1:\n        t = 1.0",  # t is not read again
    ],
)
def test_what_may_go_unused_is_kept(body: str) -> None:
    assert kept(LOOP + body) == [2]


@pytest.mark.parametrize(
    "body",
    [
        "    s = s + a[i]",
        "    r[i] = a[i] / 2",
        "    t = a[i] / 2\n    r[i] = t",
        "    t = a[i] / 2\n    if flag:\n        r[i] = t\n    else:\n        r[i] = t + 1",
        "    t = a[i] / 2\n    if t > 1:\n        r[i] = 1.0",
        "    if a[i] / 2 > 1:\n        r[i] = 1.0",
        "    t = a[i] / 2\n    for j in range(3):\n        r[j] = t",
        "    s = s + t\n    t = a[i] / 2\n    r[i] = t",
        "    r[0] += a[i] / 2",
        "    r[i] = a[i] / 2\n    r[i] += 1",
        "    t = a[i]\n    if flag:\n        r[i] = t",  # nothing to warn of
    ],
)
def test_what_is_sure_to_be_used_is_not_kept(body: str) -> None:
    assert kept(LOOP + body) == []


def test_scalars_that_only_feed_each_other_are_kept() -> None:
    assert kept(LOOP + "    t = t * 2\n    s = s + a[i]") == [2]


def test_a_while_whose_result_nothing_needs_keeps_its_test() -> None:
    assert kept("while a[n] / 2 > 1:\n    t = 1.0\n    n = n + 1") == [1]
    assert kept("while a[n] / 2 > 1:\n    r[n] = 1.0\n    n = n + 1") == []
