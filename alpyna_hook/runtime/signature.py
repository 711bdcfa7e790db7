"""Live-in values of one call -> signature: types, entry quantities, aliasing.

In: the head of a site and the values that the site was called with.  Out: a `Signature`, or the
`Rejection` that says which value cannot be handed to compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any, Final

from alpyna_hook.errors import Rejection
from alpyna_hook.ir.affine import QDim, QParam, QStride, Quantity
from alpyna_hook.ir.nodes import Dim, LiveIn, Load, Nest, Store, Var, exprs_of, walk, walk_stmts
from alpyna_hook.ir.types import NP_CLASS_OF_REP, UNBOUND, ArrayType, ObjectType, Rep, Type, scalar
from alpyna_hook.runtime import guard, reading
from alpyna_hook.runtime.guard_values import scalar_types
from alpyna_hook.source import NO_SPAN, Span

if TYPE_CHECKING:
    from alpyna_hook.runtime.heads import Head
    from alpyna_hook.runtime.reading import Check, Fact, Reading


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


def read(head: Head, args: tuple[Any, ...], abroad: frozenset[str] = frozenset()) -> Signature | Rejection:
    """The signature of a call; `args` are the values of the site's roots, `abroad` the live-ins that are stand-ins for
    CuPy's arrays (runtime/foreign.py)."""
    return of(head, reading.read(head, args), abroad)


def _apart(head: Head, found: Signature, abroad: frozenset[str]) -> Signature | Rejection:
    """The signature of a call with stand-ins, if each array is either CuPy's or NumPy's, and what is stored into can
    be saved and put back without touching what lies between its elements."""
    assert head.nest is not None
    lives = {live.name: live for live in head.nest.live_ins}
    for pair in (*map(frozenset, found.same.items()), *found.may_alias):
        if len(pair & abroad) == 1:
            return _refuse(head.nest, lives[min(pair & abroad)], "it shares memory with an array that is not CuPy's")
    for name in sorted(abroad & set(head.stored)):
        dims, steps = found.shapes[name], [found.entry[QStride(name, axis)] for axis in range(len(found.shapes[name]))]
        if 1 + sum((dim - 1) * step for dim, step in zip(dims, steps)) != prod(dims):
            why = "there are gaps between its elements, and the loop stores into it"
            return _refuse(head.nest, lives[name], why)
    return found


def of(head: Head, found: Reading, abroad: frozenset[str] = frozenset()) -> Signature | Rejection:
    """What a reading means to the compiler."""
    made = _typed(head, found, abroad)
    return made if isinstance(made, Rejection) or not abroad else _apart(head, made, abroad)


def _typed(head: Head, found: Reading, abroad: frozenset[str]) -> Signature | Rejection:
    nest = head.nest
    assert nest is not None, "rejected loops are never called"
    made = Signature(tuple(found.checks), {}, {}, {}, found.same, found.may_alias)
    for number, (live, check, fact) in enumerate(zip(nest.live_ins, found.checks, found.facts)):
        obstacle = found.obstacles.get(number, "")
        if obstacle == reading.MISSING:
            return _refuse(nest, live, "its attribute is missing or computed (a property, `__getattr__`)")
        if check[-1] is guard.UNSET:
            made.types[live.name] = UNBOUND
            continue
        if obstacle == reading.FOREIGN:
            return _refuse_foreign(nest, live, check[1])
        kind = _type_of(live, check)
        if kind is None:
            return _refuse(nest, live, f"it is {_in_words(check)}", _HELP.get(check[-1], _TAKEN))
        if obstacle == reading.READ_ONLY:
            return _refuse(nest, live, "it is read-only, and the loop stores into it")
        if obstacle == reading.FOLDED:
            return _refuse(nest, live, "several subscripts mean one element of it, and the loop stores there")
        if live.name in abroad and isinstance(kind, ArrayType):
            kind = replace(kind, place="cupy")
        made.types[live.name] = kind
        _note_values(live.name, kind, fact, made)
    return made


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
        case ("np", num):
            return f"of type numpy.{scalar_types()[num].__name__}"
        case ("array", num, _, _, _) if num not in reps_by_typenum():
            return f"an array of numpy.{scalar_types()[num].__name__}, a type apart from numpy.int64 and its like"
    return f"of type {check[0]}"


def _note_values(name: str, kind: Type, fact: Fact, made: Signature) -> None:
    if isinstance(fact, tuple):
        shape, strides = fact
        made.shapes[name] = shape
        made.entry.update({QDim(name, axis): dim for axis, dim in enumerate(shape)})
        made.entry.update({QStride(name, axis): stride for axis, stride in enumerate(strides)})
    elif fact is not None and not isinstance(kind, (ArrayType, ObjectType)):
        made.entry[QParam(name)] = fact
        if kind.rep.is_int:
            made.shapes[name] = fact


_TO_THE_HOST: Final = {"cupy": "cupy.asnumpy({})", "torch": "{}.numpy(force=True)", "numba": "{}.copy_to_host()"}
_OF_THEIR_OWN: Final = {"torch": ", and its promotion of types and its autograd are PyTorch's own"}


def _refuse_foreign(nest: Nest, live: LiveIn, kind: str) -> Rejection:
    """Loops over other libraries' arrays than CuPy's (runtime/foreign.py) are not compiled where these lie: what their
    elements are in Python (arrays without dimensions, which may be views) is for each library to say."""
    library = kind.partition(".")[0]
    copy = _TO_THE_HOST.get(library, "numpy.from_dlpack({}, device='cpu')").format(live.name)
    return Rejection(
        "foreign-array",
        f"{live.name} cannot be handed to compiled code: it is a {kind}, which may lie in a device's memory"
        f"{_OF_THEIR_OWN.get(library, '')}",
        "here",
        _first_use(nest, live.name),
        f"copy it to the host before the loop, {copy}, and back what the loop has stored; NumPy arrays that the host "
        "leaves alone stay on Alpyna's device from loop to loop",
    )


_TAKEN: Final = "Loops over numbers and NumPy arrays (exact ndarray, native bool, int, float, complex) are compiled."
_HELP: Final = {
    "list": "Lists are not compiled yet; if it holds numbers only: `{0} = np.array({0})` before the loop.",
    "tuple": "Tuples are not compiled yet; if it holds numbers only: `{0} = np.array({0})` before the loop.",
    "str": "Turn the text into numbers before the loop: `{0} = np.frombuffer({0}.encode(), np.uint8)`.",
    "bytes": "Make it an array before the loop: `{0} = np.frombuffer({0}, np.uint8)`.",
    "NoneType": "Give it a number before the loop.",
}


def _refuse(nest: Nest, live: LiveIn, why: str, help: str = _TAKEN) -> Rejection:
    title = f"{live.name} cannot be handed to compiled code: {why}"
    return Rejection("live-in-type", title, "here", _first_use(nest, live.name), help.format(live.name))


def _first_use(nest: Nest, name: str) -> Span:
    """Where the loop reads or stores `name` first, as it is written."""
    for stmt in walk_stmts(nest.body):
        for expr in (e for top in exprs_of(stmt) for e in walk(top)):
            match expr:
                case Load(array=used) | Dim(array=used) | Var(name=used) if used == name and expr.span != NO_SPAN:
                    return expr.span
        if isinstance(stmt, Store) and stmt.array == name:
            return stmt.span
    return nest.span
