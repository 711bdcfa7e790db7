"""Streams of other libraries that a call has to come after, told by the dispatcher to the device program it calls.

In:  the handles that arrays name in their interface (`stream` of the CUDA array interface, version 3).
Out: the same, to whoever runs in the same thread meanwhile.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

_local = threading.local()


@contextlib.contextmanager
def awaited(handles: tuple[int, ...]) -> Iterator[None]:
    """What runs on a device in here comes after all that these streams have to do now."""
    before = named()
    _local.handles = handles
    try:
        yield
    finally:
        _local.handles = before


def named() -> tuple[int, ...]:
    """The streams to wait for."""
    handles: tuple[int, ...] = getattr(_local, "handles", ())
    return handles
