"""What the host does, step by step, where a nest runs on a device.

In: a typed nest whose `LoopPlan`s say which loops form the grid.  Out: `Steps`, or the sentence that says why there
are none.  Loops around a grid are run by the host, as are assignments of what it can compute; a run of other
statements becomes a kernel of one work item.  Scalars that kernels compute for later kernels, or that outlive the nest,
stay on the device (`resident`), in slots of one small buffer; the host reads them at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from alpyna_hook.errors import InternalError
from alpyna_hook.ir.flow import assigned, exposed, mentions, reads_of, surely_assigned
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Cast, Compare, Const, Continue, Dim, Expr, If, Logical, Loop, Nest, Select, Stmt,
    Unary, Var, While, blocks_of, children, exprs_of, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.plan import LoopPlan
from alpyna_hook.ir.types import Rep, ScalarType, Type

MAX_RESIDENT = 32  # slots of the buffer of scalars
ENTRY = "@entry"  # NAME@entry is the value that the host has of the resident scalar NAME

_DRIVER_REPS = (Rep.I64, Rep.F64, Rep.BOOL)
_DRIVER_BINARY = {Rep.I64: frozenset(("+", "-", "*", "//", "%")), Rep.F64: frozenset(("+", "-", "*", "/"))}
_DRIVER_CALLS = frozenset(("min", "max", "abs"))


@dataclass(frozen=True, slots=True)
class Compute:
    """The host assigns a scalar."""

    stmt: Assign


@dataclass(frozen=True, slots=True)
class Launch:
    """A kernel over a grid. loops: those on the grid, outermost first, each the last statement of the one before."""

    loops: tuple[Loop, ...]


@dataclass(frozen=True, slots=True)
class Serial:
    """A kernel of one work item."""

    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """The host runs a loop."""

    loop: Loop
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Choose:
    """The host takes a branch."""

    stmt: If
    then: tuple[Step, ...]
    other: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Jump:
    """The host leaves a loop or goes on to its next trip."""

    stmt: Break | Continue


Step: TypeAlias = Compute | Launch | Serial | Repeat | Choose | Jump


@dataclass(frozen=True, slots=True)
class Steps:
    """resident: the scalars kept on the device, in slot order."""

    steps: tuple[Step, ...]
    resident: tuple[str, ...]


def grid_loops(loop: Loop, plans: Mapping[str, LoopPlan]) -> tuple[Loop, ...]:
    """`loop` and those below it that form its grid, outermost first."""
    found = [loop]
    while isinstance(inner := found[-1].body[-1] if found[-1].body else None, Loop) and on_grid(inner, plans):
        found.append(inner)
    return tuple(found)


def on_grid(stmt: Stmt, plans: Mapping[str, LoopPlan]) -> bool:
    """Whether the iterations of `stmt` are work items."""
    return isinstance(stmt, Loop) and stmt.counter in plans and plans[stmt.counter].grid > 0


def counter_copies(loops: tuple[Loop, ...]) -> dict[str, str]:
    """Names that are nothing but copies of grid counters -> that counter: the host knows their last values."""
    found: dict[str, str] = {}
    for loop in loops:
        for stmt in loop.body:
            if isinstance(stmt, Assign) and isinstance(stmt.value, Var) and stmt.value.name == loop.counter:
                found[stmt.name] = loop.counter
    times = [s.name for s in walk_stmts((loops[0],)) if isinstance(s, Assign)]
    return {name: counter for name, counter in found.items() if times.count(name) == 1}


def host_can(expr: Expr, types: Mapping[str, Type], resident: frozenset[str]) -> bool:
    """Whether the host can evaluate `expr` as Python does: plain arithmetic on ints, bools and doubles it knows."""
    if expr.type is None or expr.type.rep not in _DRIVER_REPS:
        return False
    match expr:
        case Const() | Dim():
            return True
        case Var(name=name):
            kind = types.get(name)
            return name not in resident and isinstance(kind, ScalarType) and kind.rep in _DRIVER_REPS
        case Binary(op=op):
            if op not in _DRIVER_BINARY.get(expr.type.rep, ()):
                return False
        case Unary(op=op):
            if op == "~":
                return False
        case Cast(operand=operand):
            if operand.type is None or (operand.type.rep, expr.type.rep) != (Rep.I64, Rep.F64):
                return False
        case Call(fn=fn):
            if fn not in _DRIVER_CALLS or expr.type.rep is not Rep.I64:
                return False
        case Compare() | Logical() | Select():
            pass
        case _:
            return False
    return all(host_can(child, types, resident) for child in children(expr))


class _Obstacle(Exception):
    """Why the nest cannot be run in steps; the text is for the report."""


def steps_of(nest: Nest, plans: Mapping[str, LoopPlan]) -> Steps | str:
    """The steps of `nest`, or why it has none."""
    try:
        resident = _resident(nest, plans)
        steps = _Maker(nest, plans, resident).steps(nest.body)
        _check_first(nest, resident)
        _check_set(steps, frozenset(out.name for out in nest.live_outs if not out.definite))
    except _Obstacle as why:
        return str(why)
    kept = tuple(sorted(resident))
    live = {x.name for x in nest.live_ins}
    begin = tuple(_from_host(nest, n) for n in kept if n in live)
    if begin:
        steps = (Serial(begin), *steps)
    if len(kept) > MAX_RESIDENT:
        return "too many scalars are computed on the device"
    return Steps(steps, kept)


def _from_host(nest: Nest, name: str) -> Assign:
    """A resident scalar gets the value that the host has."""
    return Assign(name, Var(name + ENTRY, type=kind_of(nest, name)))


def kind_of(nest: Nest, name: str) -> ScalarType:
    """The type of a scalar."""
    kind = dict(nest.types)[name]
    if not isinstance(kind, ScalarType):
        raise InternalError(f"{name} is no scalar")
    return kind


def _check_first(nest: Nest, resident: frozenset[str]) -> None:
    """The host must see whether the outermost loop makes a trip: names keep their values if it does not."""
    if not any(out.definite for out in nest.live_outs):
        return
    first = next((s for s in nest.body if isinstance(s, (Loop, While))), None)
    if not isinstance(first, Loop) or not all(host_can(e, dict(nest.types), resident) for e in exprs_of(first)):
        raise _Obstacle("whether the loop is entered depends on what the device computes")


def _check_set(steps: tuple[Step, ...], optional: frozenset[str]) -> None:
    """The host must know whether names that the nest may leave without a value were assigned."""
    for step in steps:
        match step:
            case Serial(body=body):
                lost = assigned(body) & optional - surely_assigned(body)
                if lost:
                    raise _Obstacle(f"only the device knows whether {min(lost)} is assigned")
            case Repeat(steps=inner):
                _check_set(inner, optional)
            case Choose(then=then, other=other):
                _check_set((*then, *other), optional)


def host_level(body: tuple[Stmt, ...], plans: Mapping[str, LoopPlan]) -> Iterator[Stmt]:
    """The statements that are steps, or hold steps: those not inside a grid or a kernel of one work item."""
    for stmt in body:
        yield stmt
        if holds_grid(stmt, plans) and not on_grid(stmt, plans):
            for block in blocks_of(stmt):
                yield from host_level(block, plans)


def holds_grid(stmt: Stmt, plans: Mapping[str, LoopPlan]) -> bool:
    """Whether a grid is launched somewhere in `stmt`."""
    return any(on_grid(s, plans) for s in walk_stmts((stmt,)))


def _resident(nest: Nest, plans: Mapping[str, LoopPlan]) -> frozenset[str]:
    """Scalars that some kernel assigns and that are needed outside that kernel; with them goes, to a fixpoint, all
    that is computed from them between the kernels."""
    types = dict(nest.types)
    outs = {name for out in nest.live_outs for name in (out.name, out.tag) if name}
    total = mentions(nest.body)
    found: set[str] = set()
    grids: list[tuple[LoopPlan, dict[str, str]]] = []
    between: list[Stmt] = []
    for stmt in host_level(nest.body, plans):
        if isinstance(stmt, Loop) and on_grid(stmt, plans):
            grids.append((plans[stmt.counter], counter_copies(grid_loops(stmt, plans))))
            found |= {name for name in plans[stmt.counter].last if name not in grids[-1][1]}
        elif not holds_grid(stmt, plans):
            between.append(stmt)
    while True:
        grown = set(found)
        for stmt in between:
            if not host_only(stmt, types, frozenset(grown)):
                inside, needed = mentions((stmt,)), exposed((stmt,))
                grown |= {n for n in assigned((stmt,)) if n in outs or n in needed or inside[n] < total[n]}
        if grown == found:
            break
        found = grown
    _check_grids(grids, found)
    return frozenset(found)


def _check_grids(grids: list[tuple[LoopPlan, dict[str, str]]], resident: set[str]) -> None:
    for plan, copies in grids:
        lost = [name for name in plan.conditional if name not in copies or name in resident]
        if lost:
            raise _Obstacle(f"the value that {min(lost)} has after the loop is known to one work item only")


def host_only(stmt: Stmt, types: Mapping[str, Type], resident: frozenset[str]) -> bool:
    """Whether the host can run `stmt`, in which no grid is launched, by itself."""
    match stmt:
        case Assign():
            return _host_assigns(stmt, types, resident)
        case If(test=test, then=then, other=other):
            return host_can(test, types, resident) and all(host_only(s, types, resident) for s in (*then, *other))
        case Break() | Continue():
            return True
        case _:
            return False


def _host_assigns(stmt: Stmt, types: Mapping[str, Type], resident: frozenset[str]) -> bool:
    return isinstance(stmt, Assign) and stmt.name not in resident and host_can(stmt.value, types, resident)


@dataclass(slots=True)
class _Maker:
    nest: Nest
    plans: Mapping[str, LoopPlan]
    resident: frozenset[str]

    def steps(self, body: tuple[Stmt, ...]) -> tuple[Step, ...]:
        types = dict(self.nest.types)
        found: list[Step] = []
        for stmt in body:
            if isinstance(stmt, (Break, Continue)):
                found.append(Jump(stmt))
            elif isinstance(stmt, Assign) and _host_assigns(stmt, types, self.resident):
                found.append(Compute(stmt))
            elif isinstance(stmt, If) and host_only(stmt, types, self.resident):
                found.append(Choose(stmt, self.steps(stmt.then), self.steps(stmt.other)))
            elif not holds_grid(stmt, self.plans):
                if _jumps((stmt,)):
                    raise _Obstacle("what values decide when a loop between the parallel ones ends")
                if found and isinstance(found[-1], Serial):
                    found[-1] = Serial((*found[-1].body, stmt))
                else:
                    found.append(Serial((stmt,)))
            else:
                found.append(self.around(stmt))
                if isinstance(stmt, Loop) and on_grid(stmt, self.plans):
                    found += self.handed_back(self.plans[stmt.counter])
        return tuple(found)

    def handed_back(self, plan: LoopPlan) -> list[Step]:
        """The host combines reductions: those of resident scalars go back to the device."""
        names = [name for name, _ in plan.reductions if name in self.resident]
        return [Serial(tuple(_from_host(self.nest, name) for name in names))] if names else []

    def around(self, stmt: Stmt) -> Step:
        """The step of a statement in which a grid is launched."""
        types = dict(self.nest.types)
        if isinstance(stmt, Loop) and on_grid(stmt, self.plans):
            loops = grid_loops(stmt, self.plans)
            self.check(loops[0], "the range of a parallel loop")
            return Launch(loops)
        if isinstance(stmt, Loop):
            self.check(stmt, "the range of a loop around the parallel one")
            return Repeat(stmt, self.steps(stmt.body))
        if isinstance(stmt, If):
            if not host_can(stmt.test, types, self.resident):
                raise _Obstacle("a condition that holds a parallel loop depends on what the device computes")
            return Choose(stmt, self.steps(stmt.then), self.steps(stmt.other))
        raise _Obstacle("the parallel loop is inside a while loop")

    def check(self, loop: Loop, what: str) -> None:
        if not all(host_can(e, dict(self.nest.types), self.resident) for e in exprs_of(loop)):
            raise _Obstacle(f"{what} depends on what the device computes")


def _jumps(body: tuple[Stmt, ...]) -> bool:
    """Whether a `break` or `continue` in `body` leaves it."""
    for stmt in body:
        if isinstance(stmt, (Break, Continue)):
            return True
        if isinstance(stmt, If) and (_jumps(stmt.then) or _jumps(stmt.other)):
            return True
    return False


def range_follows(loop: Loop, counters: frozenset[str], types: Mapping[str, Type], resident: frozenset[str]) -> bool:
    """Whether the host can tell the range of `loop` for given values of `counters`, those of the grid around it."""
    known = {**types, **{c: ScalarType(Rep.I64, frozenset(("int",))) for c in counters}}
    return all(host_can(e, known, resident) for e in exprs_of(loop))


def reads_counter(loop: Loop, counters: frozenset[str]) -> bool:
    """Whether the range of `loop` moves with one of `counters`."""
    return any(reads_of(e) & counters for e in exprs_of(loop))


def open_ended(body: tuple[Stmt, ...]) -> bool:
    """Whether values decide when a loop in `body` ends."""
    return any(isinstance(s, (While, Break)) for s in walk_stmts(body))
