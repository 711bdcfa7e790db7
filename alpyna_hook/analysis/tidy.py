"""The end of inference: constants converted, dead copies dropped, final names, the table of types.

In: typed statements whose scalars are still named "NAME:rep", and the state at exit.  Out: the typed nest.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import replace

from alpyna_hook.analysis.classtags import TagScope
from alpyna_hook.analysis.exprtypes import Slot, version
from alpyna_hook.analysis.operations import Conflict, reject, unstable
from alpyna_hook.analysis.unions import can_hold, cast, type_of
from alpyna_hook.ir.flow import exposed
from alpyna_hook.ir.nodes import (
    Assign, Cast, Const, Expr, If, Loop, Nest, Stmt, Var, While, blocks_of, map_body, rewrite_expr, walk_exprs,
    walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.types import INT, Rep, ScalarType, Type
from alpyna_hook.source import NO_SPAN


def finish(
    nest: Nest, entry: Mapping[str, Type], body: tuple[Stmt, ...], exit_state: Mapping[str, Slot], tags: TagScope
) -> Nest:
    """The typed nest. `types` of a live-out is its type at exit; of any other scalar, all it ever is."""
    exits = {out.name: _exit_type(exit_state.get(out.name)) for out in nest.live_outs}
    kept = {version(name, t.rep) for name, t in exits.items() if t is not None}
    kept |= {tags.name(n) for n in tags.encoding}
    body = map_body(body, lambda e: rewrite_expr(e, fold_cast))
    body = _drop_dead(_enter(body, entry, exits, kept), kept)
    _reject_wide_ints(body)
    body = _rename(body, _final_names(body, entry, exits))
    types = {**dict(entry), **_types_of(body, entry)}
    types |= {name: t for name, t in exits.items() if t is not None}
    outs = tuple(
        replace(out, tag=tags.name(out.name)) if _is_ambiguous(exits[out.name]) else out for out in nest.live_outs
    )
    return replace(nest, body=body, live_outs=outs, types=tuple(sorted(types.items(), key=lambda kv: kv[0])))


def _is_ambiguous(at_exit: ScalarType | None) -> bool:
    return at_exit is not None and len(at_exit.classes) > 1


def _reject_wide_ints(body: tuple[Stmt, ...]) -> None:
    for expr in walk_exprs(body):
        if isinstance(expr, Const) and isinstance(expr.value, int) and type_of(expr).rep is Rep.I64:
            if not -(2**63) <= expr.value < 2**63:
                raise reject("wide-int", "The integer does not fit into 64 bits.", "too large", expr.span)


def _enter(
    body: tuple[Stmt, ...], entry: Mapping[str, Type], exits: Mapping[str, ScalarType | None], kept: set[str]
) -> tuple[Stmt, ...]:
    """The nest for live-ins that are held otherwise at exit than they come in.

    Such a name has its representation at exit throughout; the kernel reads the parameter into it, exactly or
    not at all.  So the conversion before the nest goes, and what still reads the value as it came gets it back.
    """
    for name, out in exits.items():
        have = entry.get(name)
        if out is None or not isinstance(have, ScalarType) or have.rep is out.rep:
            continue
        came, held = version(name, have.rep), version(name, out.rep)
        body = tuple(s for s in body if not (isinstance(s, Assign) and s.name == held and _reads_only(s.value, came)))
        if came in exposed(body):
            if out.rep.is_complex or not all(can_hold(out.rep, c) for c in have.classes):
                raise unstable(f"`{name}`", Conflict(have, out), NO_SPAN)
            back = cast(Var(held, type=out), have.rep, frozenset(("range",)), min(have.classes), NO_SPAN)
            body = (Assign(came, back), *body)
    return body


def _reads_only(value: Expr, name: str) -> bool:
    """A chain of casts of scalar `name`."""
    while isinstance(value, Cast):
        value = value.operand
    return isinstance(value, Var) and value.name == name


def _exit_type(slot: Slot | None) -> ScalarType | None:
    """None for a live-out that no path assigns."""
    return slot.type if slot is not None and isinstance(slot.type, ScalarType) else None


def fold_cast(expr: Expr) -> Expr:
    """A cast of a constant as a constant, if it converts exactly or just rounds; else the cast, which faults."""
    if not isinstance(expr, Cast) or not isinstance(expr.operand, Const):
        return expr
    have = type_of(expr)
    value = _converted(expr.operand.value, have.rep, "exact53" in expr.checks)
    if value is None and have.rep is Rep.F32:
        # the C compiler would fold the overflow and raise no flag at run time: make it a fault
        return replace(expr, checks=expr.checks | {"exact53"})
    return expr if value is None else Const(value, expr.span, have)


def _converted(value: bool | int | float | complex, rep: Rep, exact: bool) -> bool | int | float | complex | None:
    """`value` as `rep` holds it; None if it does not fit."""
    if isinstance(value, complex):
        return value if rep is Rep.C128 else None
    if rep is Rep.BOOL:
        return value if isinstance(value, bool) else None
    if rep.is_int:
        if isinstance(value, float):
            return None
        low = -(2 ** (rep.bits - 1)) if rep.is_signed else 0
        return int(value) if low <= value < low + 2**rep.bits else None
    rounded = _rounded(float(value), rep)
    if rounded is None or (exact and rounded != value):
        return None
    return complex(rounded, 0.0) if rep.is_complex else rounded


def _rounded(value: float, rep: Rep) -> float | None:
    if rep in (Rep.F64, Rep.C128):
        return value
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return None


def _drop_dead(body: tuple[Stmt, ...], kept: Iterable[str]) -> tuple[Stmt, ...]:
    """Without the copies between representations, and the constants, that nobody reads."""
    while True:
        read = {e.name for e in walk_exprs(body) if isinstance(e, Var)} | set(kept)
        smaller = _without(body, read)
        if smaller == body:
            return body
        body = smaller


def _without(body: tuple[Stmt, ...], read: set[str]) -> tuple[Stmt, ...]:
    out: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, Assign) and stmt.name not in read and _is_copy(stmt.value):
            continue
        out.append(_with_blocks(stmt, tuple(_without(b, read) for b in blocks_of(stmt))))
    return tuple(out)


def _is_copy(value: Expr) -> bool:
    """A constant, or the change of representation of a scalar that keeps its classes (so not a call of int())."""
    match value:
        case Const() | Var():
            return True
        case Cast(operand=Var() | Const() as x):
            return type_of(x).classes == type_of(value).classes
        case _:
            return False


def _with_blocks(stmt: Stmt, blocks: tuple[tuple[Stmt, ...], ...]) -> Stmt:
    match stmt:
        case If():
            return replace(stmt, then=blocks[0], other=blocks[1])
        case Loop() | While():
            return replace(stmt, body=blocks[0])
        case _:
            return stmt


def _final_names(
    body: tuple[Stmt, ...], entry: Mapping[str, Type], exits: Mapping[str, ScalarType | None]
) -> dict[str, str]:
    """"s:f64" -> "s", or "s.f64" beside another "s". The plain name is for the live-out's representation, else
    the live-in's, else that of the first version assigned."""
    versions: dict[str, list[str]] = {}
    assigned = (s.name for s in walk_stmts(body) if isinstance(s, Assign))
    read = (e.name for e in walk_exprs(body) if isinstance(e, Var))
    for name in (*assigned, *read):
        base, colon, rep = name.rpartition(":")
        if colon and rep not in versions.setdefault(base, []):
            versions[base].append(rep)
    names: dict[str, str] = {}
    for base, reps in versions.items():
        known = next((t for t in (exits.get(base), entry.get(base)) if isinstance(t, ScalarType)), None)
        plain = known.rep.value if known is not None else reps[0]
        names |= {f"{base}:{rep}": base if rep == plain else f"{base}.{rep}" for rep in reps}
    return names


def _rename(body: tuple[Stmt, ...], names: Mapping[str, str]) -> tuple[Stmt, ...]:
    def renamed(expr: Expr) -> Expr:
        return replace(expr, name=names.get(expr.name, expr.name)) if isinstance(expr, Var) else expr

    def assigned(stmts: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        out = []
        for stmt in stmts:
            stmt = _with_blocks(stmt, tuple(assigned(b) for b in blocks_of(stmt)))
            out.append(replace(stmt, name=names.get(stmt.name, stmt.name)) if isinstance(stmt, Assign) else stmt)
        return tuple(out)

    return assigned(map_body(body, lambda e: rewrite_expr(e, renamed)))


def _types_of(body: tuple[Stmt, ...], entry: Mapping[str, Type]) -> dict[str, Type]:
    """Every scalar's type: its representation and all classes it is ever given or read with."""
    types: dict[str, Type] = {}
    for stmt in walk_stmts(body):
        if isinstance(stmt, Assign):
            types[stmt.name] = _union(types.get(stmt.name, entry.get(stmt.name)), type_of(stmt.value))
        elif isinstance(stmt, Loop):
            types[stmt.counter] = INT
    for expr in walk_exprs(body):
        if isinstance(expr, Var):
            types[expr.name] = _union(types.get(expr.name, entry.get(expr.name)), type_of(expr))
    return types


def _union(a: Type | None, b: ScalarType) -> ScalarType:
    return ScalarType(b.rep, a.classes | b.classes) if isinstance(a, ScalarType) else b
