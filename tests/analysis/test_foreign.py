"""Loops over CuPy arrays: what is taken for the same as with NumPy's, what is refused, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from nests import nest_of, type_of

from alpyna_hook.analysis.foreign import Judged, judge
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.nodes import Select, Store, walk_stmts
from alpyna_hook.ir.types import ArrayType, ObjectType, Type

TYPES = {"a": "f8", "b": "f8", "c": "f4", "d": "f4", "k": "i8", "m": "i4", "u": "u1", "f": "?", "z": "f8"}


def judged(body: str, head: str = "for i in range(n):", after: str = "") -> Judged | Rejection:
    """a, b: float64 of CuPy; c, d: float32; k, m, u: integers; f: bools; h: of NumPy; s, n: Python numbers."""
    lines = [f"def run(n, s, p, x, h, {', '.join(TYPES)}):", f"    {head}", *(f"        {x}" for x in body.split("\n"))]
    nest = nest_of("\n".join(["import math", *lines, f"    {after}"]))
    types: dict[str, Type] = {}
    for live in nest.live_ins:
        if live.name in TYPES:
            kind = type_of(np.zeros(3, TYPES[live.name]))
            assert isinstance(kind, ArrayType)
            types[live.name] = replace(kind, place="cupy")
        elif live.role == "function":
            types[live.name] = ObjectType(live.intrinsic)
        else:
            given: dict[str, Any] = {"h": np.zeros(3), "n": 3, "x": np.float64(1)}
            types[live.name] = type_of(given.get(live.name, 0.5))
    return judge(nest, types)


ACCEPTED = [
    "a[i] = b[i] * 2 + s",
    "a[i] = b[i] / b[i - 1] - 1",
    "a[i] += c[i]",
    "c[i] = c[i] * 0.5 - d[i]",
    "c[i] = a[i]",
    "c[i] *= d[i] + 3",
    "a[i] = k[i]",
    "k[i] = k[i] * 3 - n",
    "m[i] = m[i] + n\nu[i] = u[i] * 2",
    "a[i] = -abs(b[i])",
    "a[i] = max(b[i], 0.0)",
    "a[i] = b[i] if f[i] and b[i] > 0 else 0.0",
    "f[i] = a[i] < c[i]",
    "f[i] = not k[i] >= n",
    "if a[i]:\n    b[i] = 1",
    "a[i] = h[i]",
    "c[i] = d[i] * s - p",
    "c[i] = -s if c[i] > s else 0.5",
    "a[i] = b[i] * h[i] + x",
    "h[i] = float(a[i]) + int(k[i])",
    "t = b[i]\na[i] = t * t",
    "t = a[i] * 2\na[i] = t\nt = t + 1\nb[i] = t",
    "t = 0.0\nfor j in range(n):\n    t += a[j] * b[j]\nz[i] = t",
    "for v in a:\n    b[i] = v + 1.0",
]


@pytest.mark.parametrize("body", ACCEPTED)
def test_what_means_the_same_is_taken(body: str) -> None:
    found = judged(body)
    assert isinstance(found, Judged), found.title


REFUSED = [
    ("a[i] = b[i] // 2", "`//` of a CuPy float64 and a Python int"),
    ("a[i] = b[i] % 2", "`%`"),
    ("a[i] = b[i] ** 2", "`**`"),
    ("a[i] = k[i] / k[i]", "`/` of a CuPy int64 and a CuPy int64"),
    ("a[i] = k[i] * 0.5", "`*` of a CuPy int64 and a Python float"),
    ("a[i] = b[i] * k[i]", "`*` of a CuPy float64 and a CuPy int64"),
    ("k[i] = k[i] + m[i]", "`+` of a CuPy int64 and a CuPy int32"),
    ("c[i] = c[i] * (s + 1)", "`*` of a CuPy float32 and a Python float"),  # may overflow on its way to float32
    ("c[i] = c[i] * s\ns = 1e300", "`*` of a CuPy float32 and a Python float"),
    ("c[i] = c[i] * 1e39", "`*` of a CuPy float32 and a Python float"),
    ("c[i] = c[i] + 16777217", "`+` of a CuPy float32 and a Python int"),
    ("c[i] = c[i] * h[i]", "`*` of a CuPy float32 and a NumPy float64"),
    ("a[i] = b[i] + (h[i] > 0)", "`+` of a CuPy float64 and a NumPy bool"),
    ("a[i] = b[i] + True", "`+` of a CuPy float64 and a Python bool"),
    ("f[i] = u[i] < 300", "`<` of a CuPy uint8 and a Python int"),
    ("f[i] = u[i] > -1", "`>` of a CuPy uint8 and a Python int"),
    ("f[i] = a[i] > h[i]", "`>` of a CuPy float64 and a NumPy float64"),
    ("f[i] = f[i] == f[i - 1]", "`==` of a CuPy bool and a CuPy bool"),
    ("u[i] = -u[i]", "`-` of a CuPy uint8"),
    ("k[i] = ~k[i]", "`~` of a CuPy int64"),
    ("k[i] = a[i]", "How a CuPy float64 is stored into `k`"),
    ("k[i] = 2.5", "How a Python float is stored into `k`"),
    ("u[i] = k[i]", "How a CuPy int64 is stored into `u`"),
    ("c[i] = s * s", "How a Python float is stored into `c`"),
    ("c[i] = h[i]", "How a NumPy float64 is stored into `c`"),
    ("a[i] = f[i]", "How a CuPy bool is stored into `a`"),
    ("a[i] = s if f[i] else b[i]", "is CuPy's own on some paths only"),
    ("h[i] = a[i]", "stored into `h`, a NumPy array, which raises TypeError"),
    ("h[i] = max(a[i], 0.0)", "which raises TypeError"),
    ("a[k[i]] = 1.0", "A subscript is an element of a CuPy array"),
    ("for j in range(k[i]):\n    a[j] = 1.0", "A bound of a range is an element of a CuPy array"),
    ("a[i] = round(b[i])", "`round` of a CuPy float64"),
    ("a[i] = math.floor(b[i])", "`math.floor` of a CuPy float64"),
    ("t = a[i]\na[i] = 2.0\nb[i] = t", "An element of `a`, a CuPy array, is a view of it"),
    ("a[i], a[i - 1] = a[i - 1], a[i]", "is a view of it"),
    ("t = a[i] if f[i] else b[i]\nb[i] = t", "is a view of it"),
    ("t = max(a[i], b[i])\na[i] = t * 2", "is a view of it"),
    ("t = b[i]\nt += 1\na[i] = t", "`t` is changed in place"),
    ("t = b[i] * 2\nq = t\nt += 1\na[i] = q", "`t` is changed in place"),
    ("t = b[i] * 2\nq = t\nq *= 2\na[i] = t", "`q` is changed in place"),
    ("t = c[i] * 2\nt += a[i]\nb[i] = t", "`t` is changed in place"),  # stays float32
]


@pytest.mark.parametrize("body, words", REFUSED)
def test_what_may_not_mean_the_same_is_refused_in_words(body: str, words: str) -> None:
    found = judged(body)
    assert isinstance(found, Rejection) and found.code == "foreign-array"
    assert words in found.title


def test_a_name_that_the_loop_leaves_behind_is_no_element_of_an_array() -> None:
    found = judged("t = a[i] * 2", after="return t")
    assert isinstance(found, Rejection) and "`t`, which the loop leaves behind, would be a CuPy array" in found.title
    assert isinstance(judged("t = float(a[i]) * 2", after="return t"), Judged)


@pytest.mark.parametrize("body, silent", [
    ("a[i] = b[i] / s", True), ("a[i] = b[i] / float(n)", True), ("a[i] = b[i] / h[i]", False),
    ("a[i] = b[i] / x", False),
])  # fmt: skip
def test_warnings_are_watched_for_where_numpys_numbers_take_part(body: str, silent: bool) -> None:
    found = judged(body)
    assert isinstance(found, Judged) and found.silent is silent


@pytest.mark.parametrize("body, replaced", [
    ("a[i] = s", True), ("c[i] = -s", True), ("a[i] = h[i]", True), ("a[i] = 0.5", False), ("a[i] = b[i]", False),
    ("h[i] = s", False),
])  # fmt: skip
def test_a_negative_zero_is_filled_in_as_a_positive_one(body: str, replaced: bool) -> None:
    found = judged(body)
    assert isinstance(found, Judged)
    (store,) = (s for s in walk_stmts(found.nest.body) if isinstance(s, Store))
    assert isinstance(store.value, Select) is replaced
