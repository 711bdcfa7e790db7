"""Checks in place of floating-point status flags, which accelerators do not have.

In: a typed body in which NumPy scalars take part.  Out: the same body with calls of "device.watch" around values, each
of which is a fault if the value is an infinity or a NaN.

NumPy warns where finite operands give an infinity or a NaN (overflow, division by zero, invalid).  Such a value stays
infinite or NaN through + - * and sqrt, through both branches of a choice and as a dividend, so it is enough to look at
the roots of trees of these: what is assigned or stored, compared, made an int, or divided by.  A scalar that is used
in such trees only, a little later in the same block, needs no look of its own.  Where a loop only updates a scalar by
such a tree, one look after the loop does.  Infinities and NaNs that the data held from the start fault as well: the
interpreter then runs the loop.  Underflow cannot be seen in a value; a program that wants to hear of it is declined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from alpyna_hook.ir.flow import assigned
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Cast, Continue, Expr, If, Logical, Loop, Select, Stmt, Store, Unary, Var, While,
    children, map_children, walk, walk_exprs, walk_stmts,
)  # fmt: skip
from alpyna_hook.transform.schedule import may_warn

WATCH = "device.watch"
# The result is infinite or NaN if (one of) the first operand(s) is.
_PASSING_CALLS = frozenset((
    "abs", "math.sqrt", "math.fabs", "np.sqrt", "np.abs", "np.fabs", "np.floor", "np.ceil", "np.trunc", "np.rint",
    "np.square",
))  # fmt: skip


def watched(body: tuple[Stmt, ...], reduced: frozenset[str]) -> tuple[Stmt, ...]:
    """`body` with its checks. reduced: scalars that are looked at when their parts are combined."""
    assigns = Counter(s.name for s in walk_stmts(body) if isinstance(s, Assign))
    reads = Counter(e.name for e in walk_exprs(body) if isinstance(e, Var))
    return _block(body, reduced, {name: reads[name] for name, times in assigns.items() if times == 1})


def _block(body: tuple[Stmt, ...], later: frozenset[str], once: Mapping[str, int]) -> tuple[Stmt, ...]:
    """later: scalars that are looked at after an enclosing loop. once: those that the kernel assigns in one place
    -> how often it reads them."""
    found: list[Stmt] = []
    for number, stmt in enumerate(body, 1):
        match stmt:
            case Assign(name=name, value=value):
                looked_at = name in later or _looked_at(name, body[number:], once.get(name, 0))
                found.append(replace(stmt, value=_inside(value) if looked_at else _root(value)))
            case Store(index=index, value=value):
                found.append(replace(stmt, index=tuple(map(_root, index)), value=_root(value)))
            case Loop(start=a, stop=b, step=c, body=inner):
                own = _accumulated(stmt) - later
                ends = tuple(map(_root, (a, b, c)))
                new = _block(inner, later | own, once)
                found.append(replace(stmt, start=ends[0], stop=ends[1], step=ends[2], body=new))
                found += [Assign(name, _watch(var), stmt.span) for name, var in sorted(_vars(inner, own).items())]
            case While(test=test, body=inner):
                found.append(replace(stmt, test=_root(test), body=_block(inner, later, once)))
            case If(test=test, then=then, other=other):
                blocks = _block(then, later, once), _block(other, later, once)
                found.append(replace(stmt, test=_root(test), then=blocks[0], other=blocks[1]))
            case _:
                found.append(stmt)
    return tuple(found)


def _looked_at(name: str, rest: tuple[Stmt, ...], reads: int) -> bool:
    """Whether all `reads` of scalar `name` stand in `rest`, which surely runs, where an infinity or a NaN shows."""
    seen = 0
    for stmt in rest:
        if isinstance(stmt, (Assign, Store)):
            seen += _shows(name, stmt.value)
        elif any(isinstance(s, (Break, Continue)) for s in walk_stmts((stmt,))):
            break
    return 0 < seen == reads


def _shows(name: str, root: Expr) -> int:
    """How often `root` reads scalar `name` where, if that is infinite or NaN, a value is that is looked at."""

    def count(expr: Expr, passed_on: bool) -> int:
        if isinstance(expr, Var):
            return int(passed_on and expr.name == name)
        if isinstance(expr, (Select, Logical)):
            return 0  # not all of it is evaluated
        passing = {id(e) for e in _passing(expr)}
        return sum(count(e, passed_on if id(e) in passing else _dirty(e)) for e in children(expr))

    return count(root, _dirty(root))


def _root(expr: Expr) -> Expr:
    """`expr` where its being infinite or NaN would be lost from here on."""
    inside = _inside(expr)
    return _watch(inside) if _dirty(expr) else inside


def _watch(expr: Expr) -> Expr:
    return Call(WATCH, (expr,), span=expr.span, type=expr.type)


def _passing(expr: Expr) -> tuple[Expr, ...]:
    """The operands whose being infinite or NaN makes `expr` so."""
    if expr.type is None or not expr.type.rep.is_float:
        return ()
    match expr:
        case Binary(op="+" | "-" | "*", left=left, right=right):
            return (left, right)
        case Binary(op="/", left=left):
            return (left,)
        case Unary(op="-" | "+", operand=operand):
            return (operand,)
        case Cast(operand=operand) if operand.type is not None and operand.type.rep.is_float:
            return (operand,)
        case Select(then=then, other=other):
            return (then, other)
        case Call(fn=fn, args=args) if fn in _PASSING_CALLS:
            return args[:1]
    return ()


def _dirty(expr: Expr) -> bool:
    """Whether an operation that warns in NumPy may have made the value of `expr` infinite or NaN."""
    return may_warn(expr) or any(map(_dirty, _passing(expr)))


def _inside(expr: Expr) -> Expr:
    """`expr` with what its operands would lose looked at."""
    passing = {id(e) for e in _passing(expr)}
    return map_children(expr, lambda e: _inside(e) if id(e) in passing else _root(e))


# -- accumulations --------------------------------------------------------------------------------


def _accumulated(loop: Loop) -> frozenset[str]:
    """Scalars that `loop` only updates by trees that pass them on, and that nothing else in it reads."""
    candidates = {name for name in assigned(loop.body) if _updated_only(name, loop.body)}
    return frozenset(candidates)


def _updated_only(name: str, body: tuple[Stmt, ...]) -> bool:
    updates = [s.value for s in walk_stmts(body) if isinstance(s, Assign) and s.name == name]
    reads = sum(isinstance(e, Var) and e.name == name for e in walk_exprs(body))
    own = sum(isinstance(e, Var) and e.name == name for value in updates for e in walk(value))
    return reads == own and all(_hands_on(name, v) for v in updates) and any(map(_dirty, updates))


def _hands_on(name: str, value: Expr) -> bool:
    """Whether `value` surely is infinite or NaN if scalar `name` is; the name occurs nowhere else in it."""
    if isinstance(value, Var):
        return value.name == name
    if isinstance(value, Select):
        return False
    below = _passing(value)
    if not any(_hands_on(name, e) for e in below):
        return False
    others = [e for e in walk(value) if isinstance(e, Var) and e.name == name]
    return len(others) == 1


def _vars(body: tuple[Stmt, ...], names: frozenset[str]) -> dict[str, Var]:
    """A typed read of each of `names`, which `body` updates."""
    reads = (e for e in walk_exprs(body) if isinstance(e, Var) and e.name in names)
    return {e.name: e for e in reads}
