"""Taking loops apart and putting them together: what the passes that copy loops have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from alpyna_hook.ir.nodes import Expr, If, Loop, Stmt, Var, While, map_stmt_exprs, rewrite_expr, walk_stmts
from alpyna_hook.ir.types import Type


def fresh_counters(part: Stmt, used: set[str], types: dict[str, Type]) -> dict[str, str]:
    """A new name for each loop counter in `part`; adds it to `used` and gives it a type."""
    names: dict[str, str] = {}
    for stmt in walk_stmts((part,)):
        if isinstance(stmt, Loop):
            old = stmt.counter
            names[old] = next(new for k in range(1, 10_000) if (new := f"{old}.{k}") not in used)
            used.add(names[old])
            if old in types:
                types[names[old]] = types[old]
    return names


def with_counters(stmt: Stmt, names: Mapping[str, str]) -> Stmt:
    """`stmt` with its loop counters renamed; `names` has every counter of a loop in it."""
    def variable(e: Expr) -> Expr:
        return replace(e, name=names[e.name]) if isinstance(e, Var) and e.name in names else e

    def counters(s: Stmt) -> Stmt:
        match s:
            case Loop():
                return replace(s, counter=names[s.counter], body=tuple(map(counters, s.body)))
            case If():
                return replace(s, then=tuple(map(counters, s.then)), other=tuple(map(counters, s.other)))
            case While():
                return replace(s, body=tuple(map(counters, s.body)))
            case _:
                return s

    return counters(map_stmt_exprs(stmt, lambda e: rewrite_expr(e, variable)))


def replaced(body: tuple[Stmt, ...], loop: Loop, parts: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """`body` with `parts` where `loop` stood."""
    result: list[Stmt] = []
    for stmt in body:
        if stmt is loop:
            result += parts
            continue
        match stmt:
            case If(then=then, other=other):
                stmt = replace(stmt, then=replaced(then, loop, parts), other=replaced(other, loop, parts))
            case Loop(body=inner) | While(body=inner):
                stmt = replace(stmt, body=replaced(inner, loop, parts))
            case _:
                pass
        result.append(stmt)
    return tuple(result)
