"""A reference machine for typed expressions: what compiled code computes, faults included.

Integers are Python ints kept in range, F64 is a Python float, F32 a numpy.float32, complex numbers NumPy's.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping

import numpy as np

from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Cast, Compare, Const, Continue, Dim, Expr, If, Load, Logical, Loop, Nest, Select, Stmt,
    Store, Unary, Var, While,
)  # fmt: skip
from alpyna_hook.ir.types import NP_CLASS_OF_REP, Rep


class Fault(Exception):
    """A check fired: the interpreter takes over."""


def fits(value: int, rep: Rep) -> bool:
    low = -(2 ** (rep.bits - 1)) if rep.is_signed else 0
    return low <= value < low + 2**rep.bits


def wrapped(value: int, rep: Rep) -> int:
    value %= 2**rep.bits
    return value - 2**rep.bits if rep.is_signed and value >= 2 ** (rep.bits - 1) else value


def held(value: object, rep: Rep) -> object:
    """A Python or NumPy scalar as the machine holds it in `rep`; it must fit exactly."""
    if rep is Rep.BOOL:
        return bool(value)
    if rep.is_int:
        return int(value)
    if rep is Rep.F64:
        return float(value)
    if rep is Rep.F32:
        return np.float32(value)
    return np.complex64(value) if rep is Rep.C64 else np.complex128(value)


def evaluate(expr: Expr, env: Mapping[str, object]) -> object:
    rep = expr.type.rep
    match expr:
        case Const(value=value):
            return held(value, rep)
        case Var(name=name):
            return env[name]
        case Dim(array=array, axis=axis):
            return env[array].shape[axis]
        case Load(array=array, index=index):
            return held(env[array][subscripts(env[array], index, env)], rep)
        case Cast(operand=x, checks=checks):
            return cast(evaluate(x, env), x.type.rep, rep, checks)
        case Unary(op=op, operand=x, checks=checks):
            return unary(op, evaluate(x, env), rep, checks)
        case Binary(op=op, left=x, right=y, checks=checks):
            return binary(op, evaluate(x, env), evaluate(y, env), rep, checks)
        case Compare(op=op, left=x, right=y):
            with np.errstate(all="ignore"):
                return bool(_COMPARE[op](evaluate(x, env), evaluate(y, env)))
        case Logical(op="and", left=x, right=y):
            return evaluate(x, env) and evaluate(y, env)
        case Logical(left=x, right=y):
            return evaluate(x, env) or evaluate(y, env)
        case Select(test=test, then=x, other=y):
            return evaluate(x if evaluate(test, env) else y, env)
        case Call(fn=fn, args=args, checks=checks):
            return call(fn, [evaluate(a, env) for a in args], rep, checks)
    raise AssertionError(expr)


_COMPARE = {
    "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def cast(value, source: Rep, target: Rep, checks):
    if source is target:
        return value
    if target is Rep.BOOL:
        return bool(value != 0)
    if target.is_int:
        if source.is_float:
            if not math.isfinite(value) or not fits(int(value), target):
                assert "range" in checks, "undefined conversion"
                raise Fault
            return int(value)
        if not fits(int(value), target):
            if "range" in checks:
                raise Fault
            return wrapped(int(value), target)
        return int(value)
    with np.errstate(all="ignore"):
        result = held(value, target) if target is not Rep.F32 else np.float32(_exactly(value, source))
    if "exact53" in checks:
        limit = 2**24 if target in (Rep.F32, Rep.C64) else 2**53
        if source.is_int and abs(value) > limit or source.is_float and not float(result) == float(value):
            raise Fault
    return result


def _exactly(value, source: Rep):
    """int -> float32 in C rounds once."""
    return np.int64(value) if source.is_signed else np.uint64(value) if source.is_int else value


def unary(op: str, x, rep: Rep, checks):
    if op == "not":
        return not x
    if op == "+":
        return x
    if op == "~":
        return not x if rep is Rep.BOOL else wrapped(~x, rep)
    if rep.is_int:
        return _int_result(-x, rep, checks)
    return -x


def _int_result(value: int, rep: Rep, checks):
    if not fits(value, rep):
        if "overflow" in checks:
            raise Fault
        return wrapped(value, rep)
    return value


def binary(op: str, x, y, rep: Rep, checks):
    if rep is Rep.BOOL:
        return {"&": operator.and_, "|": operator.or_, "^": operator.xor}[op](x, y)
    if rep.is_int:
        return _int_binary(op, x, y, rep, checks)
    if op in ("/", "//", "%") and y == 0 and "zero" in checks:
        raise Fault
    if rep is Rep.C128 and op == "/" and "zero" in checks:
        return np.complex128(complex(x) / complex(y))  # CPython's algorithm, not NumPy's
    if op == "**" and "domain" in checks:
        return _python_pow(x, y)
    wide = {Rep.F64: np.float64, Rep.F32: np.float32, Rep.C64: np.complex64, Rep.C128: np.complex128}[rep]
    with np.errstate(all="ignore"):
        result = held(_OPERATORS[op](wide(x), wide(y)), rep)
    if "exact53" in checks and not abs(result) < (2**24 if rep is Rep.F32 else 2**53):
        raise Fault
    return result


_OPERATORS = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip


def _int_binary(op: str, x: int, y: int, rep: Rep, checks):
    if op in ("//", "%") and y == 0:
        assert "zero" in checks
        raise Fault
    if op == "**" and y < 0 or op in ("<<", ">>") and not 0 <= y < rep.bits:
        assert "negative" in checks
        raise Fault
    assert op != "/"
    if op == "**" and abs(x) > 1 and y > 200:
        assert "overflow" in checks
        raise Fault
    return _int_result(_OPERATORS[op](x, y), rep, checks)


def _python_pow(x: float, y: float) -> float:
    try:
        result = x**y
    except (ZeroDivisionError, OverflowError):
        raise Fault from None
    if isinstance(result, complex):
        raise Fault
    return result


def call(fn: str, args: list, rep: Rep, checks):
    if fn in ("min", "max"):
        x, y = args
        return (y if y < x else x) if fn == "min" else (y if y > x else x)
    if fn == "abs":
        return _int_result(abs(args[0]), rep, checks) if rep.is_int else abs(args[0])
    if fn == "round":
        return _rounded(np.rint(args[0]), rep)
    if fn in ("math.floor", "math.ceil", "math.trunc"):
        return _rounded(getattr(np, fn[5:])(args[0]), rep)
    if fn.startswith("math."):
        try:
            return getattr(math, fn[5:])(*args)
        except (ValueError, OverflowError):
            assert "domain" in checks
            raise Fault from None
    if fn.startswith("np."):
        wide = np.float32 if rep is Rep.F32 else np.float64
        with np.errstate(all="ignore"):
            values = [a if isinstance(a, np.generic) else _numpy(a, rep, wide) for a in args]
            return held(getattr(np, fn[3:])(*values), rep)
    raise AssertionError(fn)


def _numpy(value, rep: Rep, wide):
    if isinstance(value, float):
        return wide(value)
    return getattr(np, NP_CLASS_OF_REP[rep])(value)


def _rounded(value: float, rep: Rep) -> int:
    if not math.isfinite(value) or not fits(int(value), rep):
        raise Fault
    return int(value)


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


def run(nest: Nest, env: dict[str, object]) -> dict[str, object]:
    """Names after the nest: scalars as the machine holds them, arrays in place."""
    for stmt in nest.body:
        _run(stmt, env)
    return env


def _run(stmt: Stmt, env: dict[str, object]) -> None:
    match stmt:
        case Assign(name=name, value=value):
            env[name] = evaluate(value, env)
        case Store(array=array, index=index, value=value):
            at = subscripts(env[array], index, env)
            with np.errstate(all="ignore"):
                env[array][at] = evaluate(value, env)
        case If(test=test, then=then, other=other):
            _block(then if evaluate(test, env) else other, env)
        case Loop(counter=counter, start=start, stop=stop, step=step, body=body):
            for k in range(evaluate(start, env), evaluate(stop, env), evaluate(step, env)):
                env[counter] = k
                if not _trip(body, env):
                    return
        case While(test=test, body=body):
            while evaluate(test, env):
                if not _trip(body, env):
                    return
        case Break():
            raise _Break
        case Continue():
            raise _Continue


def _block(body: tuple[Stmt, ...], env: dict[str, object]) -> None:
    for stmt in body:
        _run(stmt, env)


def _trip(body: tuple[Stmt, ...], env: dict[str, object]) -> bool:
    """One trip; False after a break."""
    try:
        _block(body, env)
    except _Continue:
        pass
    except _Break:
        return False
    return True


def subscripts(array, index: tuple[Expr, ...], env: Mapping[str, object]) -> tuple[int, ...]:
    at = tuple(evaluate(i, env) for i in index)
    if not all(-n <= k < n for k, n in zip(at, array.shape, strict=True)):
        raise Fault
    return at
