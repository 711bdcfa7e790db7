"""Values that a C compiler is not to know, so that it leaves what is computed from them to the processor.

    if x[i] == 2.0:                                    if (x[i] == alp_hidden0)
        y[i] = x[i] * 1.5e308   # overflows      ->        y[i] = x[i] * 1.5e308;

Kernels are compiled on the terms that nobody looks at floating-point flags, without which gcc does not vectorise
conditional code. It then also computes what it knows the operands of, and no flag is raised of which NumPy would have
warned; and a NaN made by a compiler has another sign than one made by a processor. What it knows begins with constants,
is handed on by assignments, stores and tests for equality ("conditional constant propagation", Wegman & Zadeck, TOPLAS
1991), and by conversions of ints, which are known in unrolled loops. So these are hidden where they begin. A constant
operand of + - * / stays, for speed, where the other operand is nothing that a compiler could know.

In:  the typed body of a nest.  Out: the same with calls of "host.hide" around such values.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from alpyna_hook.codegen.powers import exponent_of
from alpyna_hook.ir.nodes import (
    Assign, Binary, Call, Cast, Compare, Const, Expr, If, Loop, Select, Stmt, Store, Unary, While, map_children,
)  # fmt: skip
from alpyna_hook.ir.types import Rep

if TYPE_CHECKING:
    from alpyna_hook.codegen.expr import Scope

HIDE = "host.hide"
_PLAIN = ("+", "-", "*", "/")

# Helpers, as in codegen/helpers.py
TEMPLATES: dict[str, str] = {
    "hide": """\
/* x, whose value the compiler is not to know: codegen/hide.py */
static inline {T} alp_hide_{N}({T} x)
{{
    __asm__("" : "+m"(x));
    return x;
}}""",
}


def hidden(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """`body` with what is to be hidden."""
    return tuple(map(_statement, body))


def rendered(value: Expr, text: str, rep: Rep, scope: Scope) -> str:
    """C text of the hidden `value`, whose own is `text`: a variable if it is a constant, else its sum with a zero that
    changes nothing."""
    if _is_literal(value):
        return _variable(text, rep, scope)
    part = {Rep.C128: Rep.F64, Rep.C64: Rep.F32}.get(rep, rep)
    return f"({text} + {_variable('-0.0', part, scope)})"


def _variable(text: str, rep: Rep, scope: Scope) -> str:
    scope.helpers[f"alp_hide_{rep.value}"] = None
    return scope.hidden.setdefault((text, rep), f"alp_hidden{len(scope.hidden)}")


def _is_literal(expr: Expr) -> bool:
    """A constant, perhaps of another type at first."""
    return isinstance(expr, Const) or (isinstance(expr, (Cast, Unary)) and _is_literal(expr.operand))


def _statement(stmt: Stmt) -> Stmt:
    match stmt:
        case Assign(value=value):
            return replace(stmt, value=_root(value))
        case Store(index=index, value=value):
            return replace(stmt, index=tuple(map(_inside, index)), value=_root(value))
        case Loop(start=a, stop=b, step=c, body=inner):
            return replace(stmt, start=_inside(a), stop=_inside(b), step=_inside(c), body=hidden(inner))
        case While(test=test, body=inner):
            return replace(stmt, test=_inside(test), body=hidden(inner))
        case If(test=test, then=then, other=other):
            return replace(stmt, test=_inside(test), then=hidden(then), other=hidden(other))
    return stmt


def _is_float(expr: Expr) -> bool:
    return expr.type is not None and (expr.type.rep.is_float or expr.type.rep.is_complex)


def _root(expr: Expr) -> Expr:
    """`expr` where its value would be handed on."""
    inside = _inside(expr)
    return _hide(inside) if _is_float(inside) and _known(inside) else inside


def _hide(expr: Expr) -> Expr:
    return Call(HIDE, (expr,), span=expr.span, type=expr.type)


def _inside(expr: Expr) -> Expr:
    """`expr` with what its operands would hand on hidden."""
    if _is_literal(expr):
        return expr
    match expr:
        case Binary() if _is_float(expr):
            return _binary(expr)
        case Call(fn="math.pow", args=(base, exponent)) if exponent_of(exponent) is not None:
            return replace(expr, args=(_root(base), exponent))
        case Compare() | Call():
            return map_children(expr, _root)
        case Select(test=test, then=then, other=other):
            return replace(expr, test=_inside(test), then=_root(then), other=_root(other))
    return map_children(expr, _inside)


def _binary(expr: Binary) -> Expr:
    if expr.op in _PLAIN and expr.type is not None and expr.type.rep.is_float:
        left, right = _inside(expr.left), _inside(expr.right)
        if _known(left) and _known(right):  # hide what costs nothing, if there is a choice
            left, right = (_hide(left), right) if _is_literal(left) else (left, _hide(right))
        return replace(expr, left=left, right=right)
    if expr.op == "**" and exponent_of(expr.right) is not None:
        return replace(expr, left=_root(expr.left))
    return map_children(expr, _root)


def _known(expr: Expr) -> bool:
    """Whether a compiler might know the value of `expr`, a float or complex."""
    match expr:
        case Const():
            return True
        case Cast(operand=operand) | Unary(operand=operand):
            return not _is_float(operand) or _known(operand)
        case Binary(op=op, left=left, right=right):
            return op in _PLAIN and _known(left) and _known(right)
    return False
