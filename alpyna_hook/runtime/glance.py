"""A first look at a call: is there so little to do that not even the question pays?

In: the head of a site, and the arguments of a call.  Out: an upper bound of the interpreter's seconds.

Typing, analysing and pricing a nest takes 10 ms, and 100 ms the first time in a process because of what it imports,
NumPy among it. Most loops of most programs never do as much work as that. So the dispatcher glances at a call first:
trip counts from the ints and shapes at hand, times the operations in the bodies. What it cannot bound (`while`, a
range that depends on array elements) it looks at closely at once if it may be long, by the numbers that it is called
with, and else when the time since its first call would have paid for that.
"""

from __future__ import annotations

from alpyna_hook.runtime import guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

    from alpyna_hook.runtime.heads import Head

    Interval: TypeAlias = tuple[int, int]
    Shapes: TypeAlias = Mapping[str, tuple[int, ...]]

# Compiled code takes none of these, but finding that out anew costs more than most loops over them.
_PLAIN = frozenset((int, float, bool, complex))
SIZED = frozenset((list, tuple, str, bytes, bytearray, set, frozenset, dict, range))
NODE_S = 1.2e-7  # seconds per IR node in the interpreter: a subscript costs most (DESIGN: 90-170 ns)
PLAIN_S = 4e-8  # where all values are Python's own numbers (DESIGN: 16-26 ns; up to twice that in Python 3.10)


def interpreter_seconds(head: Head, args: tuple[Any, ...]) -> float | None:
    """At most so many seconds will the interpreter need for this call; None if that cannot be told at a glance.

    With no arguments at all: for every call, if the loops' bounds are constants.
    """
    known: dict[str, Interval] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    assigned, body = head.outline
    plain = bool(args)
    for name, root, path, role, *_ in head.live_ins:
        if root >= len(args):
            continue
        value = guard.follow(args[root], path) if path else args[root]
        kind = type(value)
        plain &= kind in _PLAIN or role == "function"
        if kind is int:
            known[name] = (value, value)
        elif kind in SIZED:
            shapes[name] = (len(value),)
        elif kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            shapes[name] = value.shape
        elif kind.__module__ == "numpy" and kind.__name__.startswith(("int", "uint")):
            known[name] = (int(value), int(value))
    for name in assigned:
        known.pop(name, None)
    seconds = _seconds(body, known, shapes)
    return seconds if seconds is None or not plain else seconds * (PLAIN_S / NODE_S)


def stakes(constants: float, args: tuple[Any, ...]) -> float:
    """About how many trips a loop may make whose seconds are not known: the product of its `constants` and of the
    numbers and sizes that it is called with."""
    found = constants
    for value in args:
        kind = type(value)
        if kind is int or kind is float:
            found *= _magnitude(value)
        elif kind in SIZED:
            found *= max(len(value), 1)
        elif kind.__module__ == "numpy":
            found *= max(getattr(value, "size", 1), 1)
    return found


def constants(head: Head) -> float:
    """The product of a loop's constant bounds, and of the constants that `while` compares with."""
    return _constants(head.outline[1])


def _magnitude(value: float) -> float:
    """Of a number that something is counted up to, or added to 1 in steps of."""
    size = abs(value)
    if size > 1e9 or 0 < size < 1e-9 or size != size:
        return 1e9
    return float(max(size, 1 / size)) if size else 1.0


def _constants(body: tuple[Any, ...]) -> float:
    found = 1.0
    for stmt in body:
        match stmt:
            case "for", _, _, start, stop, _, inner:
                bounds = [_magnitude(bound) for bound in (start, stop) if type(bound) is int]
                found *= max(bounds, default=1.0) * _constants(inner)
            case "if", _, then, other:
                found *= _constants(then) * _constants(other)
            case "while", compared, inner:
                for value in compared:
                    found *= _magnitude(value)
                found *= _constants(inner)
    return found


def sizes(head: Head, args: tuple[Any, ...]) -> tuple[object, ...] | None:
    """All that `interpreter_seconds` looks at in these arguments, to remember its answer by; None: that is too much."""
    if any(live_in[2] for live_in in head.live_ins):
        return None
    found: list[object] = []
    for value in args:
        kind = type(value)
        if kind is int:
            found.append(value)
        elif kind in SIZED:
            found.append((len(value),))
        elif kind.__module__ != "numpy":
            found.append(None)
        elif kind.__name__ == "ndarray":
            found.append(value.shape)
        else:
            return None
    return tuple(found)


def _seconds(body: tuple[Any, ...], known: Mapping[str, Interval], shapes: Shapes) -> float | None:
    """Of one run through `body`, which is laid out as runtime/outline.py says."""
    total = 0.0
    for stmt in body:
        match stmt:
            case int(nodes):
                total += NODE_S * nodes
            case "for", nodes, counter, start, stop, step, inner:
                span = _span(start, stop, step, known, shapes)
                if span is None:
                    return None
                trips, values = span
                once = _seconds(inner, {**known, counter: values}, shapes)
                if once is None:
                    return None
                total += NODE_S * nodes + trips * (NODE_S + once)
            case "if", nodes, then, other:
                first, second = _seconds(then, known, shapes), _seconds(other, known, shapes)
                if first is None or second is None:
                    return None
                total += NODE_S * nodes + max(first, second)
            case _:
                return None
    return total


def _span(
    start: Any, stop: Any, step: Any, known: Mapping[str, Interval], shapes: Shapes
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


def _interval(expr: Any, known: Mapping[str, Interval], shapes: Shapes) -> Interval | None:
    """Bounds of an int expression."""
    match expr:
        case int(value):
            return value, value
        case "var", name:
            return known.get(name)
        case "dim", array, axis:
            shape = shapes.get(array, ())
            return (shape[axis], shape[axis]) if axis < len(shape) else None
        case "neg", operand:
            inner = _interval(operand, known, shapes)
            return None if inner is None else (-inner[1], -inner[0])
        case "min" | "max" as fn, *args:
            bounds = [_interval(arg, known, shapes) for arg in args]
            if any(bound is None for bound in bounds):
                return None
            pick = min if fn == "min" else max
            return pick(b[0] for b in bounds if b), pick(b[1] for b in bounds if b)
        case op, left, right:
            a, b = _interval(left, known, shapes), _interval(right, known, shapes)
            return None if a is None or b is None else _combined(op, a, b)
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
