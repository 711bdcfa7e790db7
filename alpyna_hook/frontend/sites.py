"""Which loops of a module are sites.

In: a module's AST and source.  Out: one `Site` per outermost loop that was tried, in source order: with its nest,
or with the reason why it stays with the interpreter; loops inside a rejected loop are tried in turn.
Nothing heavier than `ast` is imported until a first loop is found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from alpyna_hook.errors import Rejection
from alpyna_hook.source import Source, Span, span_of

if TYPE_CHECKING:
    from alpyna_hook.frontend.flow import Flow
    from alpyna_hook.frontend.scope import Scope
    from alpyna_hook.ir.nodes import Nest

# Compilers that read a function's own code: their functions are left as they are.
_COMPILERS = ("numba", "jax", "taichi", "triton", "dace", "cython", "Cython")
_OFF = re.compile(r"#\s*alpyna:\s*off\b")


@dataclass(frozen=True, slots=True)
class Site:
    """One outermost loop nest of a module.

    index      number in the module, in source order, rejected loops included
    function   `co_qualname` of the code it is in: "<module>", "f", "C.method", "f.<locals>.g"
    nest       None if rejected; then `rejection` says why
    roots      Python expressions handed to the site's callable, in order (the distinct roots of the live-ins)
    bound      all roots surely have a value when the loop is reached, so evaluating them cannot raise
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


@dataclass(frozen=True, slots=True)
class _Module:
    """What the walk over one module carries along."""

    source: Source
    lines: list[str]  # for `# alpyna: off`; empty if the text does not mention it
    scopes: dict[ast.AST, Scope]
    skipped: frozenset[ast.AST]
    span: Callable[[ast.AST], Span]


def find_sites(tree: ast.Module, source: Source) -> tuple[Site, ...]:
    """All sites of a module, rejected ones included, in source order."""
    if "for" not in source.text and "while" not in source.text:
        return ()
    from alpyna_hook.frontend.scope import build_scopes

    try:
        scopes = build_scopes(tree)
        lines = _lines(source.text) if "alpyna" in source.text else []
        module = _Module(source, lines, scopes, _skipped(tree, source), _spans(source))
        sites: list[Site] = []
        _visit(tree.body, scopes[tree], tree, module, {}, sites)
    except RecursionError:  # nested deeper than this Python can walk: leave the module alone
        return ()
    return tuple(sites)


def _visit(
    body: Sequence[ast.AST], scope: Scope, owner: ast.AST, module: _Module, flows: dict[ast.AST, Flow], sites: list[Site]
) -> None:
    """Append the sites in `body`, statements of `scope` whose AST node is `owner`."""
    for stmt in body:
        if isinstance(stmt, (ast.For, ast.While)):
            site = _try(stmt, scope, owner, module, flows, len(sites))
            sites.append(site)
            if site.nest is not None or (site.rejection and site.rejection.code == "switched-off"):
                continue
        if stmt in module.skipped:
            continue
        if stmt in module.scopes:
            _visit(stmt.body, module.scopes[stmt], stmt, module, flows, sites)  # type: ignore[attr-defined]
        else:
            _visit(list(_nested(stmt)), scope, owner, module, flows, sites)


def _nested(stmt: ast.AST) -> Iterator[ast.AST]:
    """The statements (and handlers, and cases) directly inside a compound statement, in source order."""
    for part in ("body", "handlers", "cases", "orelse", "finalbody"):
        yield from getattr(stmt, part, ())


def _try(
    loop: ast.For | ast.While, scope: Scope, owner: ast.AST, module: _Module, flows: dict[ast.AST, Flow], index: int
) -> Site:
    from alpyna_hook.frontend.flow import analyse
    from alpyna_hook.frontend.lower import lower_nest

    place = (index, loop.lineno, loop.end_lineno or loop.lineno, scope.qualname, loop)
    if module.lines and _OFF.search(module.lines[loop.lineno - 1]):
        off = Rejection("switched-off", "The loop is marked `# alpyna: off`.", "switched off", module.span(loop))
        return Site(*place, None, off)
    if owner not in flows:
        flows[owner] = analyse(owner.body, scope)  # type: ignore[attr-defined]
    result = lower_nest(loop, scope, flows[owner], module.span)
    if isinstance(result, Rejection):
        return Site(*place, None, result)
    roots = tuple(dict.fromkeys(v.root for v in result.live_ins))
    bound = all(_is_bound(root, scope, flows[owner].bound[loop]) for root in roots)
    return Site(*place, result, None, roots, bound)


def _is_bound(root: str, scope: Scope, definite: frozenset[str]) -> bool:
    from alpyna_hook.frontend.scope import is_builtin

    return root in definite or is_builtin(scope, root)


def _skipped(tree: ast.Module, source: Source) -> frozenset[ast.AST]:
    """Functions and classes that another compiler takes: decorated with it, or passed to it by name."""
    if not any(name in source.text for name in _COMPILERS):
        return frozenset()
    nodes = list(ast.walk(tree))
    foreign = set(_COMPILERS)  # names that stand for such a compiler or something from it
    for node in nodes:
        if isinstance(node, ast.Import):
            foreign |= {a.asname or a.name for a in node.names if a.name.split(".")[0] in _COMPILERS}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _COMPILERS:
            foreign |= {a.asname or a.name for a in node.names}
    passed = {
        arg.id
        for node in nodes
        if isinstance(node, ast.Call) and _root(node.func) in foreign
        for arg in node.args
        if isinstance(arg, ast.Name)
    }
    return frozenset(
        node
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        and (node.name in passed or any(_root(d) in foreign for d in node.decorator_list))
    )


def _root(node: ast.AST) -> str:
    """The leftmost name of `numba.njit(parallel=True)`."""
    while isinstance(node, (ast.Attribute, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _lines(text: str) -> list[str]:
    """The lines as the parser counts them (`splitlines` also splits at form feeds and others)."""
    return re.split(r"\r\n|\r|\n", text)


def _spans(source: Source) -> Callable[[ast.AST], Span]:
    """`span_of` for this source; only a text that is not ASCII pays for turning byte columns into characters."""
    if source.text.isascii():
        return span_of
    lines = [line.encode() for line in _lines(source.text)]

    def chars(line: int, column: int) -> int:
        return len(lines[line - 1][:column].decode("utf-8", "replace")) if line <= len(lines) else column

    def span(node: ast.AST) -> Span:
        at = span_of(node)
        return Span(at.line, chars(at.line, at.col), at.end_line, chars(at.end_line, at.end_col))

    return span
