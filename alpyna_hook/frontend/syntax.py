"""Walking syntax trees. `ast.walk` costs several times as much, and the front end runs at every import."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly below `node`, in source order, less `ctx` and operators."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and value._fields:
            found.append(value)
    return found


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all nodes below it, parents first, in source order."""
    todo = [node]
    while todo:
        at = todo.pop()
        yield at
        if not isinstance(at, (ast.Name, ast.Constant)):
            todo += children(at)[::-1]
