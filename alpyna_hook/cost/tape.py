"""Predictions recorded once and run again in a microsecond.

In: a computation over floats (`record`), such as the model of a nest's variants as a function of the entry values.
Out: a `Tape`: straight-line code that gives the same results for other inputs, as long as every comparison on which
a recorded run branched turns out as it did in one of them; else None, and the computation is recorded once more.

This is a tracing compiler in miniature: linear paths with guards (Bolz, Cuni, Fijalkowski, Rigo, "Tracing the
meta-level: PyPy's tracing JIT compiler", ICOOOLPS 2009, section 3), with their beginnings in common up to the first
comparison that turns out differently (the "trace trees" of Gal, Franz, UC Irvine ICS-TR-06-16, 2006), recorded by
overloaded operations as in algorithmic differentiation (Griewank, Walther, "Evaluating derivatives", 2008, section
6.1). The computation stays plain Python; what it branches on are the regimes of the model: whether something fits into
a cache, whether a loop is empty. `larger`, `smaller` and `square_root` do without a branch what max, min and math.sqrt
do for floats.

The C extension `_tape` runs tapes; where it was not built, or ALPYNA_PURE=1, its twin does.
"""

from __future__ import annotations

import math
import operator
import os
import struct
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

__all__ = [
    "IMPLEMENTATION", "Picker", "Tape", "Traced", "Tree", "larger", "number", "record", "smaller", "square_root",
]  # fmt: skip

_NAMES = (
    "+", "-", "*", "/", "min", "max", "ceil", "sqrt", "neg", "abs",
    "<", "not <", "<=", "not <=", "==", "not ==", "end",
)  # fmt: skip
_CODES = {name: code for code, name in enumerate(_NAMES)}
_GUARDS = frozenset(_NAMES[_CODES["<"] : _CODES["end"]])
# What leaves a number as it is. (A sum of -0.0 and 0.0 would be 0.0; nothing asks for the sign of a zero.)
_NEUTRAL_RIGHT = {("+", 0.0), ("-", 0.0), ("*", 1.0), ("/", 1.0)}
_NEUTRAL_LEFT = {("+", 0.0), ("*", 1.0)}


class Traced:
    """A number of the computation being recorded, which takes it for a float. It cannot be made one: that would lose
    its origin."""

    __slots__ = ("recording", "node", "value")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, recording: _Recording, node: int, value: float) -> None:
        self.recording, self.node, self.value = recording, node, value

    def __add__(self, other: float) -> Any:
        return self.recording.apply("+", self, other)

    def __radd__(self, other: float) -> Any:
        return self.recording.apply("+", other, self)

    def __sub__(self, other: float) -> Any:
        return self.recording.apply("-", self, other)

    def __rsub__(self, other: float) -> Any:
        return self.recording.apply("-", other, self)

    def __mul__(self, other: float) -> Any:
        return self.recording.apply("*", self, other)

    def __rmul__(self, other: float) -> Any:
        return self.recording.apply("*", other, self)

    def __truediv__(self, other: float) -> Any:
        return self.recording.apply("/", self, other)

    def __rtruediv__(self, other: float) -> Any:
        return self.recording.apply("/", other, self)

    def __neg__(self) -> Any:
        return self.recording.apply("neg", self, self)

    def __abs__(self) -> Any:
        return self.recording.apply("abs", self, self)

    def __ceil__(self) -> Any:
        return self.recording.apply("ceil", self, self)

    def __lt__(self, other: float) -> bool:
        return self.recording.compare("<", self, other)

    def __le__(self, other: float) -> bool:
        return self.recording.compare("<=", self, other)

    def __gt__(self, other: float) -> bool:
        return self.recording.compare("<", other, self)

    def __ge__(self, other: float) -> bool:
        return self.recording.compare("<=", other, self)

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, (int, float, Traced))
        return self.recording.compare("==", self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __bool__(self) -> bool:
        return not self == 0.0


def number(x: float) -> float:
    """`x` as a float, if it is not recorded."""
    return x if isinstance(x, Traced) else float(x)


def larger(first: float, *others: float) -> float:
    """max() of numbers, recorded without a branch."""
    for other in others:
        recording = _recording(first, other)
        first = recording.apply("max", first, other) if recording else other if other > first else first
    return first


def smaller(first: float, *others: float) -> float:
    """min() of numbers, recorded without a branch."""
    for other in others:
        recording = _recording(first, other)
        first = recording.apply("min", first, other) if recording else other if other < first else first
    return first


def square_root(x: float) -> float:
    """math.sqrt of a number that is not negative."""
    recording = _recording(x, x)
    return recording.apply("sqrt", x, x) if recording else math.sqrt(x)


def _recording(a: object, b: object) -> _Recording | None:
    return a.recording if isinstance(a, Traced) else b.recording if isinstance(b, Traced) else None


_RUN: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "min": lambda a, b: b if b < a else a, "max": lambda a, b: b if b > a else a,
    "ceil": lambda a, _: float(math.ceil(a)), "sqrt": lambda a, _: math.sqrt(a),
    "neg": lambda a, _: -a, "abs": lambda a, _: abs(a),
    "<": operator.lt, "<=": operator.le, "==": operator.eq,
}  # fmt: skip


class _Recording:
    """The operations so far. Equal ones are recorded once (value numbering)."""

    def __init__(self, inputs: Sequence[float]) -> None:
        self.inputs = [Traced(self, k, float(x)) for k, x in enumerate(inputs)]
        self.nodes: list[tuple[str, float, int]] = [("input", 0.0, 0)] * len(inputs)
        self._known: dict[tuple[str, float, int], int] = {}

    def apply(self, name: str, a: Any, b: Any) -> Any:
        if not isinstance(b, Traced) and (name, b) in _NEUTRAL_RIGHT:
            return a
        if not isinstance(a, Traced) and (name, a) in _NEUTRAL_LEFT:
            return b
        x, y = self._node(a), self._node(b)
        if name in "+*" and x > y:  # equal the other way around
            x, y = y, x
        value = _RUN[name](_value(a), _value(b))
        return Traced(self, self._add(name, x, y), value)

    def compare(self, name: str, a: Any, b: Any) -> bool:
        x, y = self._node(a), self._node(b)
        holds = bool(_RUN[name](_value(a), _value(b)))
        self._add(name if holds else f"not {name}", x, y)
        return holds

    def _node(self, x: Any) -> int:
        return x.node if isinstance(x, Traced) else self._add("constant", float(x), 0)

    def _add(self, name: str, a: float, b: int) -> int:
        key = (name, a, b)
        node = self._known.get(key)
        if node is None:
            node = self._known[key] = len(self.nodes)
            self.nodes.append(key)
        return node

    def needed(self, outputs: Sequence[float]) -> tuple[list[int], list[int]]:
        """The nodes of outputs; and, in order, all nodes that these or comparisons need."""
        wanted = [self._node(x) for x in outputs]
        found = set(wanted)
        for node in range(len(self.nodes) - 1, -1, -1):
            name, a, b = self.nodes[node]
            if name in _GUARDS or (node in found and name in _CODES):
                found |= {node, int(a), b}
        return wanted, sorted(found)


_Step = tuple[int, int, int, int]  # operation, two places, other: see _tape.c


class Tree:
    """Recorded runs of one computation, in the form of _tape.c. Not to be changed: other threads may be using it.

    inputs     their number
    constants  each with its number
    steps      of all runs
    outputs    places of the results of each run
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = inputs
        self.constants: dict[float, int] = {}
        self.steps: list[_Step] = []
        self.outputs: list[list[int]] = []

    def grown(self, recording: _Recording, outputs: Sequence[float]) -> Tree:
        """With one more run, if it is new."""
        wanted, needed = recording.needed(outputs)
        tree = Tree(self.inputs)
        tree.constants, tree.steps, tree.outputs = dict(self.constants), list(self.steps), list(self.outputs)
        passed, known = tree._branch([name for name in (recording.nodes[n][0] for n in needed) if name in _GUARDS])
        if passed < 0:
            return self
        places: dict[int, int] = {}
        for node in needed:
            name, a, b = recording.nodes[node]
            if name == "input":
                places[node] = node
            elif name == "constant":
                places[node] = -1 - tree.constants.setdefault(a, len(tree.constants))
            elif name in _GUARDS and passed > 0:
                passed -= 1
            else:
                step = _CODES[name], places[int(a)], places[b]
                places[node] = known.get(step, tree.inputs + len(tree.steps))
                if step not in known:
                    tree.steps.append((*step, -1))
        tree.steps.append((_CODES["end"], len(tree.outputs), 0, -1))
        tree.outputs.append([places[node] for node in wanted])
        return tree

    def _branch(self, guards: Sequence[str]) -> tuple[int, dict[tuple[int, int, int], int]]:
        """Follows a run as far as it has been recorded and leaves a branch to what comes next: how many of its guards
        are passed there (-1: all of it has been recorded), and where to find what has been computed on the way."""
        passed, at = 0, 0
        known: dict[tuple[int, int, int], int] = {}
        while at < len(self.steps):
            operation, a, b, other = self.steps[at]
            if _NAMES[operation] == "end":
                return -1, known
            if _NAMES[operation] not in _GUARDS:
                known[operation, a, b] = self.inputs + at
                at += 1
                continue
            passed += 1
            if guards[passed - 1] == _NAMES[operation]:
                at += 1
            elif other >= 0:
                at = other
            else:
                self.steps[at] = operation, a, b, len(self.steps)
                break
        return passed, known

    def tape(self) -> Tape:
        """As code."""
        code, outputs = list(chain.from_iterable(self.steps)), list(chain.from_iterable(self.outputs))
        return Tape(
            struct.pack(f"{len(code)}i", *code),
            struct.pack(f"{len(self.constants)}d", *self.constants),
            self.inputs,
            struct.pack(f"{len(outputs)}i", *outputs),
            len(self.outputs[0]),
        )


def _value(x: Any) -> float:
    return x.value if isinstance(x, Traced) else float(x)


def record(
    compute: Callable[[list[Any]], Sequence[float]], inputs: Sequence[float], tree: Tree | None = None
) -> tuple[list[float], Tree]:
    """The results of `compute` for `inputs`, and the tree of the runs so far with that one."""
    recording = _Recording(inputs)
    outputs = compute(recording.inputs)
    return [_value(x) for x in outputs], (tree or Tree(len(inputs))).grown(recording, outputs)


class Twin:
    """Tape(code, constants, inputs, outputs, width) in Python. See _tape.c for the formats."""

    def __init__(self, code: bytes, constants: bytes, inputs: int, outputs: bytes, width: int) -> None:
        steps = [(_NAMES[op], a, b, other) for op, a, b, other in struct.iter_unpack("4i", code)]
        self._steps = [(name.removeprefix("not "), "not" in name, a, b, other) for name, a, b, other in steps]
        self._constants = [x for x, in struct.iter_unpack("d", constants)][::-1]  # number k is the one -1 - k
        self._inputs, self._width = inputs, width
        self._outputs = [x for x, in struct.iter_unpack("i", outputs)]

    def __call__(self, inputs: Sequence[float]) -> tuple[float, ...] | None:
        given = type(inputs) is tuple and len(inputs) == self._inputs
        if not given or any(type(x) not in (int, float) for x in inputs):
            raise TypeError("a tape takes the tuple of its inputs, int or float")
        values = [*map(float, inputs), *[0.0] * len(self._steps), *self._constants]
        try:
            return self._run(values)
        except (ArithmeticError, ValueError):  # where C has an infinity or a NaN
            return None

    def _run(self, values: list[float]) -> tuple[float, ...] | None:
        place = 0
        while self._steps[place][0] != "end":
            name, negated, a, b, other = self._steps[place]
            result = _RUN[name](values[a], values[b])
            if isinstance(result, bool) and result == negated:
                if other < 0:
                    return None
                place = other
                continue
            values[self._inputs + place] = result
            place += 1
        run = self._steps[place][2]
        return tuple(values[k] for k in self._outputs[run * self._width : (run + 1) * self._width])


TYPE_CHECKING = False
if TYPE_CHECKING:
    Tape = Twin
    Picker: Any = None  # picks by what a tape says: see pick.py, whose definitions do without
else:
    try:
        if os.environ.get("ALPYNA_PURE") == "1" or not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise ImportError
        from alpyna_hook.cost._tape import Picker, Tape
    except ImportError:
        Tape, Picker = Twin, None

IMPLEMENTATION = "python" if Tape is Twin else "c"
