"""Int arithmetic with constants: the range test says exactly whether the result fits."""

from __future__ import annotations

import pytest

from alpyna_hook.codegen.linear import Linear, linear_of, power_of_two
from alpyna_hook.ir.nodes import Assign, Const, Expr, Nest, walk_stmts
from alpyna_hook.ir.types import Rep, scalar
from tests.analysis.lowering import typed
from tests.analysis.test_inference_classes import template

LEAST, GREATEST = -(2**63), 2**63 - 1


def value_of(expression: str, cls: str) -> Expr:
    """The typed form of `expression` over an `x` of class `cls`."""
    nest = typed(template(expression), x=cls, y="int")
    assert isinstance(nest, Nest)
    return next(s.value for s in walk_stmts(nest.body) if isinstance(s, Assign) and s.name == "r")


def form(expression: str, cls: str = "int") -> tuple[int, int] | None:
    """(factor, term)"""
    found = linear_of(value_of(expression, cls))
    return None if found is None else (found.factor, found.term)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("x + 1", (1, 1)), ("1 + x", (1, 1)), ("x - 1", (1, -1)), ("1 - x", (-1, 1)), ("3 * x", (3, 0)),
        ("3 * x + 1", (3, 1)), ("2 * (5 - 3 * x) - 1", (-6, 9)), ("x * 0", None), ("x + y", None), ("x // 2", None),
        ("(x + 9223372036854775807) + 1", None), ("x - (-9223372036854775807 - 1)", None),
    ],
)  # fmt: skip
def test_python_ints_are_combined(expression: str, expected: tuple[int, int] | None) -> None:
    assert form(expression) == expected


def test_numpy_ints_warn_at_each_operation() -> None:
    found = linear_of(value_of("3 * x + 1", "int64"))
    assert found is not None and (found.factor, found.term) == (1, 1)
    assert (inner := linear_of(found.operand)) is not None and (inner.factor, inner.term) == (3, 0)
    assert form("x + 1", "int32") is None


@pytest.mark.parametrize("factor", [1, -1, 2, 3, -3, 7, 2**31, -(2**62), GREATEST, LEAST])
@pytest.mark.parametrize("term", [0, 1, -1, 5, -7, 2**40, GREATEST, LEAST])
def test_the_range_is_exact(factor: int, term: int) -> None:
    low, high = Linear(Const(0), factor, term).range
    candidates = {LEAST, -1, 0, 1, GREATEST, low - 1, low, low + 1, high - 1, high, high + 1}
    for x in (x for x in candidates if LEAST <= x <= GREATEST):
        assert (low <= x <= high) == (LEAST <= factor * x + term <= GREATEST), x
    assert LEAST <= low and high <= GREATEST


@pytest.mark.parametrize(
    ("value", "expected"), [(1, 0), (2, 1), (3, None), (4, 2), (0, None), (-2, None), (2**62, 62), (2.0, None)]
)
def test_powers_of_two(value: float, expected: int | None) -> None:
    kind = scalar("int") if isinstance(value, int) else scalar("float")
    assert kind.rep in (Rep.I64, Rep.F64)
    assert power_of_two(Const(value, type=kind)) == expected
