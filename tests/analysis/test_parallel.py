"""Verdicts per loop: small loops with the answer a compiler text book gives."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from nests import Analysed, analyse, show
from replay import replay

N = 12


def arrays() -> dict[str, Any]:
    rng = np.random.default_rng(7)
    return {
        "a": rng.random(N), "b": rng.random(N), "c": rng.random(4 * N), "out": rng.random(N),
        "A": rng.random((N, N)), "B": rng.random((N, N)), "C": rng.random((N, N)),
        "idx": rng.integers(0, N, N), "h": np.zeros(N, np.int64), "u": rng.integers(0, 256, N).astype(np.uint8),
        "D": rng.integers(0, 100, (N, N)), "w": rng.integers(-5, 6, N),
        "n": N, "m": N - 2, "k": N, "s": 0.0, "t": 0.0, "total": 0, "best": np.int64(-1), "eps": 0.25,
        "flag": 0, "x": 1.5, "m4": 4, "r": 3,
    }  # fmt: skip


def run(text: str, **kw: Any) -> Analysed:
    values = arrays()
    options = {k: kw.pop(k) for k in ("fp", "banned", "may_alias") if k in kw}
    values.update(kw)
    return analyse(text, **options, **values)


# (name, source, loop variables whose loops are parallel, those whose loops are not)
LOOPS = [
    ("copy", "for i in range(n):\n    a[i] = b[i]", "i", ""),
    ("saxpy", "for i in range(n):\n    a[i] = x * b[i] + a[i]", "i", ""),
    ("flow distance 1", "for i in range(1, n):\n    a[i] = a[i - 1] + b[i]", "", "i"),
    ("anti distance 1", "for i in range(n - 1):\n    a[i] = a[i + 1] * 2.0", "", "i"),
    ("even and odd", "for i in range(n // 2):\n    a[2 * i] = a[2 * i + 1]", "i", ""),
    ("overlapping strides", "for i in range(n // 2):\n    a[2 * i] = a[i] + 1.0", "", "i"),
    ("two halves", "for i in range(n // 2):\n    a[i] = a[i + 6]", "i", ""),
    ("reversal in place", "for i in range(n):\n    a[i] = a[n - 1 - i]", "", "i"),
    ("reversal by swaps", "for i in range(n // 2):\n    a[i], a[n - 1 - i] = a[n - 1 - i], a[i]", "i", ""),
    ("transpose", "for i in range(n):\n    for j in range(n):\n        B[j, i] = A[i, j]", "ij", ""),
    ("transpose in place", """
        for i in range(n):
            for j in range(i + 1, n):
                A[i, j], A[j, i] = A[j, i], A[i, j]
     """, "ij", ""),
    ("matmul", """
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    C[i, j] += A[i, k] * B[k, j]
     """, "ij", "k"),
    ("matmul with a scalar", """
        for i in range(n):
            for j in range(n):
                s = 0.0
                for k in range(n):
                    s += A[i, k] * B[k, j]
                C[i, j] = s
     """, "ij", "k"),
    ("jacobi", """
        for t in range(3):
            for i in range(1, n - 1):
                for j in range(1, n - 1):
                    B[i, j] = 0.25 * (A[i - 1, j] + A[i + 1, j] + A[i, j - 1] + A[i, j + 1])
            for p in range(1, n - 1):
                for q in range(1, n - 1):
                    A[p, q] = B[p, q]
     """, "ijpq", "t"),
    ("gauss-seidel", """
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                A[i, j] = 0.25 * (A[i - 1, j] + A[i + 1, j] + A[i, j - 1] + A[i, j + 1])
     """, "", "ij"),
    ("red half of red-black", """
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                if (i + j) % 2 == 0:
                    A[i, j] = 0.25 * (A[i - 1, j] + A[i + 1, j] + A[i, j - 1] + A[i, j + 1])
     """, "ij", ""),
    ("LU", """
        for k in range(n):
            for i in range(k + 1, n):
                A[i, k] = A[i, k] / A[k, k]
                for j in range(k + 1, n):
                    A[i, j] -= A[i, k] * A[k, j]
     """, "ij", "k"),
    ("cholesky column", """
        for j in range(n):
            for i in range(j + 1, n):
                for k in range(j):
                    A[i, j] -= A[i, k] * A[j, k]
     """, "i", "jk"),
    ("floyd-warshall", """
        for k in range(n):
            for i in range(n):
                for j in range(n):
                    A[i, j] = min(A[i, j], A[i, k] + A[k, j])
     """, "", "kij"),
    ("triangular fill", "for i in range(n):\n    for j in range(i + 1):\n        A[i, j] = 1.0", "ij", ""),
    ("triangular mirror", "for i in range(n):\n    for j in range(i):\n        A[j, i] = A[i, j]", "ij", ""),
    ("prefix sum", "for i in range(1, n):\n    a[i] += a[i - 1]", "", "i"),
    ("prefix sum by scalar", "for i in range(n):\n    s += a[i]\n    b[i] = s", "", "i"),
    ("float sum", "for i in range(n):\n    s += a[i]", "", "i"),
    ("integer count", "for i in range(n):\n    if a[i] > 0.5:\n        total += 1", "i", ""),
    ("integer maximum", "for i in range(n):\n    best = max(best, idx[i])", "i", ""),
    ("argmax", "for i in range(n):\n    if a[i] > x:\n        x = a[i]\n        best = i", "", "i"),
    ("histogram", "for i in range(n):\n    h[idx[i]] += 1", "i", ""),
    ("float scatter", "for i in range(n):\n    a[idx[i]] += b[i]", "", "i"),
    ("integer maximum by if", "for i in range(n):\n    if idx[i] > best:\n        best = idx[i]", "i", ""),
    ("integer minimum by if", "for i in range(n):\n    t = idx[i]\n    if best > t:\n        best = t", "i", ""),
    ("maximum mixed with its place", """
        for i in range(n):
            if idx[i] > best:
                best = idx[i]
                flag = i
     """, "", "i"),
    ("flattened rows", """
        for i in range(n // 4):
            for j in range(m4):
                c[i * m4 + j] = c[i * m4 + j] * 2.0
     """, "ij", ""),
    ("flattened matmul", """
        for i in range(r):
            for j in range(r):
                for k in range(r):
                    c[i * r + j] += b[k] * out[k]
     """, "ij", "k"),
    ("three flattened dimensions", """
        for i in range(r):
            for j in range(r):
                for k in range(r):
                    c[(i * r + j) * r + k] = 1.0
     """, "ijk", ""),
    ("flattened rows that overlap", """
        for i in range(n // 4):
            for j in range(m4 + 1):
                c[i * m4 + j] = c[i * m4 + j] * 2.0
     """, "j", "i"),
    ("gather", "for i in range(n):\n    a[i] = b[idx[i]]", "i", ""),
    ("scatter to a row", "for i in range(n):\n    for j in range(n):\n        A[i, idx[j]] = B[i, j]", "i", "j"),
    ("private temporary", "for i in range(n):\n    t = a[i] * 2.0\n    b[i] = t * t", "i", ""),
    ("conditional temporary", "for i in range(n):\n    if a[i] > 0.5:\n        t = a[i]\n    b[i] = t", "", "i"),
    ("conditional write", "for i in range(n):\n    if a[i] > 0.5:\n        b[i] = 0.0", "i", ""),
    ("wavefront", """
        for i in range(1, n):
            for j in range(1, n):
                D[i, j] = min(D[i - 1, j], D[i, j - 1]) + 1
     """, "", "ij"),
    ("column recurrence", """
        for i in range(1, n):
            for j in range(n):
                A[i, j] += A[i - 1, j]
     """, "j", "i"),
    ("one element", "for i in range(n):\n    a[0] = b[i]", "", "i"),
    ("row 0 read, others written",
     "for i in range(1, n):\n    for j in range(n):\n        A[i, j] += A[0, j]", "ij", ""),
    ("forward substitution", """
        for i in range(n):
            jj = i + 1
            if jj < n:
                a[jj] = b[i]
     """, "i", ""),
    ("substituted recurrence", "for i in range(n - 1):\n    jj = i + 1\n    a[jj] = a[i]", "", "i"),
    ("downwards", "for i in range(n - 1, -1, -1):\n    a[i] = b[i] + 1.0", "i", ""),
    ("downwards recurrence", "for i in range(n - 2, -1, -1):\n    a[i] = a[i + 1] + 1.0", "", "i"),
    ("steps of two", "for i in range(0, n - 1, 2):\n    a[i] = a[i + 1]", "i", ""),
    ("tiles", """
        for ii in range(0, n, 4):
            for i in range(ii, min(ii + 4, n)):
                a[i] = b[i] + 1.0
     """, "ii i".split(), ""),
    ("break", "for i in range(n):\n    if a[i] > 0.9:\n        break\n    b[i] = a[i]", "", "i"),
    ("break of an inner loop", """
        for i in range(n):
            for j in range(n):
                if A[i, j] > 0.9:
                    break
                B[i, j] = A[i, j]
     """, "i", "j"),
    ("inner while", """
        for i in range(n):
            t = a[i]
            while t < 10.0:
                t = t * 2.0 + 1.0
            b[i] = t
     """, "i", ""),
    ("convolution", """
        for i in range(n):
            for j in range(n):
                c[i + j] += a[i] * b[j]
     """, "j", "i"),
    ("rotating buffers", "for i in range(n):\n    a[i % 2] = b[i]", "", "i"),
    ("halves by floor division", "for i in range(n):\n    a[i // 2] = b[i]", "", "i"),
    ("continue", "for i in range(n):\n    if i == 0:\n        continue\n    a[i] = a[0]", "i", ""),
    ("induction variable", "for i in range(n):\n    total += 2\n    b[i] = a[i]", "i", ""),
    ("carried flag", "for i in range(n):\n    if flag == 0:\n        b[i] = 1.0\n    flag = 1 - flag", "", "i"),
    ("unknown sign of an offset", "for i in range(1, m):\n    a[i] = a[i - 1 + flag]", "", ""),
    ("wrapping neighbour", "for i in range(n):\n    a[i] = b[i - 1]", "i", ""),
    ("wrapping neighbour in place", "for i in range(n):\n    a[i - 1] = a[i]", "", "i"),
    ("last element by -1", "for i in range(n - 1):\n    a[i] = a[-1]", "i", ""),
    ("last element overwritten", "for i in range(n):\n    a[i] = a[-1]", "", "i"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "yes", "no"), [x[1:] for x in LOOPS], ids=[x[0] for x in LOOPS])
def test_verdict(text: str, yes: str, no: str) -> None:
    result = run(text)
    found = {c.rpartition("_")[0] or c: v for c, v in result.parallel.verdicts.items()}
    for name in yes:
        assert found[name].parallel, f"{name}: {found[name].why}"
    for name in no:
        assert not found[name].parallel, f"{name}: {found[name].why}"


@pytest.mark.parametrize("text", [x[1] for x in LOOPS], ids=[x[0] for x in LOOPS])
def test_any_order_of_a_parallel_loop_gives_the_same(text: str) -> None:
    result = run(text)
    live = {v.name for v in result.nest.live_ins}
    values = {k: v for k, v in arrays().items() if k in live}
    expected = replay(result.proved.nest, values)
    for counter, verdict in result.parallel.verdicts.items():
        for seed in range(3) if verdict.parallel else ():
            got = replay(result.proved.nest, values, (counter, verdict, random.Random(seed)))
            assert got.keys() == expected.keys()
            assert all(np.array_equal(got[k], expected[k]) for k in expected), (counter, verdict)


def only(result: Analysed) -> Any:
    (verdict,) = result.parallel.verdicts.values()
    return verdict


def test_carried_names_both_accesses_and_the_distance() -> None:
    why = only(run("for i in range(2, n):\n    a[i] = a[i - 2] + 1.0")).why
    assert why == "carried: a[i - 2] (line 2) reads what a[i] (line 2) wrote 2 iterations before"


def test_parametric_distance_becomes_a_precondition() -> None:
    text = "for i in range(k, n + k):\n    c[i] = c[i - k] + 1.0"
    verdict = only(run(text, k=N))
    assert verdict.parallel
    assert {show(p) for p in verdict.preconditions} == {"(k >= 0 or (k + n) <= 0)", "(k <= 0 or n <= k)"}
    assert not only(run(text, k=3)).parallel
    assert only(run(text, k=0)).parallel


def test_banned_precondition_is_not_used_again() -> None:
    text = "for i in range(k, n + k):\n    c[i] = c[i - k] + 1.0"
    first = only(run(text, k=N))
    assert not only(run(text, k=N, banned=frozenset(first.preconditions))).parallel or set(
        only(run(text, k=N, banned=frozenset(first.preconditions))).preconditions
    ).isdisjoint(first.preconditions)


def test_float_reduction_is_parallel_only_under_relaxed() -> None:
    text = "for i in range(n):\n    s += a[i] * b[i]"
    assert only(run(text)).why == "float reduction of s: order must be kept under fp=strict"
    relaxed = only(run(text, fp="relaxed"))
    assert relaxed.parallel and [(r.name, r.op) for r in relaxed.reductions] == [("s", "+")]


def test_integer_sum_of_unknown_values_keeps_its_overflow_check() -> None:
    assert only(run("for i in range(n):\n    total += w[i]")).reductions[0].checked
    assert not only(run("for i in range(n):\n    total += 3")).reductions[0].checked


def test_overlapping_arrays_are_one_array() -> None:
    text = "for i in range(n):\n    a[i] = b[i]"
    verdict = only(run(text, may_alias=frozenset({frozenset("ab")})))
    assert not verdict.parallel and "may overlap in memory" in verdict.why


def test_two_read_only_arrays_may_overlap() -> None:
    text = "for i in range(n):\n    out[i] = a[i] + b[i]"
    assert only(run(text, may_alias=frozenset({frozenset("ab")}))).parallel


def test_scalar_needed_afterwards_is_lastprivate_or_conditional() -> None:
    text = "for i in range(n):\n    t = a[i]\n    if t > 0.5:\n        x = t\nprint(t, x)"
    verdict = only(run(text))
    assert verdict.parallel
    assert "t" in verdict.lastprivate and "x" in verdict.conditional


def test_inner_loop_known_to_run_makes_its_variable_definite() -> None:
    text = "for i in range(n):\n    for j in range(m):\n        A[i, j] = 1.0\nprint(j)"
    verdict = run(text).parallel.verdicts
    outer = next(v for c, v in verdict.items() if c.startswith("i"))
    assert "j" in outer.lastprivate and [show(p) for p in outer.preconditions] == ["m >= 1"]


def test_temporary_of_a_function_is_not_live_after_its_loop() -> None:
    text = "def f(a, b, n):\n    for i in range(n):\n        t = a[i]\n        b[i] = t\n"
    verdict = only(run(text))
    assert "t" in verdict.private and not verdict.lastprivate


def test_private_inside_carried_outside() -> None:
    text = "for i in range(n):\n    for j in range(n):\n        t = A[i, j]\n        B[i, j] = t + s\n    s = t"
    verdict = {c[0]: v for c, v in run(text).parallel.verdicts.items()}
    assert not verdict["i"].parallel and verdict["j"].parallel and "t" in verdict["j"].private
