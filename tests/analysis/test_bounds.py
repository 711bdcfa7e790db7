"""What the prover removes, what it rests on, and that every claim holds when the nest is run."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from nests import analyse, entry_of, show, typed
from replay import Fault, replay

from alpyna_hook.analysis.bounds import Proved, prove
from alpyna_hook.analysis.predicates import holds
from alpyna_hook.ir.nodes import Binary, Call, Cast, Load, Nest, Store, Unary, walk_exprs, walk_stmts

N = 10


def values(**kw: Any) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    base: dict[str, Any] = {
        "a": rng.random(N), "b": rng.random(N), "A": rng.random((N, N)), "flat": rng.random(N * N),
        "u": rng.integers(0, 256, N).astype(np.uint8), "h": np.zeros(256, np.int64), "hh": np.zeros(512, np.int64),
        "idx": rng.integers(0, N, N), "I": np.zeros(N, np.int64), "n": N, "m": N, "k": 2, "x": 2.5, "c": 0, "s": 0,
        "flags": rng.random(N) < 0.5, "y": 0.0,
    }  # fmt: skip
    return {**base, **kw}


def proved(text: str, **kw: Any) -> Proved:
    return analyse(text, **values(**kw)).proved


def modes(nest: Nest, array: str) -> list[str]:
    """Modes of each access to `array`, loads first, in the order they are written."""
    loads = [e for e in walk_exprs(nest.body) if isinstance(e, Load) and e.array == array]
    stores = [s for s in walk_stmts(nest.body) if isinstance(s, Store) and s.array == array]
    return [" ".join(x.modes) for x in (*loads, *stores)]


def checks(nest: Nest) -> set[str]:
    return {c for e in walk_exprs(nest.body) if isinstance(e, (Binary, Unary, Call, Cast)) for c in e.checks}


def conditions(p: Proved) -> set[str]:
    return {show(x) for x in p.preconditions}


LEAST = "n >= -9223372036854775807"  # n - 1 does not overflow

SUBSCRIPTS = [
    ("from zero", "for i in range(n):\n    a[i] = 1.0", "direct", {"n <= a.shape[0]"}),
    ("own length", "for i in range(len(a)):\n    a[i] = 1.0", "direct", set()),
    ("own length less one", "for i in range(1, len(a) - 1):\n    a[i] = 1.0", "direct", set()),
    ("neighbour", "for i in range(1, n):\n    a[i - 1] = 1.0", "direct", {"n <= (a.shape[0] + 1)"}),
    ("wrapping neighbour", "for i in range(n):\n    a[i - 1] = 1.0", "wrap",
     {"n <= (a.shape[0] + 1)", "a.shape[0] >= 1"}),
    ("last element", "for i in range(n):\n    a[-1] = 1.0", "wrap", {"a.shape[0] >= 1"}),
    ("periodic", "for i in range(n):\n    a[(i + k) % n] += a[(i - 1) % n] + a[(2 * i - k) % n]", None, None),
    ("downwards", "for i in range(n - 1, -1, -1):\n    a[i] = 1.0", "direct",
     {"n <= a.shape[0]", LEAST}),
    ("from the end", "for i in range(n):\n    a[n - 1 - i] = 1.0", "direct", {"n <= a.shape[0]"}),
    ("step two", "for i in range(0, n - 1, 2):\n    a[i + 1] = 1.0", "direct", {"n <= a.shape[0]", LEAST}),
    ("entry start", "for i in range(k, n):\n    a[i - k] = 1.0", "direct", {"n <= (a.shape[0] + k)"}),
    ("triangular", "for i in range(n):\n    for j in range(i, n):\n        a[j - i] = 1.0", "direct",
     {"n <= a.shape[0]"}),
    ("guarded", "for i in range(n):\n    if i > 0:\n        a[i - 1] = 1.0", "direct", {"n <= (a.shape[0] + 1)"}),
    ("guarded by continue", "for i in range(n):\n    if i == 0:\n        continue\n    a[i - 1] = 1.0", "direct",
     {"n <= (a.shape[0] + 1)"}),
    ("chained guard on a loaded subscript",
     "for i in range(n):\n    j = idx[i]\n    if 0 <= j < len(a):\n        a[j] = 1.0", "direct",
     {"n <= idx.shape[0]"}),
    ("guard repeated on the load itself", "for i in range(n):\n    if 0 <= idx[i] < len(a):\n        a[idx[i]] = 1.0",
     "direct", {"n <= idx.shape[0]"}),
    ("loaded", "for i in range(n):\n    a[idx[i]] = 1.0", "checked", {"n <= idx.shape[0]"}),
    ("bytes", "for i in range(n):\n    h[u[i]] = 1", "direct", {"n <= u.shape[0]", "h.shape[0] >= 256"}),
    ("scaled bytes", "for i in range(n):\n    hh[2 * int(u[i]) + 1] = 1", "direct",
     {"n <= u.shape[0]", "hh.shape[0] >= 512"}),
    ("modulus", "for i in range(3 * n):\n    a[i % n] = 1.0", "direct",
     {"n <= a.shape[0]", "n <= 3074457345618258602", "n >= 1"}),
    ("modulus by a number", "for i in range(n):\n    a[i % 4] = 1.0", "direct", {"a.shape[0] >= 4"}),
    ("half", "for i in range(2 * n):\n    a[i // 2] = 1.0", "direct", None),
    ("clamped", "for i in range(n):\n    a[min(max(i - k, 0), n - 1)] = 1.0", "direct", {"n <= a.shape[0]", "k >= 0"}),
    ("absolute", "for i in range(n):\n    a[abs(i - 3)] = 1.0", "direct", None),
    ("conditional", "for i in range(n):\n    a[i - 1 if i > 0 else 0] = 1.0", "direct", None),
    ("flag", "for i in range(n):\n    h[int(a[i] > 0.5)] = 1", "direct", None),
    ("linearised", "for i in range(n):\n    for j in range(m):\n        flat[i * m + j] = 1.0", "direct", None),
    ("counter by hand", "for i in range(n):\n    a[c] = 1.0\n    c += 1", "direct", None),
    ("compacting counter",
     "c = 0\nfor i in range(n):\n    if b[i] > 0.5:\n        a[c] = b[i]\n        c += 1", "direct", None),
    ("ring counter", "for i in range(n):\n    a[c] = 1.0\n    c = (c + 1) % n", "direct", None),
    ("ring counter by if", "for i in range(n):\n    a[c] = 1.0\n    c += 1\n    if c == n:\n        c = 0", None, None),
    ("while counter", "while c < n:\n    a[c] = 1.0\n    c += 1", "direct", {"n <= a.shape[0]", "c >= 0"}),
    ("binary search", """
        for i in range(n):
            lo = 0
            hi = n
            while lo < hi:
                mid = (lo + hi) // 2
                if a[mid] < x:
                    lo = mid + 1
                else:
                    hi = mid
            I[i] = lo
     """, None, None),
    ("tiles", "for ii in range(0, n, 4):\n    for i in range(ii, min(ii + 4, n)):\n        a[i] = 1.0", "direct", None),
    ("two levels of guard", """
        for i in range(n):
            if i >= k:
                if i < n - k:
                    a[i - k] = a[i + k]
     """, "direct", None),
    ("short circuit", "for i in range(n):\n    if i > 0 and a[i - 1] > 0.5:\n        b[i] = 1.0", "direct", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mode", "rests"), [x[1:] for x in SUBSCRIPTS], ids=[x[0] for x in SUBSCRIPTS])
def test_subscript_mode_and_what_it_rests_on(text: str, mode: str | None, rests: set[str] | None) -> None:
    p = proved(text)
    if mode is not None:
        array = next(name for name in ("flat", "hh", "h", "a") if modes(p.nest, name))
        assert set(modes(p.nest, array)) == {mode}, (conditions(p), p.nest.body)
    if rests is not None:
        assert conditions(p) == rests


@pytest.mark.parametrize("text", [x[1] for x in SUBSCRIPTS], ids=[x[0] for x in SUBSCRIPTS])
def test_claims_hold_for_other_entries_that_meet_the_preconditions(text: str) -> None:
    p = proved(text)
    rng = random.Random(5)
    met = 0
    for _ in range(60):
        size = rng.randint(1, 12)
        v = values(
            n=rng.randint(-2, 12), m=rng.randint(-1, 12), k=rng.randint(-3, 5), c=rng.randint(-2, 3),
            a=np.arange(float(size)) % 1.7, b=np.arange(float(rng.randint(1, 12))) % 0.9,
            idx=np.array([rng.randint(-20, 20) for _ in range(rng.randint(1, 12))]),
        )  # fmt: skip
        live = {x.name for x in p.nest.live_ins if x.role != "function"}
        mine = {name: v[name] for name in live}
        entry = entry_of(p.nest, mine)
        if all(holds(x, entry) for x in p.preconditions):
            met += 1
            try:
                replay(p.nest, mine)  # raises Wrong where a claim does not hold
            except Fault:
                pass
    assert met


def test_a_condition_false_at_entry_leaves_the_check() -> None:
    p = proved("for i in range(n):\n    a[i] = 1.0", n=N + 1)
    assert modes(p.nest, "a") == ["checked"] and not p.preconditions


def test_a_banned_condition_leaves_the_check() -> None:
    text = "for i in range(n):\n    a[i] = 1.0"
    nest, entry = typed(text, a=np.zeros(N), n=N)
    first = prove(nest, entry)
    second = prove(nest, entry, frozenset(first.preconditions))
    assert modes(second.nest, "a") == ["checked"] and not second.preconditions


def test_an_empty_loop_is_proved_without_conditions_that_fail_for_it() -> None:
    p = proved("for i in range(n):\n    for j in range(m):\n        A[i, j] = 1.0", n=0, m=0)
    assert modes(p.nest, "A") == ["direct direct"]


CHECKS = [
    ("counter sum", "for i in range(n):\n    I[i] = 2 * i + 1", set()),
    ("count", "for i in range(n):\n    if a[i] > 0.5:\n        c += 1", set()),
    ("count in a while", "while x > 1.0:\n    x = x / 2.0\n    c += 1", set()),
    ("nested count", "for i in range(n):\n    for j in range(n):\n        c += 1", set()),
    ("sum of bytes", "for i in range(n):\n    s += int(u[i])", set()),
    ("sum of flags", "for i in range(n):\n    s += int(flags[i])", set()),
    ("triangular sum", "for i in range(n):\n    for j in range(i):\n        s += j", None),
    ("sum of int64", "for i in range(n):\n    s += int(I[i])", {"overflow"}),
    ("product", "s = 1\nfor i in range(1, n):\n    s *= i", {"overflow"}),
    ("constant divisor", "for i in range(n):\n    y = i / 4\n    a[i] = y", set()),
    ("loop count divides", "for i in range(n):\n    a[i] = i / n", set()),
    ("counter divides", "for i in range(n):\n    a[i] = 1.0 / (i + 1)", set()),
    ("counter from 0 divides", "for i in range(n):\n    a[i] = 1.0 / i", {"zero"}),
    ("guarded divisor", "for i in range(n):\n    if i != 0:\n        a[i] = 1.0 / i", set()),
    ("float live-in divides", "for i in range(n):\n    a[i] = 1.0 / x", set()),
    ("float scalar divides", "for i in range(n):\n    y = float(a[i])\n    b[i] = 1.0 / y", {"zero"}),
    ("guarded float divides",
     "for i in range(n):\n    y = float(a[i])\n    if y != 0.0:\n        b[i] = 1.0 / y", set()),
    ("softened divisor",
     "import math\nfor i in range(n):\n    y = float(a[i])\n    b[i] = 1.0 / (math.sqrt(y * y) + 0.5)", set()),
    ("logarithm of a positive",
     "import math\nfor i in range(n):\n    y = float(a[i])\n    b[i] = math.log(1.0 + y * y)", set()),
    ("remainder", "for i in range(n):\n    I[i] = (3 * i + k) % 7", set()),
    ("shift", "for i in range(n):\n    I[i] = 1 << (i % 8)", {"overflow"}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "left"), [x[1:] for x in CHECKS], ids=[x[0] for x in CHECKS])
def test_checks_that_are_left(text: str, left: set[str] | None) -> None:
    p = proved(text)
    if left is not None:
        assert checks(p.nest) == left, conditions(p)


def test_float_divisor_rests_on_being_nonzero() -> None:
    assert "finite(x, nonzero)" in conditions(proved("for i in range(n):\n    a[i] = 1.0 / x"))
    assert "zero" in checks(proved("for i in range(n):\n    a[i] = 1.0 / x", x=0.0).nest)


def test_a_scalar_that_wraps_is_never_trusted() -> None:
    """s stays checked, so a subscript made of it must be, too."""
    p = proved("for i in range(n):\n    s = s * 3 + int(idx[i])\n    a[s % n] = 1.0\n    b[s] = 1.0")
    assert "overflow" in checks(p.nest) and modes(p.nest, "b") == ["checked"]


def test_matmul_rests_on_its_shapes_only() -> None:
    p = proved("for i in range(n):\n    for j in range(n):\n        for k in range(n):\n            A[i, j] += A[i, k]")
    assert conditions(p) == {"n <= A.shape[0]", "n <= A.shape[1]"} and not checks(p.nest)


def test_a_remainder_of_what_is_near_needs_no_division() -> None:
    p = proved("for i in range(n):\n    for j in range(n):\n        A[(i + 1) % n, (j - 1) % n] = "
               "A[(i - j) % n, (i + j) % n]\n"
               "        A[(2 * i + j) % n, i % n] = 1.0")  # fmt: skip
    found = [e.wraps for e in walk_exprs(p.nest.body) if isinstance(e, Binary) and e.op == "%"]
    assert sorted(found) == ["", "above", "above", "above", "below", "below"]


def test_how_near_may_rest_on_an_entry_value() -> None:
    p = proved("for i in range(n):\n    a[(i + k) % n] = 1.0")
    assert [e.wraps for e in walk_exprs(p.nest.body) if isinstance(e, Binary) and e.op == "%"] == ["above"]
    assert conditions(p) >= {"k >= 0"}
