"""Ways out of a nest that end in a statement of the program: `return`, `raise`, the `else` of the outermost loop.

    for i in range(n):              for i in range(n):
        if a[i] > x:                    if a[i] > x:
            return i, a[i]                  %exit = 1
                                            break

The nest notes in the live-out EXIT which statement it came to, and ends; the guarded code (rewrite.py) then runs the
very statement, with the names that it reads.  So what is returned or raised may be anything.  EXIT is left unset
where the outermost loop has run out, and then comes its `else` branch, which the guarded code runs, too.

In: the syntax tree of an outermost loop.  Out: which parts of it are lowered, and which are run by the guarded code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from alpyna_hook.frontend.syntax import children, walk

Exit: TypeAlias = ast.Return | ast.Raise
EXIT = "%exit"  # the live-out; its value is BROKEN, or the place in `exits_of`, from 1
BROKEN = 0  # left by `break`, where that differs from running out

# What must not stand in a module's code twice: code objects (functions are told apart by name and line, restore.py),
# and what makes a function a generator or binds names.
_ONCE = (
    ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.FunctionDef, ast.AsyncFunctionDef,
    ast.ClassDef, ast.Yield, ast.YieldFrom, ast.Await, ast.NamedExpr,
)  # fmt: skip
_LOOPS = (ast.For, ast.While, ast.AsyncFor)


def lowered(loop: ast.For | ast.While) -> Iterator[ast.AST]:
    """`loop` and the nodes below it, parents first, in source order, less what the guarded code runs."""
    todo: list[ast.AST] = [loop]
    while todo:
        at = todo.pop()
        yield at
        if at is loop:
            todo += [node for node in reversed(children(at)) if not any(node is other for other in loop.orelse)]
        elif not isinstance(at, (ast.Name, ast.Constant, ast.Return, ast.Raise)):
            todo += reversed(children(at))


def exits_of(loop: ast.For | ast.While) -> list[Exit]:
    """The statements in `loop` that leave the function."""
    return [node for node in lowered(loop) if isinstance(node, (ast.Return, ast.Raise))]


def repeatable(stmts: Sequence[ast.stmt]) -> bool:
    """Whether the guarded code may hold these statements a second time, outside of their loop."""
    return not any(isinstance(node, _ONCE) for stmt in stmts for node in walk(stmt))


def movable_else(loop: ast.For | ast.While) -> bool:
    """Whether the guarded code may run the `else` branch of `loop`: no jump of a loop around it, and no loop, which is
    better tried by itself."""
    jumps = (ast.Break, ast.Continue, *_LOOPS)
    return repeatable(loop.orelse) and not any(isinstance(n, jumps) for s in loop.orelse for n in walk(s))
