"""What cached results depend on beside their input, as text that changes when it does.

In: files and settings of this process.  Out: stamps, for cache keys; nothing heavy is imported to make them.
"""

from __future__ import annotations

import os
from functools import cache

import alpyna_hook
from alpyna_hook.digest import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def package() -> str:
    """Changes with the version and with any source file of this package."""
    files = sorted(_files(os.path.dirname(os.path.abspath(alpyna_hook.__file__))))
    return sha256("\n".join((alpyna_hook.__version__, *files)).encode("utf-8", "surrogatepass")).hexdigest()


def of_file(path: str) -> tuple[int, ...]:
    """Time, size and number of a file; empty if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_size, status.st_ino


def _files(folder: str) -> Iterator[str]:
    """Path, time and size of each source file below `folder` (pathlib takes three times as long for this)."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                status = entry.stat()
                yield f"{entry.path}:{status.st_mtime_ns}:{status.st_size}"
            elif entry.is_dir():
                yield from _files(entry.path)
