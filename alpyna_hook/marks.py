"""Marks: which modules Alpyna may rewrite.

In: a module's name, file and text.  Out: `by_name`, `by_file` and `by_text`, asked in this order, the cheap first.

Marked are `__main__`, and modules under the script's folder; what `[tool.alpyna] modules` in the nearest
pyproject.toml or the user's patterns name; and a module that says `__alpyna__ = True` at its top (`False` excludes
it), where that is looked for: in every file outside the standard library and site-packages, and in what is marked.
"""

from __future__ import annotations

import os
import sys

from alpyna_hook.settings import complain

_INSTALLED = frozenset(("site-packages", "dist-packages"))
_OWN = ("alpyna", "alpyna_hook")


class Marks:
    """The rule for one run. `root` is the script's folder (absolute), "" for none; `patterns` are fnmatch patterns."""

    def __init__(self, root: str, patterns: tuple[str, ...] = ()) -> None:
        self.root = os.path.realpath(root) if root else ""
        self.patterns = patterns + (project_modules(self.root) if self.root else ())
        if self.patterns:
            import fnmatch  # noqa: F401  now, because an import inside `find_spec` asks the finder again without end
        self._stdlib = os.path.realpath(os.path.dirname(os.__file__)) + os.sep

    def by_name(self, name: str) -> bool | None:
        """True or False if the name decides; None if the file has to."""
        if name.partition(".")[0] in _OWN:
            return False
        if self.patterns and _matches(name, self.patterns):
            return True
        return None

    def by_file(self, path: str) -> bool | None:
        """True or False if the place of the file decides; None if only its text can say."""
        path = os.path.realpath(path)
        if path.startswith(self._stdlib) or not _INSTALLED.isdisjoint(path.split(os.sep)):
            return False
        return True if self.root and is_under(path, self.root) else None


def by_text(data: bytes) -> bool | None:
    """What a module says of itself, if anything: the last `__alpyna__ = True` or `False` at its top level."""
    if b"__alpyna__" not in data:
        return None
    import ast

    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    said = None
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__alpyna__")], value=ast.Constant(value=bool(value))):
                said = value
            case ast.AnnAssign(target=ast.Name(id="__alpyna__"), value=ast.Constant(value=bool(value))):
                said = value
    return said


def is_under(path: str, folder: str) -> bool:
    """True if the absolute `path` lies in the absolute `folder` or below."""
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    from fnmatch import fnmatchcase

    return any(fnmatchcase(name, pattern) for pattern in patterns)


def project_modules(folder: str) -> tuple[str, ...]:
    """`[tool.alpyna] modules` of the nearest pyproject.toml at or above `folder`; () if there is none."""
    while True:
        path = os.path.join(folder, "pyproject.toml")
        try:
            with open(path, "rb") as file:
                data = file.read()
            break
        except OSError:
            parent = os.path.dirname(folder)
            if parent == folder:
                return ()
            folder = parent
    if b"alpyna" not in data:
        return ()
    try:
        modules = _tool_table(data).get("modules", [])
        if isinstance(modules, list) and all(isinstance(pattern, str) for pattern in modules):
            return tuple(modules)
        complain(f"{path}: [tool.alpyna] modules is ignored: it must be a list of strings")
    except ValueError as error:
        complain(f"{path} is ignored: {error}")
    return ()


def _tool_table(data: bytes) -> dict[str, object]:
    text = data.decode("utf-8")
    if sys.version_info >= (3, 11):
        import tomllib

        table = tomllib.loads(text).get("tool", {}).get("alpyna", {})
    else:
        table = _table_by_hand(text)
    if not isinstance(table, dict):
        raise ValueError("[tool.alpyna] is not a table")
    return table


def _table_by_hand(text: str) -> dict[str, object]:
    """`[tool.alpyna]` on Python 3.10, which has no TOML parser: strings and lists of strings are understood."""
    import ast
    import re

    section = re.search(r"^\[tool\.alpyna\][ \t]*(?:#[^\n]*)?$(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
    found = section and re.search(r"^modules[ \t]*=[ \t]*(\[[^\]]*\])", section[1], re.MULTILINE)
    if not found:
        return {}
    try:
        return {"modules": ast.literal_eval(found[1])}  # TOML's strings and lists are spelt as Python's, comments too
    except SyntaxError as error:
        raise ValueError(f"[tool.alpyna] modules cannot be read: {error.msg}") from None
