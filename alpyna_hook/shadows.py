"""Files of the program that would be imported in place of modules which Alpyna imports.

In: the folder that comes first on the program's `sys.path`.  Out: such a file, or "".

Alpyna imports what it needs when it needs it, while the program runs. A program beside a `random.py` of its own would
then have that run where it never asked for it: NumPy imports `random`. And nothing can be imported before, or the
program would get the standard library's where it means its own. So beside such a file Alpyna does nothing.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import all_suffixes

_OTHERS = frozenset(("numpy", "islpy", "astor", "pyopencl", "pycuda"))
# Of the standard library, what nothing imports but programs that mean it.
_APART = frozenset((
    "antigravity", "cmd", "code", "curses", "doctest", "graphlib", "idlelib", "pdb", "profile", "pstats", "sched",
    "statistics", "this", "timeit", "tkinter", "trace", "turtle", "turtledemo",
))  # fmt: skip


def hidden_by(folder: str) -> str:
    """Path of a file or package in `folder` that hides a module that Alpyna may import from now on; "" if none does."""
    if not folder or getattr(sys.flags, "safe_path", False) or sys.flags.isolated:
        return ""
    try:
        names = os.listdir(folder)
    except OSError:
        return ""
    wanted = ((sys.stdlib_module_names | _OTHERS) - _APART).difference(sys.builtin_module_names, sys.modules)
    suffixes = all_suffixes()
    for name in sorted(names):
        module, dot, rest = name.partition(".")
        if module not in wanted:
            continue
        path = os.path.join(folder, name)
        if f".{rest}" in suffixes if dot else os.path.isfile(os.path.join(path, "__init__.py")):
            return path
    return ""
