"""Files of the program that would be imported in place of modules which Alpyna imports.

In: what comes on the program's `sys.path` before the standard library.  Out: such a file, or "".

Alpyna imports what it needs when it needs it, while the program runs. A program beside a `random.py` of its own would
then have that run where it never asked for it: NumPy imports `random`. And nothing can be imported before, or the
program would get the standard library's where it means its own. So beside such a file Alpyna does nothing; and nothing
any more if the program has changed its path so that there is one, by the time when the first of these imports is due.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib.machinery import all_suffixes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

_OTHERS = frozenset(("numpy", "islpy", "astor", "pyopencl", "pycuda"))
# Of the standard library, what nothing imports but programs that mean it.
_APART = frozenset((
    "antigravity", "cmd", "code", "curses", "doctest", "graphlib", "idlelib", "pdb", "profile", "pstats", "sched",
    "statistics", "this", "timeit", "tkinter", "trace", "turtle", "turtledemo",
))  # fmt: skip


def hidden_by(first: str, path: Sequence[str] = ()) -> str:
    """Path of a file or package that hides a module that Alpyna may import from now on; "" if none does.

    first  what comes first on `sys.path`: the script's folder, or what the script is in (`first_of`)
    path   what comes behind it
    """
    alone = getattr(sys.flags, "safe_path", False) or sys.flags.isolated
    return (_hidden_in(first, True) if first and not alone else "") or on_path(path)


def on_path(path: Sequence[str]) -> str:
    """The same for all of `path`, where NumPy and its like may lie themselves: they are packages."""
    library = os.path.dirname(getattr(os, "__file__", ""))
    return _on_path(tuple(path[: path.index(library)])) if library in path else ""


@cache
def _on_path(entries: tuple[str, ...]) -> str:
    return next(filter(None, (_hidden_in(entry or os.curdir, False) for entry in entries)), "")


def first_of(script: str) -> str:
    """What CPython puts first on `sys.path` for a script: itself, if it is a folder or a zip file, or its folder."""
    real = os.path.realpath(script)
    return real if os.path.isdir(real) or _zipped(real) is not None else os.path.dirname(real)


def _hidden_in(place: str, packages: bool) -> str:
    """`packages`: nor may there be packages of others that Alpyna uses."""
    library = (sys.stdlib_module_names - _APART).difference(sys.builtin_module_names, sys.modules)
    others = _OTHERS.difference(sys.modules)
    for module, path, package in _modules_in(place):
        if module in library or (module in others and (packages or not package)):
            return path
    return ""


def _modules_in(place: str) -> Iterator[tuple[str, str, bool]]:
    """(name, path, whether it is a package) of modules."""
    files = _zipped(place)
    try:
        names = sorted(os.listdir(place) if files is None else {name.partition(os.sep)[0] for name in files})
    except OSError:
        return
    suffixes = all_suffixes()
    for name in names:
        module, dot, rest = name.partition(".")
        path, start = os.path.join(place, name), os.path.join(name, "__init__.py")
        if dot and f".{rest}" in suffixes:
            yield module, path, False
        elif not dot and (start in files if files is not None else os.path.isfile(os.path.join(place, start))):
            yield module, path, True


def _zipped(path: str) -> frozenset[str] | None:
    """The files in a zip file, None if it is none."""
    if not os.path.isfile(path):
        return None
    import zipimport

    try:
        importer: Any = zipimport.zipimporter(path)
        return frozenset(importer._get_files() if hasattr(importer, "_get_files") else importer._files)
    except (zipimport.ZipImportError, AttributeError):
        return None
