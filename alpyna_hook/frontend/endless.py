"""Loops that wait: whether a `while` loop can end by what it computes itself.

In:  the test and body of a lowered `while`.
Out: whether something that its exits depend on can differ from one trip to the next.

`while not done: n += 1` ends when another thread, or a signal handler, assigns `done`; the values of a kernel are
those of its call, and it would never see that.  `while True:` without a `break` ends by an exception, which may be
an interrupt.  The interpreter waits for such things; a kernel must not.
"""

from __future__ import annotations

from collections.abc import Iterator

from alpyna_hook.ir.nodes import (
    Assign, Break, Continue, Expr, If, Load, Loop, Stmt, Store, Var, While, exprs_of, walk, walk_stmts,
)  # fmt: skip


def can_end(test: Expr, body: tuple[Stmt, ...]) -> bool:
    """Whether the test, or a condition that a `break` or `continue` of the loop hangs on, can change in the loop, or
    no path leads to a second trip."""
    stores = any(isinstance(stmt, Store) for stmt in walk_stmts(body))
    sources = list(_assignments(body, ()))
    varying = {name for name, _ in sources}
    before = len(varying) + 1
    while len(varying) < before:  # the greatest set in which each name depends on one of the set
        before = len(varying)
        varying = {name for name, exprs in sources if any(_varies(e, varying, stores) for e in exprs)}
    exits = [test, *(condition for _, conditions in _jumps(body, ()) for condition in conditions)]
    return any(_varies(e, varying, stores) for e in exits) or not _goes_on(body)


def _varies(expr: Expr, varying: set[str], stores: bool) -> bool:
    return any((isinstance(e, Var) and e.name in varying) or (stores and isinstance(e, Load)) for e in walk(expr))


def _assignments(body: tuple[Stmt, ...], hangs_on: tuple[Expr, ...]) -> Iterator[tuple[str, tuple[Expr, ...]]]:
    """The scalars that are assigned, each with the expressions that its value and the assignment depend on."""
    for stmt in body:
        match stmt:
            case Assign(name=name, value=value):
                yield name, (value, *hangs_on)
            case Loop(counter=counter, body=inner):
                yield counter, (Var(counter),)
                yield from _assignments(inner, (*hangs_on, Var(counter)))
            case If(then=then, other=other):
                yield from _assignments(then, (*hangs_on, *exprs_of(stmt)))
                yield from _assignments(other, (*hangs_on, *exprs_of(stmt)))
            case While(body=inner):
                yield from _assignments(inner, (*hangs_on, *exprs_of(stmt)))
            case _:
                pass


def _jumps(body: tuple[Stmt, ...], hangs_on: tuple[Expr, ...]) -> Iterator[tuple[Break | Continue, tuple[Expr, ...]]]:
    """The jumps of this loop (not of an inner one), each with the conditions that it hangs on."""
    for stmt in body:
        match stmt:
            case If(then=then, other=other):
                yield from _jumps(then, (*hangs_on, *exprs_of(stmt)))
                yield from _jumps(other, (*hangs_on, *exprs_of(stmt)))
            case Break() | Continue():
                yield stmt, hangs_on


def _goes_on(body: tuple[Stmt, ...]) -> bool:
    """Whether a path through the body leads to another trip."""
    return _falls_through(body) or any(isinstance(jump, Continue) for jump, _ in _jumps(body, ()))


def _falls_through(body: tuple[Stmt, ...]) -> bool:
    for stmt in body:
        if isinstance(stmt, (Break, Continue)):
            return False
        if isinstance(stmt, If) and not _falls_through(stmt.then) and not _falls_through(stmt.other):
            return False
    return True
