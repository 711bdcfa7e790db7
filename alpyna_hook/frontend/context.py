"""What lowering one nest carries along, and how it gives up.

In: an outermost loop and the scope it stands in.  Out: a `Context`: the names the nest assigns, the arrays it
subscripts, the live-ins found so far, and where we are (innermost loops, definite assignment).  `fail` ends
the lowering with a `Rejection`; `lower.lower_nest` turns that back into a value.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NoReturn, TypeAlias, TypeGuard

from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.exits import Exit, exits_of, lowered
from alpyna_hook.frontend.flow import Flow
from alpyna_hook.frontend.intrinsics import Intrinsic, lookup
from alpyna_hook.frontend.scope import Scope, is_module, mangled, mentioned, resolve
from alpyna_hook.ir.affine import Predicate
from alpyna_hook.ir.nodes import Expr, LiveIn
from alpyna_hook.source import Span

LoopNode: TypeAlias = ast.For | ast.While
Role: TypeAlias = Literal["array", "scalar", "function"]
MAX_PATH = 2  # attributes followed from a root: self.grid, self.config.dx
MAX_DEPTH = 120  # nested expressions or blocks; later passes recurse over the IR


class Rejected(Exception):
    """Carries a rejection from where it is found to `lower_nest`; it never leaves the front end."""

    def __init__(self, rejection: Rejection) -> None:
        super().__init__(rejection.title)
        self.rejection = rejection


@dataclass(frozen=True, slots=True)
class Place:
    """An array live-in with the subscripts that lead to a row of it; none for the array itself."""

    array: str
    index: tuple[Expr, ...]


@dataclass(slots=True)
class Frame:
    """One open loop: the names surely assigned at each of its `break`s and `continue`s.

    orelse  the loop has an `else` branch, so that it counts how the loop was left
    flag    an inner loop's scalar that says how it was left, if anybody asks (see lower.py); "" if not
    left    an exit of the nest goes through it
    """

    orelse: bool = False
    flag: str = ""
    left: bool = False
    breaks: list[frozenset[str]] = field(default_factory=list)
    continues: list[frozenset[str]] = field(default_factory=list)


@dataclass(slots=True)
class Context:
    """State of one nest's lowering.

    assigned  names that a statement of the nest binds -> where (line, byte column)
    arrays    names ("a", "self.grid") subscripted in the nest -> number of subscripts, None if only their shape is read
    plain     loop variables nobody sees outside their loops: the IR counter stands for them
    sequences names that are subscripted, iterated, unpacked or given to `len`
    rows      names that stand for a row of an array here
    ranges    counter -> start and stop of its loop, where that counts upwards
    requires  what must hold at entry besides types
    exits     statements that leave the function (exits.py)
    noted     the nest assigns EXIT
    handed    names that an exit may read, or that are seen in the traceback of what it raises
    counters  counters named so far
    env       plain or unassigned loop variables in force -> their counter
    definite  names surely assigned here since the nest was entered; None where control does not reach
    """

    scope: Scope
    flow: Flow
    span: Callable[[ast.AST], Span]
    loop: LoopNode
    assigned: dict[str, list[tuple[int, int]]]
    arrays: dict[str, int | None]
    taken: set[str]
    sequences: set[str] = field(default_factory=set)
    plain: frozenset[str] = frozenset()
    rows: dict[str, Place] = field(default_factory=dict)
    ranges: dict[str, tuple[Expr, Expr]] = field(default_factory=dict)
    requires: list[Predicate] = field(default_factory=list)
    exits: list[Exit] = field(default_factory=list)
    noted: bool = False
    handed: set[str] = field(default_factory=set)
    counters: set[str] = field(default_factory=set)
    env: dict[str, str] = field(default_factory=dict)
    definite: frozenset[str] | None = frozenset()
    frames: list[Frame] = field(default_factory=list)
    live_ins: dict[str, LiveIn] = field(default_factory=dict)
    temporaries: int = 0
    depth: int = 0


def make_context(loop: LoopNode, scope: Scope, flow: Flow, span: Callable[[ast.AST], Span]) -> Context:
    """The context in which `loop`, an outermost loop of `scope`, is lowered."""
    stores: dict[str, list[tuple[int, int]]] = {}
    taken: set[str] = set()
    sequences: set[str] = set()
    chains: list[tuple[ast.expr, str, int | None]] = []
    inner: set[ast.AST] = set()
    rows: set[ast.AST] = set()  # subscripts that give a row, not an element
    named: list[tuple[str, ast.expr]] = []
    for node in lowered(loop):  # parents first, so the outermost subscript of a chain is met first
        if isinstance(node, ast.Name):
            taken.add(node.id)
            if isinstance(node.ctx, ast.Store):
                stores.setdefault(node.id, []).append((node.lineno, node.col_offset))
        elif isinstance(node, ast.Subscript):
            if node not in inner:
                chains.append((node, *_chain(node, inner)))
        else:
            rows.update(_sequences(node))
            sequences.update(n.id for n in _sequences(node) if isinstance(n, ast.Name))
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named.append((node.targets[0].id, node.value))
    sequences.update(base for _, base, _ in chains)
    rows.update(value for name, value in named if name in sequences)
    arrays: dict[str, int | None] = {}
    for node, base, rank in chains:
        if base and arrays.get(base) is None:
            arrays[base] = None if node in rows else rank
    context = Context(scope, flow, span, loop, stores, arrays, taken, sequences)
    context.exits = exits_of(loop)
    for node in context.exits:
        context.handed |= mentioned(node) if isinstance(node, ast.Return) else mentioned(node).union(stores)
    context.plain = _plain_variables(context)
    return context


def _sequences(node: ast.AST) -> list[ast.expr]:
    """Operands of `node` that it treats as a sequence: iterated, unpacked, given to `len`."""
    match node:
        case ast.For(iter=sequence):
            return [sequence]
        case ast.Call(func=ast.Name(id="len" | "enumerate" | "zip" | "reversed"), args=args):
            return args
        case ast.Assign(targets=targets, value=value):
            return [v for target in targets for v in _unpacked(target, value)]
    return []


def _unpacked(target: ast.expr, value: ast.expr) -> list[ast.expr]:
    if not isinstance(target, (ast.Tuple, ast.List)):
        return []
    if isinstance(value, (ast.Tuple, ast.List)):
        return [v for t, item in zip(target.elts, value.elts) for v in _unpacked(t, item)]
    return [value]


def _chain(node: ast.expr, inner: set[ast.AST]) -> tuple[str, int | None]:
    """Base name and number of subscripts of `a[i][j]`; of `a.shape[k]`, ("a", None)."""
    rank = 0
    while isinstance(node, ast.Subscript):
        inner.add(node)
        rank += len(node.slice.elts) if isinstance(node.slice, ast.Tuple) else 1
        node = node.value
    if is_shape(node):
        return ".".join(dotted(node.value) or ()), None
    return ".".join(dotted(node) or ()), rank


def is_shape(node: ast.AST) -> TypeGuard[ast.Attribute]:
    """True for `a.shape`; not for `self.shape`, an attribute like others."""
    if not isinstance(node, ast.Attribute) or node.attr != "shape":
        return False
    return not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"))


def _plain_variables(ctx: Context) -> frozenset[str]:
    """Loop variables of `range` loops that are bound by nothing else and read in no place but their loops."""
    loops: dict[str, list[ast.For]] = {}
    for node in lowered(ctx.loop):
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
            loops.setdefault(node.target.id, []).append(node)
    return frozenset(
        name
        for name, own in loops.items()
        if len(own) == len(ctx.assigned[name]) and not any(_is_seen(ctx, loop, name) for loop in own)
    )


def _is_seen(ctx: Context, loop: ast.For, name: str) -> bool:
    """True if the loop's variable `name` is not its own business."""
    return seen_after(ctx, loop, name) or stored_within(ctx, loop, name) or name in mentioned(loop.iter)


def stored_within(ctx: Context, loop: ast.For, name: str) -> bool:
    """True if the body of `loop` binds `name`."""
    start = (loop.body[0].lineno, loop.body[0].col_offset)
    end = (loop.end_lineno or loop.lineno, loop.end_col_offset or 0)
    return any(start <= at < end for at in ctx.assigned.get(name, ()))


def seen_after(ctx: Context, loop: ast.AST, name: str) -> bool:
    """True if the value `name` has when `loop` ends, or an exit of the nest is taken, may be read, by this function or
    by others."""
    return ctx.scope.always_live(name) or name in ctx.flow.live[loop] or name in ctx.handed


def fail(ctx: Context, node: ast.AST, code: str, title: str, label: str, help: str = "") -> NoReturn:
    """Give the nest up: the arguments are `Rejection`'s."""
    raise Rejected(Rejection(code, title, label, ctx.span(node), help))


def dotted(node: ast.AST) -> list[str] | None:
    """["np", "random", "rand"] for `np.random.rand`; None if `node` is not a name with attributes."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    parts.append(node.id)
    return parts[::-1]


def path_of(ctx: Context, node: ast.AST) -> str | None:
    """The dotted path that the module's imports give `node` ("numpy.exp"); None if it is a variable."""
    parts = dotted(node)
    if not parts or parts[0] in ctx.assigned:
        return None
    base = resolve(ctx.scope, parts[0])
    return None if base is None else ".".join((base, *parts[1:]))


def function_of(ctx: Context, node: ast.AST) -> Intrinsic | None:
    """The intrinsic that `node` names, as far as can be told without running."""
    path = path_of(ctx, node)
    return None if path is None else lookup(path)


def guard_function(ctx: Context, node: ast.AST, row: Intrinsic) -> None:
    """Have the guard check that `node` still is the object `row` stands for."""
    text = ".".join(dotted(node) or ())
    if text not in ctx.live_ins:
        ctx.live_ins[text] = LiveIn(text, text, (), "function", row.name)


def live_in(ctx: Context, node: ast.expr, role: Role) -> str:
    """Make the name or attribute `node` a live-in of this role; the name that the IR gives it."""
    parts = dotted(node)
    assert parts is not None
    text = ".".join(parts)
    known = ctx.live_ins.get(text)
    if known is not None:
        if known.role != role:
            fail(ctx, node, "mixed-use", f"`{text}` is used both as an array and as a number.", "here")
        return known.name
    if len(parts) > 1 and is_module(ctx.scope, parts[0]):  # a module's constant: read by CPython on entry
        ctx.live_ins[text] = LiveIn(text, text, (), role)
        return text
    if len(parts) > 1 and parts[0] in ctx.assigned:
        fail(
            ctx, node, "attribute-of-local", f"An attribute of `{parts[0]}`, which the loop assigns, is read.",
            "not the same object in every iteration", "Take the attribute out of the loop, into a local variable.",
        )  # fmt: skip
    if len(parts) > MAX_PATH + 1:
        fail(
            ctx, node, "attribute-depth", f"`{text}` follows more than {MAX_PATH} attributes.", "too deep",
            "Assign it to a local variable before the loop.",
        )  # fmt: skip
    path = tuple(mangled(ctx.scope, p) for p in parts[1:])
    ctx.live_ins[text] = LiveIn(text, parts[0], path, role)
    return text


def fresh(ctx: Context) -> str:
    """A temporary's name, one that Python source cannot spell."""
    ctx.temporaries += 1
    return f"%{ctx.temporaries}"


def fresh_counter(ctx: Context, base: str) -> str:
    """A counter's name: `base` with the first free number behind it."""
    number = 1
    while f"{base}_{number}" in ctx.taken:
        number += 1
    ctx.taken.add(f"{base}_{number}")
    return f"{base}_{number}"
