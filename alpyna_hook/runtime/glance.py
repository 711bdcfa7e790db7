"""A first look at a call: is there so little to do that not even the question pays?

In: a nest as the front end made it, and the arguments of a call.  Out: an upper bound of the interpreter's seconds.

Typing, analysing and pricing a nest takes 10 ms, and 100 ms the first time in a process because of what it imports,
NumPy among it. Most loops of most programs never do as much work as that. So the dispatcher glances at a call first:
trip counts from the ints and shapes at hand, times the operations in the bodies. What it cannot bound (`while`, a
range that depends on array elements) it looks at closely at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from alpyna_hook.ir.nodes import (
    Assign, Binary, Call, Const, Dim, Expr, If, Loop, Nest, Stmt, Unary, Var, While, exprs_of, walk,
)  # fmt: skip
from alpyna_hook.runtime import guard

NODE_S = 1.2e-7  # seconds per IR node in the interpreter: a subscript costs most (DESIGN: 90-170 ns)

Interval: TypeAlias = tuple[int, int]


def interpreter_seconds(nest: Nest, roots: tuple[str, ...], args: tuple[Any, ...]) -> float | None:
    """At most so many seconds will the interpreter need for this call; None if that cannot be told at a glance.

    With no arguments at all: for every call, if the loops' bounds are constants.
    """
    known: dict[str, Interval] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    values = dict(zip(roots, args))
    for live_in in nest.live_ins:
        if live_in.root not in values:
            continue
        value = guard.follow(values[live_in.root], live_in.path) if live_in.path else values[live_in.root]
        kind = type(value)
        if kind is int:
            known[live_in.name] = (value, value)
        elif kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            shapes[live_in.name] = value.shape
        elif kind.__module__ == "numpy" and kind.__name__.startswith(("int", "uint")):
            known[live_in.name] = (int(value), int(value))
    for name in _assigned(nest.body):
        known.pop(name, None)
    return _seconds(nest.body, known, shapes)


def sizes(nest: Nest, args: tuple[Any, ...]) -> tuple[object, ...] | None:
    """All that `interpreter_seconds` looks at in these arguments, to remember its answer by; None: that is too much."""
    if any(live_in.path for live_in in nest.live_ins):
        return None
    found: list[object] = []
    for value in args:
        kind = type(value)
        if kind is int:
            found.append(value)
        elif kind.__module__ != "numpy":
            found.append(None)
        elif kind.__name__ == "ndarray":
            found.append(value.shape)
        else:
            return None
    return tuple(found)


def _assigned(body: tuple[Stmt, ...]) -> set[str]:
    names: set[str] = set()
    for stmt in body:
        match stmt:
            case Assign(name=name):
                names.add(name)
            case Loop(body=inner) | While(body=inner):
                names |= _assigned(inner)
            case If(then=then, other=other):
                names |= _assigned(then) | _assigned(other)
    return names


def _seconds(
    body: tuple[Stmt, ...], known: Mapping[str, Interval], shapes: Mapping[str, tuple[int, ...]]
) -> float | None:
    total = 0.0
    for stmt in body:
        own = NODE_S * (1 + sum(1 for expr in exprs_of(stmt) for _ in walk(expr)))
        match stmt:
            case Loop(counter=counter, start=start, stop=stop, step=step, body=inner):
                span = _span(start, stop, step, known, shapes)
                if span is None:
                    return None
                trips, values = span
                once = _seconds(inner, {**known, counter: values}, shapes)
                if once is None:
                    return None
                total += own + trips * (NODE_S + once)
            case If(then=then, other=other):
                first, second = _seconds(then, known, shapes), _seconds(other, known, shapes)
                if first is None or second is None:
                    return None
                total += own + max(first, second)
            case While():
                return None
            case _:
                total += own
    return total


def _span(
    start: Expr, stop: Expr, step: Expr, known: Mapping[str, Interval], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[int, Interval] | None:
    """Most trips of a loop, and the values of its counter."""
    first, last, stride = (_interval(e, known, shapes) for e in (start, stop, step))
    if first is None or last is None or stride is None or stride[0] <= 0 <= stride[1]:
        return None
    if stride[0] > 0:
        reach = max(last[1] - first[0], 0)
        return -(-reach // stride[0]), (first[0], max(last[1] - 1, first[0]))
    reach = max(first[1] - last[0], 0)
    return -(-reach // -stride[1]), (min(last[0] + 1, first[1]), first[1])


def _interval(expr: Expr, known: Mapping[str, Interval], shapes: Mapping[str, tuple[int, ...]]) -> Interval | None:
    """Bounds of an int expression."""
    match expr:
        case Const(value=int(value)):
            return value, value
        case Var(name=name):
            return known.get(name)
        case Dim(array=array, axis=axis):
            shape = shapes.get(array, ())
            return (shape[axis], shape[axis]) if axis < len(shape) else None
        case Unary(op="-", operand=operand):
            inner = _interval(operand, known, shapes)
            return None if inner is None else (-inner[1], -inner[0])
        case Binary(op=op, left=left, right=right):
            a, b = _interval(left, known, shapes), _interval(right, known, shapes)
            return None if a is None or b is None else _combined(op, a, b)
        case Call(fn="min" | "max" as fn, args=args):
            bounds = [_interval(arg, known, shapes) for arg in args]
            if any(bound is None for bound in bounds):
                return None
            pick = min if fn == "min" else max
            return pick(b[0] for b in bounds if b), pick(b[1] for b in bounds if b)
        case _:
            return None


def _combined(op: str, a: Interval, b: Interval) -> Interval | None:
    match op:
        case "+":
            return a[0] + b[0], a[1] + b[1]
        case "-":
            return a[0] - b[1], a[1] - b[0]
        case "*":
            products = [x * y for x in a for y in b]
            return min(products), max(products)
        case "//" if b[0] > 0:
            quotients = [x // y for x in a for y in b]
            return min(quotients), max(quotients)
        case _:
            return None
