"""A site of the front end -> its head: what the runtime needs of it first, as plain data.

In: a `Site`.  Out: a `Head`, whose outline is what runtime/glance.py computes trip counts from.

    outline  ::= (assigned names, body)
    body     ::= (s*)
    s        ::= int                                     so many IR nodes that are no loop and no branch
               | ("for", nodes, counter, start e, stop e, step e, body)
               | ("if", nodes, body, body)
               | ("while", (number*), body)              the constants that its condition has
    e        ::= int | ("var", name) | ("dim", array, axis) | ("neg", e) | (op, e, e) | ("min" | "max", e*)
               | None                                    nothing is known of it
"""

from __future__ import annotations

from typing import Any

from alpyna_hook.digest import sha256
from alpyna_hook.frontend.sites import Site
from alpyna_hook.ir.nodes import (
    Assign, Binary, Call, Const, Dim, Expr, If, Loop, Nest, Stmt, Store, Unary, Var, While, exprs_of, walk, walk_stmts,
)  # fmt: skip
from alpyna_hook.runtime.heads import Head
from alpyna_hook.source import Source, split_lines


def head_of(site: Site, source: Source) -> Head:
    """The head of `site`, a loop of `source`."""
    place = (site.index, site.line, site.end_line, site.function)
    nest = site.nest
    if nest is None:
        return Head(place, site.roots, site.rejection)
    number = {root: k for k, root in enumerate(site.roots)}
    live_ins = tuple((i.name, number[i.root], i.path, str(i.role), i.intrinsic, i.optional) for i in nest.live_ins)
    stored = {stmt.array for stmt in walk_stmts(nest.body) if isinstance(stmt, Store)}
    return Head(
        place, site.roots, None, nest, live_ins, tuple(sorted(stored)), outline(nest), _digest(site, nest, source)
    )


def _digest(site: Site, nest: Nest, source: Source) -> str:
    """The lines are part of it although the nest has their meaning: the generated code quotes them."""
    lines = split_lines(source.text)[site.line - 1 : site.end_line]
    return sha256("\n".join((repr(nest), *lines)).encode("utf-8", "surrogatepass")).hexdigest()


def outline(nest: Nest) -> tuple[Any, ...]:
    """What a glance needs of the nest."""
    assigned = {stmt.name for stmt in walk_stmts(nest.body) if isinstance(stmt, Assign)}
    return tuple(sorted(assigned)), _body(nest.body)


def _body(body: tuple[Stmt, ...]) -> tuple[Any, ...]:
    found: list[Any] = []
    plain = 0
    for stmt in body:
        nodes = 1 + sum(1 for expr in exprs_of(stmt) for _ in walk(expr))
        match stmt:
            case Loop(counter=counter, start=start, stop=stop, step=step, body=inner):
                found.append(("for", nodes, counter, _expr(start), _expr(stop), _expr(step), _body(inner)))
            case If(then=then, other=other):
                found.append(("if", nodes, _body(then), _body(other)))
            case While(test=test, body=inner):
                numbers = [node.value for node in walk(test) if isinstance(node, Const)]
                compared = tuple(value for value in numbers if type(value) in (int, float))
                found.append(("while", compared, _body(inner)))
            case _:
                plain += nodes
    return (plain, *found) if plain else tuple(found)


def _expr(expr: Expr) -> Any:
    match expr:
        case Const(value=int(value)):
            return int(value)
        case Var(name=name):
            return "var", name
        case Dim(array=array, axis=axis):
            return "dim", array, axis
        case Unary(op="-", operand=operand):
            return "neg", _expr(operand)
        case Binary(op="+" | "-" | "*" | "//" as op, left=left, right=right):
            return op, _expr(left), _expr(right)
        case Call(fn="min" | "max" as fn, args=args):
            return fn, *map(_expr, args)
        case _:
            return None
