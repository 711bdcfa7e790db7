"""How long threads of an OpenMP team spin before they sleep.

In: what loads a library that may bring libgomp with it.  Out: libgomp's team spins for about 0.2 ms where it waits.

By itself libgomp spins 300,000 rounds, some milliseconds, and reads that from the environment once, when it is loaded
(libgomp manual, section 4.22, GOMP_SPINCOUNT).  On a busy machine the thread that spins then keeps the core that the
thread it waits for needs: kernels that meet at many barriers became ten times slower.  A wait of 0.2 ms is longer than
the turns of a team within a kernel, and than waking a thread takes.

What the user has set stands. The program's own environment stays as it is, for it and for its children.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

ROUNDS = b"10000"
CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # of the user


@contextmanager
def briefly() -> Iterator[None]:
    """A libgomp that is loaded meanwhile spins for ROUNDS rounds."""
    if os.name != "posix" or any(name in os.environ for name in CHOICES):
        yield
        return
    import ctypes

    libc = ctypes.CDLL(None)
    name = CHOICES[0].encode()
    libc.setenv(name, ROUNDS, 1)  # os.environ would show it
    try:
        yield
    finally:
        libc.unsetenv(name)
