"""Typed statements -> C statements: loops, their OpenMP pragmas, and where each scalar is declared."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from alpyna_hook.codegen.blocks import block_loop
from alpyna_hook.codegen.expr import Scope, element, kept, look_at_flags, render, rep_of, scalar_type
from alpyna_hook.codegen.headers import Header, header
from alpyna_hook.codegen.helpers import CTYPE
from alpyna_hook.codegen.rowsave import unrolled
from alpyna_hook.codegen.stops import counted, stop_loop
from alpyna_hook.codegen.strip import strip_body
from alpyna_hook.codegen.vector import vector_pragma
from alpyna_hook.codegen.writer import Writer
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.flow import assigned, exposed, leaves_early, mentions, reads_of
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Const, Continue, Expr, If, Load, Loop, Nest, Stmt, Store, Var, While, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.plan import KernelOut, LoopPlan, Plan
from alpyna_hook.ir.types import Rep


# Stands before a loop that ends by what it computes: after a fault, in an earlier statement or an earlier trip of a
# loop around it, values are void, and it might run for ever. `resolve` makes it C once the whole kernel is rendered.
IF_NO_FAULT = "@if-no-fault "


@dataclass(slots=True)
class Body:
    """What statements are rendered in.

    declared  names that already have a declaration in an enclosing C block
    flags     live-outs that may stay unassigned -> C name of their "was assigned" flag
    outs      the live-outs' slots
    at        inside a parallel loop: conditionally written scalars -> C name of "written at iteration"
    keep      `id`s of the statements whose value is kept for its floating-point flags (codegen/keep.py)
    key       C text that grows with the iteration of that parallel loop
    atomic    arrays that work items update one element of at a time, in any order
    around    the loops that enclose the statement, outermost first
    bounded   integer sums whose magnitude is kept as well -> C name of the magnitude
    whole     of a loop run in blocks: its iterations in all the blocks, as C text
    first_lines  C lines to go before the body of a loop, by counter; last_lines after it
    counted   C lines that count the trips of a loop, by counter (stops.py)
    top       the statement is the outermost loop of a nest that can stop, or stands before it
    """

    plan: Plan
    scope: Scope
    writer: Writer
    lines: tuple[str, ...]
    declared: set[str]
    flags: dict[str, str]
    outs: tuple[KernelOut, ...] = ()
    keep: frozenset[int] = frozenset()
    at: dict[str, str] = field(default_factory=dict)
    key: str = ""
    parallel: bool = False
    atomic: frozenset[str] = frozenset()
    around: tuple[Loop, ...] = ()
    bounded: dict[str, str] = field(default_factory=dict)
    whole: dict[str, str] = field(default_factory=dict)
    first_lines: dict[str, list[str]] = field(default_factory=dict)
    last_lines: dict[str, list[str]] = field(default_factory=dict)
    counted: dict[str, list[str]] = field(default_factory=dict)
    top: bool = False
    saves: dict[int, str] = field(default_factory=dict)
    commented: set[int] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)

    def comment(self, stmt: Stmt) -> str:
        """The Python line of `stmt` as a trailing comment, the first time that line comes up."""
        number = stmt.span.line
        if not 0 < number <= len(self.lines) or number in self.commented:
            return ""
        self.commented.add(number)
        text = self.lines[number - 1].split("#")[0].strip().rstrip("\\").strip()
        return f"  // {text}" if text else ""


def block(body: tuple[Stmt, ...], ctx: Body) -> None:
    """Statements of one C block; scalars that live only here are declared here."""
    here = own_names(body, ctx.declared)
    ctx.declared |= here
    at_first = _first_assignments(body, here)
    for name in sorted(here - at_first.keys()):
        ctx.writer.line(f"{CTYPE[scalar_type(ctx.scope, name).rep]} {ctx.scope.names[name]};")
    for position, stmt in enumerate(body):
        declare = next((n for n, p in at_first.items() if p == position), None)
        statement(stmt, ctx, declare)
    ctx.declared -= here


def own_names(body: tuple[Stmt, ...], declared: set[str]) -> set[str]:
    """Scalars assigned in `body`, not declared yet and not confined to one of its inner loops."""
    candidates = assigned(body) - declared
    total = mentions(body)
    deeper: set[str] = set()
    for stmt in body:
        for loop in _outermost_loops(stmt):
            inside = mentions(loop.body)
            private = {n for n in candidates if inside[n] and inside[n] == total[n]}
            deeper |= private - exposed(loop.body)
    return set(candidates - deeper)


def _outermost_loops(stmt: Stmt) -> Iterator[Loop | While]:
    if isinstance(stmt, (Loop, While)):
        yield stmt
    elif isinstance(stmt, If):
        for inner in (*stmt.then, *stmt.other):
            yield from _outermost_loops(inner)


def _first_assignments(body: tuple[Stmt, ...], names: set[str]) -> dict[str, int]:
    """Names whose first mention is a direct Assign of `body`: declared there. Name -> position."""
    result: dict[str, int] = {}
    seen: set[str] = set()
    for position, stmt in enumerate(body):
        if isinstance(stmt, Assign) and stmt.name in names - seen and stmt.name not in reads_of(stmt.value):
            result[stmt.name] = position
        seen |= set(mentions((stmt,)))
    return result


def _value(stmt: Stmt, value: Expr, ctx: Body) -> str:
    """C text of what `stmt` computes."""
    text = render(value, ctx.scope)
    return kept(text, rep_of(value), ctx.scope) if id(stmt) in ctx.keep else text


def statement(stmt: Stmt, ctx: Body, declare: str | None = None) -> None:
    """One statement. `declare`: the scalar whose declaration this Assign is to be."""
    w, scope = ctx.writer, ctx.scope
    match stmt:
        case Assign(name=name, value=Binary() as value) if name in ctx.bounded:
            _bounded_sum(name, value, ctx, ctx.comment(stmt))
        case Assign(name=name, value=value):
            kind = f"{CTYPE[scalar_type(scope, name).rep]} " if declare == name else ""
            target = render(Var(name), scope)
            w.line(f"{kind}{target} = {_value(stmt, value, ctx)};{ctx.comment(stmt)}")
            _note_assigned(name, ctx)
        case Store(array=array, index=index, modes=modes, value=value):
            _store(stmt, element(array, index, modes, scope), value, ctx)
        case If():
            _if(stmt, ctx)
        case While():
            _while(stmt, ctx)
        case Loop() if ctx.top and not ctx.plan.loop(stmt.counter).saved:
            stop_loop(stmt, ctx.plan.loop(stmt.counter), replace(ctx, top=False), _run)
        case Loop():
            loop_plan, ctx = ctx.plan.loop(stmt.counter), replace(ctx, top=False) if ctx.top else ctx
            if loop_plan.saved and not ctx.parallel and not loop_plan.grid:  # grids: codegen/grid.py
                block_loop(stmt, loop_plan, ctx, _run)
            else:
                _run(stmt, loop_plan, ctx)
        case Break():
            w.line("break;")
        case Continue():
            w.line("continue;")


def _run(stmt: Loop, loop_plan: LoopPlan, ctx: Body) -> None:
    if loop_plan.parallel and ctx.scope.dialect.openmp and not ctx.parallel:
        _parallel(stmt, loop_plan, ctx)
    else:
        _loop(stmt, loop_plan, ctx)


def _loop_body(stmt: Loop, loop_plan: LoopPlan, head: Header, comment: str, ctx: Body) -> None:
    """The inside of a C loop."""
    w = ctx.writer
    if comment:
        w.amend(comment)
    for line in ctx.counted.get(stmt.counter, ()):
        w.line(line)
    if head.counter_line:
        w.line(head.counter_line)
    if loop_plan.strip:
        strip_body(stmt, loop_plan, ctx, lambda loop, inside: header(loop, inside).text, statement)
        return
    for line in ctx.first_lines.get(stmt.counter, ()):
        w.line(line)
    if ctx.scope.dialect.scalar_only and _must_stay_scalar(stmt.body, ctx.declared):
        w.line(ctx.scope.dialect.scalar_only)
    block(stmt.body, replace(ctx, around=(*ctx.around, stmt)))
    for line in ctx.last_lines.get(stmt.counter, ()):
        w.line(line)


def _bounded_sum(name: str, value: Binary, ctx: Body, comment: str) -> None:
    """`s = s + e` with wrapping arithmetic; the magnitude of `e` is added up beside it."""
    term = value.right if isinstance(value.left, Var) and value.left.name == name else value.left
    kind, rep, scope = CTYPE[rep_of(value)], rep_of(value), ctx.scope
    unsigned = kind if rep.value[0] == "u" else f"u{kind}"
    target, magnitude = render(Var(name), scope), ctx.bounded[name]
    with ctx.writer.block(""):
        ctx.writer.line(f"const {kind} term = {render(term, scope)};{comment}")
        ctx.writer.line(f"{magnitude} = {scope.call(f'alp_magnitude_{rep.value}', magnitude, 'term', fault=True)};")
        ctx.writer.line(f"{target} = ({kind})(({unsigned}){target} {value.op} ({unsigned})term);")


def _store(stmt: Store, target: str, value: Expr, ctx: Body) -> None:
    """`a[i] += e` is printed as such where C means the same."""
    if id(stmt) in ctx.saves:
        ctx.writer.line(ctx.saves[id(stmt)])
    if stmt.array in ctx.atomic and isinstance(value, Binary):
        _atomic_update(stmt, target, value, ctx)
        return
    if isinstance(value, Binary) and stmt.array in ctx.scope.copies and _only_counted(stmt.array, ctx.plan.nest):
        value = replace(value, checks=frozenset())
    line = f"{target} = {_value(stmt, value, ctx)};"
    if isinstance(value, Binary) and not value.checks and value.op in ("+", "-", "*") and isinstance(value.left, Load):
        left = value.left
        same = left.array == stmt.array and left.index == stmt.index and left.modes == stmt.modes
        same &= id(stmt) not in ctx.keep
        if same and rep_of(value) in (Rep.F32, Rep.F64, Rep.I64, Rep.U64) and "checked" not in stmt.modes:
            line = f"{target} {value.op}= {render(value.right, ctx.scope)};"
    ctx.writer.line(line + ctx.comment(stmt))


def _atomic_update(stmt: Store, target: str, value: Binary, ctx: Body) -> None:
    """`a[i] = a[i] + e` where other work items may do the same; checked ones add positive constants only, so that one
    of them sees the value that leaves the type."""
    kept = isinstance(value.left, Load) and value.left.array == stmt.array
    term = render(value.right if kept else value.left, ctx.scope)
    rep = rep_of(value)
    if "overflow" in value.checks:
        call = ctx.scope.call(f"alp_atomic_add_{rep.value}", f"&{target}", term, fault=True)
    else:
        sign = "-" if value.op == "-" else ""
        call = ctx.scope.call(f"alp_atomic_wrap_{rep.value}", f"&{target}", f"{sign}({term})")
    ctx.writer.line(f"{call};{ctx.comment(stmt)}")


def _only_counted(array: str, nest: Nest) -> bool:
    """Every store into `array` adds 1 in 64 bits: a thread's own copy, which starts from 0, overflows after 2^63 of
    them, after a century."""
    stores = [s for s in walk_stmts(nest.body) if isinstance(s, Store) and s.array == array]
    return all(
        isinstance(s.value, Binary) and s.value.op == "+" and rep_of(s.value) in (Rep.I64, Rep.U64)
        and isinstance(s.value.left, Load) and s.value.left.array == array
        and isinstance(s.value.right, Const) and s.value.right.value == 1
        for s in stores
    )  # fmt: skip


def _note_assigned(name: str, ctx: Body) -> None:
    if name in ctx.at:
        ctx.writer.line(f"{ctx.at[name]} = {ctx.key};")
    elif name in ctx.flags:
        ctx.writer.line(f"{ctx.flags[name]} = 1;")


def _if(stmt: If, ctx: Body) -> None:
    w = ctx.writer
    test = _value(stmt, stmt.test, ctx)
    with w.block(f"if ({test})", "}" if not stmt.other else "} else {"):
        head = ctx.comment(stmt)
        if head:
            w.line(head.strip())
        block(stmt.then, ctx)
    if stmt.other:
        w.indent()
        block(stmt.other, ctx)
        w.dedent("}")


@contextmanager
def aside(ctx: Body) -> Iterator[list[str]]:
    """Renders into a buffer, so that what the text turns out to need can be written before it."""
    outer, ctx.writer = ctx.writer, ctx.writer.fork()
    buffer: list[str] = []
    try:
        yield buffer
    finally:
        buffer.extend(ctx.writer.take())
        ctx.writer = outer


def _while(stmt: While, ctx: Body) -> None:
    counts, ctx = counted(stmt, ctx) if ctx.top else [], replace(ctx, top=False)
    outer_faults, ctx.scope.faults = ctx.scope.faults, False
    comment = ctx.comment(stmt)
    test = _value(stmt, stmt.test, ctx)
    ctx.writer.indent()
    with aside(ctx) as lines:
        block(stmt.body, ctx)
    ctx.writer.dedent("")
    # once a fault is noted values are void, and the loop might never end
    unless = "" if ctx.scope.faults else IF_NO_FAULT
    guard = f"!fault && ({test})" if ctx.scope.faults else test
    ctx.scope.faults |= outer_faults
    with ctx.writer.block(f"{unless}while ({guard})"):
        if comment:
            ctx.writer.line(comment.strip())
        for line in counts:
            ctx.writer.line(line)
        ctx.writer.raw(lines)


def resolve(lines: list[str], faults: bool) -> list[str]:
    """The lines of a kernel, once it is known whether anything in it can fault."""
    return [line.replace(IF_NO_FAULT, "if (!fault) " if faults else "") for line in lines]


def _open_ended(body: tuple[Stmt, ...]) -> bool:
    """Whether values decide when a loop in `body` ends."""
    return any(isinstance(s, (While, Break)) for s in walk_stmts(body))


def _loop(stmt: Loop, loop_plan: LoopPlan, ctx: Body) -> None:
    w = ctx.writer
    head = header(stmt, ctx, loop_plan.strip)
    if leaves_early(stmt.body):
        outer_faults, ctx.scope.faults = ctx.scope.faults, False
        comment = ctx.comment(stmt)
        with aside(ctx) as lines:
            ctx.writer.indent()
            _loop_body(stmt, loop_plan, head, "", ctx)
            ctx.writer.dedent("")
        with w.block(f"{'' if ctx.scope.faults else IF_NO_FAULT}{head.text}"):
            if comment:
                w.amend(comment)
            if ctx.scope.faults:
                w.line("if (fault) break;")
            w.raw(lines)
        ctx.scope.faults |= outer_faults
        return
    outer, scope = ctx.scope.vector, ctx.scope
    innermost = not any(isinstance(s, (Loop, While)) for s in walk_stmts(stmt.body))
    innermost &= ctx.plan.style != "grid"
    free = loop_plan.independent and not _must_stay_scalar(stmt.body, ctx.declared)
    scope.vector = free and innermost
    if free and (innermost or any(id(s) in ctx.saves for s in stmt.body)) and scope.dialect.ivdep:
        w.line(vector_pragma(stmt, scope))
    elif scope.dialect.unroll and unrolled(stmt):
        w.line(scope.dialect.unroll)
    comment = ctx.comment(stmt)
    with w.block(head.text):
        _loop_body(stmt, loop_plan, head, comment, ctx)
    scope.vector = outer


def _must_stay_scalar(body: tuple[Stmt, ...], declared: set[str]) -> bool:
    """Whether some scalar of an enclosing block is assigned in several branches: vectorised as a "condition
    reduction", it comes back with the value of another branch (seen with gcc 12.2, -O3, nested `else if`)."""
    count: Counter[str] = Counter()
    for stmt in body:
        if isinstance(stmt, If):
            count.update(s.name for s in walk_stmts((*stmt.then, *stmt.other)) if isinstance(s, Assign))
    return any(times > 1 and name in declared for name, times in count.items())


def _parallel(stmt: Loop, loop_plan: LoopPlan, ctx: Body) -> None:
    """An OpenMP loop: everything it assigns is private, reduced or handed on, or it is a bug of ours."""
    _check_shared(stmt, loop_plan, ctx)
    head = header(stmt, ctx, loop_plan.strip)
    region = bool(ctx.plan.watch_fp or loop_plan.conditional or loop_plan.array_reductions)
    names = dict(ctx.scope.names)
    inner = replace(ctx, parallel=True, flags={}, at={}, key=head.key, declared=set(ctx.declared))
    own = {n: f"{names[n]}_own" for n in loop_plan.conditional}
    ctx.scope.copies = {a: f"{names[a]}_own" for a, _ in loop_plan.array_reductions}
    inner.bounded = {n: f"{names[n]}_magnitude" for n in loop_plan.bounded}
    inner.at = {n: f"{names[n]}_at" for n in loop_plan.conditional}
    outer_faults, ctx.scope.faults = ctx.scope.faults, False
    ctx.scope.names = {**names, **own}
    comment = ctx.comment(stmt)
    with aside(inner) as lines:
        if region:
            inner.writer.indent()
        with inner.writer.block(head.text):
            _loop_body(stmt, loop_plan, head, comment, inner)
        if region:
            inner.writer.dedent("")
    faulty, ctx.scope.faults = ctx.scope.faults, ctx.scope.faults or outer_faults
    ctx.scope.names, ctx.scope.copies = names, {}
    clauses = _clauses(loop_plan, faulty, head, ctx)
    trips = ctx.whole.get(stmt.counter, head.trips)
    enough = f" if({trips} > {loop_plan.min_work // loop_plan.work})" if loop_plan.min_work else ""
    for name, magnitude in inner.bounded.items():
        kind = CTYPE[scalar_type(ctx.scope, name).rep]
        ctx.writer.line(f"uint64_t {magnitude} = 0;")
        ctx.writer.line(f"const {kind} {names[name]}_before = {names[name]};")
    if loop_plan.last:  # OpenMP leaves a lastprivate unspecified if the loop makes no trip
        ctx.writer.line(f"if ({head.nonempty}) {{")
    before = bool(outer_faults or ctx.around)  # of which the threads' own `fault` does not know
    alone = before and faulty and _open_ended(stmt.body)
    if alone:
        ctx.writer.line("if (!fault) {")
    if not region:
        ctx.writer.line(f"#pragma omp parallel for num_threads(threads){enough}{clauses}")
        ctx.writer.raw(lines)
    else:
        _region(loop_plan, clauses, enough, faulty, lines, ctx)
    if alone:
        ctx.writer.line("}")
    if loop_plan.last:
        ctx.writer.line("}")
    for name, magnitude in inner.bounded.items():
        helper = f"alp_exceeds_{scalar_type(ctx.scope, name).rep.value}"
        ctx.writer.line(f"fault |= {ctx.scope.call(helper, magnitude, f'{names[name]}_before')};")
    for name in loop_plan.last:
        if name in ctx.flags:
            ctx.writer.line(f"{ctx.flags[name]} |= {head.nonempty};")


def _check_shared(stmt: Loop, loop_plan: LoopPlan, ctx: Body) -> None:
    handled = {*loop_plan.private, *loop_plan.last, *loop_plan.conditional, *(n for n, _ in loop_plan.reductions)}
    shared = {n for n in assigned(stmt.body) if n in ctx.declared} - handled
    if shared:
        raise InternalError(f"parallel loop over {stmt.counter} shares {', '.join(sorted(shared))}")


def _clauses(loop_plan: LoopPlan, faulty: bool, head: Header, ctx: Body) -> str:
    names, parts = ctx.scope.names, []
    if loop_plan.collapse > 1:
        parts.append(f"collapse({loop_plan.collapse})")
    chunk = f", {ctx.scope.call('alp_chunk', head.trips, 'threads')}" if loop_plan.schedule == "dynamic" else ""
    parts.append(f"schedule({loop_plan.schedule}{chunk})")
    private = [n for n in loop_plan.private if n in ctx.declared]
    if private:
        parts.append(f"private({', '.join(names[n] for n in private)})")
    if loop_plan.last:
        parts.append(f"lastprivate({', '.join(names[n] for n in loop_plan.last)})")
    for name, op in loop_plan.reductions:
        parts.append(f"reduction({op}:{names[name]})")
    for name in loop_plan.bounded:
        parts.append(f"reduction(+:{names[name]}_magnitude)")
    if faulty and not (ctx.plan.watch_fp or loop_plan.conditional or loop_plan.array_reductions):
        parts.append("reduction(|:fault)")
    return "".join(" " + p for p in parts)


def _region(loop_plan: LoopPlan, clauses: str, enough: str, faulty: bool, lines: list[str], ctx: Body) -> None:
    """A parallel region with a loop in it, in a C block of its own for what the threads combine."""
    w, names = ctx.writer, ctx.scope.names
    own_block = bool(loop_plan.conditional or loop_plan.array_reductions)
    if own_block:
        w.line("{")
    for array, _ in loop_plan.array_reductions:
        _allocate_copies(array, ctx)
    for name in loop_plan.conditional:
        w.line(f"int64_t {names[name]}_last = INT64_MIN;")
    faulty = faulty or bool(loop_plan.array_reductions)
    shared = [v for v, used in (("fault", faulty), ("fp", ctx.plan.watch_fp)) if used]
    reduce = f" reduction(|:{', '.join(shared)})" if shared else ""
    if ctx.plan.watch_fp:
        look_at_flags(ctx.scope, w)  # this thread is one of the team, whose flags are cleared
    own_kept = any(re.search(r"\bkept\b", line) for line in lines)
    w.line(f"#pragma omp parallel num_threads(threads){enough}{reduce}")
    with w.block(""):
        if ctx.plan.watch_fp:
            w.line("alp_fp_clear();")
        w.lines("uint64_t kept = 0;" if own_kept else "")
        for array, _ in loop_plan.array_reductions:
            kind = ctx.scope.array(array)
            c = names[array]
            w.line(f"{CTYPE[kind.elem]} *{c}_own = {c}_all + omp_get_thread_num() * {c}_size;")
        for name in loop_plan.conditional:
            ctype = CTYPE[scalar_type(ctx.scope, name).rep]
            w.line(f"{ctype} {names[name]}_own = 0;")
            w.line(f"int64_t {names[name]}_at = INT64_MIN;")
        w.line(f"#pragma omp for{clauses}")
        w.raw(lines)
        if ctx.plan.watch_fp:
            look_at_flags(ctx.scope, w)
        for name in loop_plan.conditional:
            c = names[name]
            w.line("#pragma omp critical")
            with w.block(f"if ({c}_at > {c}_last)"):
                w.line(f"{c}_last = {c}_at;")
                w.line(f"{c} = {c}_own;")
        for array, _ in loop_plan.array_reductions:
            _merge_copies(array, ctx)
    for name in loop_plan.conditional:
        if name in ctx.flags:
            w.line(f"{ctx.flags[name]} |= {names[name]}_last != INT64_MIN;")
    for array, _ in loop_plan.array_reductions:
        w.line(f"free({names[array]}_all);")
    if own_block:
        w.line("}")


def _allocate_copies(array: str, ctx: Body) -> None:
    kind, c, w = ctx.scope.array(array), ctx.scope.names[array], ctx.writer
    size = " * ".join(f"{c}_n{axis}" for axis in range(kind.ndim))
    w.line(f"const int64_t {c}_size = {size};")
    w.line(f"{CTYPE[kind.elem]} *{c}_all = calloc((size_t)(threads * {c}_size), sizeof *{c}_all);")
    with w.block(f"if (!{c}_all)"):
        w.line("out[0].i = -1;")
        w.line("return 2;")


def _merge_copies(array: str, ctx: Body) -> None:
    kind, c, w = ctx.scope.array(array), ctx.scope.names[array], ctx.writer
    add = ctx.scope.call(f"alp_add_{kind.elem.value}", f"{c}[{c}_k]", f"{c}_own[{c}_k]", fault=True)
    w.line("#pragma omp critical")
    with w.block(f"for (int64_t {c}_k = 0; {c}_k < {c}_size; {c}_k++)"):
        w.line(f"{c}[{c}_k] = {add};")
