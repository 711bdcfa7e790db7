"""The nest IR as text, for golden tests and for people.

In: a `Nest` at any stage.  Out: stable, Python-like text.  What is not Python:

    nest f:12(n, a[], self.n, range is range) -> i, s?    live-ins (arrays with [], functions with what they must
                                                          be), live-outs (? if they may come back unset)
    requires: p.shape[1] == 2                             what must hold at entry
    types: n: i64{int}, a: f64[2C]                        after inference
    a[i, j!, k?]                                          subscript modes: none = direct or not decided, ! = wrap,
                                                          ? = checked
    (x / y)!zero                                          checks
    f64(x)  f64(x)!exact53                                an implicit cast, and one that is watched
    %1                                                    a temporary
"""

from __future__ import annotations

from alpyna_hook.ir.affine import PAll, PAny, PCompare, PFinite, Predicate, pretty
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Cast, Check, Compare, Const, Continue, Dim, Expr, If, LiveIn, LiveOut, Load, Logical,
    Loop, Mode, Nest, Select, Stmt, Store, Unary, Var, While,
)  # fmt: skip

_INDENT = "    "
_MARKS: dict[Mode, str] = {"direct": "", "wrap": "!", "checked": "?"}
# Precedence as in the language reference, section 6.17; the higher binds tighter.
_BINARY = {
    "|": 6, "^": 7, "&": 8, "<<": 9, ">>": 9, "+": 10, "-": 10, "*": 11, "/": 11, "//": 11, "%": 11, "**": 13,
}  # fmt: skip
_SELECT, _OR, _AND, _NOT, _COMPARE, _SIGN, _ATOM = 1, 2, 3, 4, 5, 12, 20


def pformat(nest: Nest) -> str:
    """`nest` as text, ending in a newline."""
    ins = ", ".join(map(_live_in, nest.live_ins))
    outs = ", ".join(map(_live_out, nest.live_outs))
    lines = [f"nest {nest.name}({ins})" + (f" -> {outs}" if outs else "")]
    if nest.types:
        lines.append("types: " + ", ".join(f"{name}: {type_}" for name, type_ in nest.types))
    if nest.requires:
        lines.append("requires: " + ", ".join(map(_predicate, nest.requires)))
    for stmt in nest.body:
        lines += _stmt(stmt, _INDENT)
    return "\n".join(lines) + "\n"


def pformat_expr(expr: Expr) -> str:
    """One expression as text."""
    return _expr(expr)[0]


def _predicate(predicate: Predicate) -> str:
    match predicate:
        case PCompare(op=op, left=left, right=right):
            return f"{pretty(left)} {op} {pretty(right)}"
        case PAll(parts=parts):
            return f"({' and '.join(map(_predicate, parts))})"
        case PAny(parts=parts):
            return f"({' or '.join(map(_predicate, parts))})"
        case PFinite(name=name, nonzero=nonzero):
            return f"{name} is finite{' and not zero' if nonzero else ''}"


def _live_in(live: LiveIn) -> str:
    match live.role:
        case "array":
            return f"{live.name}[]"
        case "function":
            return f"{live.name} is {live.intrinsic}"
        case "scalar":
            return f"{live.name}?" if live.optional else live.name


def _live_out(live: LiveOut) -> str:
    text = live.name if live.definite else f"{live.name}?"
    return f"{text}<{live.tag}>" if live.tag else text


def _stmt(stmt: Stmt, indent: str) -> list[str]:
    match stmt:
        case Assign(name=name, value=value):
            return [f"{indent}{name} = {pformat_expr(value)}"]
        case Store(array=array, index=index, value=value, modes=modes):
            return [f"{indent}{_element(array, index, modes)} = {pformat_expr(value)}"]
        case Loop(counter=counter, var=var, start=start, stop=stop, step=step, body=body):
            bounds = ", ".join(map(pformat_expr, (start, stop, step)))
            note = "" if var == counter else f"  # {var}"
            return [f"{indent}for {counter} in range({bounds}):{note}", *_block(body, indent)]
        case While(test=test, body=body):
            return [f"{indent}while {pformat_expr(test)}:", *_block(body, indent)]
        case If():
            return _if(stmt, indent, "if")
        case Break():
            return [f"{indent}break"]
        case Continue():
            return [f"{indent}continue"]


def _if(stmt: If, indent: str, word: str) -> list[str]:
    lines = [f"{indent}{word} {pformat_expr(stmt.test)}:", *_block(stmt.then, indent)]
    match stmt.other:
        case ():
            return lines
        case (If() as nested,):
            return lines + _if(nested, indent, "elif")
        case _:
            return [*lines, f"{indent}else:", *_block(stmt.other, indent)]


def _block(body: tuple[Stmt, ...], indent: str) -> list[str]:
    inner = indent + _INDENT
    return [line for stmt in body for line in _stmt(stmt, inner)] or [f"{inner}pass"]


def _expr(expr: Expr) -> tuple[str, int]:
    """Text and precedence of `expr`."""
    match expr:
        case Const(value=value):
            text = repr(value)
            return text, _SIGN if text.startswith("-") else _ATOM
        case Var(name=name):
            return name, _ATOM
        case Dim(array=array, axis=axis):
            return f"{array}.shape[{axis}]", _ATOM
        case Load(array=array, index=index, modes=modes):
            return _element(array, index, modes), _ATOM
        case Unary(op="not", operand=x):
            return f"not {_wrapped(x, _NOT)}", _NOT
        case Unary(op=op, operand=x, checks=checks):
            return _checked(f"{op}{_wrapped(x, _SIGN)}", _SIGN, checks)
        case Binary(op=op, left=x, right=y, checks=checks):
            level = _BINARY[op]
            left, right = (level + 1, _SIGN) if op == "**" else (level, level + 1)
            return _checked(f"{_wrapped(x, left)} {op} {_wrapped(y, right)}", level, checks)
        case Compare(op=op, left=x, right=y):
            return f"{_wrapped(x, _COMPARE + 1)} {op} {_wrapped(y, _COMPARE + 1)}", _COMPARE
        case Logical(op=op, left=x, right=y):
            level = _AND if op == "and" else _OR
            return f"{_wrapped(x, level)} {op} {_wrapped(y, level + 1)}", level
        case Select(test=test, then=then, other=other):
            text = f"{_wrapped(then, _SELECT + 1)} if {_wrapped(test, _SELECT + 1)} else {_wrapped(other, _SELECT)}"
            return text, _SELECT
        case Call(fn=fn, args=args, checks=checks):
            return _checked(f"{fn}({', '.join(map(pformat_expr, args))})", _ATOM, checks)
        case Cast(operand=x, checks=checks, type=type_):
            return _checked(f"{type_.rep.value if type_ else 'cast'}({pformat_expr(x)})", _ATOM, checks)


def _wrapped(expr: Expr, level: int) -> str:
    """`expr`, in parentheses if it binds less tightly than `level`."""
    text, own = _expr(expr)
    return text if own >= level else f"({text})"


def _checked(text: str, level: int, checks: frozenset[Check]) -> tuple[str, int]:
    if not checks:
        return text, level
    return f"{text if level == _ATOM else f'({text})'}!{'!'.join(sorted(checks))}", _ATOM


def _element(array: str, index: tuple[Expr, ...], modes: tuple[Mode, ...]) -> str:
    marks = [_MARKS[m] for m in modes] or [""] * len(index)
    return f"{array}[{', '.join(_wrapped(i, _SELECT) + mark for i, mark in zip(index, marks))}]"
