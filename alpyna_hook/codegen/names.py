"""Names: from Python (and from the IR's own, such as `s.class` or `%1`) to C identifiers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_RESERVED = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int long
    register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
    bool true false asm typeof main in out threads fault fp fp_mask kept resume term l kernel complex I
    sqrt sin cos tan exp log pow fabs floor ceil abs div round trunc erf erfc gamma lgamma tgamma hypot fmod
    fmin fmax fma atan atan2 asin acos sinh cosh tanh asinh acosh atanh cbrt exp2 expm1 log2 log10 log1p
    copysign rint y0 y1 yn j0 j1 jn drem exp10 pow10 scalb signbit significand logb frexp ldexp modf nan
    remainder remquo isnan isinf isfinite malloc free calloc memcpy memset index rindex time clock signal
    __kernel __global __local __private __constant global local constant half event_t image2d_t size_t
    """.split()
)


# Generated code makes names of its own with these endings.
_DERIVED = re.compile(
    r"_(all|at|before|block|end|first|k|kept|lanes?|last|magnitude|n\d+|own|rows?|s\d+|saved|set|size|start|step|stop"
    r"|strip|take|trips?|unit)\Z"
)


def c_names(names: Iterable[str], reserved: frozenset[str] = frozenset()) -> Mapping[str, str]:
    """A C identifier for every IR name: itself where possible, unique in any case. `reserved`: not to be used."""
    taken: set[str] = set()
    result: dict[str, str] = {}
    for name in sorted(names, key=lambda n: (not n.isidentifier(), n)):
        base = re.sub(r"[^0-9A-Za-z_]", lambda m: "_" if m[0] in ".@" else f"u{ord(m[0]):x}", name)
        base = base.replace("u25", "t", 1) if name.startswith("%") else base
        if base in _RESERVED or base in reserved or base[:1].isdigit() or base.startswith(("alp_", "omp_", "__")):
            base = f"v_{base}"
        base += "_" if name.isidentifier() and _DERIVED.search(base) else ""
        candidate, k = base, 1
        while candidate in taken or candidate in _RESERVED or candidate in reserved:
            candidate, k = f"{base}_{k}", k + 1
        taken.add(candidate)
        result[name] = candidate
    return result
