"""What a compiler is told of loops that it may vectorise, and what is seen in these of odd values."""

from __future__ import annotations

import numpy as np
import pytest
from on_device import run, specialised

RNG = np.random.default_rng(4)
N = 37
A = RNG.random((N, N))


@pytest.mark.parametrize("value, scalar", [
    ("x * a[j, k]", True),  # from row to row: gathers
    ("x * a[k, j]", False),
    ("x / a[j, k]", False),  # the divider is the limit
])  # fmt: skip
def test_loops_that_only_gather_are_not_vectorised(value: str, scalar: bool) -> None:
    text = f"""
        def f(n, x, a, c):
            for i in range(n):
                for k in range(n):
                    for j in range(i + 1):
                        c[i, j] = c[i, j] + {value}
    """
    spec = specialised(text, "opencl:rows", {"n": N, "x": 1.5, "a": A, "c": A.copy()})
    assert ("vectorize(disable)" in spec.sources["opencl"].text) == scalar
    assert ("vectorize(assume_safety)" in spec.sources["opencl"].text) != scalar


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_one_odd_value_is_seen_wherever_it_is(dtype: type, odd: float) -> None:
    text = """
        for i in range(n):
            b[i] = a[i] * x
    """
    for place in range(N):
        given = {"n": N, "x": dtype(2), "a": A[0].astype(dtype), "b": np.zeros(N, dtype)}
        spec = specialised(text, "opencl:rows", given)
        assert run(spec, given)[0] == 0
        given["a"][place] = odd
        assert run(spec, given) == (2, 1)
