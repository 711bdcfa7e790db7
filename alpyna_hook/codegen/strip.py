"""Strips: consecutive iterations of a parallel loop run side by side, lane by lane.

    for (int64_t j_strip = 0; j_strip < n; j_strip += 64) {
        const int64_t j_lanes = alp_min_i64(64, n - j_strip);
        double s[64];
        for (int64_t l = 0; l < j_lanes; l++)
            s[l] = 0.0;
        for (int64_t k = 0; k < n; k++)
            for (int64_t l = 0; l < j_lanes; l++) {
                const int64_t j = j_strip + l;
                s[l] = s[l] + a[i * a_n1 + k] * b[k * b_n1 + j];
            }
        ...

Each iteration still does its operations in its own order, so results are the same bit by bit; but the lane
loops are vectorisable where the inner loop was a chain of dependent additions, and they walk through
memory with unit stride.  Strip-mining, scalar expansion and interchange: Kennedy & Allen, Optimizing
Compilers for Modern Architectures, sections 5.2, 5.3 and 8.6 (unroll-and-jam).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from alpyna_hook.codegen.expr import scalar_type
from alpyna_hook.codegen.helpers import CTYPE
from alpyna_hook.ir.flow import assigned, exposed, mentions, uniform_names
from alpyna_hook.ir.nodes import Assign, Loop, Stmt
from alpyna_hook.ir.plan import LoopPlan

if TYPE_CHECKING:
    from alpyna_hook.codegen.stmt import Body

Render = Callable[[Stmt, "Body"], None]


def strip_body(stmt: Loop, loop_plan: LoopPlan, ctx: Body, loop_head: Callable[[Loop, Body], str], one: Render) -> None:
    """The inside of the strip loop: everything that iterations [j_strip, j_strip + j_lanes) of `stmt` do.

    loop_head  renders the C `for` of a loop inside; `one` renders one statement inside a lane loop
    """
    scope, w = ctx.scope, ctx.writer
    c = scope.names[stmt.counter]
    lanes = f"{c}_lanes"
    expanded = _expanded(stmt)
    names = {n: f"{scope.names[n]}_lane" if n in ctx.declared else scope.names[n] for n in expanded}
    for name in sorted(expanded):
        w.line(f"{CTYPE[scalar_type(scope, name).rep]} {names[name]}[{loop_plan.strip}];")
    outer = scope.names, scope.lanes
    scope.names = {**scope.names, **names}
    scope.lanes = {**scope.lanes, **dict.fromkeys(expanded, "l")}
    inside = replace(ctx, declared=ctx.declared | expanded, around=(*ctx.around, stmt))
    first = ctx.first_lines.get(stmt.counter, ())
    if first:
        with w.block(f"for (int64_t l = 0; l < {lanes}; l++)"):
            w.line(f"const int64_t {c} = {c}_strip + l;")
            for line in first:
                w.line(line)
    _statements(stmt.body, stmt, lanes, inside, loop_head, one)
    scope.names, scope.lanes = outer
    for name in sorted(expanded & set(loop_plan.last)):
        w.line(f"{scope.names[name]} = {names[name]}[{lanes} - 1];")


def _statements(
    body: tuple[Stmt, ...], strip: Loop, lanes: str, ctx: Body, loop_head: Callable[[Loop, Body], str], one: Render
) -> None:
    run: list[Stmt] = []
    uniform = uniform_names(strip)

    def flush() -> None:
        if run:
            _lane_loop(tuple(run), strip, lanes, ctx, one)
            run.clear()

    for stmt in body:
        if isinstance(stmt, Loop):
            flush()
            comment = ctx.comment(stmt)
            with ctx.writer.block(loop_head(stmt, ctx)):
                if comment:
                    ctx.writer.amend(comment)
                _statements(stmt.body, strip, lanes, replace(ctx, around=(*ctx.around, stmt)), loop_head, one)
        elif isinstance(stmt, Assign) and stmt.name in uniform:
            flush()
            one(stmt, ctx)
        else:
            run.append(stmt)
    flush()


def _lane_loop(run: tuple[Stmt, ...], strip: Loop, lanes: str, ctx: Body, one: Render) -> None:
    w, c = ctx.writer, ctx.scope.names[strip.counter]
    w.line(ctx.scope.dialect.ivdep)
    outer, ctx.scope.vector = ctx.scope.vector, True
    with w.block(f"for (int64_t l = 0; l < {lanes}; l++)"):
        if mentions(run)[strip.counter]:
            w.line(f"const int64_t {c} = {c}_strip + l;")
        own = assigned(run) - ctx.declared
        for name in sorted(own):
            w.line(f"{CTYPE[scalar_type(ctx.scope, name).rep]} {ctx.scope.names[name]};")
        inside = replace(ctx, declared=ctx.declared | own)
        for stmt in run:
            one(stmt, inside)
    ctx.scope.vector = outer


def _expanded(strip: Loop) -> frozenset[str]:
    """Scalars that live longer than one lane loop: each lane needs its own. The Python name of an inner loop's
    counter is the same in all lanes, and stays a scalar, if nothing else is assigned to it."""
    groups: list[tuple[Stmt, ...]] = []
    uniform = uniform_names(strip)
    _groups(strip.body, uniform, groups)
    total = mentions(strip.body)
    names = assigned(strip.body) - uniform
    confined = {n for n in names if any(0 < mentions(g)[n] == total[n] for g in groups)}
    carried = {n for g in groups for n in exposed(g)}
    return names - (confined - carried)


def _groups(body: tuple[Stmt, ...], uniform: frozenset[str], groups: list[tuple[Stmt, ...]]) -> None:
    run: list[Stmt] = []
    for stmt in body:
        if isinstance(stmt, Loop) or (isinstance(stmt, Assign) and stmt.name in uniform):
            groups.append(tuple(run))
            run = []
            if isinstance(stmt, Loop):
                _groups(stmt.body, uniform, groups)
        else:
            run.append(stmt)
    groups.append(tuple(run))
