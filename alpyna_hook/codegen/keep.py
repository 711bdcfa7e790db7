"""Values that CPython computes and a C compiler may leave out, or compute less often than the program does.

    for i in range(n):                                  t = alp_keep_f64(x[i] / y[i], &kept);
        t = x[i] / y[i]         # may warn      ->      if (m[i])
        if m[i]: s[i] = t                                   s[i] = t;

NumPy warns of an operation whether its value is used or not, and a kernel sees that in the processor's flags; but
compilers take it that nobody looks at flags. They delete what is unused, sink it into the branch that uses it, or out
of the loop if only the last trip's value is read. What may go unused on some path is therefore or-ed into a word that
the kernel has computed before it looks at the flags: unlike an `asm` in the loop, that leaves it vectorisable.

In: the body of a typed nest.  Out: the statements whose value (of an If or While: whose test) is to be kept.  The
analysis is that of very busy variables: those read on every path (Nielson, Nielson & Hankin, Principles of Program
Analysis, section 2.1.3), with uses counted only where what they feed is itself sure to be used.
"""

from __future__ import annotations

from collections.abc import Sequence

from alpyna_hook.ir.flow import assigned, read
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Cast, Compare, Const, Continue, Expr, If, Load, Logical, Loop, Select, Stmt, Store,
    Unary, Var, While, walk, walk_exprs, walk_stmts,
)  # fmt: skip
from alpyna_hook.transform.schedule import may_warn

Names = frozenset[str]
_NONE: Names = frozenset()

# Helpers, as in codegen/helpers.py
TEMPLATES: dict[str, str] = {
    "keep_f64": """\
/* x, which no compiler may leave out or compute later: codegen/keep.py */
static inline double alp_keep_f64(double x, uint64_t *kept)
{
    union { double d; uint64_t u; } bits = {x};
    *kept |= bits.u;
    return x;
}""",
    "keep_f32": """\
static inline float alp_keep_f32(float x, uint64_t *kept)
{
    union { float f; uint32_t u; } bits = {x};
    *kept |= bits.u;
    return x;
}""",
    "keep_c128": """\
static inline double _Complex alp_keep_c128(double _Complex x, uint64_t *kept)
{
    union { double d[2]; uint64_t u[2]; } bits = {{__real__ x, __imag__ x}};
    *kept |= bits.u[0] | bits.u[1];
    return x;
}""",
    "keep_c64": """\
static inline float _Complex alp_keep_c64(float _Complex x, uint64_t *kept)
{
    union { float f[2]; uint32_t u[2]; } bits = {{__real__ x, __imag__ x}};
    *kept |= bits.u[0] | bits.u[1];
    return x;
}""",
    "keep": """\
static inline {T} alp_keep_{N}({T} x, uint64_t *kept)
{{
    *kept |= (uint64_t)x;
    return x;
}}""",
}


def kept_values(body: tuple[Stmt, ...], live_out: Names) -> frozenset[int]:
    """The `id`s of the statements whose value is to be kept. live_out: scalars read after `body`."""
    marks: set[int] = set()
    everything = assigned(body) | read(body) | live_out
    _busy(body, live_out, _NONE, _NONE, everything, marks)
    for loop in (s for s in walk_stmts(body) if isinstance(s, (Loop, While))):
        fixed = _NONE if isinstance(loop, While) else frozenset((loop.counter,))
        _overwritten(loop.body, assigned(loop.body) | fixed, marks)
    return frozenset(marks)


def raises_flags(expr: Expr) -> bool:
    """Whether NumPy may warn of an operation somewhere in `expr`."""
    return any(map(may_warn, walk(expr)))


def _busy(
    body: tuple[Stmt, ...], after: Names, at_break: Names, at_continue: Names, everything: Names, marks: set[int]
) -> Names:
    """Scalars whose value before `body` is sure to be used, given those of which that is so after it and where its
    jumps lead. `marks` only grows: sets shrink from visit to visit, down to the greatest fixpoint."""
    busy = after
    for stmt in reversed(body):
        match stmt:
            case Assign(name=name, value=value):
                used = name in busy
                if not used and raises_flags(value):
                    marks.add(id(stmt))
                    used = True
                busy = (busy - {name}) | (_used_in(value) if used else _NONE)
            case Store(index=index, value=value):
                busy = busy.union(_used_in(value), *map(_used_in, index))
            case If(test=test, then=then, other=other):
                matters = _matters((*then, *other), busy, test, stmt, marks)
                one = _busy(then, busy, at_break, at_continue, everything, marks)
                busy = (one & _busy(other, busy, at_break, at_continue, everything, marks)) | matters
            case While(test=test, body=inner):
                matters, end = _matters(inner, busy, test, stmt, marks), everything
                while (head := matters | (busy & _busy(inner, end, busy, end, everything, marks))) != end:
                    end = head
                busy = end
            case Loop():
                busy = _busy_loop(stmt, busy, everything, marks)
            case Break():
                busy = at_break
            case Continue():
                busy = at_continue
    return busy


def _busy_loop(stmt: Loop, after: Names, everything: Names, marks: set[int]) -> Names:
    """`_busy` of a `for` loop: greatest fixpoint at its head."""
    head = everything
    while True:
        end = after & head
        smaller = _busy(stmt.body, end, after, end, everything, marks) - {stmt.counter}
        if smaller == head:
            break
        head = smaller
    bounds = (stmt.start, stmt.stop, stmt.step)
    values = [e.value for e in bounds if isinstance(e, Const) and isinstance(e.value, int)]
    runs = len(values) == 3 and values[2] != 0 and len(range(*values)) > 0
    return (head if runs else head & after).union(*map(_used_in, bounds))


def _matters(inside: tuple[Stmt, ...], busy: Names, test: Expr, stmt: Stmt, marks: set[int]) -> Names:
    """What `test` is sure to use. If nothing that it decides on need be observed, its value is to be kept."""
    for s in walk_stmts(inside):
        if isinstance(s, (Store, Break, Continue)) or (isinstance(s, Assign) and s.name in busy):
            return _used_in(test)
    if raises_flags(test):
        marks.add(id(stmt))
        return _used_in(test)
    return _NONE


def _used_in(expr: Expr) -> Names:
    """Scalars without whose value that of `expr` cannot be told, whatever the others are."""
    match expr:
        case Var(name=name):
            return frozenset((name,))
        case Load(index=index):
            return _NONE.union(*map(_used_in, index))
        case Unary(operand=operand) | Cast(operand=operand):
            return _used_in(operand)
        case Binary(left=left, right=right) | Compare(left=left, right=right):
            return _used_in(left) | _used_in(right)
        case Select(test=test, then=then, other=other):
            return _used_in(test) | (_used_in(then) & _used_in(other))
        case Logical(left=left):  # codegen/expr.py keeps the left side if it may raise a flag
            return _used_in(left) if raises_flags(left) else _NONE
        case Call(args=args):
            return _NONE.union(*map(_used_in, args))
        case _:
            return _NONE


def _overwritten(body: Sequence[Stmt], changing: Names, marks: set[int]) -> None:
    """Marks Stores to an element that this body, or its next run, stores to again without having read it."""
    for position, stmt in enumerate(body):
        match stmt:
            case Store(value=value) if raises_flags(value):
                again = any(_replaces(s, stmt) for s in walk_stmts(tuple(body[position + 1:])))
                same = not any(isinstance(e, Var) and e.name in changing for i in stmt.index for e in walk(i))
                if again or (same and not _loads(stmt, tuple(body))):
                    marks.add(id(stmt))
            case If(then=then, other=other):
                _overwritten(then, changing, marks)
                _overwritten(other, changing, marks)
            case _:
                pass


def _replaces(stmt: Stmt, store: Store) -> bool:
    same = isinstance(stmt, Store) and (stmt.array, stmt.index) == (store.array, store.index)
    return same and not _loads(store, (stmt,))


def _loads(store: Store, body: tuple[Stmt, ...]) -> bool:
    """Whether `body` loads the element of `store`, by the same subscript."""
    return any(isinstance(e, Load) and (e.array, e.index) == (store.array, store.index) for e in walk_exprs(body))
