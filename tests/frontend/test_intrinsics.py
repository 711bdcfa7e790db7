"""The table of intrinsics agrees with the Python and NumPy that run."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

from alpyna_hook.frontend import intrinsics
from alpyna_hook.frontend.intrinsics import CONSTANTS, INTRINSICS, canonical_name, lookup
from alpyna_hook.runtime.reading import resolve

NEWER = {"math.exp2", "math.cbrt"} if not hasattr(math, "cbrt") else set()
VARIADIC = {"math.hypot", "math.gcd", "math.lcm"}  # of which we take two
FUNCTIONS = sorted(name for name, row in INTRINSICS.items() if row.kind != "method" and name not in NEWER)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_intrinsic_is_a_callable_of_its_kind_and_arity(name: str) -> None:
    row, target = INTRINSICS[name], resolve(name)
    assert row.name == name and callable(target)
    if row.kind == "ufunc":
        assert isinstance(target, np.ufunc) and target.nin == row.low == row.high and target.nout == 1
    elif row.kind == "constructor" and name.startswith("np."):
        assert isinstance(target, type) and issubclass(target, np.generic)
        assert target.__name__ in (row.result, row.result.rstrip("_"))
    elif row.kind == "math" and row.low == row.high and name not in VARIADIC:
        with pytest.raises(TypeError):
            target(*[1.0] * (row.high + 2))


@pytest.mark.parametrize("alias", sorted(intrinsics._SYNONYMS))
def test_synonyms_are_the_same_object(alias: str) -> None:
    name = canonical_name(alias)
    assert name in INTRINSICS
    target = getattr(np, alias.removeprefix("np."), None)
    if target is not None:  # NumPy 2.0 has not all of them yet
        assert target is resolve(name)


def test_constants_are_floats() -> None:
    modules = {"math": math, "np": np}
    found = {name: getattr(modules[head], rest) for name in CONSTANTS for head, _, rest in [name.partition(".")]}
    assert {type(value) for value in found.values()} == {float}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("numpy.exp", "np.exp"), ("numpy.absolute", "np.abs"), ("builtins.len", "len"), ("math.sqrt", "math.sqrt"),
        ("len", None), ("real", None), ("builtins.real", None), ("numpy.random.rand", None), ("cmath.exp", None),
        ("builtins.print", None), ("numpy", None),
    ],
)  # fmt: skip
def test_lookup_knows_paths_as_imports_spell_them(path: str, name: str | None) -> None:
    row = lookup(path)
    assert (row.name if row else None) == name


def test_functions_with_a_fixed_signature_have_the_stated_arity() -> None:
    for name in FUNCTIONS:
        row = INTRINSICS[name]
        if row.kind in ("math", "builtin") and row.low == row.high:
            try:
                parameters = inspect.signature(resolve(name)).parameters.values()  # type: ignore[arg-type]
            except ValueError:  # no signature in this Python
                continue
            if any(p.kind is p.VAR_POSITIONAL for p in parameters):
                continue
            positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
            required = [p for p in positional if p.default is p.empty]
            assert len(required) <= row.low <= len(positional), name


@pytest.mark.parametrize(
    ("domain", "arguments"),
    [
        ("nonneg", [-1e-300]), ("positive", [0.0]), ("above_minus_one", [-1.0]), ("unit", [1.0000001]),
        ("open_unit", [1.0]), ("at_least_one", [0.999]), ("finite", [math.inf]), ("integer", [math.nan]),
        ("overflow", [1e4]),
    ],
)  # fmt: skip
def test_stated_domains_are_those_of_cpython(domain: str, arguments: list[float]) -> None:
    rows = [r for r in INTRINSICS.values() if r.kind == "math" and r.domain == domain and r.high == 1]
    for row in rows:
        if row.name not in NEWER and row.name != "math.isqrt":
            with pytest.raises((ValueError, OverflowError)):
                resolve(row.name)(*arguments)  # type: ignore[operator]
    total = [r for r in INTRINSICS.values() if r.kind == "math" and not r.domain and r.high == 1]
    for row in total:
        if row.name not in NEWER:
            for value in (-1e300, -2.0, -1.0, 0.0, 1.0, 2.0, 1e300, math.inf, -math.inf, math.nan):
                resolve(row.name)(value)  # type: ignore[operator]
