"""Statements: one outermost loop of Python becomes one nest.

In: the `ast.For` or `ast.While` of an outermost loop, its scope and that scope's data flow.  Out: a `Nest`,
or the `Rejection` of the first thing in source order that cannot be compiled.

Loop variables.  A variable that nobody sees outside its loops (`Context.plain`) *is* the loop's counter.
Any other is a local that gets `Assign(i, Var(counter))` first in the body; while the body does not assign it,
reads in the body still say the counter, so that subscripts stay affine in it.

Live-ins are what a read may find unassigned in the nest (definite assignment runs along with the lowering:
structured code, so the state at a loop's head is the state on entry).  A live-out is `definite` if it is
assigned on every path through the outermost body, or a live-in, which is handed back as it came. A live-in that the
nest assigns, but that may have no value before, is `optional`: many a name is only assigned in an inner loop that
the front end cannot know to make a trip.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import replace

from alpyna_hook.errors import Rejection
from alpyna_hook.frontend import syntax
from alpyna_hook.frontend.arrays import (
    Rows, bind_row, element_of, is_row_like, items_of, place_of, rebound, require_inside,
)  # fmt: skip
from alpyna_hook.frontend.context import (
    MAX_DEPTH, Context, Frame, LoopNode, Place, Rejected, dotted, fail, fresh, fresh_counter, function_of, is_shape,
    make_context, seen_after, stored_within,
)  # fmt: skip
from alpyna_hook.frontend.endless import can_end
from alpyna_hook.frontend.exits import BROKEN, EXIT, Exit, movable_else, repeatable
from alpyna_hook.frontend.flow import Flow
from alpyna_hook.frontend.iterate import Value, iteration, itself
from alpyna_hook.frontend.lower_expr import (
    binary, call_arguments, element, lower_expr, lower_test, subscripted,
)  # fmt: skip
from alpyna_hook.frontend.scope import Scope
from alpyna_hook.frontend.wording import UNSUPPORTED
from alpyna_hook.ir.nodes import (
    Assign, Break, Compare, Const, Continue, Dim, Expr, If, LiveIn, LiveOut, Load, Loop, Nest, Stmt, Store, Var, While,
    walk,
)  # fmt: skip
from alpyna_hook.source import Span


def lower_nest(loop: LoopNode, scope: Scope, flow: Flow, span: Callable[[ast.AST], Span]) -> Nest | Rejection:
    """The nest of `loop`, an outermost loop of `scope`; `span` gives the source region of an AST node."""
    try:
        ctx = make_context(loop, scope, flow, span)
        body: list[Stmt] = []
        _loop(ctx, loop, body)
        done = ctx.definite or frozenset()
        live_ins = [replace(v, optional=_may_be_unbound(ctx, v)) for v in ctx.live_ins.values()]
        done |= {v.name for v in live_ins if not v.optional}
        how_left = (LiveOut(EXIT, False),) if ctx.noted else ()
        return Nest(
            name=f"{scope.qualname}:{loop.lineno}",
            body=tuple(body),
            live_ins=tuple(sorted(live_ins, key=lambda v: v.role == "function")),
            live_outs=(*(LiveOut(name, name in done) for name in _left_behind(ctx)), *how_left),
            span=span(loop),
            requires=tuple(ctx.requires),
        )
    except Rejected as rejected:
        return rejected.rejection
    except RecursionError:
        return Rejection("too-deep", "The loop is nested too deeply.", "here", span(loop))


def _may_be_unbound(ctx: Context, live: LiveIn) -> bool:
    """True of a scalar that the nest assigns, and that may have no value before."""
    return live.role == "scalar" and live.root in ctx.assigned and live.root not in ctx.flow.bound[ctx.loop]


def _left_behind(ctx: Context) -> list[str]:
    """Names assigned in the nest that are read after it, in the order of their first assignment."""
    names = [name for name in ctx.assigned if name not in ctx.plain and seen_after(ctx, ctx.loop, name)]
    return sorted(names, key=lambda name: min(ctx.assigned[name]))


# How an inner loop was left, where somebody asks: the values of its flag.
_RUN_OUT, _BY_BREAK, _BY_EXIT = 0, 1, 2


def _loop(ctx: Context, node: LoopNode, out: list[Stmt]) -> None:
    """Append a loop; an inner one with what follows from how it is left.

        for d in range(2, n):           %1 = 0
            if n % d == 0:              for d in range(2, n):
                break                       if n % d == 0:
        else:                                   %1 = 1
            primes += 1                         break
                                        if %1 == 0:
                                            primes += 1
    """
    frame = Frame(orelse=bool(node.orelse))
    if node is ctx.loop and node.orelse and not (ctx.scope.kind == "function" and movable_else(node)):
        fail(
            ctx, node, "loop-else", "The loop has an `else` branch that cannot be run apart from it.", "has an else",
            "Use a variable and an `if` after it.",
        )  # fmt: skip
    stmt = _for(ctx, node, frame) if isinstance(node, ast.For) else _while(ctx, node, frame)
    if frame.flag:
        out.append(Assign(frame.flag, Const(_RUN_OUT), stmt.span))
    out.append(stmt)
    if node is ctx.loop:
        return
    after = ctx.definite
    if frame.left:
        jump: list[Stmt] = []
        _leave(ctx, stmt.span, jump)
        out.append(If(_flag_is(frame, _BY_EXIT, stmt.span), tuple(jump), (), stmt.span))
        ctx.definite = after
    if node.orelse:
        orelse = _block(ctx, node.orelse)
        if frame.flag:
            out.append(If(_flag_is(frame, _RUN_OUT, stmt.span), orelse, (), stmt.span))
            ctx.definite = after
        else:
            out += orelse


def _flag_is(frame: Frame, value: int, span: Span) -> Expr:
    return Compare("==", Var(frame.flag, span), Const(value, span), span)


def _note(ctx: Context, number: int, flag: int, span: Span, out: list[Stmt]) -> None:
    """Note how the innermost loop is about to be left: in EXIT if it is the outermost one, too."""
    frame = ctx.frames[-1]
    if len(ctx.frames) > 1:
        frame.flag = frame.flag or fresh(ctx)
        out.append(Assign(frame.flag, Const(flag), span))
    else:
        ctx.noted = True
        out.append(Assign(EXIT, Const(number), span))


def _break(ctx: Context, span: Span) -> Break:
    ctx.frames[-1].breaks.append(ctx.definite or frozenset())
    ctx.definite = None
    return Break(span)


def _exit(ctx: Context, node: Exit, out: list[Stmt]) -> None:
    """A statement that leaves the function: leave all loops, and let the guarded code run it."""
    if ctx.scope.kind != "function" or not repeatable([node]):
        code, title, label, help = UNSUPPORTED[type(node).__name__]
        fail(ctx, node, code, title, label, help)
    ctx.noted = True
    span = ctx.span(node)
    out.append(Assign(EXIT, Const(ctx.exits.index(node) + 1), span))
    _leave(ctx, span, out)


def _leave(ctx: Context, span: Span, out: list[Stmt]) -> None:
    """Leave the innermost loop for an exit that is noted already, and let the loop around it do the same."""
    if len(ctx.frames) > 1:
        ctx.frames[-1].left = True
        _note(ctx, BROKEN, _BY_EXIT, span, out)
    out.append(_break(ctx, span))


def _for(ctx: Context, node: ast.For, frame: Frame) -> Loop:
    it = iteration(ctx, node.iter)
    entry, outer_env, outer_rows = ctx.definite, dict(ctx.env), dict(ctx.rows)
    span = ctx.span(node)
    head: list[Stmt] = []
    name = next((n.id for n in syntax.walk(node.target) if isinstance(n, ast.Name)), "k")
    plain = it.is_range and name in ctx.plain
    counter = name if plain and name not in ctx.counters else fresh_counter(ctx, name)
    ctx.counters.add(counter)
    if isinstance(it.step, Const) and isinstance(it.step.value, int) and it.step.value > 0:
        ctx.ranges[counter] = (it.start, it.stop)
    if plain:
        ctx.env[name] = counter
    else:
        _bind(ctx, node, node.target, it.value, counter, head)
    body, after_one = _body(ctx, node.body, frame)
    ctx.env, ctx.rows = outer_env, outer_rows
    ctx.definite = after_one if it.surely_runs or node is ctx.loop else entry
    return Loop(counter, ast.unparse(node.target), it.start, it.stop, it.step, (*head, *body), span)


def _bind(ctx: Context, node: ast.For, target: ast.expr, value: Value, counter: str, out: list[Stmt]) -> None:
    """Bind the loop's target, or a part of it, at the head of the body."""
    span = ctx.span(target)
    if value is itself and isinstance(target, ast.Name):
        _bind_counter(ctx, node, target.id, Var(counter, span), out)
    elif isinstance(value, Rows):
        _bind_row(ctx, node, target, value, Var(counter, span), out)
    elif callable(value):
        _assign(ctx, target, value(Var(counter, span)), out)
    elif isinstance(target, (ast.Tuple, ast.List)) and len(target.elts) == len(value):
        for part, item in zip(target.elts, value):
            _bind(ctx, node, part, item, counter, out)
    else:
        fail(
            ctx, target, "unpack", "The loop's target does not take the items apart one by one.", "here",
            "Give each item a variable of its own.",
        )  # fmt: skip


def _bind_row(ctx: Context, node: ast.For, target: ast.expr, rows: Rows, counter: Var, out: list[Stmt]) -> None:
    """Bind the target of a loop over an array to an element, a row, or the items of a row."""
    if isinstance(target, (ast.Tuple, ast.List)) and all(isinstance(t, ast.Name) for t in target.elts):
        row = Place(rows.place.array, (*rows.place.index, counter))
        for part, item in zip(target.elts, items_of(ctx, target, row, len(target.elts))):
            _assign(ctx, part, item, out)
    elif isinstance(target, ast.Name) and is_row_like(ctx, target.id):
        bind_row(ctx, node, target, Place(rows.place.array, (*rows.place.index, counter)))
    else:
        _assign(ctx, target, element_of(ctx, rows, counter), out)


def _bind_counter(ctx: Context, node: ast.For, name: str, counter: Var, out: list[Stmt]) -> None:
    """Bind a name to the counter itself: while the body does not assign the name, it reads the counter."""
    _check_scalar(ctx, node.target, name)
    reassigned = stored_within(ctx, node, name)
    if reassigned or seen_after(ctx, node, name):
        out.append(Assign(name, counter, counter.span))
        _define(ctx, name)
    if reassigned:
        ctx.env.pop(name, None)
    else:
        ctx.env[name] = counter.name


def _while(ctx: Context, node: ast.While, frame: Frame) -> While:
    test = lower_test(ctx, node.test)
    entry = ctx.definite
    endless = isinstance(test, Const) and bool(test.value)
    body, after_one = _body(ctx, node.body, frame, endless)
    if not can_end(test, body):
        fail(
            ctx, node.test, "endless", "Nothing that the loop computes can end it.", "does not change in the loop",
            "The interpreter waits for another thread, a signal or an exception.",
        )  # fmt: skip
    ctx.definite = after_one if node is ctx.loop or endless else entry
    return While(test, body, ctx.span(node))


def _body(
    ctx: Context, stmts: Sequence[ast.stmt], frame: Frame, endless: bool = False
) -> tuple[tuple[Stmt, ...], frozenset[str] | None]:
    """A loop's body, and what is surely assigned once it has been run and the loop left (`endless`: by `break`)."""
    ctx.frames.append(frame)
    body = _block(ctx, stmts)
    ctx.frames.pop()
    ends = frame.breaks
    if not endless:
        ends = [*ends, *frame.continues, *(() if ctx.definite is None else (ctx.definite,))]
    return body, frozenset.intersection(*ends) if ends else None


def _block(ctx: Context, stmts: Sequence[ast.stmt]) -> tuple[Stmt, ...]:
    ctx.depth += 1
    outer_rows = dict(ctx.rows)
    if ctx.depth > MAX_DEPTH:
        fail(ctx, stmts[0], "too-deep", "The statements are nested too deeply.", "here")
    out: list[Stmt] = []
    for stmt in stmts:
        if ctx.definite is None:  # behind break or continue
            break
        _stmt(ctx, stmt, out)
    ctx.depth -= 1
    ctx.rows = outer_rows
    return tuple(out)


def _stmt(ctx: Context, node: ast.stmt, out: list[Stmt]) -> None:
    span = ctx.span(node)
    match node:
        case ast.For() | ast.While():
            _loop(ctx, node, out)
        case ast.If(test=test, body=body, orelse=orelse):
            out.append(_if(ctx, test, body, orelse, span))
        case ast.Assign(targets=[target], value=value):
            _assign_value(ctx, target, value, out)
        case ast.Assign(targets=targets, value=value):
            kept = _keep(ctx, lower_expr(ctx, value), out)
            for target in targets:
                _assign(ctx, target, kept, out)
        case ast.AugAssign(target=target, op=op, value=value):
            _update(ctx, node, target, op, value, out)
        case ast.AnnAssign():
            _annotated(ctx, node, out)
        case ast.Break():
            if ctx.frames[-1].orelse:
                _note(ctx, BROKEN, _BY_BREAK, span, out)
            out.append(_break(ctx, span))
        case ast.Return() | ast.Raise():
            _exit(ctx, node, out)
        case ast.Continue():
            ctx.frames[-1].continues.append(ctx.definite or frozenset())
            ctx.definite = None
            out.append(Continue(span))
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            pass
        case ast.Expr(value=ast.Yield() | ast.YieldFrom() | ast.Await() as value):
            lower_expr(ctx, value)
        case ast.Expr(value=value):  # evaluated for the exception it may raise
            out.append(Assign(fresh(ctx), lower_expr(ctx, value), span))
        case _:
            code, title, label, help = UNSUPPORTED.get(type(node).__name__, UNSUPPORTED["stmt"])
            fail(ctx, node, code, title, label, help)


def _if(ctx: Context, test: ast.expr, body: list[ast.stmt], orelse: list[ast.stmt], span: Span) -> If:
    condition = lower_test(ctx, test)
    entry = ctx.definite
    then = _block(ctx, body)
    after_then, ctx.definite = ctx.definite, entry
    other = _block(ctx, orelse)
    ends = [s for s in (after_then, ctx.definite) if s is not None]
    ctx.definite = frozenset.intersection(*ends) if ends else None
    return If(condition, then, other, span)


def _define(ctx: Context, name: str) -> None:
    if ctx.definite is not None:
        ctx.definite |= {name}


def _assign(ctx: Context, target: ast.expr, value: Expr, out: list[Stmt]) -> None:
    """`target = value` for one value."""
    span = ctx.span(target)
    match target:
        case ast.Name(id=name):
            _check_scalar(ctx, target, name)
            out.append(Assign(name, value, span))
            ctx.env.pop(name, None)  # `for i, i in ...`
            _define(ctx, name)
        case ast.Subscript():
            array, index = element(ctx, target)
            out.append(Store(array, index, value, span=span))
        case ast.Attribute():
            text = ".".join(dotted(target) or (target.attr,))
            fail(
                ctx, target, "attribute-store", f"The loop assigns the attribute `{text}`.", "attribute",
                "Use a local variable in the loop and assign the attribute after it.",
            )  # fmt: skip
        case ast.Starred():
            code, title, label, help = UNSUPPORTED["Starred"]
            fail(ctx, target, code, title, label, help)
        case _:
            fail(
                ctx, target, "unpack", "The loop takes a sequence apart whose items are not written out.", "here",
                "Assign the items one by one.",
            )  # fmt: skip


def _check_scalar(ctx: Context, node: ast.AST, name: str) -> None:
    if is_row_like(ctx, name):
        rebound(ctx, node, name)


def _assign_value(ctx: Context, target: ast.expr, value: ast.expr, out: list[Stmt]) -> None:
    """`target = value` with the value still to be lowered: takes tuples apart."""
    if not isinstance(target, (ast.Tuple, ast.List)):
        if isinstance(target, ast.Name) and isinstance(value, ast.Subscript) and is_row_like(ctx, target.id):
            row = subscripted(ctx, value)
            require_inside(ctx, value, row)
            bind_row(ctx, ctx.loop, target, row)
        else:
            _assign(ctx, target, lower_expr(ctx, value), out)
        return
    pairs: list[tuple[ast.expr, Expr]] = []
    _pair(ctx, target, value, pairs)
    written: list[ast.expr] = []
    values: list[Expr] = []
    for part, expr in pairs:  # all values come before all stores: keep those that an earlier target would change
        values.append(_keep(ctx, expr, out) if _reads(expr, written) else expr)
        written.append(part)
    for (part, _), expr in zip(pairs, values):
        _assign(ctx, part, expr, out)


def _pair(ctx: Context, target: ast.expr, value: ast.expr, pairs: list[tuple[ast.expr, Expr]]) -> None:
    """Match the items of a tuple target with those of a tuple, or of an array's shape, one to one."""
    if not isinstance(target, (ast.Tuple, ast.List)):
        pairs.append((target, lower_expr(ctx, value)))
        return
    count = len(target.elts)
    if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == count:
        for part, item in zip(target.elts, value.elts):
            _pair(ctx, part, item, pairs)
        return
    if is_shape(value):
        place = place_of(ctx, value.value)
        first = len(place.index)
        if ctx.arrays.get(place.array) == first + count:
            pairs += [(part, Dim(place.array, first + k, ctx.span(value))) for k, part in enumerate(target.elts)]
            return
    elif isinstance(value, ast.Subscript) or isinstance(value, ast.Name) and value.id in ctx.rows:
        row = subscripted(ctx, value) if isinstance(value, ast.Subscript) else ctx.rows[value.id]
        pairs += zip(target.elts, items_of(ctx, value, row, count))
        return
    elif isinstance(value, ast.Call):
        called = function_of(ctx, value.func)
        if called is None or called.name != "divmod":
            lower_expr(ctx, value)  # most likely rejects the call
        elif count == len(call_arguments(ctx, value, called)):
            left, right = (lower_expr(ctx, a) for a in value.args)
            pairs.append((target.elts[0], binary(ctx, value, ast.FloorDiv(), left, right)))
            pairs.append((target.elts[1], binary(ctx, value, ast.Mod(), left, right)))
            return
    fail(
        ctx, value, "unpack", "The loop takes a sequence apart whose items are not written out.", "here",
        "Assign the items one by one.",
    )  # fmt: skip


def _reads(expr: Expr, written: list[ast.expr]) -> bool:
    """True if storing into `written` may change the value of `expr`. Two arrays may be one."""
    names = {t.id for t in written if isinstance(t, ast.Name)}
    stores = any(not isinstance(t, ast.Name) for t in written)
    return any(isinstance(e, Var) and e.name in names or isinstance(e, Load) and stores for e in walk(expr))


def _keep(ctx: Context, expr: Expr, out: list[Stmt]) -> Expr:
    """`expr` evaluated now, into a temporary if it is more than a constant."""
    if isinstance(expr, Const):
        return expr
    name = fresh(ctx)
    out.append(Assign(name, expr, expr.span))
    return Var(name, expr.span)


def _update(
    ctx: Context, node: ast.AugAssign, target: ast.expr, op: ast.operator, value: ast.expr, out: list[Stmt]
) -> None:
    """`target op= value`. Numbers are immutable, so this is `target = target op value`."""
    span = ctx.span(node)
    if isinstance(target, ast.Name):
        _check_scalar(ctx, target, target.id)
        old = lower_expr(ctx, ast.copy_location(ast.Name(target.id, ast.Load()), target))
        out.append(Assign(target.id, binary(ctx, node, op, old, lower_expr(ctx, value)), span, True))
        _define(ctx, target.id)
    elif isinstance(target, ast.Subscript):
        array, index = element(ctx, target)
        loaded = Load(array, index, span=ctx.span(target))
        out.append(Store(array, index, binary(ctx, node, op, loaded, lower_expr(ctx, value)), span=span))
    else:
        _assign(ctx, target, Const(0), out)  # rejects it


def _annotated(ctx: Context, node: ast.AnnAssign, out: list[Stmt]) -> None:
    if ctx.scope.kind != "function":  # there the annotation is stored in __annotations__
        fail(
            ctx, node, "annotation", "An annotation outside a function is kept by Python.", "annotation",
            "Annotate the name before the loop.",
        )  # fmt: skip
    if node.value is not None:
        _assign(ctx, node.target, lower_expr(ctx, node.value), out)
