"""Scalar data flow on structured nests: names assigned, read, and read before they are assigned."""

from __future__ import annotations

from collections import Counter

from alpyna_hook.ir.nodes import (
    Assign, Break, Continue, Expr, If, Loop, Stmt, Store, Var, While, exprs_of, walk, walk_exprs, walk_stmts,
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


def unused_assignments(body: tuple[Stmt, ...], live_out: frozenset[str]) -> frozenset[int]:
    """The `id`s of Assigns whose value nothing uses, or only what follows the innermost loop around them: a C
    compiler may leave them out, or compute them for the last trip alone.

    live_out: scalars read after `body`.  Backward liveness that does not follow unused assignments (faint
    variables: Nielson, Nielson & Hankin, Principles of Program Analysis, exercise 2.4).
    """
    unused: set[int] = set()
    _live(body, live_out, frozenset(), frozenset(), unused)
    for stmt in walk_stmts(body):
        if isinstance(stmt, (Loop, While)):
            head = _live_loop(stmt, stmt.body, live_out | assigned(body), set())
            carried = _live(stmt.body, head, head, head, set())  # to the next trip
            if isinstance(stmt, While):
                carried |= reads_of(stmt.test)
            within: set[int] = set()
            _live(stmt.body, carried, frozenset(), carried, within)
            unused |= within & _own_assignments(stmt.body)
    return frozenset(unused)


def _own_assignments(body: tuple[Stmt, ...]) -> set[int]:
    """The `id`s of the Assigns in `body` but not in its loops."""
    found: set[int] = set()
    for stmt in body:
        if isinstance(stmt, Assign):
            found.add(id(stmt))
        elif isinstance(stmt, If):
            found |= _own_assignments(stmt.then) | _own_assignments(stmt.other)
    return found


def _live(
    body: tuple[Stmt, ...], live: frozenset[str], at_break: frozenset[str], at_continue: frozenset[str],
    unused: set[int],
) -> frozenset[str]:  # fmt: skip
    """Scalars whose value is needed before `body`, given those needed after it and where its jumps lead.

    `unused` is kept up to date: live sets only grow, so what the last visit of a statement says holds.
    """
    for stmt in reversed(body):
        match stmt:
            case Assign(name=name, value=value) if name in live:
                unused.discard(id(stmt))
                live = (live - {name}) | reads_of(value)
            case Assign():
                unused.add(id(stmt))
            case Store():
                live = live.union(*(reads_of(e) for e in exprs_of(stmt)))
            case If(test=test, then=then, other=other):
                taken = _live(then, live, at_break, at_continue, unused)
                live = taken | _live(other, live, at_break, at_continue, unused) | reads_of(test)
            case Loop(body=inner) | While(body=inner):
                live = _live_loop(stmt, inner, live, unused)
            case Break():
                live = at_break
            case Continue():
                live = at_continue
    return live


def _live_loop(stmt: Loop | While, inner: tuple[Stmt, ...], after: frozenset[str], unused: set[int]) -> frozenset[str]:
    """Scalars needed before a loop: least fixpoint at its head."""
    tests = frozenset[str]().union(*(reads_of(e) for e in exprs_of(stmt)))
    head = after | tests
    while True:
        grown = head | _live(inner, head, after, head, unused)
        if grown == head:
            return head
        head = grown
