"""SHA-256 for cache keys and checksums.

`hashlib` loads OpenSSL's libcrypto, 3 ms in a process that may have nothing else to do than load one kernel; CPython's
own implementation is the same function without that (the standard library's `random` takes the same way).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hashlib import sha256
else:
    try:
        from _sha2 import sha256  # CPython 3.12 and newer
    except ImportError:
        try:
            from _sha256 import sha256
        except ImportError:  # a Python built without them
            from hashlib import sha256

__all__ = ["sha256"]
