"""Array references of a typed nest: how far each enclosing loop moves them.

In: subscripts, and what int names stand for there.  Out: an `Access`; and of a nest, its arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alpyna_hook.cost.induction import Values
from alpyna_hook.cost.symbolic import ZERO, slope, symbolic
from alpyna_hook.ir.affine import QBinary, QConst, QDim, QParam, QStride, Quantity, leaves, simplify
from alpyna_hook.ir.nodes import Binary, Const, Expr, Nest, Select, Store, Var, walk_stmts
from alpyna_hook.ir.types import ArrayType, Type


@dataclass(frozen=True, slots=True)
class Access:
    """The loads or stores of one subscripted reference.

    strides  (counter, bytes moved per unit of that counter) for the enclosing counters it depends on;
             None if the subscript is data-dependent
    offset   byte offset where all counters are zero; None if data-dependent
    weight   executions per execution of the block (branches)
    bent     counters that move it by its stride but for some jumps: clamped and periodic subscripts
    """

    array: str
    store: bool
    itemsize: int
    strides: tuple[tuple[str, Quantity], ...] | None
    offset: Quantity | None
    weight: float
    bent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ArrayInfo:
    """One array of the nest: `size` in bytes as a Quantity (dimensions x item size), and those dimensions."""

    name: str
    itemsize: int
    size: Quantity
    dims: tuple[QDim, ...]
    written: bool


# Counters of the enclosing loops, executions per execution of the block, and what int names stand for.
Enclosing = tuple[tuple[str, ...], float, Values]


def access_of(
    array: str, info: ArrayType, index: tuple[Expr, ...], store: bool, enclosing: Enclosing, near: Mapping[str, Expr]
) -> Access:
    """One reference. `near`: what int names stand for but for some jumps (`up = (i - 1) % n`)."""
    counters, weight, values = enclosing
    straight = [symbolic(sub, values) for sub in index]
    places = [q if q is not None else _nearly(sub, near, values) for q, sub in zip(straight, index)]
    size = info.elem.itemsize
    if any(p is None for p in places):
        return Access(array, store, size, None, None, weight)
    strides: list[tuple[str, Quantity]] = []
    steps = [axis_stride(array, info, axis) for axis in range(info.ndim)]
    for counter in counters:
        moved: Quantity = ZERO
        for place, step in zip(places, steps):
            assert place is not None
            moved = simplify("+", moved, simplify("*", slope(place, counter), step))
        if moved != ZERO:
            strides.append((counter, moved))
    offset: Quantity = ZERO
    for place, step in zip(places, steps):
        assert place is not None
        offset = simplify("+", offset, simplify("*", place, step))
    bent = {name for q, place in zip(straight, places) if place is not None for name in _bent(place, q is None)}
    return Access(array, store, size, tuple(strides), offset, weight, frozenset(bent & set(counters)))


def _nearly(sub: Expr, near: Mapping[str, Expr], values: Values) -> Quantity | None:
    """A subscript without what makes it periodic: `(j + 1) % n`, or `j + 1 if j + 1 < n else 0`, moves like `j + 1` but
    for one jump."""
    match sub:
        case Binary(op="%", left=left, right=right) if not isinstance(right, Const):
            return symbolic(left, values)
        case Select(then=then, other=other):
            sides = [q for q in (symbolic(then, values), symbolic(other, values)) if q is not None]
            return max(sides, key=lambda q: len(leaves(q)), default=None)
        case Var(name=name) if name in near:
            return _nearly(near[name], {n: e for n, e in near.items() if n != name}, values)
    return None


def _bent(place: Quantity, whole: bool) -> set[str]:
    """Names by which a subscript moves, but for jumps: all if it is so as a `whole`, else those below a minimum, a
    maximum or a floor division."""
    if whole:
        return {leaf.name for leaf in leaves(place) if isinstance(leaf, QParam)}
    if isinstance(place, QBinary):
        deeper = place.op in ("min", "max", "//")
        return _bent(place.left, deeper) | _bent(place.right, deeper)
    return set()


def axis_stride(array: str, info: ArrayType, axis: int) -> Quantity:
    """Bytes between neighbours along `axis`: from the dimensions for C and Fortran order, else the stride leaf."""
    size: Quantity = QConst(info.elem.itemsize)
    if info.layout == "S":
        return simplify("*", QStride(array, axis), size)
    inner = range(axis + 1, info.ndim) if info.layout == "C" else range(axis)
    for k in inner:
        size = simplify("*", QDim(array, k), size)
    return size


def arrays_of(nest: Nest, types: Mapping[str, Type]) -> tuple[ArrayInfo, ...]:
    written = {s.array for s in walk_stmts(nest.body) if isinstance(s, Store)}
    found = []
    for name, info in sorted(types.items()):
        if isinstance(info, ArrayType):
            dims = tuple(QDim(name, axis) for axis in range(info.ndim))
            size: Quantity = QConst(info.elem.itemsize)
            for dim in dims:
                size = simplify("*", dim, size)
            found.append(ArrayInfo(name, info.elem.itemsize, size, dims, name in written))
    return tuple(found)
