"""Plausible types for a nest that nobody has run: what `explain` assumes, and labels as assumed.

In: an untyped nest.  Out: a type for each live-in, and a value for each int.

Arrays are float64, C order, with as many dimensions as they have subscripts; scalars are floats.  A name is
an int (an array: int64) where its use says so: it is a loop bound, part of a subscript or a bit operation, is
compared with such an int, or is assigned ints only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alpyna_hook.ir.affine import QDim, QParam, QStride, Quantity
from alpyna_hook.ir.nodes import (
    Assign,
    Binary,
    Call,
    Compare,
    Const,
    Dim,
    Expr,
    Load,
    Loop,
    Nest,
    Select,
    Store,
    Unary,
    Var,
    children,
    exprs_of,
    walk_exprs,
    walk_stmts,
)
from alpyna_hook.ir.types import FLOAT, INT, ArrayType, ObjectType, Rep, Type

# Large enough for every array to be in range, and for parallel loops to pay.
ASSUMED_DIM = 1024
ASSUMED_BOUND = 1000
ASSUMED_OFFSET = 3
ASSUMED_FLOAT = 1.5


@dataclass(frozen=True)
class Assumed:
    """types: live-in name -> type; entry: values of the ints, dimensions and strides of the arrays."""

    types: dict[str, Type]
    entry: dict[Quantity, Any]


def assume(nest: Nest, sizes: Mapping[str, tuple[int, ...]] | None = None) -> Assumed:
    """The assumed types and values of `nest`'s live-ins. `sizes`: known ones, ints and shapes by name."""
    given = sizes or {}
    ints = _int_names(nest)
    ndim = _dimensions(nest)
    bounds = {e.name for s in walk_stmts(nest.body) if isinstance(s, Loop) for e in _leaves(s.stop)}
    types: dict[str, Type] = {}
    entry: dict[Quantity, Any] = {}
    stored = {s.array for s in walk_stmts(nest.body) if isinstance(s, Store)}
    for live_in in nest.live_ins:
        name = live_in.name
        if live_in.role == "function":
            types[name] = ObjectType(live_in.intrinsic or live_in.root)
        elif live_in.role == "array":
            shape = given.get(name, (ASSUMED_DIM,) * ndim.get(name, 1))
            rank = len(shape)
            types[name] = ArrayType(Rep.I64 if name in ints else Rep.F64, rank, "C", name in stored)
            for axis in range(rank):
                entry[QDim(name, axis)] = shape[axis]
                entry[QStride(name, axis)] = math.prod(shape[axis + 1 :])
        elif name in ints:
            types[name] = INT
            entry[QParam(name)] = given.get(name, (ASSUMED_BOUND if name in bounds else ASSUMED_OFFSET,))[0]
        else:
            types[name] = FLOAT
            entry[QParam(name)] = ASSUMED_FLOAT
    return Assumed(types, entry)


def _dimensions(nest: Nest) -> dict[str, int]:
    """Array -> number of dimensions: of subscripts where there are any, else of the axes asked for."""
    found: dict[str, int] = {}
    asked: dict[str, int] = {}
    for stmt in walk_stmts(nest.body):
        if isinstance(stmt, Store):
            found[stmt.array] = len(stmt.index)
    for expr in walk_exprs(nest.body):
        match expr:
            case Load(array=array, index=index):
                found[array] = len(index)
            case Dim(array=array, axis=axis):
                asked[array] = max(asked.get(array, 1), axis + 1)
    return asked | found


def _int_names(nest: Nest) -> frozenset[str]:
    """Names (counters, scalars, arrays) that are ints as far as their use shows."""
    counters = {s.counter for s in walk_stmts(nest.body) if isinstance(s, Loop)}
    demanded = {name for expr in _int_positions(nest) for name in _sources(expr)}
    while True:
        known = counters | demanded | _assigned_ints(nest, counters | demanded)
        more = {
            name
            for stmt in walk_stmts(nest.body)
            if isinstance(stmt, (Assign, Store)) and _target(stmt) in demanded
            for name in _sources(stmt.value)
        }
        for expr in walk_exprs(nest.body):
            if isinstance(expr, Compare):
                for one, other in ((expr.left, expr.right), (expr.right, expr.left)):
                    if _is_int(one, known) and not isinstance(one, Const) and isinstance(other, Var):
                        more.add(other.name)
        if more <= demanded:
            return frozenset(known)
        demanded |= more


def _target(stmt: Assign | Store) -> str:
    return stmt.name if isinstance(stmt, Assign) else stmt.array


def _int_positions(nest: Nest) -> Iterator[Expr]:
    """Expressions that have to be ints: loop bounds, subscripts, operands of bit operations."""
    for stmt in walk_stmts(nest.body):
        if isinstance(stmt, Loop):
            yield from exprs_of(stmt)
        if isinstance(stmt, Store):
            yield from stmt.index
    for expr in walk_exprs(nest.body):
        match expr:
            case Load(index=index):
                yield from index
            case Binary(op="&" | "|" | "^" | "<<" | ">>", left=left, right=right):
                yield left
                yield right
            case Unary(op="~", operand=operand):
                yield operand


def _sources(expr: Expr) -> Iterator[str]:
    """Names that have to be ints if `expr` is one."""
    match expr:
        case Var(name=name) | Load(array=name):
            yield name
        case Unary() | Binary(op="+" | "-" | "*" | "//" | "%" | "**" | "&" | "|" | "^" | "<<" | ">>"):
            for child in children(expr):
                yield from _sources(child)
        case Select(then=then, other=other):
            yield from _sources(then)
            yield from _sources(other)
        case Call(fn="min" | "max" | "abs", args=args):
            for arg in args:
                yield from _sources(arg)


def _assigned_ints(nest: Nest, known: set[str]) -> set[str]:
    """Scalars and arrays all of whose assigned values are ints, given that `known` are (greatest fixpoint)."""
    writes = [s for s in walk_stmts(nest.body) if isinstance(s, (Assign, Store))]
    candidates = {_target(s) for s in writes}
    while True:
        failed = {_target(s) for s in writes if not _is_int(s.value, known | candidates)} & candidates
        if not failed:
            return candidates & _grounded(writes, known)
        candidates -= failed


def _grounded(writes: list[Assign | Store], known: set[str]) -> set[str]:
    """Targets whose values come from a literal or a name in `known`, not only from one another: `a[i] = a[i + 1]`
    says nothing about `a`."""
    grounded: set[str] = set()
    while True:
        more = {_target(s) for s in writes if _has_evidence(s.value, known | grounded)}
        if more <= grounded:
            return grounded
        grounded |= more


def _has_evidence(expr: Expr, known: set[str]) -> bool:
    match expr:
        case Const() | Dim() | Call(fn="int" | "round" | "len"):
            return True
        case Var(name=name) | Load(array=name):
            return name in known
        case Select(then=then, other=other):
            return _has_evidence(then, known) or _has_evidence(other, known)
        case _:
            return any(_has_evidence(child, known) for child in children(expr))


def _is_int(expr: Expr, known: set[str]) -> bool:
    match expr:
        case Const(value=value):
            return isinstance(value, int)
        case Var(name=name) | Load(array=name):
            return name in known
        case Dim():
            return True
        case Unary(operand=operand):
            return _is_int(operand, known)
        case Binary(op=op, left=left, right=right):
            return op not in ("/", "**") and _is_int(left, known) and _is_int(right, known)
        case Select(then=left, other=right):
            return _is_int(left, known) and _is_int(right, known)
        case Call(fn="int" | "round" | "len"):
            return True
        case Call(fn="min" | "max" | "abs", args=args):
            return all(_is_int(arg, known) for arg in args)
        case _:
            return False


def _leaves(expr: Expr) -> Iterator[Var]:
    if isinstance(expr, Var):
        yield expr
    for child in children(expr):
        yield from _leaves(child)
