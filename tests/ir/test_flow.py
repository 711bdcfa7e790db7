"""Scalar data flow: which assignments nothing uses."""

from __future__ import annotations

from alpyna_hook.ir.flow import unused_assignments
from alpyna_hook.ir.nodes import Assign, walk_stmts
from tests.analysis.lowering import lower


def unused(text: str) -> list[int]:
    """Line numbers, from 1 in `text`, of the unused assignments of its first loop."""
    nest = lower(text)
    found = unused_assignments(nest.body, frozenset(out.name for out in nest.live_outs))
    return sorted(s.span.line - 2 for s in walk_stmts(nest.body) if isinstance(s, Assign) and id(s) in found)


def in_function(body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f"def f(n, a, s, t):\n{lines}    return s\n"


def test_a_value_overwritten_before_it_is_read_is_unused() -> None:
    assert unused(in_function("for i in range(n):\n    t = a[i] / 2\n    t = a[i] + 1\n    a[i] = t")) == [3]


def test_a_value_that_only_the_last_trip_leaves_behind_is_unused_in_the_others() -> None:
    assert unused(in_function("for i in range(n):\n    s = a[i] / 2")) == [3]
    assert unused(in_function("for i in range(n):\n    s = a[i] / 2\n    if s > 1:\n        break")) == []


def test_reductions_and_conditional_results_are_used() -> None:
    assert unused(in_function("for i in range(n):\n    s = s + a[i]")) == []
    assert unused(in_function("for i in range(n):\n    if a[i] > 0:\n        s = a[i]")) == []
    assert unused(in_function("for j in range(n):\n    for i in range(n):\n        s = s + a[i]")) == []


def test_scalars_that_only_feed_each_other_are_unused() -> None:
    assert unused(in_function("for i in range(n):\n    t = t * 2\n    s = s + a[i]")) == [3]


def test_values_carried_to_the_next_trip_are_used() -> None:
    assert unused(in_function("for i in range(n):\n    s = s + t\n    t = a[i]")) == []


def test_values_in_the_test_of_a_while_are_used() -> None:
    assert unused(in_function("while s > 1:\n    s = a[n] / 2")) == []


def test_values_in_tests_and_subscripts_are_used() -> None:
    assert unused(in_function("for i in range(n):\n    t = i\n    if a[t] > 0:\n        a[i] = 1")) == []
