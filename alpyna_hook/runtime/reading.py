"""Live-in values of one call, as they are: what the guard will check, sizes and numbers, aliasing.

In: the head of a site and the values that it was called with.  Out: a `Reading`; what the values mean to the compiler
is for runtime/signature.py to say. Nothing of the IR is imported.
"""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import combinations

from alpyna_hook.runtime import guard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, TypeAlias

    from alpyna_hook.runtime.heads import Head

    Check: TypeAlias = tuple[Any, ...]  # what guard.describe gives and guard.Entry takes
    # An array's shape and its strides in elements; a real number; None for anything else.
    Fact: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]] | int | float | None

_BUILTIN: type[Any] = type(sys.intern)  # the class of functions made in C
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: a class made at run time

MISSING, READ_ONLY, FOLDED, FOREIGN = "missing", "read-only", "folded", "foreign"  # obstacles


class Reading:
    """One call's live-ins.

    checks     guard check per live-in, in order
    facts      per live-in: its sizes or its value; no array is kept alive
    obstacles  live-in's number -> why its value cannot be handed over whatever its type: it has none (MISSING), the
               loop stores into an array that is READ_ONLY, or in which several subscripts mean one element (FOLDED);
               it is an array of another library, which may lie on a device (FOREIGN)
    same       array -> the array that it is identical with
    may_alias  pairs that overlap in some other way
    """

    __slots__ = ("checks", "facts", "may_alias", "obstacles", "same")

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self.facts: list[Fact] = []
        self.obstacles: dict[int, str] = {}
        self.same: dict[str, str] = {}
        self.may_alias: frozenset[frozenset[str]] = frozenset()

    @property
    def refused(self) -> bool:
        """Whether signature.of is certain to refuse this call. It may refuse others, too."""
        return bool(self.obstacles) or any(check[0] == "other" for check in self.checks)

    @property
    def key(self) -> tuple[object, ...]:
        """Plain data, equal for calls that can share an entry of the guard but for its ranges."""
        return plain_key(self.checks, self.same, self.may_alias)


def plain_key(
    checks: Iterable[Check], same: Mapping[str, str], may_alias: Iterable[frozenset[str]]
) -> tuple[object, ...]:
    """As `Reading.key`, of its parts. An object is told from "no value" only: its live-in says which it must be."""
    plain = tuple(("is", check[1] is guard.UNSET) if check[0] == "is" else check for check in checks)
    return plain, tuple(same.items()), tuple(sorted(tuple(sorted(pair)) for pair in may_alias))


def read(head: Head, args: tuple[Any, ...]) -> Reading:
    """What the values of the roots are in this call."""
    found = Reading()
    arrays: dict[str, Any] = {}
    for name, root, path, role, intrinsic, optional in head.live_ins:
        value = guard.follow(args[root], path)
        if value is guard.UNSET:
            if not optional:
                found.obstacles[len(found.checks)] = MISSING
            check: Check = ("is", value) if optional else ("other", "")
        elif role == "function":
            check = ("is", value) if value is resolve(intrinsic) else ("other", f"not {intrinsic}")
        else:
            check = guard.describe(value)
            if check[0] == "other" and (library := foreign(value)):
                found.obstacles[len(found.checks)] = FOREIGN
                check = ("other", f"{library}.{check[1]}")
        if check[0] == "array":
            stored = name in head.stored
            if stored and not check[4]:
                found.obstacles[len(found.checks)] = READ_ONLY
            elif stored and not guard.distinct(value):
                found.obstacles[len(found.checks)] = FOLDED
            check = (*check[:4], stored)
            arrays[name] = value
        found.checks.append(check)
        found.facts.append(_fact(check, value))
    if not found.obstacles:
        found.may_alias = _aliases(arrays, head.stored, found.same)
    return found


def foreign(value: object) -> str:
    """The library of an array that is not NumPy's and may lie on a device (CuPy, PyTorch), "" for anything else. None
    of its code is run: its class offers the CUDA array interface (numba.readthedocs.io, "CUDA Array Interface,
    version 3") or DLPack (dmlc.github.io/dlpack)."""
    classes = type.__getattribute__(type(value), "__mro__")
    members = [type.__getattribute__(cls, "__dict__") for cls in classes]
    offers = any("__cuda_array_interface__" in own or "__dlpack__" in own for own in members)
    numpy = sys.modules.get("numpy")
    if not offers or (numpy is not None and numpy.ndarray in classes):
        return ""
    return str(type.__getattribute__(type(value), "__module__")).partition(".")[0]


def resolve(name: str) -> object:
    """The object that intrinsic `name` stands for, to be compared by identity; UNSET if the program has put another
    in its place. AttributeError if this Python or NumPy has none (`math.cbrt` before 3.11).
    """
    head, dot, rest = name.partition(".")
    owner = import_module({"math": "math", "np": "numpy"}[head] if dot else "builtins")
    found = getattr(owner, rest or head)
    return found if _genuine(found, owner, rest or head) else guard.UNSET


def _genuine(found: Any, owner: Any, name: str) -> bool:
    """Whether `found` is what its module came with: a function, class or ufunc made in C, of that name (NumPy has
    several names for some)."""
    if type(found) is _BUILTIN:
        return bool(found.__self__ is owner and found.__name__ == name)
    if isinstance(found, type):
        numpy_scalar = owner.__name__ == "numpy" and issubclass(found, owner.generic)
        return not found.__flags__ & _HEAP_TYPE and (numpy_scalar or found.__name__ == name)
    if owner.__name__ == "numpy" and type(found) is owner.ufunc:
        return bool(found.__name__ == name or getattr(owner, found.__name__, None) is found)
    return False


def _fact(check: Check, value: Any) -> Fact:
    match check[0]:
        case "array":
            return tuple(value.shape), tuple(stride // value.itemsize for stride in value.strides)
        case "int" | "bool":
            return int(value)
        case "float":
            return float(value)
        case "np" if value.dtype.kind in "bui":
            return int(value)
        case "np" if value.dtype.kind == "f":
            return float(value)
    return None


def _aliases(arrays: dict[str, Any], stored: tuple[str, ...], same: dict[str, str]) -> frozenset[frozenset[str]]:
    """Fills `same` and gives the pairs that may overlap, among arrays of which one is written.

    Where one of several that are the same is written it stands for the others: they may be read-only views of it.
    """
    overlapping = set()
    for a, b in combinations(sorted(arrays, key=lambda name: name not in stored), 2):
        if a in same or b in same or not (a in stored or b in stored):
            continue
        relation = guard.overlap(arrays[a], arrays[b])
        if relation == "same" and arrays[a].dtype == arrays[b].dtype:
            same[b] = a
        elif relation != "disjoint":
            overlapping.add(frozenset((a, b)))
    return frozenset(overlapping)
