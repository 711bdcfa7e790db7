"""Scalar data flow on structured nests: names assigned, read, and read before they are assigned."""

from __future__ import annotations

from collections import Counter

from alpyna_hook.ir.nodes import (
    Assign, Break, Continue, Expr, If, Loop, Stmt, Store, Var, While, exprs_of, rewrite_expr, walk, walk_exprs,
    walk_stmts,
)  # fmt: skip


def assigned(body: tuple[Stmt, ...]) -> frozenset[str]:
    """Scalars that some Assign in `body` writes."""
    return frozenset(s.name for s in walk_stmts(body) if isinstance(s, Assign))


def read(body: tuple[Stmt, ...]) -> frozenset[str]:
    """Scalars and counters that some expression in `body` reads."""
    return frozenset(e.name for e in walk_exprs(body) if isinstance(e, Var))


def reads_of(expr: Expr) -> frozenset[str]:
    """Scalars and counters that `expr` reads."""
    return frozenset(e.name for e in walk(expr) if isinstance(e, Var))


def mentions(body: tuple[Stmt, ...]) -> Counter[str]:
    """How often each scalar is read or assigned in `body`."""
    count = Counter(e.name for e in walk_exprs(body) if isinstance(e, Var))
    count.update(s.name for s in walk_stmts(body) if isinstance(s, Assign))
    return count


def own_level(body: tuple[Stmt, ...]) -> list[Stmt]:
    """Statements of a loop's `body` that are not inside a further loop, in program order."""
    found: list[Stmt] = []
    for stmt in body:
        found.append(stmt)
        if isinstance(stmt, If):
            found += own_level(stmt.then) + own_level(stmt.other)
    return found


def leaves_early(body: tuple[Stmt, ...]) -> Break | None:
    """A `break` that leaves the loop whose body this is."""
    return next((s for s in own_level(body) if isinstance(s, Break)), None)


def exposed(body: tuple[Stmt, ...]) -> frozenset[str]:
    """Scalars that `body` may read before it has assigned them (upward-exposed uses)."""
    found: set[str] = set()
    _flow(body, frozenset(), found)
    return frozenset(found)


def _flow(body: tuple[Stmt, ...], done: frozenset[str], found: set[str]) -> frozenset[str] | None:
    """Names surely assigned after `body`; None if control never gets there."""
    for stmt in body:
        for expr in exprs_of(stmt):
            found |= reads_of(expr) - done
        match stmt:
            case Assign(name=name):
                done |= {name}
            case Loop(body=inner, counter=counter):
                _flow(inner, done | {counter}, found)
            case While(body=inner):
                _flow(inner, done, found)
            case If(then=then, other=other):
                a, b = _flow(then, done, found), _flow(other, done, found)
                if a is None and b is None:
                    return None
                done = b if a is None else a if b is None else a & b  # type: ignore[assignment]
            case Break() | Continue():
                return None
            case Store():
                pass
    return done


def at_entry(expr: Expr, body: tuple[Stmt, ...]) -> Expr:
    """`expr`, which the first loop of `body` evaluates first, in terms of what holds before `body`."""
    values: dict[str, Expr] = {}

    def value(e: Expr) -> Expr:
        return values.get(e.name, e) if isinstance(e, Var) else e

    for stmt in body:
        if isinstance(stmt, (Loop, While)):
            break
        if isinstance(stmt, Assign):
            values[stmt.name] = rewrite_expr(stmt.value, value)
    return rewrite_expr(expr, value)


def uniform_names(loop: Loop) -> frozenset[str]:
    """Scalars that the body of `loop` only gives values of its inner loops' counters: the same in all of its
    iterations that run side by side."""
    counters = {s.counter for s in walk_stmts(loop.body) if isinstance(s, Loop)}
    assigns = [s for s in walk_stmts(loop.body) if isinstance(s, Assign)]
    other = {s.name for s in assigns if not (isinstance(s.value, Var) and s.value.name in counters)}
    return frozenset(s.name for s in assigns) - other


def surely_assigned(body: tuple[Stmt, ...]) -> frozenset[str]:
    """Scalars that every path through `body` assigns (a `continue` or `break` ends a path early)."""
    escapes: list[frozenset[str]] = []
    end = _sure(body, frozenset(), escapes)
    paths = escapes if end is None else [*escapes, end]
    return frozenset.intersection(*paths) if paths else frozenset()


def _sure(body: tuple[Stmt, ...], done: frozenset[str], escapes: list[frozenset[str]]) -> frozenset[str] | None:
    for stmt in body:
        match stmt:
            case Assign(name=name):
                done |= {name}
            case If(then=then, other=other):
                a, b = _sure(then, done, escapes), _sure(other, done, escapes)
                if a is None and b is None:
                    return None
                done = b if a is None else a if b is None else a & b  # type: ignore[assignment]
            case Break() | Continue():
                escapes.append(done)
                return None
            case _:
                pass
    return done
