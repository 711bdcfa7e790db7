"""Marks: which modules Alpyna may rewrite.

In: a module's name, file and text.  Out: `by_name`, `by_file` and `by_text`, asked in this order, the cheap first.

Marked are `__main__`, and modules under the script's folder; what `[tool.alpyna] modules` in the nearest
pyproject.toml or the user's patterns name; and a module that says `__alpyna__ = True` at its top (`False` excludes
it), where that is looked for: in every file outside the standard library and site-packages, and in what is marked.
"""

from __future__ import annotations

import os

from alpyna_hook import project

_INSTALLED = frozenset(("site-packages", "dist-packages"))
_OWN = ("alpyna", "alpyna_hook")


class Marks:
    """The rule for one run. `root` is the script's folder (absolute), "" for none; `patterns` are fnmatch patterns."""

    def __init__(self, root: str, patterns: tuple[str, ...] = ()) -> None:
        self.root = os.path.realpath(root) if root else ""
        self.patterns = patterns + (project.modules(self.root) if self.root else ())
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
    import warnings

    try:
        with warnings.catch_warnings():  # whoever compiles it tells them
            warnings.simplefilter("ignore")
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
