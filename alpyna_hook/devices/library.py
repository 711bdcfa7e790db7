"""Shared libraries with a kernel in them.

In: the path of what a host compiler made.  Out: the kernel's address.
"""

from __future__ import annotations

from alpyna_hook.devices import forks, spinning

SYMBOL = "kernel"  # the function that every kernel source defines


def load(path: str, preload: str) -> tuple[int, object]:
    """Address of the kernel in the library at `path`, and the library, which must live as long as the address is used.
    `preload`: a library to load globally before, "" if none. Raises OSError or AttributeError."""
    import ctypes
    import os

    with spinning.briefly():
        if preload:
            ctypes.CDLL(preload, mode=ctypes.RTLD_GLOBAL)
        library = ctypes.CDLL(path, mode=os.RTLD_LOCAL | os.RTLD_NOW)
    address = ctypes.cast(library[SYMBOL], ctypes.c_void_p).value
    if not address:
        raise OSError("the compiled library has no kernel")
    forks.loaded(library)
    return address, library
