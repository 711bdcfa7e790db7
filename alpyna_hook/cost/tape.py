"""Predictions recorded once and run again in a microsecond.

In: a computation over floats (`record`), such as the model of a nest's variants as a function of the entry values.
Out: a `Tape`: straight-line code that gives the same results for other inputs, as long as every comparison on which
the recorded run branched turns out as it did then; else None, and the computation is recorded anew.

This is a tracing compiler in miniature: one linear path with guards (Bolz, Cuni, Fijalkowski, Rigo, "Tracing the
meta-level: PyPy's tracing JIT compiler", ICOOOLPS 2009, section 3), recorded by overloaded operations as in algorithmic
differentiation (Griewank, Walther, "Evaluating derivatives", 2008, section 6.1). The computation stays plain Python;
what it branches on are the regimes of the model: whether something fits into a cache, whether a loop is empty.
`larger`, `smaller` and `square_root` do without a branch what max, min and math.sqrt do for floats.

The C extension `_tape` runs tapes; where it was not built, or ALPYNA_PURE=1, its twin does.
"""

from __future__ import annotations

import math
import operator
import os
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "IMPLEMENTATION", "Picker", "Tape", "Tapes", "Traced", "larger", "number", "record", "smaller", "square_root",
]  # fmt: skip

_NAMES = ("+", "-", "*", "/", "min", "max", "ceil", "sqrt", "neg", "abs", "<", "not <", "<=", "not <=", "==", "not ==")
_CODES = {name: code for code, name in enumerate(_NAMES)}
_FIRST_GUARD = _CODES["<"]


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
        x, y = self._node(a), self._node(b)
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

    def tape(self, outputs: Sequence[float]) -> Tape:
        """Inputs, constants, and the operations that outputs or comparisons need."""
        wanted = [self._node(x) for x in outputs]
        needed = set(wanted)
        for node in range(len(self.nodes) - 1, -1, -1):
            name, a, b = self.nodes[node]
            if _CODES.get(name, -1) >= _FIRST_GUARD or (node in needed and name in _CODES):
                needed |= {node, int(a), b}
        inputs = len(self.inputs)
        constants = [n for n in sorted(needed) if self.nodes[n][0] == "constant"]
        steps = [n for n in sorted(needed) if self.nodes[n][0] in _CODES]
        place = {n: k for k, n in enumerate([*range(inputs), *constants, *steps])}
        code = [x for n in steps for x in self._step(n, place)]
        return Tape(
            struct.pack(f"{len(code)}i", *code),
            struct.pack(f"{len(constants)}d", *(self.nodes[n][1] for n in constants)),
            inputs,
            struct.pack(f"{len(wanted)}i", *(place[n] for n in wanted)),
        )

    def _step(self, node: int, place: dict[int, int]) -> tuple[int, int, int]:
        name, a, b = self.nodes[node]
        return _CODES[name], place[int(a)], place[b]


def _value(x: Any) -> float:
    return x.value if isinstance(x, Traced) else float(x)


def record(compute: Callable[[list[Any]], Sequence[float]], inputs: Sequence[float]) -> tuple[list[float], Tape]:
    """The results of `compute` for `inputs`, and the tape of that run."""
    recording = _Recording(inputs)
    outputs = compute(recording.inputs)
    return [_value(x) for x in outputs], recording.tape(outputs)


class Twin:
    """Tape(code, constants, inputs, outputs) in Python. See _tape.c for the formats."""

    def __init__(self, code: bytes, constants: bytes, inputs: int, outputs: bytes) -> None:
        steps = [(_NAMES[op], a, b) for op, a, b in struct.iter_unpack("3i", code)]
        self._steps = [(name.removeprefix("not "), "not" in name, a, b) for name, a, b in steps]
        self._constants = [x for x, in struct.iter_unpack("d", constants)]
        self._inputs = inputs
        self._outputs = [x for x, in struct.iter_unpack("i", outputs)]

    def __call__(self, inputs: Sequence[float]) -> tuple[float, ...] | None:
        given = type(inputs) is tuple and len(inputs) == self._inputs
        if not given or any(type(x) not in (int, float) for x in inputs):
            raise TypeError("a tape takes the tuple of its inputs, int or float")
        values = [*map(float, inputs), *self._constants]
        try:
            for name, negated, a, b in self._steps:
                result = _RUN[name](values[a], values[b])
                if isinstance(result, bool) and result == negated:
                    return None
                values.append(result)
        except (ArithmeticError, ValueError):  # where C has an infinity or a NaN
            return None
        return tuple(values[k] for k in self._outputs)


class Tapes:
    """So many tapes at most. Called with inputs: what the first one returns that can tell; None: none can. The one used
    last comes first, the one used longest ago makes room."""

    def __init__(self, most: int) -> None:
        self._tapes: list[Tape] = []  # never changed in place: other threads may be going through them
        self._most = most

    def __len__(self) -> int:
        return len(self._tapes)

    def __call__(self, inputs: Sequence[float]) -> tuple[float, ...] | None:
        tapes = self._tapes
        for tape in tapes:
            found = tape(inputs)
            if found is not None:
                if tape is not tapes[0]:
                    self._tapes = [tape, *(other for other in tapes if other is not tape)]
                return found
        return None

    def add(self, tape: Tape) -> None:
        """Put a tape in front."""
        self._tapes = [tape, *self._tapes[: self._most - 1]]


TYPE_CHECKING = False
if TYPE_CHECKING:
    Tape = Twin
    Picker: Any = None  # Tapes that also pick by what they say: see pick.py, whose definitions do without
else:
    try:
        if os.environ.get("ALPYNA_PURE") == "1" or not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise ImportError
        from alpyna_hook.cost._tape import Picker, Tape
    except ImportError:
        Tape, Picker = Twin, None

IMPLEMENTATION = "python" if Tape is Twin else "c"
