"""Makes a program that differs smaller, while it still differs in the same part.

In: text and a judge that takes many candidate texts at once and says for each whether it is still interesting
(one process for all candidates of a round).  Out: the smallest text found.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Sequence

Judge = Callable[[Sequence[str]], Sequence[bool]]


def shrink(text: str, judge: Judge, rounds: int = 40) -> str:
    """Greedy: of all one-step reductions take the smallest that is still interesting, until none is; statements
    first, then expressions."""
    for step in (smaller_statements, smaller_expressions, smaller_statements):
        for _ in range(rounds):
            candidates = sorted(set(step(text)) - {text}, key=len)[:60]
            verdicts = judge(candidates) if candidates else []
            better = [c for c, interesting in zip(candidates, verdicts) if interesting]
            if not better:
                break
            text = better[0]
    return text


def smaller_statements(text: str) -> Iterator[str]:
    """Every text with one statement gone or one block unwrapped."""
    tree = ast.parse(text)
    for path in _statements(tree):
        yield from _without_statement(path, tree)


def smaller_expressions(text: str) -> Iterator[str]:
    """Every text with one expression replaced by a part of itself."""
    tree = ast.parse(text)
    for number, node in enumerate(ast.walk(tree)):
        for index in range(len(_parts(node))):
            new = copy.deepcopy(tree)
            target = list(ast.walk(new))[number]
            yield from _text(_Swap(target, _parts(target)[index]).visit(new))


def _parts(node: ast.AST) -> list[ast.expr]:
    """The expressions that may stand for `node`."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Call() as receiver)):
            return [receiver]
        case ast.Call(args=args):
            return list(args)
        case ast.BinOp() | ast.IfExp() | ast.UnaryOp() | ast.BoolOp() | ast.Compare():
            return [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
    return []


def _statements(tree: ast.Module) -> list[tuple[int, str, int]]:
    """(number of the owner in walk order, field, position) of each statement."""
    found = []
    for number, node in enumerate(ast.walk(tree)):
        for name in ("body", "orelse", "handlers"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                found += [(number, name, i) for i in range(len(block))]
    return found


def _without_statement(path: tuple[int, str, int], tree: ast.Module) -> Iterator[str]:
    number, name, position = path
    for mode in ("drop", "unwrap"):
        new = copy.deepcopy(tree)
        block = getattr(list(ast.walk(new))[number], name)
        inner = getattr(block[position], "body", None)
        if mode == "drop":
            del block[position]
            if not block and name == "body":
                continue
        elif isinstance(inner, list) and isinstance(block[position], (ast.If, ast.For, ast.With, ast.Try)):
            block[position : position + 1] = inner
        else:
            continue
        yield from _text(new)


class _Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.old:
            return self.new
        return super().visit(node)  # type: ignore[no-any-return]


def _text(tree: ast.AST) -> Iterator[str]:
    try:
        text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        compile(text, "candidate", "exec")
        yield text
    except (SyntaxError, ValueError, RecursionError):
        return
