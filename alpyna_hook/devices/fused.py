"""Whether machine code has fused multiply-adds, which round once where Python rounds twice.

In: the file of a compiled kernel.  Out: True if the bytes of a fused x86-64 instruction occur in it. Bytes that only
look like one (about one file in twenty) cost a slower kernel, nothing else.

Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, sections 2.3.5 (VEX), 2.7.1 (EVEX)
and the opcodes of VFMADD, VFMADDSUB, VFMSUB, VFMSUBADD, VFNMADD and VFNMSUB: 96-9F, A6-AF, B6-BF in map 0F 38, with
the mandatory prefix 66.
"""

from __future__ import annotations

import re


def _either(values: list[int]) -> bytes:
    return b"[" + b"".join(b"\\x%02x" % v for v in values) + b"]"


_PREFIX_66 = _either([v for v in range(256) if v & 3 == 1])
_VEX = b"\\xc4" + _either([v for v in range(256) if v & 31 == 2]) + _PREFIX_66
_EVEX = b"\\x62" + _either([v for v in range(256) if v & 15 == 2]) + _either([v for v in range(256) if v & 7 == 5])
_FUSED = re.compile(b"(?:%s|%s[\\x00-\\xff])[\\x96-\\x9f\\xa6-\\xaf\\xb6-\\xbf]" % (_VEX, _EVEX), re.DOTALL)


def has_fused(path: str) -> bool:
    """Whether the file at `path` has bytes of a fused instruction. Raises OSError."""
    with open(path, "rb") as file:
        return _FUSED.search(file.read()) is not None
