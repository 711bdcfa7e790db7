"""Pure-Python guard: what a value is, reading it into input slots, attributes, and overlap of arrays.

In:  any object, a check tuple, an attribute path.
Out: `describe`, `follow`, `overlap` as guard.py documents them; `Check` objects that load a value into slots.
"""

from __future__ import annotations

import math
import struct
import sys
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

UNSET: Final = object()  # a live-out that was never assigned, an attribute that may not be read

INT: Final = struct.Struct("=q")
UINT: Final = struct.Struct("=Q")
DOUBLE: Final = struct.Struct("=d")
FLOAT: Final = struct.Struct("=f4x")
MAX_NDIM: Final = 64
MAX_STATES: Final = 4
_GETATTRIBUTE: Final = object.__dict__["__getattribute__"]

# NumPy's names of the element types that kernels know; `dtype.num` is platform independent for these C types.
_SUPPORTED: Final = (
    "bool_", "byte", "ubyte", "short", "ushort", "intc", "uintc", "long", "ulong", "longlong", "ulonglong",
    "single", "double", "csingle", "cdouble",
)  # fmt: skip


@dataclass
class Call:
    """One call while it is matched: packed input slots, and the value of every param."""

    slots: bytearray
    values: list[Any]


@dataclass(frozen=True)
class _ErrorState:
    """NumPy's error state: where it is kept, what reads it, FP flag by category, (state, mask) of the last few."""

    variable: ContextVar[Any] | None
    get: Callable[[], Mapping[str, str]]
    flags: Mapping[str, int]
    known: list[tuple[object, int]]


_error_state: _ErrorState | None = None


def set_error_state(
    variable: ContextVar[Any] | None, get: Callable[[], Mapping[str, str]], flags: dict[str, int]
) -> None:
    """The ContextVar (or None) that holds NumPy's error state, numpy.geterr, and the FP flag of each category."""
    global _error_state
    if variable is not None and type(variable) is not ContextVar:
        raise TypeError("the error state must be in a ContextVar, or None")
    _error_state = _ErrorState(variable, get, dict(flags), [])


def error_state_is_set() -> bool:
    return _error_state is not None


def error_mask() -> int:
    """The FP flags that NumPy's current error state does not ignore; all (-1) if it cannot be told.

    State objects are immutable: what one stands for is asked once (see _guard_errstate.h).
    """
    assert _error_state is not None
    current = None if _error_state.variable is None else _error_state.variable.get(None)
    for state, mask in tuple(_error_state.known):
        if state is current:
            return mask
    try:
        categories = _error_state.get()
        mask = sum(flag for name, flag in _error_state.flags.items() if categories[name] != "ignore")
    except Exception:
        return -1
    if current is not None:
        _error_state.known[:] = [(current, mask), *_error_state.known[: MAX_STATES - 1]]
    return mask


@lru_cache(maxsize=None)
def scalar_types() -> dict[int, type]:
    """NumPy scalar class by type number, of the supported types. Imports NumPy."""
    import numpy as np

    classes: list[type] = [getattr(np, name) for name in _SUPPORTED]
    return {np.dtype(cls).num: cls for cls in classes}


def _numpy_types() -> dict[int, type]:
    """`scalar_types()` if the program has NumPy already, else nothing."""
    return scalar_types() if "numpy" in sys.modules else {}


def is_array(value: object) -> bool:
    """True if `value` is exactly a numpy.ndarray."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def array_obstacle(array: Array) -> str:
    """Why kernels cannot take this array, "" if they can."""
    if array.dtype.num not in scalar_types():
        return "element type"
    if not array.dtype.isnative:
        return "byte order"
    if not array.flags.aligned:
        return "alignment"
    for dim, stride in zip(array.shape, array.strides):
        if dim == 0:
            return "no elements"
        if dim > 1 and stride % array.itemsize != 0:
            return "strides"
    return ""


def layout_of(array: Array) -> Literal["C", "F", "S"]:
    """The layout class of ir.types.ArrayType."""
    return "C" if array.flags.c_contiguous else "F" if array.flags.f_contiguous else "S"


def describe(value: Any) -> tuple[Any, ...]:
    """The check tuple that `value` meets, or ("other", what it is)."""
    cls = type(value)
    if cls is int:
        return ("int",) if fits_int64(value) else ("other", "int (beyond 64 bits)")
    if cls in (float, bool, complex):
        return (cls.__name__,)
    if is_array(value):
        obstacle = array_obstacle(value)
        if obstacle:
            known = value.dtype.num in scalar_types()
            return ("other", f"ndarray ({obstacle})" if known else f"ndarray ({obstacle} {value.dtype})")
        return ("array", value.dtype.num, value.ndim, layout_of(value), value.flags.writeable)
    for typenum, scalar_type in _numpy_types().items():
        if cls is scalar_type:
            return ("np", typenum)
    return ("other", cls.__name__)


def fits_int64(value: int) -> bool:
    return -(2**63) <= value < 2**63


def follow(value: Any, path: tuple[str, ...]) -> Any:
    """`value.a.b` for the path ("a", "b"), or UNSET where reading it could run code of the program.

    A class must have object's own attribute lookup; the attribute is an instance value, a slot, or a plain class
    attribute (no property, method or other descriptor).
    """
    for name in path:
        if type(name) is not str:
            raise TypeError("attribute names must be strings")
        cls = type(value)
        if _in_class(cls, "__getattribute__") is not _GETATTRIBUTE or _in_class(cls, "__getattr__") is not UNSET:
            return UNSET
        found = _in_class(cls, name)
        kind = type(found)
        if found is not UNSET and kind is not types.MemberDescriptorType and _is_descriptor(kind):
            return UNSET
        try:
            value = object.__getattribute__(value, name)
        except AttributeError:
            return UNSET
    return value


def _is_descriptor(cls: type) -> bool:
    return any(_in_class(cls, method) is not UNSET for method in ("__get__", "__set__", "__delete__"))


def _in_class(cls: type, name: str) -> object:
    for base in cls.__mro__:
        if name in base.__dict__:
            return base.__dict__[name]
    return UNSET


@dataclass(frozen=True)
class View:
    """An array as a set of elements in memory: bytes [lo, hi), positive strides, no axes of 1 or stride 0."""

    lo: int
    hi: int
    itemsize: int
    axes: tuple[tuple[int, int], ...]  # (elements, stride in bytes)


def view(array: Array) -> View:
    """Where a non-empty array lies."""
    lo = array.__array_interface__["data"][0]
    hi = lo + array.itemsize
    axes = []
    for dim, stride in zip(array.shape, array.strides):
        if dim == 1 or stride == 0:
            continue
        lo += min(0, (dim - 1) * stride)
        hi += max(0, (dim - 1) * stride)
        axes.append((dim, abs(stride)))
    return View(lo, hi, array.itemsize, tuple(axes))


def span(array: Array) -> tuple[int, int]:
    """First and one past the last byte of a non-empty array."""
    if array.flags.forc:
        start = array.__array_interface__["data"][0]
        return start, start + array.nbytes
    whole = view(array)
    return whole.lo, whole.hi


def views_disjoint(a: View, b: View) -> bool:
    """True if it is proved that no byte belongs to both: byte ranges, then residues (see _guard_memory.h)."""
    if a.hi <= b.lo or b.hi <= a.lo:
        return True
    for threshold in {stride for _, stride in (*a.axes, *b.axes)}:
        modulus = math.gcd(*(stride for _, stride in (*a.axes, *b.axes) if stride >= threshold))
        extent_a, extent_b = (
            v.itemsize + sum((dim - 1) * stride for dim, stride in v.axes if stride < threshold) for v in (a, b)
        )
        gap = (b.lo - a.lo) % modulus
        if gap >= extent_a and modulus - gap >= extent_b:
            return True
    return False


def overlap(a: Array, b: Array) -> Literal["disjoint", "same", "overlap"]:
    """"same": identical memory, shape, strides and item size. "overlap" unless proved disjoint."""
    if not is_array(a) or not is_array(b):
        raise TypeError("overlap() takes two arrays")
    if a.size == 0 or b.size == 0:
        return "disjoint"
    if is_same(a, b):
        return "same"
    return "disjoint" if views_disjoint(view(a), view(b)) else "overlap"


def distinct(array: Array) -> bool:
    """True if it is proved that no two subscripts mean one element (see _guard_memory.h)."""
    if not is_array(array):
        raise TypeError("distinct() takes an array")
    extent = array.itemsize
    for stride, dim in sorted((abs(s), d) for d, s in zip(array.shape, array.strides) if d != 1):
        if stride < extent and array.size:
            return False
        extent += (dim - 1) * stride
    return True


def is_same(a: Array, b: Array) -> bool:
    """Identical data pointer, shape, item size and strides (of axes longer than 1)."""
    if a is b:
        return True
    if a.shape != b.shape or a.itemsize != b.itemsize:
        return False
    if a.__array_interface__["data"][0] != b.__array_interface__["data"][0]:
        return False
    return all(dim == 1 or s == t for dim, s, t in zip(a.shape, a.strides, b.strides))
