"""The `for` of a loop: over its own range, over strips of it, or over a grid of work items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpyna_hook.codegen.expr import Scope, render, rep_of
from alpyna_hook.ir.flow import assigned
from alpyna_hook.ir.nodes import Binary, Const, Dim, Expr, Loop, Stmt, Unary, Var, walk
from alpyna_hook.ir.types import Rep

if TYPE_CHECKING:
    from alpyna_hook.codegen.stmt import Body


@dataclass(frozen=True, slots=True)
class Header:
    """A rendered `for`: the text, whether it makes a trip, an increasing iteration key, its number of iterations."""

    text: str
    nonempty: str
    key: str
    trips: str
    counter_line: str = ""


def header(stmt: Loop, ctx: Body, strip: int = 0) -> Header:
    """The C `for` of a Loop; writes declarations for bounds that must be evaluated once.

    strip  > 0: the loop over strips of that many iterations (its step is 1)
    """
    scope, w = ctx.scope, ctx.writer
    counter = scope.names[stmt.counter]
    if ctx.plan.style == "grid" and ctx.plan.loop(stmt.counter).grid:
        return _grid_header(stmt, counter, ctx)
    start = _bound(stmt.start, scope)
    step = stmt.step.value if isinstance(stmt.step, Const) else None
    if not isinstance(step, int) or step == 0:
        return _general_header(stmt, counter, start, ctx)
    stop = _bound(stmt.stop, scope)
    if not _stable(stmt.stop, stmt.body):
        w.line(f"const int64_t {counter}_stop = {stop};")
        stop = f"{counter}_stop"
    if strip:
        lanes = scope.call("alp_min_i64", str(strip), f"{_paren(stop)} - {counter}_strip")
        return Header(f"for (int64_t {counter}_strip = {start}; {counter}_strip < {stop}; {counter}_strip += {strip})",
                      f"{_paren(start)} < {_paren(stop)}", f"{counter}_strip", f"{_paren(stop)} - {_paren(start)}",
                      f"const int64_t {counter}_lanes = {lanes};")  # fmt: skip
    relation = "<" if step > 0 else ">"
    move = {1: f"{counter}++", -1: f"{counter}--"}.get(step, f"{counter} {'+' if step > 0 else '-'}= {abs(step)}")
    key = counter if step > 0 else f"-{counter}"
    return Header(f"for (int64_t {counter} = {start}; {counter} {relation} {stop}; {move})",
                  f"{_paren(start)} {relation} {_paren(stop)}", key, _trips(start, stop, step))  # fmt: skip


def _general_header(stmt: Loop, counter: str, start: str, ctx: Body) -> Header:
    w = ctx.writer
    w.line(f"const int64_t {counter}_start = {start}, {counter}_step = {_bound(stmt.step, ctx.scope)};")
    trips = ctx.scope.call("alp_trips", f"{counter}_start", _bound(stmt.stop, ctx.scope), f"{counter}_step", fault=True)
    w.line(f"const int64_t {counter}_trips = {trips};")
    return Header(f"for (int64_t {counter}_trip = 0; {counter}_trip < {counter}_trips; {counter}_trip++)",
                  f"{counter}_trips > 0", f"{counter}_trip", f"{counter}_trips",
                  f"const int64_t {counter} = {counter}_start + {counter}_trip * {counter}_step;")  # fmt: skip


def _grid_header(stmt: Loop, counter: str, ctx: Body) -> Header:
    """A loop over the grid: each work item takes the trips that lie the width of the grid apart. Counting trips, not
    counter values, nothing overflows. What the host has not passed on (`names` has no such name) is computed here."""
    scope, axis = ctx.scope, ctx.plan.loop(stmt.counter).grid - 1
    start, step = (_passed(stmt, part, e, counter, ctx) for part, e in (("base", stmt.start), ("stride", stmt.step)))
    trips = scope.names.get(f"{stmt.counter}@extent", "")
    if not trips:
        trips = f"{counter}_trips"
        ctx.writer.line(f"const int64_t {trips} = {scope.call('alp_span', start, _bound(stmt.stop, scope), step)};")
    trip, item, items = f"{counter}_trip", scope.dialect.item[axis], scope.dialect.items[axis]
    moved = trip if step == "1" else f"{trip} * {_paren(step)}"
    value = moved if start == "0" else f"{_paren(start)} + {moved}"
    if scope.dialect.single and not ctx.plan.loop(stmt.counter).reductions:
        ctx.writer.line(scope.dialect.single)
    return Header(f"for (int64_t {trip} = {item}; {trip} < {trips}; {trip} += {items})", f"{trips} > 0", trip, trips,
                  f"const int64_t {counter} = {value};")  # fmt: skip


def _passed(stmt: Loop, part: str, expr: Expr, counter: str, ctx: Body) -> str:
    """The start or step of a loop over the grid: a number, a parameter, or evaluated once here."""
    name = f"{stmt.counter}@{part}"
    if isinstance(expr, Const):
        return render(expr, ctx.scope)
    if name in ctx.scope.names:
        return ctx.scope.names[name]
    ctx.writer.line(f"const int64_t {counter}_{part} = {_bound(expr, ctx.scope)};")
    return f"{counter}_{part}"


def _trips(start: str, stop: str, step: int) -> str:
    """Number of iterations, rounded down: it only decides whether threads are worth it."""
    distance = f"{_paren(stop)} - {_paren(start)}" if step > 0 else f"{_paren(start)} - {_paren(stop)}"
    return distance if abs(step) == 1 else f"({distance}) / {abs(step)}"


def _paren(text: str) -> str:
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _bound(expr: Expr, scope: Scope) -> str:
    text = render(expr, scope)
    return text if rep_of(expr) is Rep.I64 else f"(int64_t)({text})"


def _stable(expr: Expr, body: tuple[Stmt, ...]) -> bool:
    """May `expr` be evaluated again before each trip? Cheap, cannot fault, and nothing in it changes."""
    changed = assigned(body)
    for e in walk(expr):
        match e:
            case Const() | Dim():
                pass
            case Var(name=name):
                if name in changed:
                    return False
            case Binary(op="+" | "-", checks=checks) | Unary(op="-", checks=checks):
                if checks:
                    return False
            case _:
                return False
    return True
