"""The printer: precedence, modes, checks, casts, types."""

from __future__ import annotations

import ast

import pytest

from alpyna_hook.frontend.sites import find_sites
from alpyna_hook.ir.nodes import (
    Assign, Binary, Call, Cast, Const, Expr, If, LiveIn, LiveOut, Load, Loop, Nest, Store, Unary, Var,
)  # fmt: skip
from alpyna_hook.ir.pprint import pformat, pformat_expr
from alpyna_hook.ir.types import FLOAT, INT, ArrayType, Rep, scalar
from alpyna_hook.source import Source

I, X = Var("i"), Var("x")  # noqa: E741


@pytest.mark.parametrize(
    "text",
    [
        "(x + y) * z", "x + y * z", "x - (y - z)", "x - y - z", "x / (y * z)", "x ** y ** z", "(x ** y) ** z",
        "-x ** y", "(-x) ** y", "x ** -y", "-(x + y)", "not (x and y)", "not x == y", "(not x) == y", "(x or y) and z",
        "x or y and z", "(x < y) + z", "x if y else z if w else x", "(x if y else z) if w else x",
        "(x if y else z) + w", "x << y + z", "(x << y) + z", "x & y | z ^ w", "x & (y | z)", "~(x + y)", "-1 - -x",
        "x < (y < z)", "a[x + 1, -y]", "a[x if y else z, 0]",
    ],
)  # fmt: skip
def test_printed_expressions_read_back_as_themselves(text: str) -> None:
    """With the fewest parentheses, and none missing: the printed text parses to the same tree."""
    program = f"def f(x, y, z, w, a, n):\n    for i in range(n):\n        if {text}: n = i\n"
    (site,) = find_sites(ast.parse(program), Source("p.py", "p", program))
    assert site.nest is not None
    loop = site.nest.body[0]
    assert isinstance(loop, Loop) and isinstance(loop.body[0], If)
    printed = pformat_expr(loop.body[0].test)
    assert ast.dump(ast.parse(printed)) == ast.dump(ast.parse(text))
    assert printed == text


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (Load("a", (I, X, I), ("direct", "wrap", "checked")), "a[i, x!, i?]"),
        (Binary("/", I, X, frozenset({"zero"})), "(i / x)!zero"),
        (Binary("*", Binary("+", I, X, frozenset({"overflow", "zero"})), X), "(i + x)!overflow!zero * x"),
        (Unary("-", I, frozenset({"overflow"})), "(-i)!overflow"),
        (Cast(Binary("+", I, X), type=FLOAT), "f64(i + x)"),
        (Cast(I, frozenset({"exact53"}), type=FLOAT), "f64(i)!exact53"),
        (Call("math.exp", (Binary("+", I, X),), frozenset({"domain"})), "math.exp(i + x)!domain"),
        (Const(-1), "-1"),
        (Binary("**", Const(-1), I), "(-1) ** i"),
    ],
)
def test_what_inference_adds_is_shown(expr: Expr, text: str) -> None:
    assert pformat_expr(expr) == text


def test_a_typed_nest_lists_types_tags_and_counters() -> None:
    nest = Nest(
        name="f:3",
        body=(
            Assign("%1", Const(0)),
            Loop("i_1", "i", Const(0), Var("n"), Const(1), (
                Assign("i", Var("i_1")), Store("a", (Var("i_1"),), Const(0.0), ("direct",)), If(Var("n"), (), ()),
            )),
        ),
        live_ins=(LiveIn("n", "n"), LiveIn("a", "a", (), "array"), LiveIn("range", "range", (), "function", "range")),
        live_outs=(LiveOut("i", True), LiveOut("s", False, "%1")),
        types=(("a", ArrayType(Rep.F32, 1, "C")), ("n", INT), ("s", scalar("float64"))),
    )  # fmt: skip
    assert pformat(nest) == (
        "nest f:3(n, a[], range is range) -> i, s?<%1>\n"
        "types: a: f32[1C], n: i64{int}, s: f64{float64}\n"
        "    %1 = 0\n"
        "    for i_1 in range(0, n, 1):  # i\n"
        "        i = i_1\n"
        "        a[i_1] = 0.0\n"
        "        if n:\n"
        "            pass\n"
    )
