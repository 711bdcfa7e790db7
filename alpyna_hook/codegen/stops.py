"""Kernels that ask between iterations of their outermost loop whether to stop: the C form of transform/stops.py.

A loop that the threads share, or that has no other loop in it, is run in pieces, which the C compiler sees as it would
see the whole; another one counts its iterations:

    for (int64_t i_block = i_first; i_block < i_stop;) {        while (x > eps) {
        const int64_t i_end = ...;                                  if (--alp_left == 0) {
        for (int64_t i = i_block; i < i_end; i++) ...                   alp_left = alp_every = alp_poll->ask(...);
        i_block = i_end;                                                if (!alp_left) { live-outs; return 4; }
        if (alp_poll && i_block < i_stop) {                        }
            i_rows = alp_poll->ask(alp_poll, i_rows);             ...
            if (!i_rows) { live-outs; return 4; }               }
            i_rows = ...;
        }
    }

Who asks is told when to ask again: in how many iterations.  Without anybody to ask (a null pointer: calls that do
not take long) a loop is one piece.  A fault that was noted before comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from alpyna_hook.codegen.expr import render, rep_of
from alpyna_hook.codegen.outs import write_outs
from alpyna_hook.codegen.writer import Writer
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.abi import STOPPED
from alpyna_hook.ir.flow import assigned, leaves_early
from alpyna_hook.ir.nodes import (
    Binary, Const, Dim, Expr, If, Loop, Stmt, Var, While, blocks_of, exprs_of, walk, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.plan import LoopPlan
from alpyna_hook.ir.types import INT, Rep
from alpyna_hook.transform.schedule import INNER_TRIPS
from alpyna_hook.transform.stops import small_step

if TYPE_CHECKING:
    from alpyna_hook.codegen.stmt import Body

POLL = "alp_poll"  # the parameter
TYPE = """\
/* `ask` gets the trips made since it was asked last; 0: stop, else the trips to make before it is asked again */
typedef struct alp_signals { int64_t (*ask)(struct alp_signals *, int64_t); } alp_signals;"""
# `resolve` leaves lines out that begin so, of kernels that cannot fault, or keep no values for their flags.
IF_FAULT, IF_KEPT = "@if-fault ", "@if-kept "
OPERATIONS = 2**22  # before the first question: a few milliseconds
OPERATIONS_SHARED = 2**24  # by each thread, in the first piece: threads that wait for each other lose time
UNEVEN = 32  # iterations per thread in a piece, at least, where they differ in work: at its end the threads wait
EVEN = 4


def in_pieces(stmt: Loop, loop_plan: LoopPlan, ctx: Body) -> bool:
    """Whether the outermost loop is run in pieces: not one around a blocked loop, whose trips count from its start."""
    if loop_plan.parallel and ctx.scope.dialect.openmp:
        return True
    plain = not any(isinstance(s, (Loop, While)) for s in walk_stmts(stmt.body))
    return plain and small_step(stmt) and not leaves_early(stmt.body) and not ctx.plan.resume


def stop_loop(stmt: Loop, loop_plan: LoopPlan, ctx: Body, run: Callable[[Loop, LoopPlan, Body], None]) -> None:
    """Renders the outermost loop; `run` renders a loop as planned."""
    if not in_pieces(stmt, loop_plan, ctx):
        run(stmt, loop_plan, replace(ctx, counted={stmt.counter: counted(stmt, ctx)}))
        return
    w, scope = ctx.writer, ctx.scope
    c = scope.names[stmt.counter]
    first, end = f"{stmt.counter}@block", f"{stmt.counter}@end"
    scope.names = {**scope.names, first: f"{c}_block", end: f"{c}_end"}
    scope.types = {**scope.types, first: INT, end: INT}
    step = _step(stmt)
    size, away = (f"{c}_stop - {c}_first", "<") if step > 0 else (f"{c}_first - {c}_stop", ">")
    left = f"{c}_stop - {c}_block" if step > 0 else f"{c}_block - {c}_stop"
    scaled = f"{c}_rows" if abs(step) == 1 else f"{c}_rows * {abs(step)}"
    parallel = loop_plan.parallel and scope.dialect.openmp
    w.line("{")
    w.indent()
    w.line(f"const int64_t {c}_first = {render(stmt.start, scope)}, {c}_stop = {render(stmt.stop, scope)};")
    w.line(f"const int64_t {c}_unit = {unit(loop_plan, ctx)};")
    trips = f"({size})" if abs(step) == 1 else f"({size}) / {abs(step)} + 1"
    w.line(f"int64_t {c}_rows = {POLL} ? {first_rows(stmt, f'{c}_unit', parallel, ctx)} : {trips};")
    with w.block(f"for (int64_t {c}_block = {c}_first; {c}_block {away} {c}_stop;)"):
        sign = "+" if step > 0 else "-"
        w.line(f"const int64_t {c}_end = {left} > {scaled} ? {c}_block {sign} {scaled} : {c}_stop;")
        one = replace(stmt, start=Var(first, type=INT), stop=Var(end, type=INT))
        run(one, loop_plan, replace(ctx, whole={**ctx.whole, stmt.counter: trips}))
        w.line(f"{c}_block = {c}_end;")
        _return_fault(ctx)
        with w.block(f"if ({POLL} && {c}_block {away} {c}_stop)"):
            w.line(f"{c}_rows = {POLL}->ask({POLL}, {c}_rows);")
            with w.block(f"if (!{c}_rows)"):
                stop(ctx)
            w.line(f"{c}_rows = {scope.call('alp_whole_units', f'{c}_rows', f'{c}_unit')};")
    w.dedent("}")


def _step(stmt: Loop) -> int:
    step = stmt.step.value if isinstance(stmt.step, Const) else 0
    if not isinstance(step, int) or step == 0:
        raise InternalError(f"the loop over {stmt.counter} has no constant step")
    return step


def unit(loop_plan: LoopPlan, ctx: Body) -> str:
    """Pieces are whole multiples of so many iterations."""
    strip = max(loop_plan.strip, 1)
    if not loop_plan.parallel or not ctx.scope.dialect.openmp:
        return str(strip)
    if loop_plan.collapse > 1:
        return "1"
    each = EVEN if loop_plan.schedule == "static" else UNEVEN
    return f"{strip * max(each // strip, 1)} * threads"


def counted(stmt: Loop | While, ctx: Body) -> list[str]:
    """C lines to go before the body of a loop that counts its iterations; writes the declaration of the counters. The
    first iteration is made in any case: names that every iteration assigns then have values."""
    ctx.writer.line(f"int64_t alp_every = {first_rows(stmt, '1', False, ctx)}, alp_left = {POLL} ? alp_every + 1 : 0;")
    w = Writer()
    with w.block("if (__builtin_expect(--alp_left == 0, 0))"):  # gcc might give up branches for it
        inside = replace(ctx, writer=w)
        _return_fault(inside)
        w.line(f"alp_left = alp_every = {POLL}->ask({POLL}, alp_every);")
        with w.block("if (!alp_left)"):
            stop(inside)
    return w.take()


def first_rows(stmt: Loop | While, unit: str, parallel: bool, ctx: Body) -> str:
    """C text: iterations before the first question, which short loops do not reach."""
    changing = assigned(ctx.plan.nest.body)
    work = _work(stmt.body, {stmt.counter: _amount(stmt.stop, {}, changing, ctx)} if isinstance(stmt, Loop) else {},
                 changing, ctx)  # fmt: skip
    operations = f"{OPERATIONS_SHARED}.0 * threads" if parallel else f"{OPERATIONS}.0"
    rows = ctx.scope.call("alp_first_rows", operations, work)
    return ctx.scope.call("alp_whole_units", rows, unit)


def _work(body: tuple[Stmt, ...], tops: Mapping[str, str], changing: frozenset[str], ctx: Body) -> str:
    """C text of a double: operations of one iteration, very roughly. tops: counters of the loops around -> where those
    end."""
    own, inner = 1, []
    for stmt in body:
        own += sum(1 for e in exprs_of(stmt) for _ in walk(e))
        match stmt:
            case Loop():
                start, end = (_amount(e, tops, changing, ctx) for e in (stmt.start, stmt.stop))
                trips = ctx.scope.call("alp_extent", start, end) if start and end else f"{INNER_TRIPS}.0"
                inner.append(f"{trips} * ({_work(stmt.body, {**tops, stmt.counter: end}, changing, ctx)})")
            case While():
                inner.append(f"{INNER_TRIPS}.0 * ({_work(stmt.body, tops, changing, ctx)})")
            case If():
                inner += [_work(block, tops, changing, ctx) for block in blocks_of(stmt)]
    return " + ".join([f"{own}.0", *inner])


def _amount(expr: Expr, tops: Mapping[str, str], changing: frozenset[str], ctx: Body) -> str:
    """C text of a double: about the value of `expr`, by what is known at entry; "" if nothing is."""
    match expr:
        case Const(value=int(value)):
            return f"{value}.0" if abs(value) < 2**53 else ""
        case Dim():
            return f"(double){render(expr, ctx.scope)}"
        case Var(name=name) if name in tops:
            return tops[name]
        case Var(name=name) if name not in changing and rep_of(expr) is Rep.I64:
            return f"(double){render(expr, ctx.scope)}"
        case Binary(op="+" | "-" | "*" as op, left=left, right=right):
            a, b = (_amount(e, tops, changing, ctx) for e in (left, right))
            return f"({a} {op} {b})" if a and b else ""
    return ""


def stop(ctx: Body) -> None:
    """C lines that end the kernel between two iterations."""
    w, plan = ctx.writer, ctx.plan
    if plan.watch_fp and not plan.resume:
        w.line(IF_KEPT + ctx.scope.dialect.evaluate.format(value="kept"))
        w.line("fp |= alp_fp_raised();")
        w.line("if (fp & fp_mask) { out[0].i = fp << 8; return 2; }")
    write_outs(ctx.outs, plan.nest, ctx.scope, ctx.flags, w)
    w.line("out[0].i = 0;")
    w.line(f"return {STOPPED};")


def _return_fault(ctx: Body) -> None:
    """A fault that was noted ends the kernel. Blocked loops have looked already."""
    if not ctx.plan.resume:
        fp = " | fp << 8" if ctx.plan.watch_fp else ""
        ctx.writer.line(f"{IF_FAULT}if (fault) {{ out[0].i = fault{fp}; return 2; }}")


def resolve(lines: list[str], faults: bool, keeps: bool) -> list[str]:
    """The lines of a kernel, once it is known what it does."""
    unwanted = [mark for mark, wanted in ((IF_FAULT, faults), (IF_KEPT, keeps)) if not wanted]
    kept = [line for line in lines if not any(mark in line for mark in unwanted)]
    return [line.replace(IF_FAULT, "").replace(IF_KEPT, "") for line in kept]
