"""The type lattice: how a value is represented in compiled code, and what Python calls it.

A scalar has a *representation* (`Rep`, what C holds) and the set of Python *classes* it may have.
`math.sqrt(x)` is {"float"} and `a[i]` of a float64 array is {"float64"}: both are held as F64, yet
dividing the first by zero raises and the second warns, so they stay apart.  Where control flow merges
them (`s = 0.0; for ...: s += a[i]`) the classes are united and, if the program can see which one it
was, a tag is carried at run time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeAlias


class Rep(Enum):
    """Machine representation of one value. The value is the name used in printed IR and signatures."""

    BOOL = "b1"
    I8 = "i8"
    I16 = "i16"
    I32 = "i32"
    I64 = "i64"
    U8 = "u8"
    U16 = "u16"
    U32 = "u32"
    U64 = "u64"
    F32 = "f32"
    F64 = "f64"
    C64 = "c64"
    C128 = "c128"

    @property
    def bits(self) -> int:
        """Width in bits as stored in an array (a bool is one byte)."""
        return _BITS[self]

    @property
    def itemsize(self) -> int:
        """Width in bytes."""
        return _BITS[self] // 8

    @property
    def is_int(self) -> bool:
        return self in _SIGNED or self in _UNSIGNED

    @property
    def is_signed(self) -> bool:
        return self in _SIGNED

    @property
    def is_float(self) -> bool:
        return self in (Rep.F32, Rep.F64)

    @property
    def is_complex(self) -> bool:
        return self in (Rep.C64, Rep.C128)


_SIGNED = (Rep.I8, Rep.I16, Rep.I32, Rep.I64)
_UNSIGNED = (Rep.U8, Rep.U16, Rep.U32, Rep.U64)
_BITS = {
    Rep.BOOL: 8, Rep.I8: 8, Rep.I16: 16, Rep.I32: 32, Rep.I64: 64,
    Rep.U8: 8, Rep.U16: 16, Rep.U32: 32, Rep.U64: 64,
    Rep.F32: 32, Rep.F64: 64, Rep.C64: 64, Rep.C128: 128,
}  # fmt: skip

# Python-visible scalar classes: CPython's four, and NumPy's by their `dtype.name`
# ("bool_" for numpy.bool_, to keep it apart from Python's bool).
PY_CLASSES = ("bool", "int", "float", "complex")
NP_CLASS_OF_REP: dict[Rep, str] = {
    Rep.BOOL: "bool_", Rep.I8: "int8", Rep.I16: "int16", Rep.I32: "int32", Rep.I64: "int64",
    Rep.U8: "uint8", Rep.U16: "uint16", Rep.U32: "uint32", Rep.U64: "uint64",
    Rep.F32: "float32", Rep.F64: "float64", Rep.C64: "complex64", Rep.C128: "complex128",
}  # fmt: skip
REP_OF_CLASS: dict[str, Rep] = {
    "bool": Rep.BOOL, "int": Rep.I64, "float": Rep.F64, "complex": Rep.C128,
    **{name: rep for rep, name in NP_CLASS_OF_REP.items()},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScalarType:
    """A scalar: representation and the Python classes the value may have (at least one).

    Every class in `classes` has representation `rep` by `REP_OF_CLASS`, with one exception: a Python
    bool, int or float may be *held* in the representation of a wider Python class or of a NumPy class
    it shares the scalar with, when that holds its value exactly (`s = 0` before a float sum, `max(0, x)`,
    `m = 0` before the maximum of a uint8 image): see analysis/unions.py.
    """

    rep: Rep
    classes: frozenset[str]

    @property
    def is_python(self) -> bool:
        """True if the value surely has one of CPython's own classes."""
        return all(c in PY_CLASSES for c in self.classes)

    @property
    def is_numpy(self) -> bool:
        """True if the value surely has a NumPy scalar class."""
        return all(c not in PY_CLASSES for c in self.classes)

    def __str__(self) -> str:
        return f"{self.rep.value}{{{','.join(sorted(self.classes))}}}"


Layout = Literal["C", "F", "S"]  # C-contiguous, Fortran-contiguous, any strides (multiples of the item size)


@dataclass(frozen=True, slots=True)
class ArrayType:
    """An exact `numpy.ndarray`, native byte order, aligned. A 1-d contiguous array has layout "C".

    place   whose array it is if not NumPy's: "cupy", an exact `cupy.ndarray`, in a device's memory
    """

    elem: Rep
    ndim: int
    layout: Layout
    writeable: bool = True
    place: Literal["", "cupy"] = ""

    def __str__(self) -> str:
        place = f"@{self.place}" if self.place else ""
        return f"{self.elem.value}[{self.ndim}{self.layout}{'' if self.writeable else 'r'}]{place}"


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A value compared by identity at the guard (a function, a module, None); `name` is for people."""

    name: str

    def __str__(self) -> str:
        return f"obj<{self.name}>"


Type: TypeAlias = ScalarType | ArrayType | ObjectType

UNBOUND = ObjectType("unbound")  # of an optional live-in that has no value at entry


def scalar(cls: str) -> ScalarType:
    """The scalar type of exactly one Python class name, e.g. `scalar("float64")`."""
    return ScalarType(REP_OF_CLASS[cls], frozenset((cls,)))


def element(array: ArrayType) -> ScalarType:
    """What `a[i]` gives for a fully subscripted array: the NumPy scalar of its dtype."""
    return scalar(NP_CLASS_OF_REP[array.elem])


INT = scalar("int")
FLOAT = scalar("float")
BOOL = scalar("bool")
COMPLEX = scalar("complex")
