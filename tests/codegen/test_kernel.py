"""Kernels as a whole: loops of all forms, reductions, last values, and the end of loops whose values are void."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests" / "analysis")]

from fuzzing import batch  # noqa: E402
from nests import entry_of, nest_of, type_of  # noqa: E402

from alpyna_hook.ir.plan import Variant  # noqa: E402
from alpyna_hook.ir.types import ObjectType  # noqa: E402
from alpyna_hook.pipeline import Request, Specialisation, specialise  # noqa: E402
from alpyna_hook.transform.blocks import restartable  # noqa: E402

PROGRAMS = {p.stem: p.read_text() for p in sorted((Path(__file__).parent / "programs").glob("*.py"))}


@pytest.fixture(scope="module")
def expected() -> dict[str, batch.Seen]:
    return batch.observe({f"fz_{name}": text for name, text in PROGRAMS.items()}, "cpython")


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_the_program_does_as_under_cpython(expected: dict[str, batch.Seen], variant: str) -> None:
    seen = batch.observe({f"fz_{name}": text for name, text in PROGRAMS.items()}, variant)
    differences = batch.compare(expected, seen, variant)
    assert not differences, "\n".join(map(batch.explain, differences))


GOLDEN = ROOT / "tests" / "golden" / "codegen"
NESTS = {
    "matmul": ("""
        for i in range(n):
            for j in range(n):
                s = 0.0
                for k in range(n):
                    s += a[i, k] * b[k, j]
                c[i, j] = s
    """, {"a": "f8", "b": "f8", "c": "f8"}),
    "blocked_division": ("""
        def f(a, c, n):
            for t in range(3):
                for i in range(n):
                    for j in range(n):
                        c[i, j] = c[i, j] + 1.0 / (float(a[i, j]) - t)
    """, {"a": "f8", "c": "f8"}),
    "running_sum": ("""
        for i in range(n):
            if a[i, 0] > 0:
                s += a[i, 0]
            for j in range(n):
                c[i, j] = s
    """, {"a": "f8", "c": "f8"}),
    "last_value_by_if": ("""
        for i in range(n):
            if a[i, 0] > b[i, 1]:
                w = i
    """, {"a": "f8", "b": "f8"}),
    "while_after_a_check": ("""
        for i in range(n):
            d = a[k[i, 0], 0]
            x = 1.0
            while x < 10.0:
                x = x + d
            c[i, 0] = x
    """, {"a": "f8", "c": "f8", "k": "i8"}),
}  # fmt: skip


@pytest.mark.parametrize("variant", ["seq", "omp"])
@pytest.mark.parametrize("name", sorted(NESTS))
def test_the_c_text_is_the_one_that_was_read_and_approved(name: str, variant: Variant) -> None:
    """ALPYNA_GOLDEN=write writes the files anew; read the difference before you commit it."""
    text, arrays = NESTS[name]
    text = textwrap.dedent(text)
    nest = nest_of(text)
    given: dict[str, Any] = {"n": 100, "s": 0.5, "x": 0.5, "d": 0.5, "w": 0, "i": 0, "j": 0, "k": 0, "t": 0}
    given |= {array: np.ones((100, 100), dtype) for array, dtype in arrays.items()}
    types = {
        x.name: ObjectType(x.intrinsic) if x.role == "function" else type_of(given[x.name]) for x in nest.live_ins
    }
    spec = specialise(Request(
        nest, types, entry_of(nest, given), {}, frozenset(), frozenset(), "strict", 2, tuple(text.splitlines()),
        restartable(nest),
    ))  # fmt: skip
    assert isinstance(spec, Specialisation), spec
    source = spec.sources[variant].text
    kernel = source[source.index("int32_t kernel(") :]
    golden = GOLDEN / f"{name}.{variant}.c"
    if os.environ.get("ALPYNA_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(kernel, encoding="utf-8")
    assert golden.exists(), f"{golden.name} is missing; ALPYNA_GOLDEN=write writes it"
    assert kernel == golden.read_text(encoding="utf-8")
