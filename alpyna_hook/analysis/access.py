"""What a nest touches: every array access with affine subscripts, its loops and its guards.

In: a nest (typed, or untyped for `explain`).  Out: `NestAccesses`: one `Access` per array read or
write in program order, and one `LoopDomain` per loop.

Integer expressions are reduced to `Affine` forms over loop counters, entry quantities and *symbols*.
A symbol ("$k.3") stands for an int the analysis cannot follow (a loaded value, a merge of two paths,
a value carried by a loop); it has one value per iteration of the loops that enclose its definition.
Scalars are followed forwards through assignments (`jj = j + 1; a[i, jj]`), and `x // c` and `x % c`
by a positive constant become a symbol with its two defining constraints.

The forms are about mathematical integers: arithmetic that overflows its representation is a fault,
and a faulted nest is rolled back, so only runs without overflow matter to dependences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from alpyna_hook.analysis import linearised
from alpyna_hook.analysis.predicates import is_entry, quantity
from alpyna_hook.ir.affine import Affine, QBinary, QConst, QDim, QParam, Quantity, affine, pretty
from alpyna_hook.ir.nodes import (
    Assign,
    Binary,
    Break,
    Call,
    Cast,
    Compare,
    Const,
    Continue,
    Dim,
    Expr,
    If,
    Load,
    Logical,
    Loop,
    Mode,
    Nest,
    Select,
    Stmt,
    Store,
    Unary,
    Var,
    While,
    children,
    exprs_of,
    walk_stmts,
)
from alpyna_hook.ir.types import Rep
from alpyna_hook.source import Span


@dataclass(frozen=True, slots=True)
class Constraint:
    """`form >= 0`, `form == 0` or `form != 0`."""

    form: Affine
    op: Literal[">=", "==", "!="] = ">="


@dataclass(frozen=True, slots=True)
class LoopDomain:
    """The values of one counter: range(start, stop, step), each None where not affine.

    A `While` has a pseudo-counter ("while.N") that counts its iterations from 0 without a bound.
    """

    counter: str
    start: Affine | None
    stop: Affine | None
    step: Affine | None
    span: Span
    is_while: bool = False

    @property
    def constant_step(self) -> int | None:
        """The step if it is a literal number other than 0."""
        if self.step is None or self.step.terms or self.step.const == 0:
            return None
        return self.step.const


@dataclass(frozen=True, slots=True)
class Access:
    """One array element access.

    index     affine form per dimension, None where the subscript is not affine; a flattened subscript
              (`a[i * m + j]`, see linearised.py) takes one place per dimension that it flattens
    sizes     what the flattened dimensions are rows of; accesses of different sizes are not comparable
    modes     how each subscript is made safe (ir.nodes.Mode); "direct" everywhere in an untyped nest
    loops     counters of the enclosing loops, outermost first
    position  (number of the statement in program order, 0 for a read and 1 for the write)
    guards    constraints known to hold where the access is made (enclosing ifs, defining constraints)
    stmt      the statement that makes the access
    """

    array: str
    is_write: bool
    index: tuple[Affine | None, ...]
    modes: tuple[Mode, ...]
    loops: tuple[str, ...]
    position: tuple[int, int]
    guards: tuple[Constraint, ...]
    span: Span
    stmt: Stmt = field(compare=False)
    sizes: tuple[Quantity, ...] = ()

    def __str__(self) -> str:
        return f"{self.array}[{', '.join(pretty_affine(x) for x in self.index)}]"


@dataclass(frozen=True, slots=True)
class NestAccesses:
    """All accesses of a nest in program order, its loops by counter, and where symbols are defined.

    symbols   symbol -> counters of the loops that enclose its definition, outermost first
    """

    accesses: tuple[Access, ...]
    loops: Mapping[str, LoopDomain]
    symbols: Mapping[str, tuple[str, ...]]

    def arrays(self) -> frozenset[str]:
        return frozenset(a.array for a in self.accesses)


def nest_accesses(nest: Nest) -> NestAccesses:
    """The accesses of `nest`, with affine subscripts wherever the forward substitution finds them."""
    walker = _Walker(nest)
    walker.block(nest.body)
    return NestAccesses(tuple(walker.out), walker.loops, walker.symbols)


def assigned_names(body: Iterable[Stmt]) -> frozenset[str]:
    """Scalars assigned anywhere in `body`."""
    return frozenset(s.name for s in walk_stmts(tuple(body)) if isinstance(s, Assign))


def invariant_scalars(nest: Nest) -> frozenset[str]:
    """Scalar live-ins that the nest never assigns: entry quantities if they are ints."""
    assigned = assigned_names(nest.body)
    return frozenset(v.name for v in nest.live_ins if v.role == "scalar" and v.name not in assigned)


def is_int(expr: Expr) -> bool:
    """True if `expr` is surely an int or bool by its type, or by its form if the nest is untyped."""
    if expr.type is not None:
        return expr.type.rep.is_int or expr.type.rep is Rep.BOOL
    match expr:
        case Const(value=v):
            return isinstance(v, int)
        case Dim():
            return True
        case Binary(op="+" | "-" | "*" | "//" | "%", left=x, right=y):
            return is_int(x) and is_int(y)
        case Unary(op="-" | "+", operand=x):
            return is_int(x)
        case _:
            return False


def falls_through(body: tuple[Stmt, ...]) -> bool:
    """False if control never reaches the end of `body`."""
    for stmt in body:
        match stmt:
            case Break() | Continue():
                return False
            case If(then=then, other=other) if not falls_through(then) and not falls_through(other):
                return False
            case _:
                pass
    return True


def pretty_affine(form: Affine | None) -> str:
    """Python-like text of an affine form with the counters' names as written, e.g. "2*i - 1"."""
    if form is None:
        return "..."
    text = ""
    for key, c in sorted(form.terms, key=lambda kc: not isinstance(kc[0], str)):
        name = _pretty_key(key)
        factor = name if abs(c) == 1 else f"{abs(c)}*{name}"
        text += (" - " if c < 0 else " + ") + factor if text else ("-" if c < 0 else "") + factor
    if not text:
        return str(form.const)
    return text + (f" {'-' if form.const < 0 else '+'} {abs(form.const)}" if form.const else "")


def _pretty_key(key: str | Quantity) -> str:
    return key.lstrip("$").split(".")[0] if isinstance(key, str) else pretty(key)


class _Walker:
    """One forward walk; `env` maps each scalar to the affine form of its present value."""

    def __init__(self, nest: Nest) -> None:
        self.typed = bool(nest.types)
        self.out: list[Access] = []
        self.loops: dict[str, LoopDomain] = {}
        self.symbols: dict[str, tuple[str, ...]] = {}
        self.env: dict[str, Affine] = {
            v.name: affine({QParam(v.name): 1}) for v in nest.live_ins if v.role == "scalar"
        }
        self.guards: list[Constraint] = []
        self.stack: list[str] = []
        self.number = 0
        self.quotients: dict[tuple[Affine, int], Affine] = {}

    # -- statements ------------------------------------------------------------------------------

    def block(self, body: tuple[Stmt, ...]) -> None:
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        self.number += 1
        position = self.number
        for expr in exprs_of(stmt):
            if not isinstance(stmt, While):
                self.reads(expr, position, stmt)
        match stmt:
            case Assign(name=name, value=value):
                form = self.affine(value)
                self.env[name] = self.fresh(name) if form is None else form
            case Store(array=array, index=index, modes=modes, span=span):
                self.access(array, True, index, modes, (position, 1), span, stmt)
            case Loop():
                self.loop(stmt)
            case While():
                self.while_loop(stmt, position)
            case If(test=test, then=then, other=other):
                self.branch(test, then, other)
            case Break() | Continue():
                pass

    def loop(self, stmt: Loop) -> None:
        start, stop, step = map(self.affine, (stmt.start, stmt.stop, stmt.step))
        self.loops[stmt.counter] = LoopDomain(stmt.counter, start, stop, step, stmt.span)
        self.stack.append(stmt.counter)
        guards = list(self.guards)
        counter = affine({stmt.counter: 1})
        if step is not None and not step.terms and step.const:
            sign = 1 if step.const > 0 else -1
            first, last = ("max", "min") if sign > 0 else ("min", "max")
            self.guards += [Constraint((counter - x).scale(sign)) for x in self.extremes(stmt.start, first)]
            self.guards += [
                Constraint((x - counter).scale(sign) - affine({}, 1)) for x in self.extremes(stmt.stop, last)
            ]
        self.body(stmt.body, {stmt.counter: counter})
        self.guards = guards

    def extremes(self, bound: Expr, fn: str) -> list[Affine]:
        """The affine operands of a `min` or `max` that bounds a loop (`range(i, min(i + 8, n))`)."""
        match bound:
            case Call(fn=name, args=args) if name == fn:
                forms = [self.affine(a) for a in args]
                nested = [x for a in args for x in self.extremes(a, fn)]
                return [f for f in forms if f is not None] + nested
            case Cast(operand=x) | Unary(op="+", operand=x):
                return self.extremes(x, fn)
            case _:
                return []

    def while_loop(self, stmt: While, position: int) -> None:
        counter = f"while.{position}"
        zero, one = affine({}, 0), affine({}, 1)
        self.loops[counter] = LoopDomain(counter, zero, None, one, stmt.span, is_while=True)
        self.stack.append(counter)
        self.body(stmt.body, {}, stmt, position)

    def body(
        self, body: tuple[Stmt, ...], bind: dict[str, Affine], loop: While | None = None, position: int = 0
    ) -> None:
        """Walk a loop body whose counter is on the stack; then forget what depended on the iteration."""
        names = assigned_names(body)
        guards, quotients = list(self.guards), dict(self.quotients)
        for name in names:
            self.env[name] = self.fresh(name)
        self.env.update(bind)
        if loop is not None:
            self.reads(loop.test, position, loop)
            self.guards += self.conditions(loop.test, True)
        self.block(body)
        self.stack.pop()
        self.guards, self.quotients = guards, quotients
        for name in names:
            self.env[name] = self.fresh(name)

    def branch(self, test: Expr, then: tuple[Stmt, ...], other: tuple[Stmt, ...]) -> None:
        before, guards, quotients = dict(self.env), list(self.guards), dict(self.quotients)
        yes, no = self.conditions(test, True), self.conditions(test, False)
        guards = list(self.guards)  # with the defining constraints of the test's own quotients
        self.guards = guards + yes
        self.block(then)
        after_then = self.env
        self.env, self.guards, self.quotients = dict(before), guards + no, dict(quotients)
        self.block(other)
        self.quotients = quotients
        then_ends, other_ends = not falls_through(then), not falls_through(other)
        if other_ends:
            self.env, self.guards = after_then, guards + yes
        elif then_ends:
            self.guards = guards + no
        else:
            self.guards = guards
            for name in {**after_then, **self.env}:
                if self.env.get(name) != after_then.get(name):
                    self.env[name] = self.fresh(name)

    # -- accesses --------------------------------------------------------------------------------

    def reads(self, expr: Expr, position: int, stmt: Stmt) -> None:
        match expr:
            case Logical(op=op, left=x, right=y):
                self.reads(x, position, stmt)
                guards = list(self.guards)
                self.guards += self.conditions(x, op == "and")
                self.reads(y, position, stmt)
                self.guards, self.quotients = guards, {}
            case Select(test=t, then=x, other=y):
                self.reads(t, position, stmt)
                guards = list(self.guards)
                for side, truth in ((x, True), (y, False)):
                    self.guards = guards + self.conditions(t, truth)
                    self.reads(side, position, stmt)
                self.guards, self.quotients = guards, {}
            case _:
                for child in children(expr):
                    self.reads(child, position, stmt)
                if isinstance(expr, Load):
                    self.access(expr.array, False, expr.index, expr.modes, (position, 0), expr.span, stmt)

    def access(
        self, array: str, write: bool, index: tuple[Expr, ...], modes: tuple[Mode, ...],
        position: tuple[int, int], span: Span, stmt: Stmt,
    ) -> None:  # fmt: skip
        forms: list[Affine | None] = []
        safe: list[Mode] = []
        sizes: list[Quantity] = []
        direct = all(m == "direct" for m in modes)
        for axis, e in enumerate(index):
            form = self.affine(e)
            mode = modes[axis] if modes else "direct"
            flat = self.flattened(e) if form is None and direct else None
            if flat is None:
                forms.append(self.curved(e) if form is None else form)
                safe.append(mode)
            else:
                forms += flat[0]
                sizes += flat[1]
                safe += [mode] * len(flat[0])
        self.out.append(
            Access(array, write, tuple(forms), tuple(safe), tuple(self.stack), position, tuple(self.guards), span,
                   stmt, tuple(sizes))
        )  # fmt: skip

    def flattened(self, expr: Expr) -> tuple[tuple[Affine, ...], tuple[Quantity, ...]] | None:
        """The dimensions of `i * m + j`."""
        poly = self.poly(expr)
        if poly is None or not any(len(key) > 1 for key in poly):
            return None
        bounds: dict[str, tuple[Affine | None, Affine | None]] = {}
        for counter in self.stack:
            loop = self.loops[counter]
            step, least, largest = loop.constant_step, loop.start, loop.stop
            if step is None:
                bounds[counter] = (None, None)
            elif step > 0:
                bounds[counter] = (least, None if largest is None else largest - affine({}, 1))
            else:
                bounds[counter] = (None if largest is None else largest + affine({}, 1), least)
        return linearised.dimensions(poly, bounds, self.stack)

    def curved(self, expr: Expr) -> Affine | None:
        """`i * m + j` with `i * m` as a symbol that has one value per iteration of i."""
        poly = self.poly(expr)
        if poly is None:
            return None
        terms: dict[str | Quantity, int] = {}
        for key, c in poly.items():
            if len(key) == 1:
                terms[key[0]] = c
            elif key:
                symbol = "$" + "*".join(_pretty_key(k) if not isinstance(k, str) else k for k in key)
                depth = max((self.stack.index(k) + 1 for k in key if isinstance(k, str)), default=0)
                self.symbols[symbol] = tuple(self.stack[:depth])
                terms[symbol] = c
        return affine(terms, poly.get((), 0))

    def poly(self, expr: Expr) -> linearised.Poly | None:
        """An int expression of sums and products as a polynomial over counters and entry quantities."""
        form = self.affine(expr)
        if form is not None:
            symbolic = any(isinstance(k, str) and k.startswith("$") for k, _ in form.terms)
            return None if symbolic else linearised.poly_of(form)
        match expr:
            case Cast(operand=x) | Unary(op="+", operand=x) if is_int(x):
                return self.poly(x)
            case Binary(op="+" | "-" | "*" as op, left=left, right=right):
                p, q = self.poly(left), self.poly(right)
                if p is None or q is None:
                    return None
                return linearised.multiply(p, q) if op == "*" else linearised.add(p, q, 1 if op == "+" else -1)
            case _:
                return None

    # -- expressions -----------------------------------------------------------------------------

    def fresh(self, name: str) -> Affine:
        symbol = f"${name}.{len(self.symbols)}"
        self.symbols[symbol] = tuple(self.stack)
        return affine({symbol: 1})

    def affine(self, expr: Expr) -> Affine | None:
        """The affine form of an int expression at this point, or None."""
        if self.typed and not is_int(expr):
            return None
        match expr:
            case Const(value=v):
                return affine({}, int(v)) if isinstance(v, int) else None
            case Var(name=name):
                return self.env.get(name)
            case Dim(array=array, axis=axis):
                return affine({QDim(array, axis): 1})
            case Cast(operand=x) | Unary(op="+", operand=x):
                return self.affine(x) if is_int(x) or not self.typed else None
            case Unary(op="-", operand=x):
                form = self.affine(x)
                return None if form is None else form.scale(-1)
            case Call(fn="int", args=(x,)):
                return self.affine(x) if is_int(x) else None
            case Binary(op=op, left=x, right=y):
                return self.binary(op, self.affine(x), self.affine(y))
            case _:
                return None

    def binary(self, op: str, left: Affine | None, right: Affine | None) -> Affine | None:
        if left is None or right is None:
            return None
        match op:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*" if not left.terms:
                return right.scale(left.const)
            case "*" if not right.terms:
                return left.scale(right.const)
            case "//" if not right.terms and right.const > 0 and not left.terms:
                return affine({}, left.const // right.const)
            case "//" if not right.terms and right.const > 0:
                return self.quotient(left, right.const)
            case "%" if not right.terms and right.const > 0:
                return left - self.quotient(left, right.const).scale(right.const)
            case _:
                return None

    def quotient(self, form: Affine, divisor: int) -> Affine:
        """floor(form / divisor): an entry quantity if form is one, else a symbol q with
        divisor*q <= form <= divisor*q + divisor - 1."""
        if is_entry(form):
            return affine({QBinary("//", quantity(form), QConst(divisor)): 1})
        known = self.quotients.get((form, divisor))
        if known is not None:
            return known
        q = self.fresh("floor")
        rest = form - q.scale(divisor)
        self.guards += [Constraint(rest), Constraint(affine({}, divisor - 1) - rest)]
        self.quotients[form, divisor] = q
        return q

    def conditions(self, test: Expr, truth: bool) -> list[Constraint]:
        """Affine constraints that hold where `test` has come out as `truth`."""
        match test:
            case Unary(op="not", operand=x):
                return self.conditions(x, not truth)
            case Logical(op=op, left=x, right=y) if (op == "and") == truth:
                return self.conditions(x, truth) + self.conditions(y, truth)
            case Select(test=t, then=x, other=Const(value=False)) if truth:
                return self.conditions(t, True) + self.conditions(x, True)
            case Compare(op=op, left=x, right=y) if self.known_int(x) and self.known_int(y):
                left, right = self.affine(x), self.affine(y)
                if left is None or right is None:
                    return []
                return compare_constraints(op if truth else _NEGATED[op], left, right)
            case _:
                return []

    def known_int(self, expr: Expr) -> bool:
        """Untyped nests: a name is an int only if it is followed to counters and dimensions."""
        if self.typed:
            return is_int(expr)
        form = self.affine(expr)
        return form is not None and all(
            isinstance(k, QDim) or (isinstance(k, str) and not k.startswith("$")) for k, _ in form.terms
        )


_NEGATED = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">": "<=", ">=": "<"}


def compare_constraints(op: str, left: Affine, right: Affine) -> list[Constraint]:
    """`left op right` over the integers as constraints."""
    one = affine({}, 1)
    match op:
        case "<":
            return [Constraint(right - left - one)]
        case "<=":
            return [Constraint(right - left)]
        case ">":
            return [Constraint(left - right - one)]
        case ">=":
            return [Constraint(left - right)]
        case "==":
            return [Constraint(left - right, "==")]
        case "!=":
            return [Constraint(left - right, "!=")]
        case _:
            return []
