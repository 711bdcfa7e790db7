"""The C library's functions whose results are rounded in a way of its own, so that compilers must not compute them.

In: the text of a kernel.  Out: declarations of the functions that it calls.

A compiler replaces `powf(x, 2.0f)` by `x * x`, and a call whose arguments are constants by the correctly rounded
result; CPython and NumPy have what the library gives. `-fno-builtin-NAME` (devices/toolchain.py) forbids both, and
takes away what compilers know of the function; the attribute says again that equal calls give equal results, so that a
call may leave a loop that does not change its arguments.
"""

from __future__ import annotations

import re

_UNARY = (
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cbrt", "cos", "cosh", "erf", "erfc", "exp", "exp2", "expm1",
    "log", "log10", "log1p", "log2", "sin", "sinh", "tan", "tanh",
)  # fmt: skip
_BINARY = ("atan2", "hypot", "pow")
ROUNDED = (*_UNARY, *_BINARY, *(f"{name}f" for name in (*_UNARY, *_BINARY)))

_CALLS = re.compile(rf"(?<![\w.])({'|'.join(ROUNDED)})\(")


def declarations(kernel: str) -> str:
    """C declarations of the functions of `ROUNDED` that `kernel` calls, one per line."""
    return "\n".join(_declaration(name) for name in sorted(set(_CALLS.findall(kernel))))


def _declaration(name: str) -> str:
    kind = "double" if name in _UNARY or name in _BINARY else "float"
    operands = 2 if name in _BINARY or name[:-1] in _BINARY and kind == "float" else 1
    return f"{kind} {name}({', '.join([kind] * operands)}) __attribute__((const));"
