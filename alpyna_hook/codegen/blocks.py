"""Blocked loops: the C form of transform/blocks.py.

    for (int64_t i_block = 1; i_block < n; i_block += i_rows) {
        const int64_t i_end = alp_min_i64(i_block + i_rows, n);
        for (int64_t i = i_block; i < i_end; i++) {
            b_saved[i - i_block] = b[i];
            b[i] = ...;
        }
        if (fault) { restore b[i_block:i_end]; note the resume point; return 3; }
    }

An outermost loop also keeps the live-outs at each block's start (`const double s_kept = s;`); they are what comes back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from alpyna_hook.codegen.expr import render, scalar_type
from alpyna_hook.codegen.helpers import CTYPE
from alpyna_hook.codegen.outs import write_outs
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import Const, Loop, Store, Var
from alpyna_hook.ir.abi import RESUME_SLOTS
from alpyna_hook.ir.plan import LoopPlan, ResumePoint
from alpyna_hook.ir.types import INT, ArrayType

if TYPE_CHECKING:
    from alpyna_hook.codegen.stmt import Body

AT_ENTRY, HALF_WAY = 2, 3  # return codes: all is as it was at entry; or as the resume record says


def block_loop(stmt: Loop, loop_plan: LoopPlan, ctx: Body, run: Callable[[Loop, LoopPlan, Body], None]) -> None:
    """Renders `stmt` in blocks; `run` renders the loop over one block."""
    w, scope = ctx.writer, ctx.scope
    c = scope.names[stmt.counter]
    first, end = f"{stmt.counter}.block", f"{stmt.counter}.end"
    scope.names = {**scope.names, first: f"{c}_block", end: f"{c}_end"}
    scope.types = {**scope.types, first: INT, end: INT}
    w.line("{")
    w.indent()
    lower, upper = render(stmt.start, scope), render(stmt.stop, scope)
    w.line(f"const int64_t {c}_first = {lower}, {c}_stop = {upper};")
    number = next(k for k, point in enumerate(ctx.plan.resume) if point.counter == stmt.counter)
    block = _Block(stmt, c, loop_plan.saved, tuple(_row(array, ctx) for array, _ in loop_plan.saved), number)
    _buffers(block, "threads" if loop_plan.parallel and scope.dialect.openmp else "1", ctx)
    with w.block(f"for (int64_t {c}_block = {c}_first; {c}_block < {c}_stop; {c}_block += {c}_rows)"):
        bound = scope.call("alp_min_i64", f"{c}_block + {c}_rows", f"{c}_stop")
        w.line(f"const int64_t {c}_end = {bound};")
        for kind, name in _kept(block, ctx):
            w.line(f"const {kind} {name}_kept = {name};")
        saves = [_save(array, c, offset, row, stmt, ctx) for array, offset, row in block.arrays]
        one = replace(stmt, start=Var(first, type=INT), stop=Var(end, type=INT))
        whole = {**ctx.whole, stmt.counter: f"{c}_stop - {c}_first"}
        first_lines = {**ctx.first_lines, stmt.counter: saves}
        run(one, replace(loop_plan, saved=()), replace(ctx, first_lines=first_lines, whole=whole))
        watched = [t for t, used in (("fault", scope.faults), ("(fp & fp_mask)", ctx.plan.watch_fp)) if used]
        if ctx.plan.watch_fp:
            w.line("fp |= alp_fp_raised();")
        if watched:
            with w.block(f"if ({' || '.join(watched)})"):
                _restore(block, ctx)
    w.dedent("}")


@dataclass(frozen=True, slots=True)
class _Block:
    """A blocked loop, its counter's C name, (array, row offset) of what it saves with the elements per row as C text,
    and the number of its resume point."""

    stmt: Loop
    c: str
    saved: tuple[tuple[str, int], ...]
    rows: tuple[str, ...]
    number: int

    @property
    def arrays(self) -> list[tuple[str, int, str]]:
        return [(array, offset, row) for (array, offset), row in zip(self.saved, self.rows)]


def _buffers(block: _Block, threads: str, ctx: Body) -> None:
    """Declares the rows per block, which `threads` share, and the buffers. Without memory for these nothing could be
    undone from here on: a fault before the first block."""
    w, scope, c = ctx.writer, ctx.scope, block.c
    total = " + ".join(f"{row} * sizeof *{scope.names[array]}" for array, _, row in block.arrays)
    count = scope.call("alp_block_rows", f"{c}_stop - {c}_first", f"({total})", threads, str(ctx.plan.block_bytes))
    w.line(f"const int64_t {c}_rows = {count};")
    names = [scope.names[array] for array, _, _ in block.arrays]
    for number, (array, _, row) in enumerate(block.arrays):
        size = f"(size_t)({c}_rows * {row}) * sizeof *{names[number]}"
        buffer = scope.call("alp_scratch", str(number), size)
        w.line(f"{CTYPE[_kind(array, ctx).elem]} *restrict {names[number]}_saved = {buffer};")
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


def _kind(array: str, ctx: Body) -> ArrayType:
    kind = ctx.scope.types[array]
    if not isinstance(kind, ArrayType):
        raise InternalError(f"{array} is no array")
    return kind


def _row(array: str, ctx: Body) -> str:
    """Elements per row, as C text."""
    dims = [f"{ctx.scope.names[array]}_n{axis}" for axis in range(1, _kind(array, ctx).ndim)]
    return " * ".join(dims) or "1"


def _place(array: str, index: str, offset: int, row: str, ctx: Body) -> str:
    """Offset of the row of iteration `index`, in elements."""
    position = index if offset == 0 else f"({index} {'+' if offset > 0 else '-'} {abs(offset)})"
    if _kind(array, ctx).layout == "S":
        return f"{position} * {ctx.scope.names[array]}_s0"
    return position if row == "1" else f"{position} * {row}"


def _if_there(array: str, index: str, offset: int, stmt: Loop, ctx: Body) -> str:
    """`if (...) ` where an iteration may write no row, so that its row need not exist."""
    if any(isinstance(s, Store) and s.array == array for s in stmt.body):
        return ""
    row = f"({index} {'+' if offset > 0 else '-'} {abs(offset)})" if offset else index
    return f"if ((uint64_t){row} < (uint64_t){ctx.scope.names[array]}_n0) "


def _save(array: str, c: str, offset: int, row: str, stmt: Loop, ctx: Body) -> str:
    test = _if_there(array, c, offset, stmt, ctx)
    return test + _save_row(array, c, offset, row, ctx)


def _save_row(array: str, c: str, offset: int, row: str, ctx: Body) -> str:
    name = ctx.scope.names[array]
    source = f"{name}[{_place(array, c, offset, row, ctx)}]"
    if row == "1":
        return f"{name}_saved[{c} - {c}_block] = {source};"
    return f"memcpy(&{name}_saved[({c} - {c}_block) * {row}], &{source}, (size_t)({row}) * sizeof *{name});"


def _restore(block: _Block, ctx: Body) -> None:
    w, c = ctx.writer, block.c
    r = f"{c}_row"
    for array, offset, row in block.arrays:
        name = ctx.scope.names[array]
        target = f"{name}[{_place(array, r, offset, row, ctx)}]"
        with w.block(f"for (int64_t {r} = {c}_block; {r} < {c}_end; {r}++)"):
            test = _if_there(array, r, offset, block.stmt, ctx)
            if row == "1":
                w.line(f"{test}{target} = {name}_saved[{r} - {c}_block];")
            else:
                saved = f"&{name}_saved[({r} - {c}_block) * {row}]"
                w.line(f"{test}memcpy(&{target}, {saved}, (size_t)({row}) * sizeof *{name});")
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
