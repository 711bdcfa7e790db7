"""The functions a nest may call, as one table.

In: a dotted path as the module's imports spell it ("numpy.exp", "math.sqrt", "builtins.abs").  Out: its
`Intrinsic` row, whose `name` is what `Call.fn` and `LiveIn.intrinsic` hold, and `resolve`, the object that
the guard compares by identity.  All of them are pure: they may raise or warn, and do nothing else.

Facts about CPython's implementation are read from Modules/mathmodule.c, Objects/floatobject.c and
Objects/longobject.c (3.10-3.13, the same there unless noted).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# What kind of object it is, hence who gives it its meaning:
#   builtin      CPython's function on scalars            abs, min, max, round, pow
#   constructor  a scalar class called with one argument  int, float, np.float32
#   math         `math.*`: arguments become C doubles (or ints for the integer functions)
#   ufunc        `np.*`: NumPy's own inner loop for the argument types
#   method       attribute or method of a scalar          z.real, z.conjugate(): no function to guard
#   structural   spent by the front end, never a `Call`   range, len, enumerate, zip, reversed, divmod
Kind: TypeAlias = Literal["builtin", "constructor", "math", "ufunc", "method", "structural"]

# Arguments for which CPython raises instead of returning (ValueError unless noted):
#   ""          never, for real scalars
#   overflow    OverflowError where a finite argument gives an infinite result
#   nonneg      argument < 0;     positive  argument <= 0;     above_minus_one  argument <= -1
#   unit        |argument| > 1;   open_unit |argument| >= 1;   at_least_one     argument < 1
#   finite      argument is infinite;   integer  argument is infinite or NaN (OverflowError, ValueError)
#   other       anything else: a caller that cannot reproduce it must refuse the call
Domain: TypeAlias = Literal[
    "", "overflow", "nonneg", "positive", "above_minus_one", "unit", "open_unit", "at_least_one", "finite",
    "integer", "other",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """One callable.

    name      canonical name: bare for builtins, "math.x" and "np.x" else
    kind      see `Kind`
    low, high least and greatest number of positional arguments accepted (keywords never are)
    c         the C function CPython ends in, with equal bits for arguments inside the domain; "" if CPython
              has an algorithm of its own
    domain    see `Domain`
    result    class of the result where the arguments do not decide it, e.g. "float"; "" else
    """

    name: str
    kind: Kind
    low: int
    high: int
    c: str = ""
    domain: Domain = ""
    result: str = ""


_MATH = (
    # libm's function behind CPython's domain test
    ("sqrt", 1, "sqrt", "nonneg"), ("exp", 1, "exp", "overflow"), ("exp2", 1, "exp2", "overflow"),
    ("expm1", 1, "expm1", "overflow"), ("log2", 1, "log2", "positive"), ("log10", 1, "log10", "positive"),
    ("log1p", 1, "log1p", "above_minus_one"), ("cbrt", 1, "cbrt", ""),
    ("sin", 1, "sin", "finite"), ("cos", 1, "cos", "finite"), ("tan", 1, "tan", "finite"),
    ("asin", 1, "asin", "unit"), ("acos", 1, "acos", "unit"), ("atan", 1, "atan", ""),
    ("atan2", 2, "atan2", ""), ("sinh", 1, "sinh", "overflow"), ("cosh", 1, "cosh", "overflow"),
    ("tanh", 1, "tanh", ""), ("asinh", 1, "asinh", ""), ("acosh", 1, "acosh", "at_least_one"),
    ("atanh", 1, "atanh", "open_unit"), ("erf", 1, "erf", ""), ("erfc", 1, "erfc", ""),
    ("fabs", 1, "fabs", ""), ("copysign", 2, "copysign", ""), ("fmod", 2, "fmod", "other"),
    ("pow", 2, "pow", "other"), ("nextafter", 2, "nextafter", ""), ("ldexp", 2, "ldexp", "other"),
    # CPython's own algorithms: hypot is its vector_norm, gamma and lgamma its Lanczos sums
    ("hypot", 2, "", "overflow"), ("gamma", 1, "", "other"), ("lgamma", 1, "", "other"),
    ("remainder", 2, "", "other"), ("degrees", 1, "", ""), ("radians", 1, "", ""), ("ulp", 1, "", ""),
)  # fmt: skip
_MATH_INT = (("floor", 1, "floor", "integer"), ("ceil", 1, "ceil", "integer"), ("trunc", 1, "trunc", "integer"),
             ("gcd", 2, "", ""), ("lcm", 2, "", ""), ("isqrt", 1, "", "nonneg"))  # fmt: skip
_MATH_BOOL = ("isnan", "isinf", "isfinite")
_UFUNC_1 = (
    "sqrt exp exp2 expm1 log log2 log10 log1p cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh "
    "arctanh abs fabs floor ceil trunc rint sign square reciprocal negative positive isnan isinf isfinite signbit "
    "degrees radians deg2rad rad2deg conjugate invert logical_not"
).split()
_UFUNC_2 = (
    "minimum maximum fmin fmax power hypot arctan2 copysign fmod remainder floor_divide divide add subtract multiply "
    "nextafter heaviside logaddexp logaddexp2 bitwise_and bitwise_or bitwise_xor left_shift right_shift "
    "logical_and logical_or logical_xor less less_equal greater greater_equal equal not_equal gcd lcm"
).split()
_SCALARS = (
    "bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64 complex64 complex128"
).split()  # fmt: skip

# Other names of the same object, so that one canonical name remains. (NumPy's own aliases in 2.x.)
_SYNONYMS = {
    "np.absolute": "np.abs", "np.conj": "np.conjugate", "np.mod": "np.remainder", "np.true_divide": "np.divide",
    "np.bitwise_not": "np.invert", "np.bitwise_invert": "np.invert", "np.pow": "np.power",
    "np.acos": "np.arccos", "np.asin": "np.arcsin", "np.atan": "np.arctan", "np.atan2": "np.arctan2",
    "np.acosh": "np.arccosh", "np.asinh": "np.arcsinh", "np.atanh": "np.arctanh",
    "np.bitwise_left_shift": "np.left_shift", "np.bitwise_right_shift": "np.right_shift",
    "np.bool": "np.bool_", "np.double": "np.float64", "np.single": "np.float32", "np.cdouble": "np.complex128",
    "np.csingle": "np.complex64", "np.byte": "np.int8", "np.ubyte": "np.uint8", "np.short": "np.int16",
    "np.ushort": "np.uint16", "np.intc": "np.int32", "np.uintc": "np.uint32",
    "np.int_": "np.int64", "np.intp": "np.int64", "np.uint": "np.uint64", "np.uintp": "np.uint64",  # 64-bit platforms
}  # fmt: skip

# Module constants that may be read in a nest as scalars; their value is read at each call.
CONSTANTS = frozenset(
    ("math.pi", "math.e", "math.tau", "math.inf", "math.nan", "np.pi", "np.e", "np.inf", "np.nan", "np.euler_gamma")
)


def _rows() -> dict[str, Intrinsic]:
    rows = [
        Intrinsic("abs", "builtin", 1, 1, "", "overflow"),
        Intrinsic("min", "builtin", 2, 255),  # the front end folds it to calls of two
        Intrinsic("max", "builtin", 2, 255),
        Intrinsic("round", "builtin", 1, 2, "", "other"),
        Intrinsic("pow", "builtin", 2, 2, "", "other"),  # becomes Binary("**")
        Intrinsic("int", "constructor", 1, 1, "trunc", "integer", "int"),
        Intrinsic("float", "constructor", 1, 1, "", "", "float"),
        Intrinsic("bool", "constructor", 1, 1, "", "", "bool"),
        Intrinsic("complex", "constructor", 1, 2, "", "", "complex"),
        Intrinsic("math.log", "math", 1, 2, "log", "positive", "float"),
        Intrinsic("real", "method", 1, 1),
        Intrinsic("imag", "method", 1, 1),
        Intrinsic("conjugate", "method", 1, 1),
        Intrinsic("divmod", "structural", 2, 2),
        Intrinsic("range", "structural", 1, 3),
        Intrinsic("len", "structural", 1, 1),
        Intrinsic("enumerate", "structural", 1, 2),
        Intrinsic("zip", "structural", 1, 255),
        Intrinsic("reversed", "structural", 1, 1),
    ]
    rows += [Intrinsic(f"math.{n}", "math", k, k, c, d, "float") for n, k, c, d in _MATH]  # type: ignore[arg-type]
    rows += [Intrinsic(f"math.{n}", "math", k, k, c, d, "int") for n, k, c, d in _MATH_INT]  # type: ignore[arg-type]
    rows += [Intrinsic(f"math.{n}", "math", 1, 1, n, "", "bool") for n in _MATH_BOOL]
    rows += [Intrinsic(f"np.{n}", "ufunc", 1, 1) for n in _UFUNC_1]
    rows += [Intrinsic(f"np.{n}", "ufunc", 2, 2) for n in _UFUNC_2]
    rows += [Intrinsic(f"np.{n}", "constructor", 1, 1, result=n) for n in _SCALARS]
    return {row.name: row for row in rows}


INTRINSICS: dict[str, Intrinsic] = _rows()


def canonical_name(path: str) -> str:
    """The name used in the table for a dotted path: "numpy.absolute" -> "np.abs", "builtins.len" -> "len"."""
    head, dot, rest = path.partition(".")
    if head == "builtins" and dot:
        return rest
    name = f"np.{rest}" if head == "numpy" and dot else path
    return _SYNONYMS.get(name, name)


def lookup(path: str) -> Intrinsic | None:
    """The row of a dotted path as imports spell it ("numpy.exp", "builtins.min"); None if it is not known."""
    name = canonical_name(path)
    row = INTRINSICS.get(name)
    if row is None or row.kind == "method" or ("." not in name and not path.startswith("builtins.")):
        return None
    return row
