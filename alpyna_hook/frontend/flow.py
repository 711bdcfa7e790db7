"""Data flow over one scope: which names are read after a loop, and which are surely bound before it.

In: the statements of a scope.  Out: `Flow`, two sets of names per loop of that scope.  Liveness runs
backwards and definite assignment forwards over the syntax tree (structured control flow, so no graph
is built); a loop needs no iteration to a fixed point because both are gen/kill problems: what is live at
a loop's head is what is live after it, plus what its body reads before writing (Aho et al., Compilers,
2nd ed., 9.2.5).  Every statement is visited a fixed number of times.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, cast

from alpyna_hook.frontend.scope import Scope, mentioned
from alpyna_hook.frontend.syntax import children

Names: TypeAlias = frozenset[str]
Loop: TypeAlias = ast.For | ast.AsyncFor | ast.While
_NONE: Names = frozenset()
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_TRIES: tuple[type, ...] = (ast.Try, getattr(ast, "TryStar", ast.Try))  # TryStar is new in 3.11


@dataclass(frozen=True, slots=True)
class Flow:
    """Per loop of one scope (nested ones included): names that may be read after it, and names surely bound
    when it is reached. `live` says nothing about names that others can see: ask `Scope.always_live`."""

    live: dict[ast.AST, Names]
    bound: dict[ast.AST, Names]


def analyse(body: Sequence[ast.stmt], scope: Scope) -> Flow:
    """Both analyses over the statements `body` of `scope`."""
    live = _Liveness({}, {})
    if scope.kind == "function":  # elsewhere all names are live and nobody asks
        live.block(body, _NONE, _Exits(_NONE, _NONE, _NONE), record=True)
    bound: dict[ast.AST, Names] = {}
    _assigned(body, scope.parameters - scope.unstable, scope.unstable, bound)
    return Flow(live.after, bound)


@dataclass(frozen=True, slots=True)
class _Exits:
    """What is live where `break`, `continue` and an exception (or `return`) lead to."""

    brk: Names
    cont: Names
    raised: Names


@dataclass(slots=True)
class _Liveness:
    after: dict[ast.AST, Names]  # the result: live after each loop
    exposed: dict[ast.AST, Names] = field(default_factory=dict)  # memo: what a loop reads before writing

    def block(self, stmts: Sequence[ast.stmt], after: Names, exits: _Exits, record: bool) -> Names:
        """What is live before `stmts`; with `record`, notes what is live after each loop in them."""
        for stmt in reversed(stmts):
            after = self.stmt(stmt, after, exits, record) | exits.raised
        return after

    def stmt(self, stmt: ast.stmt, after: Names, exits: _Exits, record: bool) -> Names:
        match stmt:
            case ast.For() | ast.AsyncFor() | ast.While():
                return self.loop(stmt, after, exits, record)
            case ast.If():
                live = _NONE
                for part in _branches(stmt):
                    live |= self.block(part, after, exits, record)
                return live.union(*(reads(part.test) for part in _chain(stmt)))
            case ast.With() | ast.AsyncWith():
                inner = replace(exits, raised=exits.raised | after)  # __exit__ may swallow the exception
                items = [n for i in stmt.items for n in (i.context_expr, i.optional_vars) if n is not None]
                return self.block(stmt.body, after, inner, record).union(*map(reads, items))
            case ast.Match(subject=subject, cases=cases):
                live = after | reads(subject)
                for case in cases:
                    live |= self.block(case.body, after, exits, record) | mentioned(case.pattern)
                    live |= reads(case.guard) if case.guard else _NONE
                return live
            case ast.Break():
                return exits.brk
            case ast.Continue():
                return exits.cont
            case ast.Return() | ast.Raise():
                return exits.raised | reads(stmt)
            case _ if isinstance(stmt, _TRIES):
                return self.guarded(cast(ast.Try, stmt), after, exits, record)
            case _:
                return (after - stored(stmt)) | reads(stmt)

    def loop(self, loop: Loop, after: Names, exits: _Exits, record: bool) -> Names:
        done = self.block(loop.orelse, after, exits, record) | after
        head = done | exits.raised | self.exposed_in(loop)
        if record:
            self.after[loop] = done | exits.raised
            self.block(loop.body, head, _Exits(after, head, exits.raised), record)
        return head | (_NONE if isinstance(loop, ast.While) else reads(loop.iter))

    def exposed_in(self, loop: Loop) -> Names:
        """Names that an iteration of `loop` may read before it writes them."""
        if loop not in self.exposed:
            names = self.block(loop.body, _NONE, _Exits(_NONE, _NONE, _NONE), record=False)
            if isinstance(loop, ast.While):
                names |= reads(loop.test)
            else:
                names = (names - stored(loop.target)) | reads(loop.target)
            self.exposed[loop] = names
        return self.exposed[loop]

    def guarded(self, stmt: ast.Try, after: Names, exits: _Exits, record: bool) -> Names:
        """`try`: from anywhere in it a handler may run next, from everywhere `finally` does."""
        final = self.block(stmt.finalbody, after | exits.raised | exits.brk | exits.cont, exits, record)
        last = final if stmt.finalbody else _NONE
        exits = _Exits(exits.brk | last, exits.cont | last, exits.raised | last)
        handlers = exits.raised
        for handler in stmt.handlers:
            handlers |= self.block(handler.body, final, exits, record)
            handlers |= reads(handler.type) if handler.type else _NONE
        orelse = self.block(stmt.orelse, final, exits, record)
        return self.block(stmt.body, orelse, replace(exits, raised=handlers), record)


def _assigned(
    stmts: Sequence[ast.stmt], state: Names | None, unstable: Names, seen: dict[ast.AST, Names]
) -> Names | None:
    """Names surely bound after `stmts`; None if their end is not reached. `seen` gets the state at each loop."""
    for stmt in stmts:
        before = _NONE if state is None else state
        match stmt:
            case ast.For() | ast.AsyncFor() | ast.While():
                seen[stmt] = before
                inside = before | (_NONE if isinstance(stmt, ast.While) else stored(stmt.target) - unstable)
                _assigned(stmt.body, inside, unstable, seen)
                _assigned(stmt.orelse, before, unstable, seen)
            case ast.If():
                state = _join([_assigned(part, before, unstable, seen) for part in _branches(stmt)])
            case ast.With() | ast.AsyncWith():
                targets = [i.optional_vars for i in stmt.items if i.optional_vars is not None]
                state = before.union(*map(stored, targets)) - unstable
                _assigned(stmt.body, state, unstable, seen)
            case ast.Match(cases=cases):
                for case in cases:
                    _assigned(case.body, before, unstable, seen)
            case ast.Break() | ast.Continue() | ast.Return() | ast.Raise():
                state = None
            case _ if isinstance(stmt, _TRIES):
                state = _assigned_try(cast(ast.Try, stmt), before, unstable, seen)
            case _:
                state = before | (stored(stmt) - unstable)
    return state


def _assigned_try(stmt: ast.Try, before: Names, unstable: Names, seen: dict[ast.AST, Names]) -> Names | None:
    body = _assigned(stmt.body, before, unstable, seen)
    ends = [_assigned(stmt.orelse, body, unstable, seen)]
    ends += [_assigned(h.body, before, unstable, seen) for h in stmt.handlers]
    state = _join(ends)
    final = _assigned(stmt.finalbody, before, unstable, seen)
    if state is None or final is None:
        return None
    return state | final


def _chain(stmt: ast.If) -> list[ast.If]:
    """`stmt` and its `elif`s. (They nest in the syntax tree, perhaps deeper than Python likes to recurse.)"""
    chain = [stmt]
    while len(chain[-1].orelse) == 1 and isinstance(chain[-1].orelse[0], ast.If):
        chain.append(chain[-1].orelse[0])
    return chain


def _branches(stmt: ast.If) -> list[list[ast.stmt]]:
    """The alternatives of an `if`, the last one perhaps empty."""
    chain = _chain(stmt)
    return [*(part.body for part in chain), chain[-1].orelse]


def _join(states: Iterable[Names | None]) -> Names | None:
    """The meet of definite assignment: what holds on every path that goes on."""
    live = [s for s in states if s is not None]
    return frozenset.intersection(*live) if live else None


def reads(node: ast.AST) -> Names:
    """Names that `node` may read: loaded, deleted or updated in place, outside nested functions."""
    found: set[str] = set()
    todo: list[ast.AST] = [node]
    while todo:
        at = todo.pop()
        if isinstance(at, ast.Name):
            if not isinstance(at.ctx, ast.Store):
                found.add(at.id)
            continue
        if isinstance(at, ast.AugAssign) and isinstance(at.target, ast.Name):
            found.add(at.target.id)
        todo += _outside(at) if isinstance(at, _DEFINITIONS) else children(at)
    return frozenset(found)


def _outside(node: ast.AST) -> list[ast.AST]:
    """A nested definition's own names are its `Scope.captured` ones; decorators and defaults are read here."""
    parts: list[ast.AST] = list(getattr(node, "decorator_list", ()))
    parts += getattr(node, "bases", ())
    parts += getattr(node, "keywords", ())
    if hasattr(node, "args"):
        parts.append(node.args)
    return parts


def stored(node: ast.AST) -> Names:
    """Names that the simple statement or assignment target `node` surely binds."""
    match node:
        case ast.Name(id=name, ctx=ast.Store()):
            return frozenset((name,))
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return _NONE.union(*map(stored, elts))
        case ast.Starred(value=value):
            return stored(value)
        case ast.Assign(targets=targets):
            return _NONE.union(*map(stored, targets))
        case ast.AugAssign(target=target):
            return stored(target)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            return stored(target)
        case ast.Import(names=aliases):
            return frozenset(a.asname or a.name.partition(".")[0] for a in aliases)
        case ast.ImportFrom(names=aliases):
            return frozenset(a.asname or a.name for a in aliases)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return frozenset((name,))
        case _:
            return _NONE
