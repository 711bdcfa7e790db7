"""The verifier accepts what inference makes and names each way of breaking it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Cast, Const, Expr, If, LiveIn, LiveOut, Load, Loop, Nest, Select, Stmt, Store, Var, While,
)  # fmt: skip
from alpyna_hook.ir.types import BOOL, FLOAT, INT, ArrayType, Rep, ScalarType, scalar
from alpyna_hook.ir.verify import verify
from alpyna_hook.source import Span

HERE = Span(7, 4, 7, 9)
I = Var("i", HERE, INT)  # noqa: E741 - the counter
N = Var("n", HERE, INT)
S = Var("s", HERE, FLOAT)
ONE = Const(1, HERE, INT)
HALF = Const(0.5, HERE, FLOAT)
LOAD = Load("a", (I,), ("checked",), HERE, scalar("float64"))
STORE = Store("a", (I,), LOAD, ("checked",), HERE)
ADD = Assign("s", Binary("+", S, HALF, frozenset(), HERE, FLOAT), HERE)


def nest(*body: Stmt, **types: object) -> Nest:
    loop = Loop("i", "i", Const(0, HERE, INT), N, ONE, body, HERE)
    table = {"n": INT, "a": ArrayType(Rep.F64, 1, "C"), "s": FLOAT, "i": INT, **types}
    ins = (LiveIn("n", "n"), LiveIn("a", "a", role="array"), LiveIn("s", "s"))
    return Nest("t:7", (loop,), ins, (LiveOut("s", True),), HERE, tuple(sorted(table.items())))


def test_a_good_nest_passes() -> None:
    never = Const(False, HERE, BOOL)
    verify(nest(STORE, ADD, If(Select(never, never, never, HERE, BOOL), (Break(),), ())))


def assign(value: Expr) -> Stmt:
    return Assign("s", value, HERE)


BROKEN: list[tuple[str, Nest]] = [
    ("untyped Const", nest(assign(Const(0.5, HERE)))),
    ("representations differ in Binary", nest(assign(Binary("+", S, ONE, frozenset(), HERE, FLOAT)))),
    ("is assigned a value of i64", nest(assign(ONE))),
    ("counter i is assigned", nest(Assign("i", ONE, HERE))),
    ("used twice", nest(Loop("i", "j", ONE, ONE, ONE, (), HERE))),
    ("t is read before it is assigned", nest(assign(Var("t", HERE, FLOAT)), t=FLOAT)),
    ("is read as i64", nest(assign(Cast(Var("s", HERE, INT), frozenset(), HERE, FLOAT)))),
    ("t is assigned but has no scalar type", nest(Assign("t", ONE, HERE))),
    ("1 dimensions, 2 subscripts", nest(replace(STORE, index=(I, I)))),
    ("0 modes", nest(replace(STORE, modes=()))),
    ("unknown mode", nest(replace(STORE, modes=("maybe",)))),  # type: ignore[arg-type]
    ("not an integer", nest(replace(STORE, index=(S,)))),
    ("is stored into a", nest(replace(STORE, value=ONE))),
    ("read-only", nest(STORE, a=ArrayType(Rep.F64, 1, "C", writeable=False))),
    ("is accessed but is no array", nest(replace(STORE, array="s"))),
    ("not a truth value", nest(If(ONE, (), (), HERE))),
    ("not a truth value", nest(While(S, (), HERE))),
    ("statements after break", nest(Break(HERE), ADD)),
    ("checks ['range'] on an operator", nest(assign(replace(ADD.value, checks=frozenset(("range",)))))),
    ("checks ['zero'] on a cast", nest(assign(Cast(I, frozenset(("zero",)), HERE, FLOAT)))),
    ("cast to a real", nest(assign(Cast(Const(1j, HERE, scalar("complex")), frozenset(), HERE, FLOAT)))),
    ("constant 1 is typed", nest(assign(Const(1, HERE, FLOAT)))),
    ("does not fit i8", nest(Assign("t", Const(300, HERE, scalar("int8")), HERE), t=scalar("int8"))),
    ("cannot be held", nest(assign(Const(0.5, HERE, ScalarType(Rep.F64, frozenset(("float32",))))))),
    ("has no class", nest(s=ScalarType(Rep.F64, frozenset()))),
    ("has no tag", nest(ADD, s=ScalarType(Rep.F64, frozenset(("float", "float64"))))),
    ("live-out r is never assigned", replace(nest(r=INT), live_outs=(LiveOut("r", True),))),
    ("live-in b has no type", replace(nest(), live_ins=(LiveIn("b", "b"),))),
    ("outside a loop", replace(nest(), body=(Break(HERE),))),
    ("range bound", replace(nest(), body=(Loop("i", "i", ONE, HALF, ONE, (), HERE),))),
]


@pytest.mark.parametrize(("words", "broken"), BROKEN, ids=[w for w, _ in BROKEN])
def test_a_broken_invariant_is_named_with_its_place(words: str, broken: Nest) -> None:
    with pytest.raises(InternalError, match="t:7: line 7, column 4: ") as caught:
        verify(broken)
    assert words in str(caught.value)
