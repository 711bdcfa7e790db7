"""The first look at a call: upper bounds of the interpreter's time, from what is at hand."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

from alpyna_hook.frontend.sites import find_sites
from alpyna_hook.runtime.glance import NODE_S, PLAIN_S, constants, interpreter_seconds, sizes, stakes
from alpyna_hook.runtime.heads import Head
from alpyna_hook.runtime.outline import head_of
from alpyna_hook.source import Source


def head(text: str) -> Head:
    """The head of the only loop in `text`."""
    source = Source("m.py", "m", text)
    (site,) = find_sites(ast.parse(text), source)
    assert site.nest is not None, site.rejection
    return head_of(site, source)


def seconds(loop: str, **values: Any) -> float | None:
    """The estimate for `loop`, in a function of `values`."""
    body = loop.replace("\n", "\n    ")
    text = f"def f({', '.join(values)}):\n    {body}\n"
    site = head(text)
    return interpreter_seconds(site, tuple(values.get(root, range) for root in site.roots))


def trips(loop: str, **values: Any) -> float:
    """The estimate in units of one trip of `for i in range(1)` with the same body."""
    whole = seconds(loop, **values)
    assert whole is not None
    return whole / (PLAIN_S if all(type(value) is int for value in values.values()) else NODE_S)


A = np.zeros((30, 40))


def test_the_estimate_grows_with_the_trip_count() -> None:
    loop = "for i in range(n): s = i"
    assert trips(loop, n=10_000) == pytest.approx(100 * trips(loop, n=100), rel=0.1)


@pytest.mark.parametrize(("head", "values", "expected"), [
    ("range(n)", {"n": 50}, 50), ("range(5, n)", {"n": 50}, 45), ("range(0, n, 2)", {"n": 51}, 26),
    ("range(n, 0, -1)", {"n": 50}, 50), ("range(n)", {"n": -5}, 0), ("range(2 * n + 1)", {"n": 5}, 11),
    ("range(n // 2)", {"n": 50}, 25), ("range(min(n, 7))", {"n": 50}, 7), ("range(-n, n)", {"n": 5}, 10),
    ("range(len(a))", {"a": A}, 30), ("range(a.shape[1])", {"a": A}, 40), ("range(n)", {"n": np.int64(50)}, 50),
    ("range(len(a))", {"a": [0.5] * 30}, 30), ("range(len(a))", {"a": "word"}, 4),
])  # fmt: skip
def test_trip_counts(head: str, values: dict[str, Any], expected: int) -> None:
    base = trips("for i in range(0): s = i")
    per_trip = trips("for i in range(1): s = i") - base
    # The head's own expressions are counted too, once.
    assert trips(f"for i in {head}: s = i", **values) == pytest.approx(base + expected * per_trip, abs=8)


def test_an_inner_loop_is_bounded_by_the_range_of_the_outer_counter() -> None:
    square = trips("for i in range(n):\n    for j in range(n): s = j", n=100)
    triangle = trips("for i in range(n):\n    for j in range(i): s = j", n=100)
    assert 0.5 * square < triangle <= square


def test_of_two_branches_the_dearer_counts() -> None:
    dear = "for i in range(n):\n    if i > 3:\n        for j in range(n): s = j\n    else:\n        s = 0"
    assert trips(dear, n=100) > 10_000


@pytest.mark.parametrize(("loop", "values"), [
    ("while n > 0: n = n - 1", {"n": 5}),
    ("for i in range(n):\n    n = 3", {"n": 5}),
    ("for i in range(k[0]): s = i", {"k": np.ones(3, int)}),
    ("for i in range(n): s = i", {"n": 5.0}),
    ("for i in range(1, n, k): s = i", {"n": 5, "k": 0}),
])  # fmt: skip
def test_what_cannot_be_bounded_is_left_to_a_closer_look(loop: str, values: dict[str, Any]) -> None:
    known = seconds(loop, **values)
    assert known is None or "n = 3" in loop  # `range(n)` is evaluated once, but the glance does not know that


def test_without_arguments_only_constant_loops_are_bounded() -> None:
    for loop, fixed in (("for i in range(3): s = i + k", True), ("for i in range(k): s = i", False)):
        text = f"def f(k):\n    {loop}\n"
        assert (interpreter_seconds(head(text), ()) is not None) == fixed


def test_sizes_tell_calls_apart_that_differ_in_work() -> None:
    text = "def f(n, a, x):\n    for i in range(n): a[i] = x\n"
    site = head(text)
    given = {"n": 3, "a": np.ones(4), "x": 1.5}

    def of(**changed: Any) -> tuple[object, ...] | None:
        return sizes(site, tuple({**given, **changed}.get(root) for root in site.roots))

    assert of() == of(x=2.5) == of(a=np.zeros(4)) is not None
    assert len({of(), of(n=4), of(a=np.ones(5)), of(a=np.ones((4, 1)))}) == 4
    assert len({of(a=[1.0]), of(a=[1.0, 2.0]), of(a=None)}) == 3
    assert of(n=np.int64(3)) is None  # its value matters, too


@pytest.mark.parametrize(("loop", "values", "low", "high"), [
    ("while b: a, b = b, a % b", {"a": 36, "b": 60}, 100, 1e4),
    ("while n != 1: n = n // 2 if n % 2 == 0 else 3 * n + 1", {"n": 5000}, 1e3, 1e4),
    ("while k < 1000000: k += 1", {"k": 0}, 1e6, 1e7),
    ("while x * x > 1e-9: x = x / 2", {"x": 4.0}, 1e9, 1e11),
    ("while k < n: k += 1", {"k": 0, "n": 10**7}, 1e7, 1e8),
    ("while k < n: k += 1", {"k": 0, "n": 10**400}, 1e9, 1e10),
    ("for i in range(300):\n    for j in range(n):\n        k = 0\n        while k < 99: k += 1", {"n": 300}, 8e6, 1e7),
    ("while a[k] > 0.5: k += 1", {"a": np.ones((300, 400)), "k": 0}, 1e5, 1e6),
    ("while x < 1.0: x += y", {"x": float("nan"), "y": 1e-300}, 1e9, 1e20),
])  # fmt: skip
def test_what_may_be_long_is_told_from_what_is_hardly_so(
    loop: str, values: dict[str, Any], low: float, high: float
) -> None:
    body = loop.replace("\n", "\n    ")
    site = head(f"def f({', '.join(values)}):\n    {body}\n")
    assert low <= stakes(constants(site), tuple(values.get(root, range) for root in site.roots)) <= high
