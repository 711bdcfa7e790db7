"""Which loops of a module are sites.

In: a module's AST and source.  Out: one `Site` per outermost loop that was tried, in source order: with its nest,
or with the reason why it stays with the interpreter; loops inside a rejected loop are tried in turn.
Nothing heavier than `ast` is imported until a first loop is found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.syntax import walk
from alpyna_hook.source import Source, Span, span_of, split_lines

if TYPE_CHECKING:
    from alpyna_hook.frontend.flow import Flow
    from alpyna_hook.frontend.scope import Scope
    from alpyna_hook.ir.nodes import Nest

_LOOP = re.compile(r"(?:^|[\r\n])[ \t\f]*(?:async\s+)?(?:for|while)\b")


@dataclass(frozen=True, slots=True)
class Site:
    """One outermost loop nest of a module.

    index      number in the module, in source order, rejected loops included
    function   `co_qualname` of the code it is in: "<module>", "f", "C.method", "f.<locals>.g"
    nest       None if rejected; then `rejection` says why
    roots      Python expressions handed to the site's callable, in order (the distinct roots of the live-ins)
    bound      all roots but the optional ones surely have a value when the loop is reached, so evaluating them
               cannot raise
    optional   roots that may have none: the callable gets UNSET instead
    """

    index: int
    line: int
    end_line: int
    function: str
    node: ast.For | ast.While = field(compare=False)
    nest: Nest | None
    rejection: Rejection | None
    roots: tuple[str, ...] = ()
    bound: bool = False
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Module:
    """What the walk over one module carries along."""

    source: Source
    scopes: dict[ast.AST, Scope]
    left_out: dict[ast.AST, Rejection]  # loops that are not ours to touch
    span: Callable[[ast.AST], Span]


def find_sites(tree: ast.Module, source: Source) -> tuple[Site, ...]:
    """All sites of a module, rejected ones included, in source order."""
    if not _LOOP.search(source.text):
        return ()
    from alpyna_hook.frontend.leave_out import left_out
    from alpyna_hook.frontend.scope import build_scopes

    try:
        scopes = build_scopes(tree)
        module = _Module(source, scopes, left_out(tree, source), _spans(source))
        return tuple(_visit(tree, module))
    except RecursionError:  # nested deeper than this Python can walk: leave the module alone
        return ()


def _visit(tree: ast.Module, module: _Module) -> list[Site]:
    """The sites of the module: a walk in source order, with the node of the scope that each statement is in."""
    sites: list[Site] = []
    flows: dict[ast.AST, Flow] = {}
    todo: list[tuple[ast.AST, ast.AST]] = [(stmt, tree) for stmt in reversed(tree.body)]
    while todo:
        stmt, owner = todo.pop()
        if isinstance(stmt, (ast.For, ast.While)):
            sites.append(_try(stmt, owner, module, flows, len(sites)))
            if sites[-1].nest is not None or stmt in module.left_out:
                continue
        owner = stmt if stmt in module.scopes else owner
        todo += [(inner, owner) for inner in reversed(list(_nested(stmt)))]
    return sites


def _nested(stmt: ast.AST) -> Iterator[ast.AST]:
    """The statements (and handlers, and cases) directly inside a compound statement, in source order."""
    for part in ("body", "handlers", "cases", "orelse", "finalbody"):
        yield from getattr(stmt, part, ())


def _try(
    loop: ast.For | ast.While, owner: ast.AST, module: _Module, flows: dict[ast.AST, Flow], index: int
) -> Site:
    """The site of `loop`, a loop in the scope of node `owner`, if it can be one."""
    from alpyna_hook.frontend.flow import analyse
    from alpyna_hook.frontend.lower import lower_nest

    scope = module.scopes[owner]
    place = (index, loop.lineno, loop.end_lineno or loop.lineno, scope.qualname, loop)
    if module.left_out:
        reason = next((module.left_out[n] for n in walk(loop) if n in module.left_out), None)
        if reason is not None:
            return Site(*place, None, reason)
    if owner not in flows:
        flows[owner] = analyse(owner.body, scope)  # type: ignore[attr-defined]
    result = lower_nest(loop, scope, flows[owner], module.span)
    if isinstance(result, Rejection):
        return Site(*place, None, result)
    roots = tuple(dict.fromkeys(v.root for v in result.live_ins))
    optional = frozenset(v.root for v in result.live_ins if v.optional)
    bound = all(_is_bound(root, scope, flows[owner].bound[loop]) for root in roots if root not in optional)
    return Site(*place, result, None, roots, bound, optional)


def _is_bound(root: str, scope: Scope, definite: frozenset[str]) -> bool:
    from alpyna_hook.frontend.scope import is_builtin

    return root in definite or is_builtin(scope, root)


def _spans(source: Source) -> Callable[[ast.AST], Span]:
    """`span_of` for this source; only a text that is not ASCII pays for turning byte columns into characters."""
    if source.text.isascii():
        return span_of
    lines = [line.encode() for line in split_lines(source.text)]

    def chars(line: int, column: int) -> int:
        return len(lines[line - 1][:column].decode("utf-8", "replace")) if line <= len(lines) else column

    def span(node: ast.AST) -> Span:
        at = span_of(node)
        return Span(at.line, chars(at.line, at.col), at.end_line, chars(at.end_line, at.end_col))

    return span
