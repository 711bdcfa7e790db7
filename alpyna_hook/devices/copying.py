"""Copies between the program's arrays and staging memory: the C extension, which has threads, or its Python twin.

`array` may have any strides; `slot` and `shadow` (or None) are contiguous bytes, which hold the array's elements in C
order from byte `first` on. None of these calls is interrupted by a signal handler of the program (but the twin's).

    fill(array, slot, shadow, first, threads, past_caches)        from the array to both
    spread(array, slot, shadow, first, threads, past_caches)      from the slot to the array, and to the shadow
    differing(array, slot, shadow, first, piece, threads, past_caches) -> [(first byte, byte behind), ...]
        `fill` where a piece of the array is not, bit for bit, what the shadow (None: the slot) holds

threads      at most so many take part, the caller among them, and never more than twelve
past_caches  what is written to the array and the shadow will not be read soon: stores that go around the caches save
             reading the lines that they replace (Intel 64 and IA-32 Optimization Reference Manual, "Non-temporal
             Stores"). Measured with arrays of 256 MiB, one thread: 14 -> 21 GB/s to the array, 7 -> 11 with a shadow

Threads of the extension wait for the next copy. They are dismissed before a fork: CPython (3.12 on) warns of a fork
with threads, which the program itself never started.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from alpyna_hook.devices import copying_py as _implementation
else:
    try:
        # Loading the extension into a free-threaded interpreter would switch its GIL on, with a warning.
        if os.environ.get("ALPYNA_PURE") == "1" or not getattr(sys, "_is_gil_enabled", lambda: True)():
            raise ImportError
        from alpyna_hook.devices import _copying as _implementation

        os.register_at_fork(before=_implementation.dismiss)
    except ImportError:
        from alpyna_hook.devices import copying_py as _implementation

IMPLEMENTATION = "c" if _implementation.__name__.endswith("._copying") else "python"
fill = _implementation.fill
spread = _implementation.spread
differing = _implementation.differing

__all__ = ["IMPLEMENTATION", "differing", "fill", "spread"]
