"""The import hook: marked modules are imported with their loops guarded.

In: imports, through `sys.meta_path`.  Out: the modules, loaded by a `SourceFileLoader` whose code is the guarded one.

The finder stands in front of `PathFinder` and asks it first, so the order of `sys.path` and all else that can be
found is unchanged. What is not marked, has no loop, or cannot be compiled keeps the spec that `PathFinder` gave, and
is none of our business from there on. For the rest only `get_code` is ours: the work is done in `find_spec`, so that
`get_code` cannot fail, and importlib's frames (which CPython cuts out of tracebacks) never have ours among them.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

from alpyna_hook.marks import Marks, by_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType, ModuleType

    from alpyna_hook.guarded import Compiled

_LOOP_HEADS = (b"for", b"while", b"async")
_looking: set[int] = set()  # threads in which a module is being looked at: what that imports is not looked at


class Loader(SourceFileLoader):
    """Loads one module whose guarded code is ready."""

    def __init__(self, name: str, path: str, compiled: Compiled) -> None:
        super().__init__(name, path)
        self._compiled = compiled

    def get_code(self, fullname: str) -> CodeType | None:
        """The guarded code; its sites are registered, as it is about to run."""
        if fullname != self.name:
            return super().get_code(fullname)  # raises the ImportError that importlib raises
        from alpyna_hook.guarded import activate

        activate(self._compiled)
        return self._compiled.code


class Finder:
    """A meta path finder for marked modules. `main` is the name of a module that runs as `__main__` (`-m`)."""

    def __init__(self, marks: Marks, main: str = "__main__") -> None:
        self.marks = marks
        self.main = frozenset((main, f"{main}.__main__", "__main__"))

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """PathFinder's spec, with our loader if the module is marked and has loops."""
        marked = get_ident() not in _looking and (fullname in self.main or self.marks.by_name(fullname))
        if marked is False:
            return None  # PathFinder comes next
        if marked is None and path is not None and not self._worth_a_look(path):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or not spec.origin:
            return spec
        thread = get_ident()
        _looking.add(thread)
        try:
            runs_as_main = fullname in self.main and spec.submodule_search_locations is None
            loader = self._loader(fullname, spec.origin, bool(marked), "__main__" if runs_as_main else fullname)
        except Exception as exception:
            from alpyna_hook import log

            log.bug(f"while looking at {spec.origin}", exception)
            loader = None
        finally:
            _looking.discard(thread)
        if loader is not None:
            spec.loader = loader
        return spec

    def _worth_a_look(self, folders: Sequence[str]) -> bool:
        """True unless a package's folders all are where nothing is marked."""
        try:
            return any(self.marks.by_file(os.path.join(folder, "")) is not False for folder in folders)
        except (TypeError, ValueError):
            return True

    def _loader(self, name: str, path: str, marked: bool, module: str) -> Loader | None:
        placed = True if marked else self.marks.by_file(path)
        if placed is False:
            return None
        data = read(path)
        if data is None or not may_have_loops(data):
            return None
        said = by_text(data)
        if not (placed if said is None else said):
            return None
        from alpyna_hook import bytecode

        compiled = bytecode.compiled(module, path, data)
        return None if compiled is None else Loader(name, path, compiled)

    def invalidate_caches(self) -> None:
        """Part of the finder protocol; PathFinder is asked on its own."""


def install(marks: Marks, main: str = "__main__") -> Finder:
    """Put a finder in front of PathFinder; it takes the place of an earlier one."""
    sys.meta_path[:] = [other for other in sys.meta_path if not isinstance(other, Finder)]
    finder = Finder(marks, main)
    at = sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else len(sys.meta_path)
    sys.meta_path.insert(at, finder)
    return finder


def main_code(data: bytes, filename: str) -> CodeType | None:
    """Guarded code of a script's source, its sites registered; None if it has none, or is not Python."""
    if not may_have_loops(data) or by_text(data) is False:
        return None
    thread = get_ident()
    _looking.add(thread)
    try:
        from alpyna_hook import bytecode

        compiled = bytecode.script(filename, data)
        if compiled is None:
            return None
        from alpyna_hook.guarded import activate

        activate(compiled)
        return compiled.code
    except Exception as exception:
        from alpyna_hook import log

        log.bug(f"while looking at {filename}", exception)
        return None
    finally:
        _looking.discard(thread)


def uninstall(finder: Finder) -> None:
    """Take the finder out; modules that are loaded stay as they are."""
    if finder in sys.meta_path:
        sys.meta_path.remove(finder)


def read(path: str) -> bytes | None:
    """The bytes of a file; None if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def may_have_loops(data: bytes) -> bool:
    """False if no line of the source can be the head of a loop: most small modules, found out in microseconds."""
    if b"for" not in data and b"while" not in data:
        return False
    return any(line.lstrip().startswith(_LOOP_HEADS) for line in data.splitlines())
