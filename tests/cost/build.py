"""Hand-built typed nests for the cost tests: a few constructors that fill in types."""

from __future__ import annotations

from alpyna_hook.ir.nodes import (
    Assign, Binary, BinaryOp, Const, Expr, LiveIn, Load, Loop, Nest, Stmt, Store, Var, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.types import FLOAT, INT, ArrayType, ScalarType, Type, scalar

F64 = scalar("float64")


def num(value: int | float) -> Const:
    return Const(value, type=INT if isinstance(value, int) else FLOAT)


def var(name: str, type: ScalarType = INT) -> Var:
    return Var(name, type=type)


def op(sign: BinaryOp, left: Expr, right: Expr, checks: frozenset[str] = frozenset()) -> Binary:
    left_type, right_type = left.type, right.type
    assert left_type is not None and right_type is not None
    result = left_type if left_type.is_numpy else right_type
    return Binary(sign, left, right, checks, type=result)  # type: ignore[arg-type]


def load(array: str, *index: Expr, elem: ScalarType = F64, modes: tuple[str, ...] = ()) -> Load:
    return Load(array, index, modes or ("direct",) * len(index), type=elem)  # type: ignore[arg-type]


def store(array: str, index: tuple[Expr, ...], value: Expr) -> Store:
    return Store(array, index, value, ("direct",) * len(index))


def loop(counter: str, start: Expr | int, stop: Expr | int, *body: Stmt, step: int = 1) -> Loop:
    first = num(start) if isinstance(start, int) else start
    last = num(stop) if isinstance(stop, int) else stop
    return Loop(counter, counter, first, last, num(step), body)


def nest(body: Stmt, arrays: dict[str, ArrayType], **scalars: ScalarType) -> Nest:
    """A nest whose live-ins are the arrays and, among `scalars`, those that it does not assign."""
    assigned = {s.name for s in walk_stmts((body,)) if isinstance(s, Assign)}
    types: dict[str, Type] = {**arrays, **scalars}
    live = tuple(
        LiveIn(name, name, (), "array" if name in arrays else "scalar") for name in types if name not in assigned
    )
    return Nest("t", (body,), live, (), types=tuple(sorted(types.items(), key=lambda kv: kv[0])))


def vector(elem: str = "float64", ndim: int = 1) -> ArrayType:
    return ArrayType(scalar(elem).rep, ndim, "C")


def saxpy() -> Nest:
    """for i in range(n): y[i] = alpha * x[i] + y[i]"""
    i = var("i")
    value = op("+", op("*", var("alpha", FLOAT), load("x", i)), load("y", i))
    body = loop("i", 0, var("n"), store("y", (i,), value))
    return nest(body, {"x": vector(), "y": vector()}, n=INT, alpha=FLOAT)


def dot() -> Nest:
    """for i in range(n): s = s + x[i] * y[i]"""
    i = var("i")
    value = op("+", var("s", F64), op("*", load("x", i), load("y", i)))
    body = loop("i", 0, var("n"), Assign("s", value))
    return nest(body, {"x": vector(), "y": vector()}, n=INT, s=F64)


def matmul() -> Nest:
    """for i, j: s = 0.0; for k: s = s + a[i, k] * b[k, j]; then c[i, j] = s"""
    i, j, k, n = var("i"), var("j"), var("k"), var("n")
    add = Assign("s", op("+", var("s", F64), op("*", load("a", i, k), load("b", k, j))))
    inner = (Assign("s", num(0.0)), loop("k", 0, n, add), store("c", (i, j), var("s", F64)))
    body = loop("i", 0, n, loop("j", 0, n, *inner))
    m = vector(ndim=2)
    return nest(body, {"a": m, "b": m, "c": m}, n=INT, s=F64)


def triangle(depth: int = 2) -> Nest:
    """for i in range(n): for j in range(i): [for k in range(j):] x[j] = alpha"""
    i, j, k = var("i"), var("j"), var("k")
    work: Stmt = store("x", (k if depth == 3 else j,), var("alpha", FLOAT))
    if depth == 3:
        work = loop("k", 0, j, work)
    body = loop("i", 0, var("n"), loop("j", 0, i, work))
    return nest(body, {"x": vector()}, n=INT, alpha=FLOAT)


def tiny(trips: int = 3) -> Nest:
    """for i in range(3): x[i] = alpha"""
    return nest(loop("i", 0, trips, store("x", (var("i"),), var("alpha", FLOAT))), {"x": vector()}, alpha=FLOAT)
