"""Names: which scope owns them, what they were imported as, and whether others can see them.

In: the AST of a module.  Out: a `Scope` per module, class and function, keyed by its AST node.  The rules
are those of the language reference, section 4.2 (naming and binding); where a construct is rare the answer
errs on the side of "somebody else may see this name".
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from alpyna_hook.frontend.intrinsics import CONSTANTS, lookup
from alpyna_hook.frontend.syntax import children, walk

ScopeNode: TypeAlias = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef

# Reading one of these means that locals may be looked at behind our back.
_INTROSPECTION = frozenset(("locals", "vars", "dir", "eval", "exec", "breakpoint", "_getframe", "currentframe"))


@dataclass(frozen=True, slots=True)
class Scope:
    """One scope and what it says about names.

    qualname    as CPython's `co_qualname`: "<module>", "f", "C.method", "f.<locals>.g"
    bound       names that are local here
    declared    names under `global` or `nonlocal` here
    imports     local name -> dotted path it was imported as, e.g. "np" -> "numpy", "exp" -> "math.exp"
    modules     those of `imports` that `import` bound, so they surely are modules
    stars       modules imported with `*`
    captured    names that nested functions, lambdas, generators and classes mention
    unstable    names that a `del` or an `except ... as` may unbind
    parameters  of a function
    introspects locals() and its like are used here
    """

    kind: Literal["module", "class", "function"]
    qualname: str
    parent: Scope | None
    class_name: str
    bound: frozenset[str]
    declared: frozenset[str]
    imports: Mapping[str, str]
    modules: frozenset[str]
    stars: tuple[str, ...]
    captured: frozenset[str]
    unstable: frozenset[str]
    parameters: frozenset[str]
    introspects: bool

    def always_live(self, name: str) -> bool:
        """True if `name` can be seen by others, so that every assignment to it counts."""
        return (
            self.kind != "function" or self.introspects or name in self.declared or name in self.captured
            or name not in self.bound
        )  # fmt: skip


def resolve(scope: Scope, name: str) -> str | None:
    """The dotted path `name` stands for, judged by imports ("numpy", "math.exp") or as a builtin
    ("builtins.abs"); None if it is an ordinary variable. A run-time guard has the last word."""
    owner = _owner(scope, name)
    if owner is not None and name in owner.bound:
        return owner.imports.get(name)
    for star in reversed(_module_of(scope).stars):
        if lookup(f"{star}.{name}") or f"{star}.{name}" in CONSTANTS:
            return f"{star}.{name}"
    return f"builtins.{name}" if hasattr(builtins, name) else None


def is_module(scope: Scope, name: str) -> bool:
    """True if `name` is bound by an `import` statement, that is, names a module."""
    owner = _owner(scope, name)
    return owner is not None and name in owner.modules


def is_builtin(scope: Scope, name: str) -> bool:
    """True if `name` is not bound in the module and is one of Python's builtins."""
    return (resolve(scope, name) or "").startswith("builtins.")


def mangled(scope: Scope, name: str) -> str:
    """`name` after private name mangling (language reference 6.2.1), as an attribute in this scope."""
    if not scope.class_name.strip("_") or not name.startswith("__") or name.endswith("__"):
        return name
    return f"_{scope.class_name.lstrip('_')}{name}"


def _module_of(scope: Scope) -> Scope:
    while scope.parent is not None:
        scope = scope.parent
    return scope


def _owner(scope: Scope, name: str) -> Scope | None:
    """The scope that binds `name` for a reader in `scope`; None if none in this module does."""
    at: Scope | None = scope
    while at is not None:
        if name in at.bound and (at is scope or at.kind != "class"):
            return at
        if name in at.declared:  # global, or nonlocal: then an outer function has it and the module does not matter
            outer = at.parent
            while outer is not None and (name not in outer.bound or outer.kind == "class"):
                outer = outer.parent
            return outer or _module_of(at)
        at = at.parent
    return None


@dataclass(slots=True)
class _Draft:
    """What one pass over a scope's own statements collects."""

    node: ScopeNode
    stores: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    imports: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    stars: list[str] = field(default_factory=list)
    captured: set[str] = field(default_factory=set)
    unstable: set[str] = field(default_factory=set)
    children: list[_Draft] = field(default_factory=list)


def build_scopes(tree: ast.Module) -> dict[ast.AST, Scope]:
    """A `Scope` for the module and for every class and function in it, keyed by AST node."""
    scopes: dict[ast.AST, Scope] = {}
    _freeze(_draft(tree), None, scopes)
    return scopes


def _draft(node: ScopeNode) -> _Draft:
    """Collect the names of `node`, and those that the scopes in it leave to it."""
    draft = _Draft(node)
    draft.stores |= _parameters(node)
    todo: list[ast.AST] = list(reversed(node.body))
    while todo:
        todo += _collect(todo.pop(), draft)
    for child in draft.children:
        draft.captured |= _free(child)
    return draft


def _free(draft: _Draft) -> set[str]:
    """Names that the scope mentions and (being no function) may not own itself."""
    names = draft.reads | draft.captured
    if not isinstance(draft.node, ast.ClassDef):
        names -= draft.stores - draft.declared
    return names | draft.declared


def _freeze(draft: _Draft, parent: Scope | None, scopes: dict[ast.AST, Scope]) -> None:
    node = draft.node
    kind: Literal["module", "class", "function"] = "function"
    class_name = parent.class_name if parent else ""
    if isinstance(node, ast.Module):
        kind, qualname = "module", "<module>"
    else:
        qualname = _qualname(parent, node.name)
        if isinstance(node, ast.ClassDef):
            kind, class_name = "class", node.name
    scopes[node] = scope = Scope(
        kind=kind,
        qualname=qualname,
        parent=parent,
        class_name=class_name,
        bound=frozenset(draft.stores - draft.declared),
        declared=frozenset(draft.declared),
        imports=draft.imports,
        modules=frozenset(draft.modules),
        stars=tuple(draft.stars),
        captured=frozenset(draft.captured),
        unstable=frozenset(draft.unstable),
        parameters=frozenset(_parameters(node)),
        introspects=not _INTROSPECTION.isdisjoint(draft.reads),
    )
    for child in draft.children:
        _freeze(child, scope, scopes)


def _qualname(parent: Scope | None, name: str) -> str:
    if parent is None or parent.kind == "module" or name in parent.declared:
        return name
    return f"{parent.qualname}.<locals>.{name}" if parent.kind == "function" else f"{parent.qualname}.{name}"


def _parameters(node: ast.AST) -> set[str]:
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        return set()
    args = node.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
    return {a.arg for a in (*every, args.vararg, args.kwarg) if a is not None}


def _collect(node: ast.AST, draft: _Draft) -> Iterable[ast.AST]:
    """Note what `node` says about names; the nodes below it that belong to the same scope."""
    match node:
        case ast.Name(id=name, ctx=ctx):
            (draft.reads if isinstance(ctx, ast.Load) else draft.stores).add(name)
            if isinstance(ctx, ast.Del):
                draft.unstable.add(name)
            return ()
        case ast.Constant():
            return ()
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            draft.stores.add(node.name)
            draft.children.append(_draft(node))
            return _outside(node)
        case ast.Lambda():
            draft.captured |= mentioned(node.body) - _parameters(node)
            return (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None))
        case ast.GeneratorExp(generators=[first, *_]):
            draft.captured |= mentioned(node)
            draft.reads |= mentioned(first.iter)  # evaluated on the spot
            return ()
        case ast.ListComp() | ast.SetComp() | ast.DictComp():
            draft.reads |= mentioned(node)  # runs on the spot; its own variables are read too at worst
            return ()
        case ast.Import(names=aliases):
            for alias in aliases:
                local = alias.asname or alias.name.partition(".")[0]
                draft.stores.add(local)
                draft.modules.add(local)
                draft.imports[local] = alias.name if alias.asname else local
        case ast.ImportFrom(module=module, names=aliases, level=level):
            for alias in aliases:
                if alias.name == "*":
                    draft.stars.append(module or "")
                    continue
                local = alias.asname or alias.name
                draft.stores.add(local)
                draft.imports[local] = f"{'.' * level}{module or ''}.{alias.name}"
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            draft.declared.update(names)
        case ast.ExceptHandler(name=str(name)):
            draft.stores.add(name)
            draft.unstable.add(name)
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            draft.stores.add(name)
        case ast.Attribute(attr=attr):
            draft.reads.add(attr) if attr in _INTROSPECTION else None
    return children(node)


def _outside(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[ast.AST]:
    """The parts of a definition that are evaluated in the scope around it."""
    yield from node.decorator_list
    if isinstance(node, ast.ClassDef):
        yield from node.bases
        yield from node.keywords
    else:
        yield node.args
        if node.returns is not None:
            yield node.returns


def mentioned(node: ast.AST) -> set[str]:
    """Every name that occurs in `node`, whatever it is used for."""
    return {n.id for n in walk(node) if isinstance(n, ast.Name)}
