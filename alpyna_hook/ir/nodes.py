"""The nest IR: one loop nest as frozen dataclasses, untyped from the front end, typed after inference.

Grammar (`e` expressions, `s` statements, `x` names):

    nest ::= Nest(name, body: s*, live_ins, live_outs)
    s    ::= Assign(x, e) | Store(x, e*, e)
           | Loop(x, start e, stop e, step e, s*) | While(e, s*) | If(e, s*, s*) | Break | Continue
    e    ::= Const(v) | Var(x) | Dim(x, axis) | Load(x, e*)
           | Unary(op, e) | Binary(op, e, e) | Compare(op, e, e) | Logical(op, e, e) | Select(e, e, e)
           | Call(fn, e*) | Cast(e)                                     Cast only after inference

Meaning is Python's.  In particular:
- A `Loop` counts its own `counter` (unique in the nest, never assigned by the body) through
  `range(start, stop, step)`, evaluated once on entry.  If the Python loop variable can be seen outside
  (read after the loop, live out, or assigned by the body) the body begins with `Assign(name, Var(counter))`.
- `a[i] op= e` is `Store(a, i, Binary(op, Load(a, i), e))`; negative subscripts wrap once (see `modes`).
- `Logical` is the short-circuit `and`/`or` on truth values only; a value-yielding `x or y` is a `Select`.
- A chained comparison is a `Logical("and")` of `Compare`s.

Typed IR: every expression has `type`; operands of `Binary`/`Compare`/`Select` share the representation
that the operation is carried out in (inference inserts `Cast`s), and `checks` lists what the compiled
code must watch because CPython would raise or warn there; a check that fires is a *fault*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from alpyna_hook.ir.affine import Predicate
from alpyna_hook.ir.types import ScalarType, Type
from alpyna_hook.source import NO_SPAN, Span

# What compiled code must watch at a node. Faults are sticky: the nest may finish with wrong values,
# is then rolled back and the original loop is run, so a fault may be noted late but never missed.
#   overflow  integer result outside its representation (Python int: outside int64)
#   zero      integer or Python-float divisor is zero
#   domain    result of a math function or power that CPython would refuse (ValueError, OverflowError, complex)
#   range     value does not fit the target of a cast (float -> int, int -> narrower int, NaN)
#   exact53   value that the floating target of a cast does not hold exactly: an integer of magnitude > 2**53
#             (for F32 > 2**24 and not representable), a double that is no float32; on a float sum or
#             difference whose operands may be Python ints: the result is not surely exact (not below 2**53, 2**24)
#   negative  negative shift count or negative integer exponent, or a shift too wide
Check: TypeAlias = Literal["overflow", "zero", "domain", "range", "exact53", "negative"]

# How one subscript is made safe:
#   direct   proved 0 <= i < dim at entry (a precondition): no code
#   wrap     proved -dim <= i < dim at entry: i < 0 ? i + dim : i
#   checked  neither: wrapped and tested in the loop, a miss is a fault and touches element 0
#            (a loop over an array with a dimension of zero elements is declined at entry)
Mode: TypeAlias = Literal["direct", "wrap", "checked"]

BinaryOp: TypeAlias = Literal["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>"]
UnaryOp: TypeAlias = Literal["-", "+", "~", "not"]
CompareOp: TypeAlias = Literal["<", "<=", "==", "!=", ">", ">="]
LogicalOp: TypeAlias = Literal["and", "or"]


@dataclass(frozen=True, slots=True)
class Const:
    value: bool | int | float | complex
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Var:
    """A scalar: a local of the nest, a scalar live-in, or a loop counter."""

    name: str
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Dim:
    """`array.shape[axis]` or, for axis 0, `len(array)`: a Python int. `axis` counts from 0."""

    array: str
    axis: int
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """`array[index]` with as many subscripts as the array has dimensions."""

    array: str
    index: tuple[Expr, ...]
    modes: tuple[Mode, ...] = ()
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Unary:
    op: UnaryOp
    operand: Expr
    checks: frozenset[Check] = frozenset()
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """`wraps`, of an int `left % right` with `right > 0`: `left` is known to be near, so that no division is needed.
    "below": it is in [-right, right), "above": in [0, 2 * right), "both": in [-right, 2 * right); "": not known."""

    op: BinaryOp
    left: Expr
    right: Expr
    checks: frozenset[Check] = frozenset()
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None
    wraps: Literal["", "below", "above", "both"] = ""


@dataclass(frozen=True, slots=True)
class Compare:
    op: CompareOp
    left: Expr
    right: Expr
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Logical:
    op: LogicalOp
    left: Expr
    right: Expr
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """`then if test else other`: only the taken side is evaluated."""

    test: Expr
    then: Expr
    other: Expr
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """An intrinsic by canonical name: "math.exp", "np.exp", "abs", "min", "max", "int", "float", "bool",
    "complex", "round", "pow", "np.float64", ... (see frontend/intrinsics.py); `min`/`max` have two operands here."""

    fn: str
    args: tuple[Expr, ...]
    checks: frozenset[Check] = frozenset()
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


@dataclass(frozen=True, slots=True)
class Cast:
    """Change of representation that Python does implicitly (int operand of a float addition, a store's
    conversion to the dtype). `type` is the target."""

    operand: Expr
    checks: frozenset[Check] = frozenset()
    span: Span = field(default=NO_SPAN, compare=False)
    type: ScalarType | None = None


Expr: TypeAlias = (
    Const | Var | Dim | Load | Unary | Binary | Compare | Logical | Select | Call | Cast
)


@dataclass(frozen=True, slots=True)
class Assign:
    """`name = value`. `in_place`: written as `name op= e`, which changes the object itself where it is no number."""

    name: str
    value: Expr
    span: Span = field(default=NO_SPAN, compare=False)
    in_place: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Store:
    """`array[index] = value`; in typed IR `value` already has the element representation."""

    array: str
    index: tuple[Expr, ...]
    value: Expr
    modes: tuple[Mode, ...] = ()
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Loop:
    """`for counter in range(start, stop, step)`; `var` is the Python name, for people."""

    counter: str
    var: str
    start: Expr
    stop: Expr
    step: Expr
    body: tuple[Stmt, ...]
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class While:
    test: Expr
    body: tuple[Stmt, ...]
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class If:
    test: Expr
    then: tuple[Stmt, ...]
    other: tuple[Stmt, ...]
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Break:
    span: Span = field(default=NO_SPAN, compare=False)


@dataclass(frozen=True, slots=True)
class Continue:
    span: Span = field(default=NO_SPAN, compare=False)


Stmt: TypeAlias = Assign | Store | Loop | While | If | Break | Continue


@dataclass(frozen=True, slots=True)
class LiveIn:
    """A value the nest needs at entry.

    name    what the IR calls it: "a", or "self.n" for an attribute, "np.pi"
    root    the Python expression handed over by the guarded site, e.g. "a", "self", "math.exp"
    path    attributes the guard follows from the root: ("n",) for `self.n`, () else
    role    "array" subscripted or `.shape`d; "scalar" read as a number; "function" must be the object
            that `intrinsic` names (identity)
    optional  the name may have no value at entry; then its type is UNBOUND (ir/types.py), and a nest that
            cannot do without it is rejected
    """

    name: str
    root: str
    path: tuple[str, ...] = ()
    role: Literal["array", "scalar", "function"] = "scalar"
    intrinsic: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class LiveOut:
    """A name the loop leaves behind. `definite`: assigned on every path once the outermost loop has
    made one trip; if not, it may come back unset and the Python name then stays as it was.
    `tag` (typed IR): the int variable that says which of the sorted classes of an ambiguous type the
    value has; empty if the type has one class."""

    name: str
    definite: bool
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Nest:
    """One site. `body` is the outermost Loop or While; inference may put Assigns (initial tags) before
    it and distribution may split it into several. `requires`: what must hold at entry for the nest to mean what
    the loop means (a row that is unpacked has as many items as targets); a call where one fails is declined."""

    name: str
    body: tuple[Stmt, ...]
    live_ins: tuple[LiveIn, ...]
    live_outs: tuple[LiveOut, ...]
    span: Span = field(default=NO_SPAN, compare=False)
    types: tuple[tuple[str, Type], ...] = ()  # typed IR: every live-in and local name, sorted by name
    requires: tuple[Predicate, ...] = ()


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct sub-expressions of `expr`, in evaluation order."""
    match expr:
        case Const() | Var() | Dim():
            return ()
        case Load(index=index):
            return index
        case Unary(operand=x) | Cast(operand=x):
            return (x,)
        case Binary(left=x, right=y) | Compare(left=x, right=y) | Logical(left=x, right=y):
            return (x, y)
        case Select(test=t, then=x, other=y):
            return (t, x, y)
        case Call(args=args):
            return args


def walk(expr: Expr) -> Iterator[Expr]:
    """`expr` and all its sub-expressions, parents first."""
    yield expr
    for child in children(expr):
        yield from walk(child)


def exprs_of(stmt: Stmt) -> tuple[Expr, ...]:
    """The expressions that `stmt` itself holds (not those of nested statements)."""
    match stmt:
        case Assign(value=v):
            return (v,)
        case Store(index=index, value=v):
            return (*index, v)
        case Loop(start=a, stop=b, step=c):
            return (a, b, c)
        case While(test=t) | If(test=t):
            return (t,)
        case Break() | Continue():
            return ()


def blocks_of(stmt: Stmt) -> tuple[tuple[Stmt, ...], ...]:
    """The statement lists nested in `stmt`."""
    match stmt:
        case Loop(body=body) | While(body=body):
            return (body,)
        case If(then=then, other=other):
            return (then, other)
        case _:
            return ()


def walk_stmts(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    """All statements in `body`, nested ones included, in program order."""
    for stmt in body:
        yield stmt
        for block in blocks_of(stmt):
            yield from walk_stmts(block)


def walk_exprs(body: tuple[Stmt, ...]) -> Iterator[Expr]:
    """All expressions in `body`, nested ones included."""
    for stmt in walk_stmts(body):
        for expr in exprs_of(stmt):
            yield from walk(expr)


def map_children(expr: Expr, fn: Callable[[Expr], Expr]) -> Expr:
    """`expr` with `fn` applied to each direct sub-expression; the same object if nothing changed."""
    match expr:
        case Const() | Var() | Dim():
            return expr
        case Load(index=index):
            new = tuple(map(fn, index))
            return expr if _same(new, index) else replace(expr, index=new)
        case Unary(operand=x) | Cast(operand=x):
            y = fn(x)
            return expr if y is x else replace(expr, operand=y)
        case Binary(left=x, right=y) | Compare(left=x, right=y) | Logical(left=x, right=y):
            left, right = fn(x), fn(y)
            return expr if left is x and right is y else replace(expr, left=left, right=right)
        case Select(test=t, then=x, other=y):
            new = (fn(t), fn(x), fn(y))
            if _same(new, (t, x, y)):
                return expr
            return replace(expr, test=new[0], then=new[1], other=new[2])
        case Call(args=args):
            new = tuple(map(fn, args))
            return expr if _same(new, args) else replace(expr, args=new)


def rewrite_expr(expr: Expr, fn: Callable[[Expr], Expr]) -> Expr:
    """Bottom-up rewriting: children first, then `fn` on the rebuilt node."""
    return fn(map_children(expr, lambda e: rewrite_expr(e, fn)))


def map_stmt_exprs(stmt: Stmt, fn: Callable[[Expr], Expr]) -> Stmt:
    """`stmt` with `fn` applied to the expressions it holds, nested statements included."""
    match stmt:
        case Assign(value=v):
            return replace(stmt, value=fn(v))
        case Store(index=index, value=v):
            return replace(stmt, index=tuple(map(fn, index)), value=fn(v))
        case Loop(start=a, stop=b, step=c, body=body):
            return replace(stmt, start=fn(a), stop=fn(b), step=fn(c), body=map_body(body, fn))
        case While(test=t, body=body):
            return replace(stmt, test=fn(t), body=map_body(body, fn))
        case If(test=t, then=then, other=other):
            return replace(stmt, test=fn(t), then=map_body(then, fn), other=map_body(other, fn))
        case Break() | Continue():
            return stmt


def map_body(body: tuple[Stmt, ...], fn: Callable[[Expr], Expr]) -> tuple[Stmt, ...]:
    """`map_stmt_exprs` over a statement list."""
    return tuple(map_stmt_exprs(s, fn) for s in body)


def _same(new: tuple[Expr, ...], old: tuple[Expr, ...]) -> bool:
    return all(a is b for a, b in zip(new, old))
