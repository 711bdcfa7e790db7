"""How a blocked loop (codegen/blocks.py) saves the rows that it is about to write, and puts them back.

    for (int64_t i = i_block; i < i_end; i++)
        for (int64_t j = 1; j < n - 1; j++) {
            b_saved[(i - i_block) * b_n1 + j] = b[i * b_n1 + j];
            b[i * b_n1 + j] = ...;
        }

An array that has one store, which meets each element once, in a loop that vectorises (or in no inner loop, so that it
is one element of the row), is saved element by element there, where its cache line is needed anyway; a fault then puts
back what the same loops visit.  Of others the whole row is saved before the iteration.

In: a blocked loop and the arrays that it saves.  Out: C lines, by the place where they belong.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alpyna_hook.codegen.expr import element, render
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.flow import assigned
from alpyna_hook.ir.nodes import (
    Binary, Break, Call, Cast, Const, Continue, Expr, Load, Loop, Stmt, Store, Unary, Var, While, walk, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.types import INT, ArrayType

if TYPE_CHECKING:
    from alpyna_hook.codegen.stmt import Body

UNROLLED_TRIPS = 8  # at most, of a loop that gcc and clang unroll wholly


@dataclass(frozen=True, slots=True)
class Saved:
    """An array saved by a blocked loop: iteration i writes row i + offset, of `row` elements (C text).

    chain  with `store`: the loops between the blocked loop and the store, outermost first
    store  where the array's elements are saved one by one; None: whole rows are
    """

    array: str
    offset: int
    row: str
    chain: tuple[Loop, ...] = ()
    store: Store | None = None


def saved_array(stmt: Loop, array: str, offset: int, ctx: Body) -> Saved:
    """How `array` is to be saved in the blocked loop `stmt`."""
    dims = [f"{ctx.scope.names[array]}_n{axis}" for axis in range(1, _kind(array, ctx).ndim)]
    whole = Saved(array, offset, " * ".join(dims) or "1")
    stores = [s for s in walk_stmts(stmt.body) if isinstance(s, Store) and s.array == array]
    jumps = any(isinstance(s, (While, Break, Continue)) for s in walk_stmts(stmt.body))
    if len(stores) != 1 or jumps or _kind(array, ctx).layout != "C":
        return whole
    chain = _chain(stmt.body, stores[0])
    if chain is None or not _once(stmt, chain, stores[0]) or (chain and not _vectorises(chain[-1], ctx)):
        return whole
    return replace(whole, chain=chain, store=stores[0])


def _chain(body: tuple[Stmt, ...], store: Store) -> tuple[Loop, ...] | None:
    """The loops in `body` around `store`; None if it also stands in a branch."""
    for stmt in body:
        if stmt is store:
            return ()
        if isinstance(stmt, Loop) and (inner := _chain(stmt.body, store)) is not None:
            return (stmt, *inner)
    return None


def _vectorises(loop: Loop, ctx: Body) -> bool:
    """Whether trips of the loop do not depend on each other, and the C compiler will see no loop in it. Otherwise
    another pointer in it can be one too many (gcc 12 on a convolution: 4 times slower)."""
    inner = [s for s in walk_stmts(loop.body) if isinstance(s, Loop)]
    return ctx.plan.loop(loop.counter).independent and all(map(unrolled, inner))


def unrolled(loop: Loop) -> bool:
    """A constant number of trips, and few."""
    bounds = [e.value for e in (loop.start, loop.stop, loop.step) if isinstance(e, Const) and isinstance(e.value, int)]
    return len(bounds) == 3 and bounds[2] != 0 and len(range(*bounds)) <= UNROLLED_TRIPS


def _once(stmt: Loop, chain: tuple[Loop, ...], store: Store) -> bool:
    """Whether an iteration of `stmt` meets each element at most once: one subscript per loop of `chain`, which
    moves with it alone. And whether bounds and subscripts are the same when they are evaluated again."""
    moving = [next((loop.counter for loop in chain if _moves_with(e, loop.counter)), "") for e in store.index[1:]]
    if sorted(filter(None, moving)) != sorted(loop.counter for loop in chain):
        return False
    if any(mode != "direct" for mode in store.modes) or any(not isinstance(loop.step, Const) for loop in chain):
        return False
    counters = {loop.counter for loop in walk_stmts(stmt.body) if isinstance(loop, Loop)}
    changing = assigned(stmt.body) | counters
    fixed = [e for e, counter in zip(store.index[1:], moving) if not counter]
    again = [part for loop in chain for e in (loop.start, loop.stop) for part in walk(e)]
    again += [part for e in fixed for part in walk(e)]
    return not any(
        isinstance(e, (Load, Call)) or (isinstance(e, Var) and e.name in changing)
        or (isinstance(e, (Binary, Unary, Cast)) and e.checks)
        for e in again
    )  # fmt: skip


def _moves_with(index: Expr, counter: str) -> bool:
    """`index` is `counter`, plus or minus a constant."""
    match index:
        case Var(name=name):
            return name == counter
        case Binary(op="+" | "-", left=Var(name=name), right=Const()):
            return name == counter
        case Binary(op="+", left=Const(), right=Var(name=name)):
            return name == counter
    return False


def at_store(saved: Saved, stmt: Loop, ctx: Body) -> str:
    """The C line that saves an element, just before the store."""
    assert saved.store is not None
    here, there = _element(saved, stmt, ctx)
    return f"{there} = {here};"


def _element(saved: Saved, stmt: Loop, ctx: Body) -> tuple[str, str]:
    """The element that the store meets, in the array and in the buffer."""
    store, name = saved.store, ctx.scope.names[saved.array]
    assert store is not None
    first = Binary("-", Var(stmt.counter, type=INT), Var(f"{stmt.counter}@block", type=INT), type=INT)
    kept = element(store.array, (first, *store.index[1:]), store.modes, ctx.scope)
    return element(store.array, store.index, store.modes, ctx.scope), f"{name}_saved{kept.removeprefix(name)}"


def at_start(saved: Saved, stmt: Loop, ctx: Body) -> str:
    """The C line that saves a whole row, before an iteration."""
    c, name = ctx.scope.names[stmt.counter], ctx.scope.names[saved.array]
    test = _if_there(saved, c, stmt, ctx)
    source = f"{name}[{_place(saved, c, ctx)}]"
    if saved.row == "1":
        return f"{test}{name}_saved[{c} - {c}_block] = {source};"
    kept = f"&{name}_saved[({c} - {c}_block) * {saved.row}]"
    return f"{test}memcpy({kept}, &{source}, (size_t)({saved.row}) * sizeof *{name});"


def restore(saved: Saved, stmt: Loop, ctx: Body) -> None:
    """C lines that put the rows of a block back."""
    w, c, name = ctx.writer, ctx.scope.names[stmt.counter], ctx.scope.names[saved.array]
    if saved.store is not None:
        with w.block(f"for (int64_t {c} = {c}_block; {c} < {c}_end; {c}++)"):
            for loop in saved.chain:
                w.line(_head(loop, ctx))
            here, there = _element(saved, stmt, ctx)
            w.line(f"{here} = {there};")
        return
    r = f"{c}_row"
    target = f"{name}[{_place(saved, r, ctx)}]"
    with w.block(f"for (int64_t {r} = {c}_block; {r} < {c}_end; {r}++)"):
        test = _if_there(saved, r, stmt, ctx)
        if saved.row == "1":
            w.line(f"{test}{target} = {name}_saved[{r} - {c}_block];")
        else:
            kept = f"&{name}_saved[({r} - {c}_block) * {saved.row}]"
            w.line(f"{test}memcpy(&{target}, {kept}, (size_t)({saved.row}) * sizeof *{name});")


def _head(loop: Loop, ctx: Body) -> str:
    step = loop.step.value if isinstance(loop.step, Const) else 0
    if not isinstance(step, int) or step == 0:
        raise InternalError(f"the loop over {loop.counter} has no constant step")
    c, start, stop = ctx.scope.names[loop.counter], render(loop.start, ctx.scope), render(loop.stop, ctx.scope)
    return f"for (int64_t {c} = {start}; {c} {'<' if step > 0 else '>'} {stop}; {c} += {step})"


def _kind(array: str, ctx: Body) -> ArrayType:
    kind = ctx.scope.types[array]
    if not isinstance(kind, ArrayType):
        raise InternalError(f"{array} is no array")
    return kind


def _place(saved: Saved, index: str, ctx: Body) -> str:
    """Offset of the row of iteration `index`, in elements."""
    offset = saved.offset
    position = index if offset == 0 else f"({index} {'+' if offset > 0 else '-'} {abs(offset)})"
    if _kind(saved.array, ctx).layout == "S":
        return f"{position} * {ctx.scope.names[saved.array]}_s0"
    return position if saved.row == "1" else f"{position} * {saved.row}"


def _if_there(saved: Saved, index: str, stmt: Loop, ctx: Body) -> str:
    """`if (...) ` where an iteration may write no row, so that its row need not exist."""
    if any(isinstance(s, Store) and s.array == saved.array for s in stmt.body):
        return ""
    offset = saved.offset
    row = f"({index} {'+' if offset > 0 else '-'} {abs(offset)})" if offset else index
    return f"if ((uint64_t){row} < (uint64_t){ctx.scope.names[saved.array]}_n0) "
