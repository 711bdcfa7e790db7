"""Entry quantities: integer expressions and predicates over what is known when a nest is entered.

A `Quantity` is built from int live-ins, array dimensions and strides; it is evaluated with Python's
exact ints when a variant is chosen (`evaluate`), and rendered as overflow-checked C in the kernel's
prologue.  A `Predicate` over quantities is a *precondition*: it holds, or the kernel declines before
it has written anything.  An `Affine` is a linear form over loop counters and entry quantities: what
subscripts and loop bounds are reduced to for dependence analysis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias


# Quantities are the keys of entry values, looked up at calls: as tuples, which Python hashes and compares by itself,
# that takes a tenth of what it takes dataclasses. `kind` tells classes apart.


class QConst(NamedTuple):
    value: int
    kind: str = "const"


class QParam(NamedTuple):
    """The value at entry of the int (or bool) scalar live-in `name`."""

    name: str
    kind: str = "param"


class QDim(NamedTuple):
    """`array.shape[axis]`, in elements."""

    array: str
    axis: int
    kind: str = "dim"


class QStride(NamedTuple):
    """Stride of `array` along `axis`, in elements (may be negative)."""

    array: str
    axis: int
    kind: str = "stride"


QOp: TypeAlias = Literal["+", "-", "*", "//", "min", "max"]


class QBinary(NamedTuple):
    op: QOp
    left: Quantity
    right: Quantity
    kind: str = "binary"


Quantity: TypeAlias = QConst | QParam | QDim | QStride | QBinary
# Values of QParam, QDim and QStride leaves; a float live-in may be given, too (as QParam, for PFinite).
Env: TypeAlias = Mapping[Quantity, int]


@dataclass(frozen=True, slots=True)
class PCompare:
    op: Literal["<", "<=", "==", "!=", ">", ">="]
    left: Quantity
    right: Quantity


@dataclass(frozen=True, slots=True)
class PAll:
    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class PAny:
    parts: tuple[Predicate, ...]


@dataclass(frozen=True, slots=True)
class PFinite:
    """The float live-in `name` is neither infinite nor NaN; with `nonzero`, not zero either."""

    name: str
    nonzero: bool = False


Predicate: TypeAlias = PCompare | PAll | PAny | PFinite

# Never evaluated: kernels rely on it unless it is banned, and the flag of their comparisons tells if it fails.
NO_NAN_COMPARED: Final[Predicate] = PFinite("")


def evaluate(q: Quantity, env: Env) -> int:
    """Value of `q`. KeyError if a leaf is not in `env`; ZeroDivisionError from `//`."""
    match q:
        case QConst(value=v):
            return v
        case QParam() | QDim() | QStride():
            return env[q]
        case QBinary(op=op, left=left, right=right):
            a, b = evaluate(left, env), evaluate(right, env)
            match op:
                case "+":
                    return a + b
                case "-":
                    return a - b
                case "*":
                    return a * b
                case "//":
                    return a // b
                case "min":
                    return min(a, b)
                case "max":
                    return max(a, b)


def simplify(op: QOp, left: Quantity, right: Quantity) -> Quantity:
    """`QBinary(op, left, right)` with constants folded and neutral elements dropped."""
    if isinstance(left, QConst) and isinstance(right, QConst) and not (op == "//" and right.value == 0):
        return QConst(evaluate(QBinary(op, left, right), {}))
    if op in ("+", "-") and right == QConst(0):
        return left
    if op == "+" and left == QConst(0):
        return right
    if op == "*" and QConst(1) in (left, right):
        return right if left == QConst(1) else left
    if op == "*" and QConst(0) in (left, right):
        return QConst(0)
    if op in ("min", "max") and left == right:
        return left
    # (x + c1) + c2 -> x + (c1 + c2)
    if op in ("+", "-") and isinstance(right, QConst) and isinstance(left, QBinary):
        if left.op in ("+", "-") and isinstance(left.right, QConst):
            inner = left.right.value if left.op == "+" else -left.right.value
            total = inner + (right.value if op == "+" else -right.value)
            return simplify("+", left.left, QConst(total)) if total >= 0 else simplify("-", left.left, QConst(-total))
    return QBinary(op, left, right)


def leaves(q: Quantity) -> frozenset[Quantity]:
    """The QParam, QDim and QStride leaves of `q`."""
    match q:
        case QConst():
            return frozenset()
        case QParam() | QDim() | QStride():
            return frozenset((q,))
        case QBinary(left=a, right=b):
            return leaves(a) | leaves(b)


def pretty(q: Quantity) -> str:
    """Python-like text of `q`."""
    match q:
        case QConst(value=v):
            return str(v)
        case QParam(name=n):
            return n
        case QDim(array=a, axis=k):
            return f"{a}.shape[{k}]"
        case QStride(array=a, axis=k):
            return f"{a}.strides[{k}]"
        case QBinary(op="min" | "max" as op, left=x, right=y):
            return f"{op}({pretty(x)}, {pretty(y)})"
        case QBinary(op=op, left=x, right=y):
            return f"({pretty(x)} {op} {pretty(y)})"


@dataclass(frozen=True, slots=True)
class Affine:
    """`const + sum(coefficient * counter) + sum(coefficient * leaf)`.

    terms: sorted pairs (counter name or entry leaf, non-zero int coefficient); const: int.
    """

    terms: tuple[tuple[str | Quantity, int], ...]
    const: int

    def coefficient(self, key: str | Quantity) -> int:
        """Coefficient of a counter or leaf, 0 if absent."""
        for k, c in self.terms:
            if k == key:
                return c
        return 0

    def counters(self) -> tuple[str, ...]:
        """Loop counters that occur, sorted."""
        return tuple(k for k, _ in self.terms if isinstance(k, str))

    def __add__(self, other: Affine) -> Affine:
        return affine({**dict(self.terms)}, self.const)._plus(other, 1)

    def __sub__(self, other: Affine) -> Affine:
        return self._plus(other, -1)

    def scale(self, factor: int) -> Affine:
        return affine({k: c * factor for k, c in self.terms}, self.const * factor)

    def _plus(self, other: Affine, sign: int) -> Affine:
        terms = dict(self.terms)
        for key, c in other.terms:
            terms[key] = terms.get(key, 0) + sign * c
        return affine(terms, self.const + sign * other.const)


def affine(terms: Mapping[str | Quantity, int], const: int = 0) -> Affine:
    """The canonical `Affine` of these terms (zero coefficients dropped, sorted)."""
    kept = [(k, c) for k, c in terms.items() if c]
    if len(kept) < 2:
        return Affine(tuple(kept), const)
    return Affine(tuple(sorted(kept, key=lambda kc: (isinstance(kc[0], str), str(kc[0])))), const)
