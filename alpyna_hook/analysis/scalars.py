"""Scalars of a loop: liveness, upward-exposed reads, definite assignment, reductions.

In: statements of a nest.  Out: sets of names, and the reductions a loop body performs.  Structured
control flow, so each analysis is one recursive walk (a loop body is walked until nothing changes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from alpyna_hook.ir.nodes import (
    Assign,
    Binary,
    Break,
    Call,
    Cast,
    Compare,
    Continue,
    Expr,
    If,
    Load,
    Loop,
    Nest,
    Select,
    Stmt,
    Store,
    Var,
    While,
    blocks_of,
    exprs_of,
    walk,
    walk_exprs,
    walk_stmts,
)
from alpyna_hook.ir.types import ArrayType, Rep

ReductionOp: TypeAlias = Literal["+", "*", "min", "max", "&", "|", "^"]
Names: TypeAlias = frozenset[str]

_NONE: Names = frozenset()


@dataclass(frozen=True, slots=True)
class Reduction:
    """A scalar that a loop only updates as `name = name op e` (or `name - e`, op "+").

    checked   an integer "+" or "*" whose overflow check could not be proved away: no intermediate sum in
              any order may overflow, so the code has to bound the sum of magnitudes or keep the order
    """

    name: str
    op: ReductionOp
    checked: bool = False


@dataclass(frozen=True, slots=True)
class ArrayReduction:
    """An int array that a loop only updates as `array[index] = array[index] op e`."""

    array: str
    op: ReductionOp
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """live_after: per loop counter, the scalars whose value may be read once that loop has ended."""

    live_after: Mapping[str, Names]


# -- reads and definite assignment ---------------------------------------------------------------


def reads_of(expr: Expr) -> Names:
    """Names of the scalars that `expr` may read."""
    return frozenset(e.name for e in walk(expr) if isinstance(e, Var))


def upward_exposed(body: tuple[Stmt, ...], nonempty: Names = _NONE) -> Names:
    """Names that `body` may read before it has surely assigned them. The loops that count the counters in
    `nonempty` are known to make at least one trip."""
    return _scan(body, _NONE, nonempty).exposed


def definitely_assigned(body: tuple[Stmt, ...], nonempty: Names = _NONE) -> Names:
    """Names assigned on every path to the end of one iteration, `continue` included. The loops that
    count the counters in `nonempty` are known to make at least one trip."""
    scan = _scan(body, _NONE, nonempty)
    paths = [s for s in (scan.done, *scan.continued) if s is not None]
    return frozenset.intersection(*paths) if paths else _NONE


@dataclass(slots=True)
class _Scan:
    """Exposed reads; names assigned at the end (None: not reached), at each `continue` and at each `break`."""

    exposed: Names
    done: Names | None
    continued: list[Names]
    broken: list[Names]


def _scan(body: tuple[Stmt, ...], done: Names, nonempty: Names) -> _Scan:
    exposed: Names = _NONE
    continued: list[Names] = []
    broken: list[Names] = []
    for stmt in body:
        for expr in exprs_of(stmt):
            exposed |= reads_of(expr) - done
        match stmt:
            case Assign(name=name):
                done |= {name}
            case Loop(body=inner) | While(body=inner):
                inside = _scan(inner, done, nonempty)
                exposed |= inside.exposed
                if isinstance(stmt, Loop) and stmt.counter in nonempty:
                    trips = (inside.done, *inside.continued, *inside.broken)
                    done = frozenset.intersection(*(s for s in trips if s is not None))
            case If(then=then, other=other):
                left, right = _scan(then, done, nonempty), _scan(other, done, nonempty)
                exposed |= left.exposed | right.exposed
                continued += left.continued + right.continued
                broken += left.broken + right.broken
                ends = [s for s in (left.done, right.done) if s is not None]
                if not ends:
                    return _Scan(exposed, None, continued, broken)
                done = frozenset.intersection(*ends)
            case Continue():
                return _Scan(exposed, None, [*continued, done], broken)
            case Break():
                return _Scan(exposed, None, continued, [*broken, done])
            case Store():
                pass
    return _Scan(exposed, done, continued, broken)


# -- liveness ------------------------------------------------------------------------------------


def flow_of(nest: Nest) -> Flow:
    """Backward liveness over the nest; live-outs are live at its end."""
    found: dict[str, Names] = {}
    outs = frozenset(name for v in nest.live_outs for name in (v.name, v.tag) if name)
    _live(nest.body, outs, _NONE, _NONE, found)
    return Flow(found)


def _live(body: tuple[Stmt, ...], after: Names, at_break: Names, at_continue: Names, found: dict[str, Names]) -> Names:
    """Names live before `body`, given those live after it; fills `found` for the loops met."""
    live = after
    for stmt in reversed(body):
        match stmt:
            case Assign(name=name, value=value):
                live = (live - {name}) | reads_of(value)
            case If(test=test, then=then, other=other):
                live = (
                    _live(then, live, at_break, at_continue, found)
                    | _live(other, live, at_break, at_continue, found)
                    | reads_of(test)
                )
            case Loop() | While():
                if isinstance(stmt, Loop):
                    found[stmt.counter] = found.get(stmt.counter, _NONE) | live
                test_reads = reads_of(stmt.test) if isinstance(stmt, While) else _NONE
                head = live | test_reads
                while True:
                    again = _live(stmt.body, head, live, head, found) | live | test_reads
                    if again == head:
                        break
                    head = again
                live = head
                for expr in exprs_of(stmt):
                    live |= reads_of(expr)
            case Break():
                live = at_break
            case Continue():
                live = at_continue
            case Store():
                for expr in exprs_of(stmt):
                    live |= reads_of(expr)
    return live


# -- reductions ----------------------------------------------------------------------------------

_OPS: dict[str, ReductionOp] = {"+": "+", "-": "+", "*": "*", "&": "&", "|": "|", "^": "^"}


def reduction_of(name: str, loop: Loop) -> Reduction | None:
    """The reduction that `loop` performs on scalar `name`: every assignment is an update by one
    operation, and nothing else in the loop reads it."""
    ops: set[ReductionOp] = set()
    checked = False
    reads = 0
    for found in _updates(name, loop.body):
        if found is None:
            return None
        ops.add(found[0])
        checked = checked or found[1]
        reads += found[2]
    total = sum(1 for e in walk_exprs(loop.body) if isinstance(e, Var) and e.name == name)
    if len(ops) != 1 or total != reads:
        return None
    return Reduction(name, ops.pop(), checked)


def _updates(name: str, body: tuple[Stmt, ...]) -> Iterator[tuple[ReductionOp, bool, int] | None]:
    """What each assignment of `name` does: (op, overflow checked, reads of name), None if no update."""
    for stmt in body:
        match stmt:
            case Assign(name=target, value=value) if target == name:
                yield _update(name, value)
            case If(test=Compare(op=op, left=a, right=b), then=(Assign(name=target, value=value),), other=()) if (
                target == name and name not in reads_of(value)
            ):
                found = _select(name, op, a, b, value, Var(name))  # if e > name: name = e
                yield None if found is None else (found[0], False, 1)
            case _:
                for block in blocks_of(stmt):
                    yield from _updates(name, block)


def _update(name: str, value: Expr) -> tuple[ReductionOp, bool, int] | None:
    """(op, overflow checked, reads of name) if `value` is `name op e` with e free of `name`."""
    match value:
        case Binary(op="+" | "-" | "*" | "&" | "|" | "^" as op, left=left, right=right, checks=checks):
            mine, other = left, right
            if not _is(name, left) and op != "-":
                mine, other = right, left
            if not _is(name, mine) or name in reads_of(other):
                return None
            return _OPS[op], "overflow" in checks, 1
        case Call(fn="min" | "max" as fn, args=(left, right)):
            if _is(name, right):
                left, right = right, left
            if not _is(name, left) or name in reads_of(right):
                return None
            return ("min" if fn == "min" else "max"), False, 1
        case Select(test=Compare(op=op, left=a, right=b), then=then, other=other):
            return _select(name, op, a, b, then, other)
        case _:
            return None


def _select(name: str, op: str, a: Expr, b: Expr, then: Expr, other: Expr) -> tuple[ReductionOp, bool, int] | None:
    """`e if e > name else name` and its relatives."""
    if _is(name, a):
        a, b = b, a
        op = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(op, op)
    if not _is(name, b) or name in reads_of(a) or op not in ("<", "<=", ">", ">="):
        return None
    if then == a and _is(name, other):
        return ("max" if op in (">", ">=") else "min"), False, 2
    if other == a and _is(name, then):
        return ("min" if op in (">", ">=") else "max"), False, 2
    return None


def _is(name: str, expr: Expr) -> bool:
    return isinstance(expr, Var) and expr.name == name


def array_reductions(nest: Nest, loop: Loop) -> tuple[ArrayReduction, ...]:
    """Int arrays that `loop` touches only by `a[i] = a[i] op e`, one commutative op per array."""
    types = dict(nest.types)
    found: dict[str, ArrayReduction | None] = {}
    loads = 0
    for stmt in walk_stmts(loop.body):
        if not isinstance(stmt, Store):
            continue
        kind = types.get(stmt.array)
        update = _array_update(stmt) if isinstance(kind, ArrayType) and _is_int_rep(kind.elem) else None
        old = found.get(stmt.array, update)
        if update is None or old is None or old.op != update.op:
            found[stmt.array] = None
        else:
            found[stmt.array] = ArrayReduction(stmt.array, update.op, update.checked or old.checked)
    result = []
    for array, reduction in found.items():
        loads = sum(1 for e in walk_exprs(loop.body) if isinstance(e, Load) and e.array == array)
        stores = sum(1 for s in walk_stmts(loop.body) if isinstance(s, Store) and s.array == array)
        if reduction is not None and loads == stores:
            result.append(reduction)
    return tuple(result)


def _is_int_rep(rep: Rep) -> bool:
    return rep.is_int or rep is Rep.BOOL


def _array_update(stmt: Store) -> ArrayReduction | None:
    value: Expr = stmt.value
    wrapped = False
    while isinstance(value, Cast):
        wrapped = wrapped or bool(value.checks)
        value = value.operand
    match value:
        case Binary(op="+" | "-" | "*" | "&" | "|" | "^" as op, left=left, right=right, checks=checks):
            mine, other = left, right
            if not _loads(stmt, left) and op != "-":
                mine, other = right, left
            if not _loads(stmt, mine) or _mentions(stmt.array, other):
                return None
            return ArrayReduction(stmt.array, _OPS[op], wrapped or "overflow" in checks)
        case Call(fn="min" | "max" as fn, args=(left, right)):
            mine, other = (left, right) if _loads(stmt, left) else (right, left)
            if not _loads(stmt, mine) or _mentions(stmt.array, other):
                return None
            return ArrayReduction(stmt.array, "min" if fn == "min" else "max", wrapped)
        case _:
            return None


def _loads(stmt: Store, expr: Expr) -> bool:
    if isinstance(expr, Cast):
        return not expr.checks and _loads(stmt, expr.operand)
    return isinstance(expr, Load) and expr.array == stmt.array and expr.index == stmt.index


def _mentions(array: str, expr: Expr) -> bool:
    return any(isinstance(e, Load) and e.array == array for e in walk(expr))
