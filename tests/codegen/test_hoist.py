"""Loads moved out of inner loops so that the loop around them runs in strips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from on_device import run, specialised

from alpyna_hook.specialisation import Specialisation

RNG = np.random.default_rng(5)
N = 250  # some work items have more than a strip of iterations
X = RNG.random((N, 2)) + np.arange(N)[:, None]
WEIGHTS = RNG.random(N)


def text_of(line: str) -> str:
    return f"""
def f(n, m, x, w, b):
    for i in range(n):
        s = 0.0
        for j in range(m):
            {line}
        b[i] = s
"""


def given(**more: Any) -> dict[str, Any]:
    return {"n": N, "m": N, "x": X.copy(), "w": WEIGHTS.copy(), "b": np.ones(N), **more}


def compiled(line: str) -> Specialisation:
    spec = specialised(text_of(line), "opencl:rows", given())
    assert not spec.without
    return spec


def check(line: str, spec: Specialisation, values: dict[str, Any]) -> None:
    scope: dict[str, Any] = {}
    exec(text_of(line), scope)
    plain = {name: v.copy() if isinstance(v, np.ndarray) else v for name, v in values.items()}
    scope["f"](**plain)
    assert run(spec, values) == (0, {})
    assert all(values[name].tobytes() == plain[name].tobytes() for name in "xwb")


@pytest.mark.parametrize("m", [0, 1, N])
def test_sums_run_side_by_side(m: int) -> None:
    line = "s += w[j] / (0.5 + x[j, 0] - x[i, 0] + x[i, 1])"
    spec = compiled(line)
    text = spec.sources["opencl"].text
    assert "0 < m ? x[i * x_n1 + 0] : 0.0" in text and "0 < m ? x[i * x_n1 + 1] : 0.0" in text
    assert "double s[64]" in text
    check(line, spec, given(m=m))


@pytest.mark.parametrize("line", [
    "x[i, 1] = 0.5; s += w[j] / x[i, 0]",  # it may change
    "s += w[j] / x[i, j % 2]",  # not the same in all trips
    "s += w[j] / (x[i, 0] if w[j] > 0.5 else 2.0)",  # perhaps not loaded at all
])  # fmt: skip
def test_what_may_change_or_not_be_loaded_stays(line: str) -> None:
    spec = compiled(line)
    assert "x_at" not in spec.sources["opencl"].text
    check(line, spec, given())


def test_a_division_by_zero_is_seen_in_all_lanes() -> None:
    spec = compiled("s += w[j] / (x[j, 0] - x[i, 0])")
    assert "x_at" in spec.sources["opencl"].text
    assert run(spec, given()) == (2, 1)


ELIMINATION = """
def f(n, a):
    for i in range(1, n):
        for j in range(1, n):
            a[i, j] = a[i, j] - a[i, 0] * a[0, j]
"""


@pytest.mark.parametrize("n", [1, 2, N])
def test_an_element_that_a_loop_stores_beside_is_loaded_once(n: int) -> None:
    values = {"n": n, "a": RNG.random((n, n))}
    spec = specialised(ELIMINATION, "opencl:rows", values)
    assert "a_at" in spec.sources["opencl"].text
    plain = values["a"].copy()
    scope: dict[str, Any] = {}
    exec(ELIMINATION, scope)
    scope["f"](n, plain)
    assert run(spec, values) == (0, {})
    assert values["a"].tobytes() == plain.tobytes()


@pytest.mark.parametrize("line", [
    "a[i, j] = a[i, j] + a[i, j // 2]",  # another one in each trip
    "a[i, j] = a[i, j - 1] + a[i, 0]",  # trips depend on each other
])  # fmt: skip
def test_what_trips_store_stays(line: str) -> None:
    text = ELIMINATION.replace("a[i, j] = a[i, j] - a[i, 0] * a[0, j]", line)
    values = {"n": 40, "a": RNG.random((40, 40))}
    spec = specialised(text, "opencl:rows", values)
    plain = values["a"].copy()
    scope: dict[str, Any] = {}
    exec(text, scope)
    scope["f"](40, plain)
    assert "a_at" not in spec.sources["opencl"].text
    assert run(spec, values) == (0, {})
    assert values["a"].tobytes() == plain.tobytes()
