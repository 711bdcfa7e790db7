"""Blocked loops: the C form of transform/blocks.py.

    for (int64_t i_block = 1; i_block < n; i_block += i_rows) {
        const int64_t i_end = alp_min_i64(i_block + i_rows, n);
        for (int64_t i = i_block; i < i_end; i++) {
            b_saved[i - i_block] = b[i];
            b[i] = ...;
        }
        if (fault) { restore b[i_block:i_end]; note the resume point; return 2; }
    }
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from alpyna_hook.codegen.expr import render
from alpyna_hook.codegen.helpers import CTYPE
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import Const, Loop, Store, Var
from alpyna_hook.ir.plan import RESUME_SLOTS, LoopPlan, ResumePoint
from alpyna_hook.ir.types import INT, ArrayType

if TYPE_CHECKING:
    from alpyna_hook.codegen.stmt import Body


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
    rows = [_row(array, ctx) for array, _ in loop_plan.saved]
    total = " + ".join(f"{row} * sizeof *{scope.names[a]}" for row, (a, _) in zip(rows, loop_plan.saved))
    count = scope.call("alp_block_rows", f"{c}_stop - {c}_first", f"({total})", "threads")
    w.line(f"const int64_t {c}_rows = {count};")
    for number, (row, (array, _)) in enumerate(zip(rows, loop_plan.saved)):
        name, ctype = scope.names[array], CTYPE[_kind(array, ctx).elem]
        size = f"(size_t)({c}_rows * {row}) * sizeof *{name}"
        w.line(f"{ctype} *restrict {name}_saved = {scope.call('alp_scratch', str(number), size)};")
        with w.block(f"if (!{name}_saved)"):
            w.line("out[0].i = -3;")
            w.line("return 1;")
    with w.block(f"for (int64_t {c}_block = {c}_first; {c}_block < {c}_stop; {c}_block += {c}_rows)"):
        bound = scope.call("alp_min_i64", f"{c}_block + {c}_rows", f"{c}_stop")
        w.line(f"const int64_t {c}_end = {bound};")
        saves = [_save(array, c, offset, row, stmt, ctx) for row, (array, offset) in zip(rows, loop_plan.saved)]
        one = replace(stmt, start=Var(first, type=INT), stop=Var(end, type=INT))
        outer, scope.faults = scope.faults, False
        whole = {**ctx.whole, stmt.counter: f"{c}_stop - {c}_first"}
        first_lines = {**ctx.first_lines, stmt.counter: saves}
        run(one, replace(loop_plan, saved=()), replace(ctx, first_lines=first_lines, whole=whole))
        watched = [t for t, used in (("fault", scope.faults), ("(fp & fp_mask)", ctx.plan.watch_fp)) if used]
        scope.faults |= outer
        if ctx.plan.watch_fp:
            w.line("fp |= alp_fp_raised();")
        if watched:
            with w.block(f"if ({' || '.join(watched)})"):
                _restore(stmt, c, loop_plan, rows, ctx)
    w.dedent("}")


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


def _restore(stmt: Loop, c: str, loop_plan: LoopPlan, rows: list[str], ctx: Body) -> None:
    w = ctx.writer
    for row, (array, offset) in zip(rows, loop_plan.saved):
        name = ctx.scope.names[array]
        target = f"{name}[{_place(array, 'r', offset, row, ctx)}]"
        with w.block(f"for (int64_t r = {c}_block; r < {c}_end; r++)"):
            test = _if_there(array, "r", offset, stmt, ctx)
            if row == "1":
                w.line(f"{test}{target} = {name}_saved[r - {c}_block];")
            else:
                saved = f"&{name}_saved[(r - {c}_block) * {row}]"
                w.line(f"{test}memcpy(&{target}, {saved}, (size_t)({row}) * sizeof *{name});")
    number = next(k for k, point in enumerate(ctx.plan.resume) if point.counter == stmt.counter)
    w.line(f"resume[0] = {number};")
    for depth, text in enumerate(_trips(ctx.plan.resume[number], stmt, c, ctx), 1):
        w.line(f"resume[{depth}] = {text};")
    fp = " | fp << 8" if ctx.plan.watch_fp else ""
    w.line(f"out[0].i = {'fault' if ctx.scope.faults else '0'}{fp};")
    w.line("return 2;")


def _trips(point: ResumePoint, stmt: Loop, c: str, ctx: Body) -> list[str]:
    """Trip numbers of the loops around the blocked one, and of the block's first iteration."""
    outer = [loop for loop in ctx.around if (loop.span.line, loop.span.col) in point.loops]
    found = []
    for loop in outer:
        step = loop.step.value if isinstance(loop.step, Const) else 1
        counter, start = ctx.scope.names[loop.counter], render(loop.start, ctx.scope)
        found.append(f"({counter} - ({start})) / {step}")
    if len(found) + 2 > RESUME_SLOTS or len(found) + 1 != len(point.loops):
        raise InternalError(f"the loops around {stmt.counter} are not those of its resume point")
    return [*found, f"{c}_block - {c}_first"]
