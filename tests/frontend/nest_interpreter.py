"""The meaning of the nest IR, spelt out: an interpreter over Python objects, and a way to run a program through it.

`run_module` executes a module in which every accepted loop has been replaced by its lowered nest.  What it
computes must be what plain Python computes: that is the test of the front end.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

from alpyna_hook.frontend.exits import EXIT, exits_of
from alpyna_hook.frontend.sites import Site, find_sites
from alpyna_hook.ir.affine import PCompare, Predicate, QDim, QParam, Quantity, evaluate, leaves
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Compare, Const, Continue, Dim, Expr, If, Load, Logical, Loop, Nest, Select, Stmt,
    Store, Unary, Var, While,
)  # fmt: skip
from alpyna_hook.runtime.reading import resolve
from alpyna_hook.source import Source

_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": operator.lshift, ">>": operator.rshift, "<": operator.lt, "<=": operator.le, "==": operator.eq,
    "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_UNARY: dict[str, Callable[[Any], Any]] = {
    "-": operator.neg, "+": operator.pos, "~": operator.invert, "not": operator.not_,
}  # fmt: skip


UNSET = object()  # in place of an optional root that has no value


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def run_nest(nest: Nest, roots: dict[str, Any]) -> dict[str, Any]:
    """Values of the live-outs that are set; empty if the outermost loop makes no trip (the runtime declines)."""
    env: dict[str, Any] = {}
    for live in nest.live_ins:
        value = roots[live.root]
        for attribute in live.path:
            value = getattr(value, attribute)
        if live.role == "function":
            assert value is resolve(live.intrinsic), f"{live.root} is not {live.intrinsic}"
        elif value is UNSET:
            assert live.optional
        else:
            env[live.name] = value
    outermost = nest.body[-1]
    if isinstance(outermost, While):
        if not _eval(outermost.test, env):
            return {}
    elif isinstance(outermost, Loop):
        if not len(range(*(_eval(e, env) for e in (outermost.start, outermost.stop, outermost.step)))):
            return {}
    _block(nest.body, env)
    for out in nest.live_outs:
        assert out.name in env or not out.definite, f"{out.name} is unset"
    return {out.name: env[out.name] for out in nest.live_outs if out.name in env}


def _block(body: tuple[Stmt, ...], env: dict[str, Any]) -> None:
    for stmt in body:
        _stmt(stmt, env)


def _stmt(stmt: Stmt, env: dict[str, Any]) -> None:
    match stmt:
        case Assign(name=name, value=value):
            env[name] = _eval(value, env)
        case Store(array=array, index=index, value=value):
            new = _eval(value, env)
            env[array][tuple(_eval(i, env) for i in index)] = new
        case If(test=test, then=then, other=other):
            _block(then if _eval(test, env) else other, env)
        case Loop(counter=counter, start=start, stop=stop, step=step, body=body):
            for k in range(_eval(start, env), _eval(stop, env), _eval(step, env)):
                env[counter] = k
                if not _trip(body, env):
                    break
            env.pop(counter, None)
        case While(test=test, body=body):
            while _eval(test, env):
                if not _trip(body, env):
                    break
        case Break():
            raise _Break
        case Continue():
            raise _Continue


def _trip(body: tuple[Stmt, ...], env: dict[str, Any]) -> bool:
    try:
        _block(body, env)
    except _Break:
        return False
    except _Continue:
        pass
    return True


def _eval(expr: Expr, env: dict[str, Any]) -> Any:
    match expr:
        case Const(value=value):
            return value
        case Var(name=name):
            return env[name]
        case Dim(array=array, axis=axis):
            return env[array].shape[axis]
        case Load(array=array, index=index):
            assert env[array].ndim == len(index)
            return env[array][tuple(_eval(i, env) for i in index)]
        case Unary(op=op, operand=x):
            return _UNARY[op](_eval(x, env))
        case Binary(op=op, left=x, right=y) | Compare(op=op, left=x, right=y):
            return _BINARY[op](_eval(x, env), _eval(y, env))
        case Logical(op=op, left=x, right=y):
            return (_eval(x, env) and _eval(y, env)) if op == "and" else (_eval(x, env) or _eval(y, env))
        case Select(test=test, then=then, other=other):
            return _eval(then, env) if _eval(test, env) else _eval(other, env)
        case Call(fn="real" | "imag" as fn, args=(x,)):
            return getattr(_eval(x, env), fn)
        case Call(fn="conjugate", args=(x,)):
            return _eval(x, env).conjugate()
        case Call(fn=fn, args=args):
            return resolve(fn)(*(_eval(a, env) for a in args))  # type: ignore[operator]
    raise AssertionError(expr)


def _arrays(nest: Nest, roots: dict[str, Any]) -> list[Any]:
    """The arrays among the live-ins."""
    arrays = []
    for live in nest.live_ins:
        value = roots[live.root]
        for attribute in live.path:
            value = getattr(value, attribute)
        if live.role == "array" and hasattr(value, "tobytes"):
            arrays.append(value)
    return arrays


def _holds(condition: Predicate, nest: Nest, roots: dict[str, Any]) -> bool:
    """An entry condition of the only kind that the front end makes: dimensions and scalars compared."""
    assert isinstance(condition, PCompare)
    env: dict[Quantity, int] = {}
    for leaf in leaves(condition.left) | leaves(condition.right):
        assert isinstance(leaf, (QDim, QParam))
        name = leaf.array if isinstance(leaf, QDim) else leaf.name
        (live,) = [v for v in nest.live_ins if v.name == name]
        value = operator.attrgetter(*live.path)(roots[live.root]) if live.path else roots[live.root]
        env[leaf] = value.shape[leaf.axis] if isinstance(leaf, QDim) else value
    return bool(_BINARY[condition.op](evaluate(condition.left, env), evaluate(condition.right, env)))


class _Replace(ast.NodeTransformer):
    """Each accepted loop becomes a call of its nest; where a root is unbound, the loop itself runs."""

    def __init__(self, sites: tuple[Site, ...]) -> None:
        self.sites = {site.node: site for site in sites if site.nest is not None}

    def visit_For(self, node: ast.For) -> Any:
        return self._replace(node)

    def visit_While(self, node: ast.While) -> Any:
        return self._replace(node)

    def _replace(self, node: ast.For | ast.While) -> Any:
        site = self.sites.get(node)
        if site is None or site.nest is None:
            return self.generic_visit(node)
        names = {root: f"@{k}" for k, root in enumerate(sorted(site.optional))}
        optional = [f"try: {name} = {root}\nexcept NameError: {name} = @UNSET" for root, name in names.items()]
        arguments = "".join(f"{names.get(root, root)}, " for root in site.roots)
        left = [o.name for o in site.nest.live_outs if o.name != EXIT]
        outs = [f"    if {name!r} in @out: {name} = @out[{name!r}]" for name in left]
        text = "\n".join((
            f"try: @out = @run({site.index}, ({arguments}))", "except (NameError, AttributeError): @out = None",
            "if @out is None: pass", "else:", "    pass", *outs, "del @out",
        ))  # fmt: skip
        statements = ast.parse(text.replace("@", "_alpyna_test_")).body
        statements[1].body = [node]  # type: ignore[attr-defined]
        statements[1].orelse += self._left(node)  # type: ignore[attr-defined]
        if site.bound:  # then evaluating the roots must not raise
            statements[0] = statements[0].body[0]  # type: ignore[attr-defined]
        statements = [*ast.parse("\n".join(optional).replace("@", "_alpyna_test_")).body, *statements]
        return [ast.copy_location(ast.fix_missing_locations(s), node) for s in statements]

    def _left(self, node: ast.For | ast.While) -> list[ast.stmt]:
        """What the loop was left for."""
        steps = [(f"@out.get({EXIT!r}) == {number}", [stmt]) for number, stmt in enumerate(exits_of(node), 1)]
        steps += [(f"{EXIT!r} not in @out", node.orelse)] if node.orelse else []
        tests = [ast.parse(test.replace("@", "_alpyna_test_"), mode="eval").body for test, _ in steps]
        return [ast.If(test, stmts, []) for test, (_, stmts) in zip(tests, steps)]


def run_plain(text: str) -> dict[str, Any]:
    """The module's namespace after plain Python ran it."""
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, "program.py", "exec"), namespace)
    return _visible(namespace)


def run_lowered(text: str) -> tuple[dict[str, Any], set[int]]:
    """The same after its accepted loops ran as nests; and the indices of the sites that did."""
    source = Source("program.py", "program", text)
    tree = ast.parse(text)
    sites = find_sites(tree, source)
    ran: set[int] = set()

    def run(index: int, values: tuple[Any, ...]) -> dict[str, Any] | None:
        site = sites[index]
        assert site.nest is not None
        roots = dict(zip(site.roots, values))
        if not all(_holds(p, site.nest, roots) for p in site.nest.requires):
            return None
        journal = [(array, array.copy()) for array in _arrays(site.nest, roots)]
        try:
            result = run_nest(site.nest, roots)
        except AssertionError:
            raise
        except Exception:  # a fault: put the arrays back and let the loop itself raise
            for array, saved in journal:
                array[...] = saved
            return None
        ran.add(index)
        return result

    namespace: dict[str, Any] = {"__name__": "program", "_alpyna_test_run": run, "_alpyna_test_UNSET": UNSET}
    new = ast.fix_missing_locations(_Replace(sites).visit(tree))
    exec(compile(new, "program.py", "exec"), namespace)
    return _visible(namespace), ran


def _visible(namespace: dict[str, Any]) -> dict[str, Any]:
    return {k: describe(v) for k, v in namespace.items() if not k.startswith("_")}


def describe(value: Any) -> Any:
    """`value` for comparison: exact type and bits."""
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(describe, value)]
    if hasattr(value, "tobytes") and not isinstance(value, type):
        return type(value).__name__, str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, (bool, int, float, complex, str, type(None))):
        return type(value).__name__, repr(value)
    return type(value).__name__
