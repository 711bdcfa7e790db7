"""Blocked loops: the C form of transform/blocks.py.

    for (int64_t i_block = 1; i_block < n; i_block += i_rows) {
        const int64_t i_end = alp_min_i64(i_block + i_rows, n);
        for (int64_t i = i_block; i < i_end; i++) {
            b_saved[i - i_block] = b[i];
            b[i] = ...;
        }
        if (fault) { restore b[i_block:i_end]; note the resume point; return 3; }
    }

A loop in which nothing can fault needs none of this, though faults of its neighbours make the nest one that runs in
blocks.  An outermost loop also keeps the live-outs at each block's start (`const double s_kept = s;`); they are what
comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alpyna_hook.codegen.expr import look_at_flags, render, scalar_type
from alpyna_hook.codegen.helpers import CTYPE
from alpyna_hook.codegen.outs import write_outs
from alpyna_hook.codegen.rowsave import Saved, at_start, at_store, restore, saved_array
from alpyna_hook.codegen.stops import POLL, first_rows, stop, unit
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.abi import HALF_WAY, RESUME_SLOTS
from alpyna_hook.ir.nodes import Const, Loop, Var
from alpyna_hook.ir.plan import LoopPlan, ResumePoint
from alpyna_hook.ir.types import INT

if TYPE_CHECKING:
    from alpyna_hook.codegen.stmt import Body

AT_ENTRY = 2  # return code: all is as it was at entry


def block_loop(stmt: Loop, loop_plan: LoopPlan, ctx: Body, run: Callable[[Loop, LoopPlan, Body], None]) -> None:
    """Renders `stmt` in blocks; `run` renders the loop over one block."""
    w, scope = ctx.writer, ctx.scope
    ctx.blocked.add(stmt.counter)
    plain = _if_harmless(stmt, loop_plan, ctx, run)
    if plain is not None:
        w.raw(plain)
        return
    c = scope.names[stmt.counter]
    first, end = f"{stmt.counter}@block", f"{stmt.counter}@end"
    scope.names = {**scope.names, first: f"{c}_block", end: f"{c}_end"}
    scope.types = {**scope.types, first: INT, end: INT}
    w.line("{")
    w.indent()
    lower, upper = render(stmt.start, scope), render(stmt.stop, scope)
    w.line(f"const int64_t {c}_first = {lower}, {c}_stop = {upper};")
    number = next(k for k, point in enumerate(ctx.plan.resume) if point.counter == stmt.counter)
    block = _Block(stmt, c, tuple(saved_array(stmt, *saved, ctx) for saved in loop_plan.saved), number)
    _buffers(block, "threads" if loop_plan.parallel and scope.dialect.openmp else "1", ctx)
    stops = ctx.plan.stops and ctx.plan.resume[number].carried
    if stops:
        _shorter(block, loop_plan, ctx)
    length, move = (f"{c}_take", "") if stops else (f"{c}_rows", f" {c}_block += {c}_rows")
    with w.block(f"for (int64_t {c}_block = {c}_first; {c}_block < {c}_stop;{move})"):
        bound = scope.call("alp_min_i64", f"{c}_block + {length}", f"{c}_stop")
        w.line(f"const int64_t {c}_end = {bound};")
        for kind, name in _kept(block, ctx):
            w.line(f"const {kind} {name}_kept = {name};")
        one = replace(stmt, start=Var(first, type=INT), stop=Var(end, type=INT))
        whole = {**ctx.whole, stmt.counter: f"{c}_stop - {c}_first"}
        rows = [at_start(saved, stmt, ctx) for saved in block.saved if saved.store is None]
        first_lines = {**ctx.first_lines, stmt.counter: rows}
        saves = {id(saved.store): at_store(saved, stmt, ctx) for saved in block.saved if saved.store is not None}
        inside = replace(ctx, first_lines=first_lines, whole=whole, saves={**ctx.saves, **saves})
        run(one, replace(loop_plan, saved=()), inside)
        watched = [t for t, used in (("fault", scope.faults), ("(fp & fp_mask)", ctx.plan.watch_fp)) if used]
        if ctx.plan.watch_fp:
            look_at_flags(scope, w)
        if watched:
            with w.block(f"if ({' || '.join(watched)})"):
                _restore(block, ctx)
        if stops:
            _ask(block, ctx)
    w.dedent("}")


def _shorter(block: _Block, loop_plan: LoopPlan, ctx: Body) -> None:
    """Declares how many iterations the next block has: less than there is memory for, where they take long."""
    w, scope, c = ctx.writer, ctx.scope, block.c
    parallel = loop_plan.parallel and scope.dialect.openmp
    w.line(f"const int64_t {c}_unit = {unit(loop_plan, ctx)};")
    few = first_rows(block.stmt, f"{c}_unit", parallel, ctx)
    w.line(f"int64_t {c}_take = {POLL} ? {scope.call('alp_min_i64', few, f'{c}_rows')} : {c}_rows;")


def _ask(block: _Block, ctx: Body) -> None:
    """After a block: whether to stop, and the length of the next."""
    w, scope, c = ctx.writer, ctx.scope, block.c
    w.line(f"{c}_block = {c}_end;")
    with w.block(f"if ({POLL} && {c}_block < {c}_stop)"):
        w.line(f"{c}_take = {POLL}->ask({POLL}, {c}_take);")
        with w.block(f"if (!{c}_take)"):
            stop(ctx)
        units = scope.call("alp_whole_units", f"{c}_take", f"{c}_unit")
        w.line(f"{c}_take = {scope.call('alp_min_i64', units, f'{c}_rows')};")


def _if_harmless(
    stmt: Loop, loop_plan: LoopPlan, ctx: Body, run: Callable[[Loop, LoopPlan, Body], None]
) -> list[str] | None:
    """The lines of the whole loop, if nothing in it can fault, and nothing before it has that is not looked at yet."""
    point = next(point for point in ctx.plan.resume if point.counter == stmt.counter)
    if not loop_plan.quiet or (point.carried and ctx.scope.faults):
        return None
    before, ctx.scope.faults = ctx.scope.faults, False
    trial = replace(ctx, writer=ctx.writer.fork(), commented=set(ctx.commented))
    run(stmt, replace(loop_plan, saved=()), trial)
    faulty, ctx.scope.faults = ctx.scope.faults, before
    if faulty:
        return None
    ctx.commented |= trial.commented
    return trial.writer.take()


@dataclass(frozen=True, slots=True)
class _Block:
    """A blocked loop, its counter's C name, what it saves, and the number of its resume point."""

    stmt: Loop
    c: str
    saved: tuple[Saved, ...]
    number: int


def _buffers(block: _Block, threads: str, ctx: Body) -> None:
    """Declares the rows per block, which `threads` share, and the buffers. Without memory for these nothing could be
    undone from here on: a fault before the first block."""
    w, scope, c = ctx.writer, ctx.scope, block.c
    total = " + ".join(f"{saved.row} * sizeof *{scope.names[saved.array]}" for saved in block.saved)
    count = scope.call("alp_block_rows", f"{c}_stop - {c}_first", f"({total})", threads, str(ctx.plan.block_bytes))
    w.line(f"const int64_t {c}_rows = {count};")
    names = [scope.names[saved.array] for saved in block.saved]
    for number, saved in enumerate(block.saved):
        size = f"(size_t)({c}_rows * {saved.row}) * sizeof *{names[number]}"
        buffer = scope.call("alp_scratch", str(number), size)
        w.line(f"{CTYPE[scope.array(saved.array).elem]} *restrict {names[number]}_saved = {buffer};")
    with w.block(f"if ({' || '.join(f'!{name}_saved' for name in names)})"):
        if not ctx.plan.resume[block.number].carried:
            _note_place(block, f"{c}_first", ctx)
        w.line("out[0].i = 1;")
        w.line(f"return {AT_ENTRY if ctx.plan.resume[block.number].carried else HALF_WAY};")


def _kept(block: _Block, ctx: Body) -> list[tuple[str, str]]:
    """C type and name of what makes up the live-outs, where they come back with a fault."""
    if not ctx.plan.resume[block.number].carried:
        return []
    scope = ctx.scope
    names = [name for out in ctx.plan.nest.live_outs for name in (out.name, out.tag) if name]
    scalars = [(CTYPE[scalar_type(scope, name).rep], scope.names[name]) for name in names]
    return [*scalars, *(("int64_t", flag) for flag in ctx.flags.values())]


def _restore(block: _Block, ctx: Body) -> None:
    w, c = ctx.writer, block.c
    for saved in block.saved:
        restore(saved, block.stmt, ctx)
    fp = " | fp << 8" if ctx.plan.watch_fp else ""
    w.line(f"out[0].i = {'fault' if ctx.scope.faults else '0'}{fp};")
    if ctx.plan.resume[block.number].carried:
        w.line(f"if ({c}_block == {c}_first) return {AT_ENTRY};")
        for _, name in _kept(block, ctx):
            w.line(f"{name} = {name}_kept;")
        write_outs(ctx.outs, ctx.plan.nest, ctx.scope, ctx.flags, w)
    _note_place(block, f"{c}_block", ctx)
    w.line(f"return {HALF_WAY};")


def _note_place(block: _Block, trip: str, ctx: Body) -> None:
    """Fills the resume record: the interpreter is to go on with the blocked loop where its counter is `trip`."""
    ctx.writer.line(f"resume[0] = {block.number};")
    for depth, text in enumerate(_trips(ctx.plan.resume[block.number], block, trip, ctx), 1):
        ctx.writer.line(f"resume[{depth}] = {text};")


def _trips(point: ResumePoint, block: _Block, trip: str, ctx: Body) -> list[str]:
    """Trip numbers of the loops around the blocked one, and of its iteration `trip`."""
    outer = [loop for loop in ctx.around if (loop.span.line, loop.span.col) in point.loops]
    found = []
    for loop in outer:
        step = loop.step.value if isinstance(loop.step, Const) else 1
        counter, start = ctx.scope.names[loop.counter], render(loop.start, ctx.scope)
        found.append(f"({counter} - ({start})) / {step}")
    if len(found) + 2 > RESUME_SLOTS or len(found) + 1 != len(point.loops):
        raise InternalError(f"the loops around {block.stmt.counter} are not those of its resume point")
    return [*found, f"{trip} - {block.c}_first"]
