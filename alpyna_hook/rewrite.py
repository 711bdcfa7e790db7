"""Guarded modules: every accepted loop nest gets its site callable in front of it.

In: the source of a marked module.  Out: its code with guarded loops, and the sites; guarded.py runs them.

    for i in range(n):          while True:                                 # one trip: a block that `break` leaves
        a[i] = s                    try: @site                              # in functions: its code may be elsewhere
                                    except: pass
                                    else: if @site is not None:             # None: retired, nothing more to pay
                                        try:                                # only if a root may be unbound here
                                            match @site(range, n, a, s):    # None: declined; else the live-outs
                                                case (i,): break
                                        except @errors: @unbound(key)
                                    for i in range(n):                      # the user's own loop
                                        a[i] = s
                                    break

A loop that can be run in blocks (transform/blocks.py) may also stop half-way: its site then returns False, and a copy
of the loop, outside of the `try`, goes on from there, once the live-outs have the values that they had there:

    case False:
        match @carried():                       # None: no name has changed
            case (i,): pass
        @raise()                                # what a signal handler raised meanwhile, if anything
        for i in @rest(line, col, range(n)):
            a[i] = s
        break

Any site may return False when a signal handler has raised: the names have then the values that they had between two
iterations. A site that no names come back from raises by itself.

Where a loop can be left by `return` or `raise`, or has an `else` branch (frontend/exits.py), the statement that it was
left for follows in place of `break`: the case binds the live-out EXIT, which says which one.

    case (i, @exit):
        if @exit == 1: del @exit; return a[i]
        del @exit; break

The names with an '@' live in `builtins`: they cannot collide with a name of the program, and the module's namespace
stays as the program left it. No temporary outlives the guard, and none exists while the loop runs in the interpreter:
`locals()`, `globals()`, class namespaces with a mapping of their own, generators and `nonlocal` names see nothing.
All new code has the position of the loop's first line.
"""

from __future__ import annotations

import ast
import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from alpyna_hook import log, settings
from alpyna_hook.errors import Rejection
from alpyna_hook.frontend import sites as frontend
from alpyna_hook.frontend.exits import EXIT, exits_of
from alpyna_hook.guarded import CARRIED, ERRORS, HALF_WAY, LEAVE, RAISE, REST, UNBOUND, UNSET, VALUE, Compiled
from alpyna_hook.ir.nodes import LiveOut, Nest
from alpyna_hook.runtime.outline import head_of
from alpyna_hook.source import Source, site_key, span_of

Site = frontend.Site

RESULT, HOW_LEFT = "@result", "@exit"  # temporaries, in functions only


@dataclass(frozen=True)
class Rewritten:
    """A module's tree with guarded loops, and its sites in source order, rejected ones included."""

    tree: ast.Module
    sites: tuple[Site, ...]


def compile_module(source: Source) -> Compiled | None:
    """The guarded code of `source`; None if there is no loop in it, or if it does not compile.

    Whoever gets None compiles the source in CPython's own way, and so meets CPython's own SyntaxError.
    A bug of ours is logged, and gives None too.
    """
    try:
        tree = _parsed_module(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if tree is None:
        return None
    try:
        rewritten = rewrite_module(tree, source, note_rejected=settings.current().require)
        if not rewritten.sites:
            return None
        code = compile(rewritten.tree, source.filename, "exec", dont_inherit=True)
        return Compiled(source, code, [head_of(site, source) for site in rewritten.sites])
    except SyntaxError as error:  # "too many statically nested blocks": the guard adds two
        log.info(f"the loops of {source.filename} are left alone: {error.msg}")
        return None
    except Exception as exception:
        log.bug(f"while rewriting {source.filename}", exception)
        return None


def _parsed_module(source: Source) -> ast.Module | None:
    """Its tree; None if there is no loop in it. The parser's warnings are told if there is one: else CPython compiles
    the source itself, and tells them."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tree = ast.parse(source.text, source.filename)
    if not any(isinstance(node, (ast.For, ast.AsyncFor, ast.While)) for node in ast.walk(tree)):
        return None
    return ast.parse(source.text, source.filename) if caught else tree


def rewrite_module(tree: ast.Module, source: Source, note_rejected: bool = False) -> Rewritten:
    """Guard the accepted loops of `tree` (which is changed in place) with their site callables.

    `note_rejected`: in front of a rejected loop, call its callable too: `--require` must know whether it ran.
    """
    guarder = _Guarder(source, frontend.find_sites(tree, source), note_rejected)
    guarder.visit(tree)
    return Rewritten(tree, tuple(guarder.sites))


@dataclass(frozen=True)
class _Scope:
    """Where assignments go: fast locals (function), or a namespace that anybody may look at."""

    is_function: bool
    declared: frozenset[str] = frozenset()  # names under `global` or `nonlocal`


class _Guarder(ast.NodeTransformer):
    """Replaces the loops of accepted sites. `sites` are the given ones, less those that cannot be guarded."""

    def __init__(self, source: Source, sites: Sequence[Site], note_rejected: bool) -> None:
        self.source = source
        self.sites = list(sites)
        self.place = {id(site.node): n for n, site in enumerate(sites)}
        self.note_rejected = note_rejected
        self.scope = _Scope(is_function=False)

    def _visit_scope(self, node: ast.AST, is_function: bool) -> ast.AST:
        outer, self.scope = self.scope, _Scope(is_function, _declared(node))
        try:
            return self.generic_visit(node)
        finally:
            self.scope = outer

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._visit_scope(node, is_function=True)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._visit_scope(node, is_function=True)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._visit_scope(node, is_function=False)

    def visit_For(self, node: ast.For) -> Any:
        return self._visit_loop(node)

    def visit_While(self, node: ast.While) -> Any:
        return self._visit_loop(node)

    def _visit_loop(self, node: ast.For | ast.While) -> Any:
        place = self.place.get(id(node))
        if place is None:
            return self.generic_visit(node)
        site = self.sites[place]
        key = site_key(self.source, site.index)
        if site.nest is not None:
            obstacle = _obstacle(site.nest, site, self.scope)
            if obstacle is None:
                from alpyna_hook.transform.blocks import resumable  # start-up time: only where there is a loop

                again = None
                nest = resumable(site.nest)
                if nest is not None and _obstacle(nest, site, self.scope) is None:
                    site = self.sites[place] = replace(site, nest=nest)
                    again = _rest_of(node, self.source)
                return guard(site, key, node, self.scope.is_function, again)
            site = replace(site, nest=None, rejection=self._class_scope(obstacle, node))
            self.sites[place] = site
        self.generic_visit(node)
        return [_note(key, node), node] if self.note_rejected else node

    def _class_scope(self, obstacle: str, node: ast.AST) -> Rejection:
        return Rejection("class-scope", obstacle, "not guarded here", span_of(node, self.source))


def _declared(node: ast.AST) -> frozenset[str]:
    """Names that `node`, a scope, declares global or nonlocal."""
    names: set[str] = set()
    stack: list[ast.AST] = list(ast.iter_child_nodes(node))
    while stack:
        child = stack.pop()
        match child:
            case ast.Global(names=declared) | ast.Nonlocal(names=declared):
                names.update(declared)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Lambda():
                pass
            case _:
                stack.extend(ast.iter_child_nodes(child))
    return frozenset(names)


def _obstacle(nest: Nest, site: Site, scope: _Scope) -> str | None:
    """Why the live-outs cannot be assigned by name from outside, which is how `_leave` does it in a namespace."""
    if scope.is_function or site.function == "<module>":
        return None
    for out in nest.live_outs:
        if out.name in scope.declared:
            return f"a loop in a class body assigns {out.name!r}, which is declared global or nonlocal"
        if out.name.startswith("__") and not out.name.endswith("__"):
            return f"a loop in a class body assigns {out.name!r}, a private name"
    return None


def guard(
    site: Site, key: str, loop: ast.For | ast.While, in_function: bool, again: ast.For | ast.While | None = None
) -> ast.stmt | list[ast.stmt]:
    """The statements that stand in for `loop`: see the module's docstring.

    `in_function`: live-outs are assigned by ordinary code. In a module or a class that would need temporaries in a
    namespace others can see (and each new name there invalidates the inline caches of the module's functions), so
    there `@leave` assigns what is not certain to be assigned.
    `again`: the loop to run when the site has stopped half-way. It must stand outside of the `try`, or a NameError of
    the program in it would be taken for one of the guard's.
    """
    assert site.nest is not None
    outs = site.nest.live_outs
    in_else = bool(loop.orelse) and in_function  # else there is no such nest
    if in_function and (again or site.optional or ((outs or in_else) and not site.bound)):
        return _block(key, loop, again, _in_steps(site, key, loop, again), in_function)
    call = ast.Call(_name(key), [_argument(root, site) for root in site.roots], [])
    certain = all(out.definite and out.name != "_" for out in outs)  # `_` cannot be captured by a pattern
    attempt: ast.stmt
    if not outs and not again:
        attempt = ast.If(_is_not(call, ast.Constant(None)), _done(outs, loop), [])
    elif in_function or (certain and site.bound and not again):
        attempt = ast.Match(call, [_bind(outs, _done(outs, loop)), _half_way(outs, None)])
    else:
        names = ast.Tuple([ast.Constant(out.name) for out in outs], ast.Load())
        attempt = ast.If(ast.Call(_name(LEAVE), [call, names], []), [ast.Break()], [])
    if not site.bound:
        attempt = ast.Try([attempt], [_unbound(key)], [], [])
    attempts: list[ast.stmt] = [attempt]
    if again or (outs and not isinstance(attempt, ast.Match)):
        attempts.append(ast.If(ast.Call(_name(HALF_WAY), [], []), _go_on(again), []))
    trip = _block(key, loop, again, attempts, in_function)
    if in_function:
        return trip
    declaration = ast.Global([key])  # in a module or class body: look it up as fast as in a function
    _place(declaration, loop)
    return [declaration, trip]


def _block(
    key: str, loop: ast.For | ast.While, again: ast.stmt | None, attempts: list[ast.stmt], in_function: bool
) -> ast.stmt:  # fmt: skip
    """`while True: if @site is not None: ATTEMPTS` and then the loop. Functions travel: other processes get them by
    their code (cloudpickle), and they are made anew over other builtins. There is no such name there."""
    live: ast.stmt = ast.If(_is_not(_name(key), ast.Constant(None)), attempts, [])
    if in_function:  # to load a name without a value is all that can fail in this `try`
        live = ast.Try([ast.Expr(_name(key))], [ast.ExceptHandler(None, None, [ast.Pass()])], [live], [])
    trip = ast.While(ast.Constant(True), [live, loop, ast.Break()], [])
    _place(trip, loop, frozenset((loop, again, *loop.orelse, *exits_of(loop))))
    return trip


def _unbound(key: str) -> ast.ExceptHandler:
    """`except @errors: @unbound(key)`: the report says which name had no value."""
    note = ast.Expr(ast.Call(_name(UNBOUND), [ast.Constant(key)], []))
    return ast.ExceptHandler(_name(ERRORS), None, [note])


def _argument(root: str, site: Site) -> ast.expr:
    """What a root is handed over as in a module or class body: an optional one is looked up by its name."""
    if root in site.optional:
        return ast.Call(_name(VALUE), [ast.Constant(root)], [])
    return _parsed(root)


def _in_steps(
    site: Site, key: str, loop: ast.For | ast.While, again: ast.For | ast.While | None
) -> list[ast.stmt]:
    """In a function: the call, and then a `match` with a case for "half-way". Temporaries stand in between where
    something has to be tried first: an optional name, or the call.

        try: @0 = k
        except @errors: @0 = @unset
        try:
            try: @result = @site(range, n, @0)
            finally: del @0
        except @errors: @unbound(key)
        else:
            match @result:
                case (i,): del @result; break
                case False: del @result; @raise(); AGAIN; break
            del @result
    """
    assert site.nest is not None
    outs = site.nest.live_outs
    cases = [_bind(outs, _done(outs, loop))]
    if again or outs:
        cases.append(_half_way(outs, again))
    temporaries = {root: f"@{number}" for number, root in enumerate(sorted(site.optional))}
    call = ast.Call(_name(key), [_name(temporaries[r]) if r in temporaries else _parsed(r) for r in site.roots], [])
    if site.bound and not temporaries:
        return [ast.Match(call, cases)]
    for case in cases:
        case.body.insert(0, _delete(RESULT))
    called: ast.stmt = _store(RESULT, call)
    if temporaries:
        called = ast.Try([called], [], [], [_delete(*temporaries.values())])
    then: list[ast.stmt] = [ast.Match(_name(RESULT), cases), _delete(RESULT)]
    found = [_optional(root, temporary) for root, temporary in temporaries.items()]
    return [*found, called, *then] if site.bound else [*found, ast.Try([called], [_unbound(key)], then, [])]


def _half_way(outs: Sequence[LiveOut], again: ast.stmt | None) -> ast.match_case:
    """`case False`: the live-outs, and then what has been raised, or the rest of the loop."""
    dropped: list[ast.stmt] = [_delete(HOW_LEFT)] if _is_noted(outs) else [ast.Pass()]
    restore = [ast.Match(ast.Call(_name(CARRIED), [], []), [_bind(outs, dropped)])] if outs else []
    return ast.match_case(ast.MatchSingleton(False), None, [*restore, *_go_on(again)])


def _go_on(again: ast.stmt | None) -> list[ast.stmt]:
    """Without `again`, the site has returned False because there is something to raise."""
    raising = ast.Expr(ast.Call(_name(RAISE), [], []))
    return [raising, again, ast.Break()] if again else [raising]


def _optional(root: str, temporary: str) -> ast.stmt:
    """`try: TEMPORARY = ROOT`, with UNSET for a name that has no value."""
    unset = ast.ExceptHandler(_name(ERRORS), None, [_store(temporary, _name(UNSET))])
    return ast.Try([_store(temporary, _parsed(root))], [unset], [], [])


def _parsed(root: str) -> ast.expr:
    return ast.parse(root, mode="eval").body


def _store(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def _delete(*names: str) -> ast.stmt:
    return ast.Delete([ast.Name(name, ast.Del()) for name in names])


def _rest_of(loop: ast.For | ast.While, source: Source) -> ast.For | ast.While:
    """A copy of `loop` whose `for` loops skip the trips that compiled code has made already."""
    again = copy.deepcopy(loop)
    for node in ast.walk(again):
        if isinstance(node, ast.For):
            span = span_of(node, source)
            call = ast.Call(_name(REST), [ast.Constant(span.line), ast.Constant(span.col), node.iter], [])
            node.iter = ast.fix_missing_locations(ast.copy_location(call, node.iter))
    return again


def _note(key: str, loop: ast.For | ast.While) -> ast.stmt:
    """`if @site is not None: @site()` in front of a rejected loop; the callable retires itself."""
    call = ast.Expr(ast.Call(_name(key), [], []))
    note = ast.If(_is_not(_name(key), ast.Constant(None)), [call], [])
    _place(note, loop)
    return note


def _bind(outs: Sequence[LiveOut], end: Sequence[ast.stmt]) -> ast.match_case:
    """`case (i, @1): if @1 is not @unset: j = @1` ... `end`: assign the live-outs from the matched tuple. How the loop
    was left is in HOW_LEFT then; `end` deletes it."""
    patterns: list[ast.pattern] = []
    body: list[ast.stmt] = []
    for number, out in enumerate(outs):
        if out.name == EXIT:
            patterns.append(ast.MatchAs(None, HOW_LEFT))
            continue
        if out.definite and out.name != "_":
            patterns.append(ast.MatchAs(None, out.name))
            continue
        temporary = f"@{number}"
        patterns.append(ast.MatchAs(None, temporary))
        body.append(ast.If(_is_not(_name(temporary), _name(UNSET)), [_store(out.name, _name(temporary))], []))
        body.append(_delete(temporary))
    return ast.match_case(ast.MatchSequence(patterns), None, [*body, *end])


def _done(outs: Sequence[LiveOut], loop: ast.For | ast.While) -> list[ast.stmt]:
    """After the live-outs are assigned: the statement that the loop was left for, if any. It is the very node of the
    loop, with its own position.

        if @exit is @unset: del @exit; ELSE; break          # where the loop has an `else` branch
        if @exit == 1: del @exit; return i, a[i]
        del @exit; break
    """
    if not _is_noted(outs):
        return [*loop.orelse, ast.Break()]
    steps: list[ast.stmt] = []
    if loop.orelse:
        ran_out = ast.Compare(_name(HOW_LEFT), [ast.Is()], [_name(UNSET)])
        steps.append(ast.If(ran_out, [_delete(HOW_LEFT), *loop.orelse, ast.Break()], []))
    for number, stmt in enumerate(exits_of(loop), 1):
        taken = ast.Compare(_name(HOW_LEFT), [ast.Eq()], [ast.Constant(number)])
        steps.append(ast.If(taken, [_delete(HOW_LEFT), stmt], []))
    return [*steps, _delete(HOW_LEFT), ast.Break()]


def _is_noted(outs: Sequence[LiveOut]) -> bool:
    return any(out.name == EXIT for out in outs)


def _name(identifier: str) -> ast.Name:
    return ast.Name(identifier, ast.Load())


def _is_not(left: ast.expr, right: ast.expr) -> ast.Compare:
    return ast.Compare(left, [ast.IsNot()], [right])


def _place(new: ast.AST, loop: ast.For | ast.While, own: frozenset[ast.AST | None] = frozenset()) -> None:
    """Give all of `new` but the nodes that are the program's `own` the position of the loop's head."""
    if new in own:
        return
    head = loop.iter if isinstance(loop, ast.For) else loop.test
    same_line = head.end_lineno == loop.lineno
    if "lineno" in new._attributes:
        new.lineno = new.end_lineno = loop.lineno  # type: ignore[attr-defined]
        new.col_offset = loop.col_offset  # type: ignore[attr-defined]
        new.end_col_offset = head.end_col_offset if same_line else loop.col_offset + 3  # type: ignore[attr-defined]
    for child in ast.iter_child_nodes(new):
        _place(child, loop, own)
