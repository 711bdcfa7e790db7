"""Loops that are not ours to touch: switched off by a comment, or in functions that another compiler owns.

In: a module's AST and source.  Out: `left_out`, the loops to leave alone and why.

    for i in range(n):  # alpyna: off

    @numba.njit                  also `from numba import njit as fast`, `partial(jax.jit, ...)`, `g = numba.njit(f)`:
    def f(a): ...                those compilers read the function's bytecode or source, and must find it unchanged
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.syntax import walk
from alpyna_hook.source import Source, span_of, split_lines

# Packages whose decorators compile, trace or translate the function they are given.
COMPILERS = frozenset(("numba", "cython", "jax", "taichi", "triton", "dace", "pythran", "numexpr", "cupyx", "warp"))
# Decorators of unknown origin by these names are taken for one of them.
COMPILER_NAMES = frozenset(("njit", "jit"))

_OFF = re.compile(r"#\s*alpyna:\s*off\b")

Function = (ast.FunctionDef, ast.AsyncFunctionDef)
Loop = (ast.For, ast.While, ast.AsyncFor)


def left_out(tree: ast.Module, source: Source) -> dict[ast.AST, Rejection]:
    """Loop node -> rejection, for every loop of `tree` to leave alone, those nested in such a loop included."""
    found: dict[ast.AST, Rejection] = {}
    if any(name in source.text for name in COMPILERS | COMPILER_NAMES):
        owners = _imports(tree)
        passed = _handed_over(tree, owners)
        for node in walk(tree):
            if isinstance(node, Function):
                owner = _owner(node, owners) or passed.get(node.name)
                if owner is not None:
                    _mark(node, _foreign(node, owner, source), found)
    if _OFF.search(source.text):
        lines = split_lines(source.text)
        for node in walk(tree):
            if isinstance(node, Loop) and any(_OFF.search(lines[n - 1]) for n in _header_lines(node)):
                title = "The loop is marked `# alpyna: off`."
                _mark(node, Rejection("switched-off", title, "switched off", span_of(node, source)), found)
    return found


def _mark(root: ast.AST, rejection: Rejection, found: dict[ast.AST, Rejection]) -> None:
    for node in walk(root):
        if isinstance(node, Loop):
            found.setdefault(node, rejection)


def _foreign(node: ast.FunctionDef | ast.AsyncFunctionDef, owner: str, source: Source) -> Rejection:
    where = node.decorator_list[0] if node.decorator_list else node
    title = f"The function `{node.name}` is compiled by {owner}."
    return Rejection("foreign-compiler", title, "left alone", span_of(where, source))


def _header_lines(loop: ast.AST) -> range:
    """The lines of a loop's head, where its comment may stand."""
    assert isinstance(loop, Loop)
    head = loop.test if isinstance(loop, ast.While) else loop.iter
    last = min(head.end_lineno or head.lineno, loop.body[0].lineno)
    return range(loop.lineno, last + 1)


def _imports(tree: ast.Module) -> dict[str, str]:
    """Names that imports anywhere in the module bind to one of COMPILERS or to something in it -> the package."""
    names: dict[str, str] = {}
    for node in walk(tree):
        match node:
            case ast.Import(names=aliases):
                for alias in aliases:
                    package = alias.name.partition(".")[0]
                    if package in COMPILERS:
                        names[alias.asname or package] = package
            case ast.ImportFrom(module=str(module), names=aliases, level=0):
                package = module.partition(".")[0]
                if package in COMPILERS:
                    names.update((alias.asname or alias.name, package) for alias in aliases)
    return names


def _owner(function: ast.FunctionDef | ast.AsyncFunctionDef, owners: Mapping[str, str]) -> str | None:
    """The compiler that one of the function's decorators mentions."""
    for decorator in function.decorator_list:
        for name in _names(decorator):
            if name in owners:
                return owners[name]
            if name in COMPILER_NAMES:
                return name
    return None


def _names(expr: ast.expr) -> Iterator[str]:
    for node in walk(expr):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name


def _handed_over(tree: ast.Module, owners: Mapping[str, str]) -> dict[str, str]:
    """Functions passed by name to a call of such a package, `njit(f)` or `jit(parallel=True)(f)` -> the package."""
    passed: dict[str, str] = {}
    for node in walk(tree):
        if isinstance(node, ast.Call):
            names = [name for name in _names(node.func) if name in owners or name in COMPILER_NAMES]
            for argument in node.args if names else ():
                if isinstance(argument, ast.Name):
                    passed[argument.id] = owners.get(names[0], names[0])
    return passed
