"""The IR checker: what must hold of a typed nest between passes.

In: a typed nest.  Out: nothing, or an `InternalError` that names the nest, the line of the user's file and the
broken rule.  Tests run it after every pass; the pipeline does so with `ALPYNA_LOG=debug`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Cast, Check, Compare, Const, Continue, Dim, Expr, If, Load, Logical, Loop, Nest,
    Select, Stmt, Store, Unary, Var, While, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.types import REP_OF_CLASS, ArrayType, Rep, ScalarType, Type
from alpyna_hook.source import Span

_BINARY_CHECKS: frozenset[Check] = frozenset(("overflow", "zero", "domain", "negative", "exact53"))
_CAST_CHECKS: frozenset[Check] = frozenset(("range", "exact53"))
_MODES = ("direct", "wrap", "checked")


@dataclass(slots=True)
class _Walk:
    """Where the check is: names in sight, and whether a loop encloses it."""

    nest: Nest
    types: Mapping[str, Type]
    defined: set[str]
    counters: set[str] = field(default_factory=set)  # of the enclosing loops
    loops: int = 0

    def fail(self, span: Span, what: str) -> InternalError:
        return InternalError(f"{self.nest.name}: line {span.line}, column {span.col}: {what}")


def verify(nest: Nest) -> None:
    """Check all invariants of typed IR; InternalError at the first that is broken."""
    types = dict(nest.types)
    walk = _Walk(nest, types, {x.name for x in nest.live_ins})
    for live_in in nest.live_ins:
        if live_in.role != "function" and live_in.name not in types:
            raise walk.fail(nest.span, f"live-in {live_in.name} has no type")
    _counters(nest, walk)
    for name, kind in nest.types:
        if isinstance(kind, ScalarType):
            _scalar(kind, nest.span, walk)
    _names(nest, walk)
    _block(nest.body, walk)
    for out in nest.live_outs:
        for name in filter(None, (out.name, out.tag)):
            if name not in walk.defined and name in types:
                raise walk.fail(nest.span, f"live-out {name} is never assigned")
        left = types.get(out.name)
        if isinstance(left, ScalarType) and len(left.classes) > 1 and not out.tag:
            raise walk.fail(nest.span, f"live-out {out.name} may be {left} and has no tag")


def _counters(nest: Nest, walk: _Walk) -> None:
    """Loop counters are unique in the nest and never assigned."""
    counters: set[str] = set()
    for stmt in walk_stmts(nest.body):
        if isinstance(stmt, Loop):
            if stmt.counter in counters:
                raise walk.fail(stmt.span, f"counter {stmt.counter} is used twice")
            counters.add(stmt.counter)
    for stmt in walk_stmts(nest.body):
        if isinstance(stmt, Assign) and stmt.name in counters:
            raise walk.fail(stmt.span, f"counter {stmt.name} is assigned")


def _names(nest: Nest, walk: _Walk) -> None:
    """Every assigned name is a scalar of the type table.

    A read may come before the assignment in program order only if a loop carries the value; whether it does is
    for the front end, so names assigned anywhere in the nest count as defined inside its loops.
    """
    for stmt in walk_stmts(nest.body):
        if isinstance(stmt, Assign):
            if not isinstance(walk.types.get(stmt.name), ScalarType):
                raise walk.fail(stmt.span, f"{stmt.name} is assigned but has no scalar type")


def _assigned(body: tuple[Stmt, ...]) -> set[str]:
    return {s.name for s in walk_stmts(body) if isinstance(s, Assign)}


def _block(body: tuple[Stmt, ...], walk: _Walk) -> None:
    for position, stmt in enumerate(body):
        _stmt(stmt, walk)
        if isinstance(stmt, (Break, Continue)) and position + 1 < len(body):
            raise walk.fail(stmt.span, "statements after break or continue")


def _stmt(stmt: Stmt, walk: _Walk) -> None:
    match stmt:
        case Assign(name=name, value=value):
            kind = _expr(value, walk)
            have = walk.types[name]
            if isinstance(have, ScalarType) and have.rep is not kind.rep:
                raise walk.fail(stmt.span, f"{name} is {have} and is assigned a value of {kind}")
            walk.defined.add(name)
        case Store():
            _store(stmt, walk)
        case If(test=test, then=then, other=other):
            _truth(test, walk)
            _block(then, walk)
            _block(other, walk)
        case Loop():
            _loop(stmt, walk)
        case While(test=test, body=body):
            walk.defined |= _assigned(body)
            _truth(test, walk)
            walk.loops += 1
            _block(body, walk)
            walk.loops -= 1
        case Break() | Continue():
            if not walk.loops:
                raise walk.fail(stmt.span, "break or continue outside a loop")


def _loop(stmt: Loop, walk: _Walk) -> None:
    for bound in (stmt.start, stmt.stop, stmt.step):
        if _expr(bound, walk).rep is not Rep.I64:
            raise walk.fail(stmt.span, "a range bound is not an int64")
    walk.defined |= _assigned(stmt.body)
    walk.counters.add(stmt.counter)
    walk.loops += 1
    _block(stmt.body, walk)
    walk.loops -= 1
    walk.counters.discard(stmt.counter)


def _store(stmt: Store, walk: _Walk) -> None:
    array = _access(stmt.array, stmt.index, stmt.modes, stmt.span, walk)
    kind = _expr(stmt.value, walk)
    if not array.writeable:
        raise walk.fail(stmt.span, f"{stmt.array} is read-only")
    if kind.rep is not array.elem:
        raise walk.fail(stmt.span, f"{kind} is stored into {stmt.array}, which is {array}")


def _access(
    name: str, index: tuple[Expr, ...], modes: tuple[str, ...], span: Span, walk: _Walk
) -> ArrayType:
    array = walk.types.get(name)
    if not isinstance(array, ArrayType):
        raise walk.fail(span, f"{name} is accessed but is no array")
    if not len(index) == len(modes) == array.ndim:
        raise walk.fail(span, f"{name} has {array.ndim} dimensions, {len(index)} subscripts, {len(modes)} modes")
    for sub, mode in zip(index, modes):
        if not _expr(sub, walk).rep.is_int:
            raise walk.fail(span, f"a subscript of {name} is not an integer")
        if mode not in _MODES:
            raise walk.fail(span, f"unknown mode {mode}")
    return array


def _truth(expr: Expr, walk: _Walk) -> None:
    if _expr(expr, walk).rep is not Rep.BOOL:
        raise walk.fail(expr.span, "a test is not a truth value")


def _scalar(kind: ScalarType, span: Span, walk: _Walk) -> None:
    """Classes have the representation, or are Python's and held in a wider or a NumPy one."""
    if not kind.classes:
        raise walk.fail(span, f"{kind} has no class")
    for cls in kind.classes:
        if cls not in REP_OF_CLASS:
            raise walk.fail(span, f"{cls} is no scalar class")
        if REP_OF_CLASS[cls] is not kind.rep and cls not in ("bool", "int", "float"):
            raise walk.fail(span, f"{cls} cannot be held as {kind.rep.value}")


def _expr(expr: Expr, walk: _Walk) -> ScalarType:
    """The type of `expr`, its parts checked."""
    kind = expr.type
    if kind is None:
        raise walk.fail(expr.span, f"untyped {type(expr).__name__}")
    _scalar(kind, expr.span, walk)
    match expr:
        case Const():
            _const(expr, kind, walk)
        case Var(name=name):
            _var(expr, name, kind, walk)
        case Dim(array=name, axis=axis):
            array = walk.types.get(name)
            if not isinstance(array, ArrayType) or not 0 <= axis < array.ndim or kind.rep is not Rep.I64:
                raise walk.fail(expr.span, f"{name}.shape[{axis}] does not exist")
        case Load(array=name, index=index, modes=modes):
            if _access(name, index, modes, expr.span, walk).elem is not kind.rep:
                raise walk.fail(expr.span, f"an element of {name} is typed {kind}")
        case Call(args=args):
            for arg in args:
                _expr(arg, walk)
        case _:
            _operation(expr, kind, walk)
    return kind


def _const(expr: Const, kind: ScalarType, walk: _Walk) -> None:
    value, rep = expr.value, kind.rep
    good = {
        Rep.BOOL: isinstance(value, bool),
        **dict.fromkeys((Rep.F32, Rep.F64), isinstance(value, float)),
        **dict.fromkeys((Rep.C64, Rep.C128), isinstance(value, complex)),
    }.get(rep, isinstance(value, int) and not isinstance(value, bool))
    if not good:
        raise walk.fail(expr.span, f"constant {value!r} is typed {kind}")
    if rep.is_int and isinstance(value, int):
        low = -(2 ** (rep.bits - 1)) if rep.is_signed else 0
        if not low <= value < low + 2**rep.bits:
            raise walk.fail(expr.span, f"constant {value} does not fit {rep.value}")


def _var(expr: Var, name: str, kind: ScalarType, walk: _Walk) -> None:
    if name in walk.counters:
        return
    have = walk.types.get(name)
    if name not in walk.defined:
        raise walk.fail(expr.span, f"{name} is read before it is assigned")
    if not isinstance(have, ScalarType) or have.rep is not kind.rep:
        raise walk.fail(expr.span, f"{name} is {have} and is read as {kind}")


def _operation(expr: Expr, kind: ScalarType, walk: _Walk) -> None:
    match expr:
        case Unary(op=op, operand=x):
            want = Rep.BOOL if op == "not" else kind.rep
            _same(expr, (want, _expr(x, walk).rep), walk)
        case Binary(left=x, right=y, checks=checks):
            _same(expr, (kind.rep, _expr(x, walk).rep, _expr(y, walk).rep), walk)
            if not checks <= _BINARY_CHECKS:
                raise walk.fail(expr.span, f"checks {sorted(checks)} on an operator")
        case Compare(left=x, right=y):
            _same(expr, (_expr(x, walk).rep, _expr(y, walk).rep), walk)
            _same(expr, (kind.rep, Rep.BOOL), walk)
        case Logical(left=x, right=y):
            _same(expr, (Rep.BOOL, kind.rep, _expr(x, walk).rep, _expr(y, walk).rep), walk)
        case Select(test=test, then=x, other=y):
            _truth(test, walk)
            _same(expr, (kind.rep, _expr(x, walk).rep, _expr(y, walk).rep), walk)
        case Cast(operand=x, checks=checks):
            source = _expr(x, walk).rep
            if source.is_complex and not kind.rep.is_complex:
                raise walk.fail(expr.span, "a complex number is cast to a real one")
            if not checks <= _CAST_CHECKS:
                raise walk.fail(expr.span, f"checks {sorted(checks)} on a cast")


def _same(expr: Expr, reps: tuple[Rep, ...], walk: _Walk) -> None:
    if len(set(reps)) > 1:
        words = ", ".join(r.value for r in reps)
        raise walk.fail(expr.span, f"representations differ in {type(expr).__name__}: {words}")
