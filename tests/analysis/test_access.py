"""Accesses of a nest: affine subscripts, guards, symbols, loop domains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nests import nest_of, typed

from alpyna_hook.analysis.access import Access, NestAccesses, nest_accesses, pretty_affine
from alpyna_hook.analysis.bounds import prove


def accesses(text: str, **values: Any) -> NestAccesses:
    base = {"a": np.zeros(30), "b": np.zeros(30), "A": np.zeros((9, 9)), "idx": np.zeros(9, int)}
    base |= {"n": 5, "m": 4, "k": 2}
    nest, entry = typed(text, **{**base, **values})
    return nest_accesses(prove(nest, entry).nest)


def written(found: NestAccesses) -> Access:
    (access,) = [x for x in found.accesses if x.is_write]
    return access


def shown(access: Access) -> list[str]:
    return [pretty_affine(x).replace("_1", "") for x in access.index]


SUBSCRIPTS = [
    ("a[i] = 0.0", ["i"]),
    ("a[2 * i + k] = 0.0", ["2*i + k"]),
    ("a[-i + n - 1] = 0.0", ["-i + n - 1"]),
    ("j = i + 1\n    a[j + j] = 0.0", ["2*i + 2"]),
    ("if i > 2:\n        j = i\n    else:\n        j = i\n    a[j] = 0.0", ["i"]),
    ("j = i\n    j = j + k\n    a[j] = 0.0", ["i + k"]),
    ("a[len(b) - i] = 0.0", ["-i + b.shape[0]"]),
    ("a[idx[i]] = 0.0", ["..."]),
    ("a[n // 2 + i] = 0.0", ["i + (n // 2)"]),
    ("a[i * k] = 0.0", ["i*k"]),
]


@pytest.mark.parametrize(("body", "expected"), SUBSCRIPTS)
def test_subscript_as_an_affine_form(body: str, expected: list[str]) -> None:
    found = shown(written(accesses(f"for i in range(n):\n    {body}")))
    assert [x.replace("k*i", "i*k") for x in found] == expected


def test_a_scalar_assigned_on_one_path_only_is_not_followed() -> None:
    found = written(accesses("for i in range(n):\n    j = 0\n    if i > 2:\n        j = i\n    a[j] = 0.0"))
    assert shown(found) == ["j"] and found.index[0] is not None
    (key,) = (k for k, _ in found.index[0].terms)
    assert isinstance(key, str) and key.startswith("$")


def test_enclosing_conditions_are_guards() -> None:
    text = "for i in range(n):\n    if i > k and i != 4:\n        if not i >= n:\n            a[i] = 0.0"
    guards = [(pretty_affine(g.form).replace("_1", ""), g.op) for g in written(accesses(text)).guards]
    assert guards == [("i - k - 1", ">="), ("i - 4", "!="), ("-i + n - 1", ">=")]


def test_continue_guards_the_rest_of_the_body() -> None:
    text = "for i in range(n):\n    if i < k:\n        continue\n    a[i] = 0.0"
    assert [pretty_affine(g.form).replace("_1", "") for g in written(accesses(text)).guards] == ["i - k"]


def test_right_side_of_and_is_guarded_by_its_left_side() -> None:
    found = accesses("for i in range(n):\n    if i > 0 and a[i - 1] > 0.5:\n        b[i] = 0.0")
    (read,) = [x for x in found.accesses if not x.is_write]
    assert len(read.guards) == 1


def test_floats_never_guard() -> None:
    text = "def f(a, n, x):\n    for i in range(n):\n        if x > 0.5:\n            a[i] = 0.0\n"
    assert not written(accesses(text, x=1.0)).guards


def test_a_value_loaded_outside_a_loop_is_a_symbol_of_the_outer_loop() -> None:
    found = accesses("for i in range(n):\n    base = idx[i]\n    for j in range(m):\n        a[base + j] = 0.0")
    (symbol,) = (k for k, _ in (written(found).index[0] or pytest.fail()).terms if str(k).startswith("$base"))
    assert found.symbols[str(symbol)] == ("i_1",)


def test_flattened_subscript_takes_a_place_per_dimension() -> None:
    found = written(accesses("for i in range(n):\n    for j in range(m):\n        a[i * m + j] = 0.0"))
    assert shown(found) == ["i", "j"] and len(found.sizes) == 1


def test_flattened_subscript_that_leaves_its_row_stays_whole() -> None:
    found = written(accesses("for i in range(n):\n    for j in range(m + 1):\n        a[i * m + j] = 0.0"))
    assert len(found.index) == 1 and not found.sizes


def test_untyped_nests_have_accesses_too() -> None:
    found = nest_accesses(nest_of("for i in range(n):\n    t = i + 1\n    a[t] = b[i]"))
    assert [str(x).replace("_1", "") for x in found.accesses] == ["b[i]", "a[i + 1]"]


def test_a_while_loop_is_a_counter_without_end() -> None:
    found = accesses("for i in range(n):\n    while k > i:\n        a[i] = 0.0\n        k -= 1")
    loop = found.loops[written(found).loops[1]]
    assert loop.is_while and loop.stop is None
