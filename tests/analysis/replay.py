"""A reference interpreter for nests that can also run one loop out of order, as a verdict allows.

`replay(nest, values)` runs in program order.  With `shuffled=(counter, verdict, rng)` the iterations of that
loop run in random order; scalars are treated as the verdict says, and a private one that is read before it
is written raises `Poisoned`.  A subscript claimed "direct" or "wrap" out of its range raises `Wrong`.
"""

from __future__ import annotations

import math
import random
from typing import Any

from alpyna_hook.analysis.parallel import Verdict
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Cast, Compare, Const, Continue, Dim, Expr, If, Load, Logical, Loop, Nest, Select,
    Stmt, Store, Unary, Var, While,
)  # fmt: skip

LIMIT = 20_000


class Wrong(Exception):
    """A claim of the analysis does not hold."""


class Poisoned(Wrong):
    """A private scalar was read before it was written."""


class Fault(Exception):
    """CPython would raise here: nothing is claimed."""


class _Leave(Exception):
    pass


class _Next(Exception):
    pass


POISON = object()

_OPERATIONS: dict[str, Any] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a**b, "&": lambda a, b: a & b,
    "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b, ">>": lambda a, b: a >> b,
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip
_CALLS: dict[str, Any] = {"min": min, "max": max, "abs": abs, "int": int, "float": float, "math.sqrt": math.sqrt}


class _Run:
    def __init__(self, nest: Nest, values: dict[str, Any], shuffled: tuple[str, Verdict, random.Random] | None) -> None:
        self.types = dict(nest.types)
        self.env: dict[str, Any] = dict(values)
        self.shuffled = shuffled
        self.steps = 0
        self.assigned: set[str] = set()

    def block(self, body: tuple[Stmt, ...]) -> None:
        for stmt in body:
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        self.steps += 1
        if self.steps > LIMIT:
            raise Fault
        match stmt:
            case Assign(name=name, value=value):
                self.env[name] = self.value(value)
                self.assigned.add(name)
            case Store(array=array, index=index, value=value, modes=modes):
                self.env[array][self.index(array, index, modes)] = self.value(value)
            case If(test=test, then=then, other=other):
                self.block(then if self.value(test) else other)
            case While(test=test, body=body):
                try:
                    while self.value(test):
                        self.once(body)
                except _Leave:
                    pass
            case Loop():
                self.loop(stmt)
            case Break():
                raise _Leave
            case Continue():
                raise _Next

    def once(self, body: tuple[Stmt, ...]) -> None:
        try:
            self.block(body)
        except _Next:
            pass

    def loop(self, stmt: Loop) -> None:
        trips = range(self.value(stmt.start), self.value(stmt.stop), self.value(stmt.step))
        if self.shuffled and self.shuffled[0] == stmt.counter:
            self.any_order(stmt, trips, self.shuffled[1], self.shuffled[2])
            return
        try:
            for i in trips:
                self.env[stmt.counter] = i
                self.once(stmt.body)
        except _Leave:
            pass

    def any_order(self, stmt: Loop, trips: range, verdict: Verdict, rng: random.Random) -> None:
        order = list(range(len(trips)))
        rng.shuffle(order)
        before, outer = dict(self.env), self.assigned
        last: dict[str, tuple[int, Any]] = {}
        for number in order:
            for name in verdict.private:
                self.env[name] = POISON
            self.assigned = set()
            self.env[stmt.counter] = trips[number]
            self.once(stmt.body)
            for name in verdict.lastprivate - self.assigned:
                raise Wrong(f"{name} is not assigned by every iteration")
            for name in self.assigned & verdict.private:
                if name not in last or number > last[name][0]:
                    last[name] = (number, self.env[name])
            outer |= self.assigned
        self.assigned = outer
        for name in verdict.private:
            kept = name in verdict.lastprivate | verdict.conditional or not order
            self.env[name] = POISON
            if kept and name in last:
                self.env[name] = last[name][1]
            elif kept and name in before:
                self.env[name] = before[name]
            elif kept:
                del self.env[name]

    def index(self, array: str, index: tuple[Expr, ...], modes: tuple[str, ...]) -> tuple[int, ...]:
        places = []
        for axis, e in enumerate(index):
            i, size = self.value(e), self.env[array].shape[axis]
            mode = modes[axis] if modes else "checked"
            if not -size <= i < size or (mode == "direct" and i < 0):
                if mode != "checked":
                    raise Wrong(f"{array} axis {axis}: {mode} subscript {i} of {size}")
                raise Fault
            places.append(i % size)
        return tuple(places)

    def value(self, e: Expr) -> Any:
        match e:
            case Const(value=v):
                return v
            case Var(name=name):
                if name not in self.env:
                    raise Fault
                if self.env[name] is POISON:
                    raise Poisoned(name)
                return self.env[name]
            case Dim(array=array, axis=axis):
                return self.env[array].shape[axis]
            case Load(array=array, index=index, modes=modes):
                return self.env[array][self.index(array, index, modes)].item()
            case Unary(op=op, operand=x, checks=checks):
                v = self.value(x)
                result = {"-": lambda: -v, "+": lambda: +v, "~": lambda: ~v, "not": lambda: not v}[op]()
                return self.fitting(e, result, "overflow" in checks)
            case Logical(op=op, left=x, right=y):
                first = bool(self.value(x))
                return first if first == (op == "or") else bool(self.value(y))
            case Select(test=t, then=x, other=y):
                return self.value(x if self.value(t) else y)
            case Binary(op=op, left=x, right=y, checks=checks):
                left, right = self.value(x), self.value(y)
                if e.wraps:
                    low, high = {"below": (-1, 1), "above": (0, 2), "both": (-1, 2)}[e.wraps]
                    assert right > 0 and low * right <= left < high * right, f"{left} % {right} is not {e.wraps}"
                result = self.operate(op, left, right, "zero" in checks)
                return self.fitting(e, result, "overflow" in checks)
            case Compare(op=op, left=x, right=y):
                return _OPERATIONS[op](self.value(x), self.value(y))
            case Call(fn=fn, args=args):
                return _CALLS[fn](*map(self.value, args))
            case Cast(operand=x, type=kind, checks=checks):
                v = self.value(x)
                if kind is not None and kind.rep.is_float:
                    return float(v)
                return self.fitting(e, v, "range" in checks or "overflow" in checks)

    @staticmethod
    def fitting(e: Expr, result: Any, checked: bool) -> Any:
        if type(result) is not int or e.type is None or not e.type.rep.is_int:
            return result
        bits = e.type.rep.bits
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if e.type.rep.is_signed else (0, 2**bits)
        if low <= result < high:
            return result
        if checked:
            raise Fault
        raise Wrong(f"{result} does not fit {e.type} at {e.span}")

    @staticmethod
    def operate(op: str, a: Any, b: Any, checked: bool) -> Any:
        try:
            return _OPERATIONS[op](a, b)
        except ZeroDivisionError:
            if checked:
                raise Fault from None
            raise Wrong(f"division by zero claimed impossible: {a} {op} {b}") from None


def replay(
    nest: Nest, values: dict[str, Any], shuffled: tuple[str, Verdict, random.Random] | None = None
) -> dict[str, Any]:
    """Arrays and live-outs after the nest; `values` (arrays included) is not changed."""
    own = {k: v.copy() if hasattr(v, "shape") else v for k, v in values.items()}
    run = _Run(nest, own, shuffled)
    run.block(nest.body)
    result = {k: v for k, v in run.env.items() if hasattr(v, "shape")}
    for out in nest.live_outs:
        if out.name in run.env:
            if run.env[out.name] is POISON:
                raise Poisoned(out.name)
            result[out.name] = run.env[out.name]
    return result
