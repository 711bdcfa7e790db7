"""Live-in values of one call -> signature: types, entry quantities, aliasing.

In: a nest, the roots of its site and the values that the site was called with.  Out: a `Signature`, or the
`Rejection` that says which value cannot be handed to compiled code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any, TypeAlias

from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.intrinsics import resolve
from alpyna_hook.ir.affine import QDim, QParam, QStride, Quantity
from alpyna_hook.ir.nodes import LiveIn, Nest, Store, walk_stmts
from alpyna_hook.ir.types import NP_CLASS_OF_REP, UNBOUND, ArrayType, ObjectType, Rep, Type, scalar
from alpyna_hook.runtime import guard

Check: TypeAlias = tuple[Any, ...]  # what guard.describe gives and guard.Entry takes


@dataclass(frozen=True)
class Signature:
    """One call's live-ins as the pipeline sees them.

    checks     guard check per live-in, in order
    types      live-in name -> type
    entry      values of scalar live-ins, dimensions and strides (in elements)
    shapes     live-in name -> shape or int value, for the report
    same       array -> the array that it is identical with
    may_alias  pairs that overlap in some other way
    """

    checks: tuple[Check, ...]
    types: dict[str, Type]
    entry: dict[Quantity, Any]
    shapes: dict[str, Any]
    same: dict[str, str]
    may_alias: frozenset[frozenset[str]]

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for calls that can share a specialisation."""
        return (tuple(self.types.items()), tuple(self.same.items()), self.may_alias)


@cache
def reps_by_typenum() -> dict[int, Rep]:
    """NumPy type number -> representation, for the dtypes that kernels know."""
    import numpy as np

    return {np.dtype(name).num: rep for rep, name in NP_CLASS_OF_REP.items()}


def read(nest: Nest, roots: Sequence[str], args: tuple[Any, ...]) -> Signature | Rejection:
    """The signature of a call; `args` are the values of `roots`."""
    stored = {s.array for s in walk_stmts(nest.body) if isinstance(s, Store)}
    positions = {root: k for k, root in enumerate(roots)}
    found = Signature((), {}, {}, {}, {}, frozenset())
    checks: list[Check] = []
    arrays: dict[str, Any] = {}
    for live in nest.live_ins:
        value = guard.follow(args[positions[live.root]], live.path)
        if value is guard.UNSET and live.optional:
            checks.append(("is", value))
            found.types[live.name] = UNBOUND
            continue
        if value is guard.UNSET:
            return _refuse(nest, live, "its attribute is missing or computed (a property, `__getattr__`)")
        check = _object_check(live, value) if live.role == "function" else guard.describe(value)
        if isinstance(check, Rejection):
            return check
        kind = _type_of(live, check)
        if kind is None:
            return _refuse(nest, live, f"it is {_in_words(check)}")
        if isinstance(kind, ArrayType):
            if live.name in stored and not kind.writeable:
                return _refuse(nest, live, "it is read-only, and the loop stores into it")
            if live.name in stored and not guard.distinct(value):
                return _refuse(nest, live, "several subscripts mean one element of it, and the loop stores there")
            check = (*check[:4], live.name in stored)
            kind = ArrayType(kind.elem, kind.ndim, kind.layout, live.name in stored)
            arrays[live.name] = value
        checks.append(check)
        found.types[live.name] = kind
        _note_values(live.name, kind, value, found)
    aliases = _aliases(arrays, stored, found.same)
    return Signature(tuple(checks), found.types, found.entry, found.shapes, found.same, aliases)


def _object_check(live: LiveIn, value: object) -> Check:
    """`value` must be the very function that the front end took it for."""
    return ("is", value) if value is resolve(live.intrinsic) else ("other", f"not {live.intrinsic}")


def _type_of(live: LiveIn, check: Check) -> Type | None:
    match check:
        case ("is", _):
            return ObjectType(live.intrinsic)
        case ("int" | "float" | "bool" | "complex" as name,):
            return None if live.role == "array" else scalar(name)
        case ("np", num):
            rep = reps_by_typenum().get(num)
            return None if rep is None or live.role == "array" else scalar(NP_CLASS_OF_REP[rep])
        case ("array", num, ndim, layout, writeable):
            rep = reps_by_typenum().get(num)
            return None if rep is None or ndim == 0 else ArrayType(rep, ndim, layout, bool(writeable))
    return None


def _in_words(check: Check) -> str:
    match check:
        case ("other", what):
            return f"of type {what}"
        case ("array", _, 0, _, _):
            return "an array without dimensions"
        case ("np", num) if num in reps_by_typenum():
            return f"of type numpy.{NP_CLASS_OF_REP[reps_by_typenum()[num]]}"
    return f"of type {check[0]}"


def _note_values(name: str, kind: Type, value: Any, found: Signature) -> None:
    if isinstance(kind, ArrayType):
        found.shapes[name] = tuple(value.shape)
        for axis in range(kind.ndim):
            found.entry[QDim(name, axis)] = value.shape[axis]
            found.entry[QStride(name, axis)] = value.strides[axis] // value.itemsize
    elif not isinstance(kind, ObjectType) and not kind.rep.is_complex:
        number = float(value) if kind.rep.is_float else int(value)
        found.entry[QParam(name)] = number
        if kind.rep.is_int:
            found.shapes[name] = number


def _aliases(arrays: dict[str, Any], stored: set[str], same: dict[str, str]) -> frozenset[frozenset[str]]:
    """Fills `same` and gives the pairs that may overlap, among arrays of which one is written.

    Where one of several that are the same is written it stands for the others: they may be read-only views of it.
    """
    overlapping = set()
    for a, b in combinations(sorted(arrays, key=lambda name: name not in stored), 2):
        if a in same or b in same or not {a, b} & stored:
            continue
        relation = guard.overlap(arrays[a], arrays[b])
        if relation == "same" and arrays[a].dtype == arrays[b].dtype:
            same[b] = a
        elif relation != "disjoint":
            overlapping.add(frozenset((a, b)))
    return frozenset(overlapping)


def _refuse(nest: Nest, live: LiveIn, why: str) -> Rejection:
    return Rejection(
        "live-in-type",
        f"{live.name} cannot be handed to compiled code: {why}",
        "this loop",
        nest.span,
        "loops over numpy arrays (exact ndarray, native bool/int/float/complex dtype) and plain numbers are compiled",
    )
