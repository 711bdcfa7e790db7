"""Run a program as `python` runs it: a fresh `__main__`, with the code of our choice.

In: what to run, its arguments, and a function that may give guarded code for its source.  Out: the program has run;
its exception, if any, is on its way up, and CPython itself prints it and sets the exit status.

Exceptions are not caught and imitated: they leave through `sys.excepthook` as ever, which for this one exception is
wrapped to cut our frames off the traceback. What cannot even be loaded (no such file, a syntax error, a compiled
.pyc) is handed over to a plain interpreter in this same process (`execve`), so that it says what it always says.
The frames below the program's first one remain visible to `sys._getframe` and `traceback.print_stack`.
"""

from __future__ import annotations

import builtins
import os
import sys
from importlib.machinery import BuiltinImporter, SourceFileLoader
from importlib.util import MAGIC_NUMBER
from types import ModuleType

from alpyna_hook.settings import current_folder
from alpyna_hook.source import COMMAND, decoded, of_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType, FrameType, TracebackType
    from typing import Any, Literal, NoReturn

    GuardedCode = Callable[[bytes, str], "CodeType | None"]


_THE_FOLDER = ("", ".") if sys.version_info >= (3, 11) else ()  # what CPython does not join to the current folder


class Program:
    """What to run. kind "path" (script, folder or zip; "-" is stdin), "module" (-m) or "command" (-c)."""

    __slots__ = ("kind", "name", "arguments")

    def __init__(self, kind: Literal["path", "module", "command"], name: str, arguments: Sequence[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.arguments = list(arguments)

    @property
    def folder(self) -> str:
        """The folder whose modules count as the program's own."""
        if self.kind != "path" or self.name == "-":
            return current_folder()
        if not os.path.isabs(absolute(self.name)):
            return ""
        real = os.path.realpath(self.name)
        return real if os.path.isdir(real) else os.path.dirname(real)

    @property
    def command_line(self) -> list[str]:
        """The arguments by which a plain `python` runs the same."""
        option = {"path": [], "module": ["-m"], "command": ["-c"]}[self.kind]
        return [*option, self.name, *self.arguments]


def run(program: Program, guarded: GuardedCode) -> None:
    """Run `program` to its end. Raises what it raises."""
    match program.kind:
        case "module":
            _set_path0([current_folder()] if current_folder() else [])
            sys.argv = ["-m", *program.arguments]
            _run_module(program.name, alter_argv=True)
        case "command":
            _set_path0([""])
            sys.argv = ["-c", *program.arguments]
            _run_text(program, program.name.encode("utf-8", "surrogateescape"), COMMAND, guarded)
        case "path" if program.name == "-":
            _set_path0([""])
            sys.argv = ["-", *program.arguments]
            if sys.stdin is None or sys.stdin.isatty():
                hand_over(program)
            _run_text(program, sys.stdin.buffer.read(), "<stdin>", guarded)
        case _:
            sys.argv = [program.name, *program.arguments]
            path = absolute(program.name)
            if not os.path.isabs(path):
                hand_over(program)
            if _has_importer(path):
                sys.path[: 0 if _safe_path() else _prepended()] = [path]
                _run_module("__main__", alter_argv=False)
            else:
                _set_path0([os.path.dirname(os.path.realpath(program.name))])
                _run_script(program, guarded)


def run_claimed(path: str, code: CodeType) -> None:
    """Run the script `path`, with its code ready and `sys.argv` right, where CPython expects a folder's `__main__`."""
    if not _safe_path():
        sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    _run_script_code(code, path)


def absolute(path: str) -> str:
    """`path` made absolute as CPython does it for the script's: joined to the current folder, hardly normalised."""
    folder = current_folder()
    return folder if path in _THE_FOLDER else os.path.join(folder, path)


def _run_script(program: Program, guarded: GuardedCode) -> None:
    path = absolute(program.name)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        hand_over(program)
    if path.endswith(".pyc") or data.startswith(MAGIC_NUMBER[:2]):
        hand_over(program)
    _run_script_code(_code(program, data, path, guarded), path)


def _run_script_code(code: CodeType, path: str) -> None:
    namespace = _fresh_main(SourceFileLoader("__main__", path))
    namespace["__file__"] = path
    namespace["__cached__"] = None
    _execute(code, namespace)
    _forget_file(namespace)


def _forget_file(namespace: dict[str, Any]) -> None:
    """What CPython does when a script has ended, and its traceback is printed, before atexit functions run."""
    for name in ("__file__", "__cached__"):
        namespace.pop(name, None)


def _run_text(program: Program, data: bytes, filename: str, guarded: GuardedCode) -> None:
    code = _code(program, data, filename, guarded)
    namespace = _fresh_main(BuiltinImporter)
    if program.kind == "command" and sys.version_info >= (3, 13):
        _remember_source(code, program.name)
    if filename == "<stdin>":
        namespace["__file__"] = filename
        namespace["__cached__"] = None
    _execute(code, namespace)


def _remember_source(code: CodeType, text: str) -> None:
    """From 3.13 on, tracebacks show the lines of `-c`: CPython tells `linecache` of them."""
    import linecache

    if hasattr(linecache, "_interactive_cache"):
        linecache._register_code(code, text, "<string>")  # type: ignore[attr-defined]
    else:
        linecache.cache["<string>"] = (len(text), None, [f"{line}\n" for line in text.splitlines()], "<string>")


def _run_module(name: str, alter_argv: bool) -> None:
    """By runpy, as CPython does it: its frames belong into the traceback, and the import hook into its search."""
    import runpy

    _fresh_main(BuiltinImporter)
    _make_room(own_exec=False)
    try:
        runpy._run_module_as_main(name, alter_argv)  # type: ignore[attr-defined]
    except BaseException as exception:
        _peel(exception)
        raise


def _code(program: Program, data: bytes, filename: str, guarded: GuardedCode) -> CodeType:
    code = guarded(data, filename)
    if code is not None:
        return code
    try:
        text = of_command(data) if filename == COMMAND else _checked(data, filename)
        return compile(text, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as exception:
        if filename == "<stdin>" or (program.kind == "path" and not os.path.isfile(filename)):
            exception.__traceback__ = None  # it was a pipe, and is read
            _peel(exception)
            raise
        hand_over(program)


def _checked(data: bytes, filename: str) -> bytes:
    """`data`; SyntaxError if there are bytes in it that are not what it is encoded in: of bytes in comments, `compile`
    says nothing, but CPython's reader of files does (Parser/tokenizer.c, ensure_utf8)."""
    try:
        decoded(data)
    except UnicodeDecodeError as error:
        old = sys.version_info < (3, 11)  # which counts the next line
        bad, line = data[error.start], data.count(b"\n", 0, error.start) + 1 + old
        site = "python.org/dev/peps" if old else "peps.python.org"
        raise SyntaxError(
            f"Non-UTF-8 code starting with '\\x{bad:02x}' in file {filename} on line {line}, but no encoding declared; "
            f"see https://{site}/pep-0263/ for details"
        ) from None
    return data


def _fresh_main(loader: Any) -> dict[str, Any]:
    """A new `__main__` with the names that CPython gives it, in CPython's order."""
    main = ModuleType("__main__")
    namespace = vars(main)
    namespace["__loader__"] = loader
    if sys.version_info < (3, 14):
        namespace["__annotations__"] = {}
    namespace["__builtins__"] = builtins
    sys.modules["__main__"] = main
    return namespace


def _execute(code: CodeType, namespace: dict[str, Any]) -> None:
    _make_room(own_exec=True)
    try:
        exec(code, namespace)
    except BaseException as exception:
        _peel(exception, namespace)
        raise


def _make_room(own_exec: bool) -> None:
    """Give back the recursion depth that the frames below the program use up.

    Until 3.11 a call of the C function `exec` counts, too: runpy's under `python -m`, and our own (`own_exec`).
    """
    frame: FrameType | None = sys._getframe(1)
    depth = calls = 0
    while frame is not None:
        depth += 1
        calls += frame.f_code.co_name == "_run_code" and frame.f_globals.get("__name__") == "runpy"
        frame = frame.f_back
    if sys.version_info < (3, 12):
        depth += calls + own_exec
    sys.setrecursionlimit(sys.getrecursionlimit() + depth)


def _peel(exception: BaseException, namespace: dict[str, Any] | None = None) -> None:
    """Have `sys.excepthook` see `exception`, should it get there, without the frames below the program's first.

    `namespace`: of a script, which then forgets its file.
    """
    if isinstance(exception, SystemExit) or not hasattr(sys, "excepthook"):
        return
    own = exception.__traceback__
    traceback = own.tb_next if own is not None else None
    if not isinstance(exception, Exception):
        from alpyna_hook import signals

        signals.cut_runtime(traceback)
    hook = sys.excepthook

    def peeled(kind: type[BaseException], value: BaseException, outer: TracebackType | None) -> None:
        sys.excepthook = hook
        if value is not exception:
            hook(kind, value, outer)
            return
        value.__traceback__ = sys.last_traceback = traceback
        try:
            hook(kind, value, traceback)
        except SystemExit:
            raise
        except BaseException as error:  # what CPython prints (pythonrun.c), again without our frame
            inner = error.__traceback__
            error.__traceback__ = inner.tb_next if inner is not None else None
            print("Error in sys.excepthook:", file=sys.stderr)
            sys.__excepthook__(type(error), error, error.__traceback__)
            print("\nOriginal exception was:", file=sys.stderr)
            sys.__excepthook__(kind, value, traceback)
        if namespace is not None:
            _forget_file(namespace)

    sys.excepthook = peeled


def _has_importer(path: str) -> bool:
    """True if CPython would look for `__main__` inside `path`: a folder, a zip file, what a path hook claims."""
    for hook in sys.path_hooks:
        try:
            hook(path)
        except ImportError:
            continue
        return True
    return False


def _safe_path() -> bool:
    """True if the interpreter was told (-P, -I) not to prepend the script's folder to `sys.path`."""
    return bool(getattr(sys.flags, "safe_path", False) or sys.flags.isolated)


def _prepended() -> int:
    """The number of entries of `sys.path` that the interpreter put there for us: none for `-m` in a removed folder."""
    by_module = getattr(sys.modules["__main__"], "__spec__", None) is not None
    return 0 if by_module and not current_folder() else 1


def inherited_path() -> list[str]:
    """`sys.path` without what the interpreter prepended to it for us."""
    return sys.path[0 if _safe_path() else _prepended() :]


def _set_path0(entries: list[str]) -> None:
    """Replace what the interpreter prepended to `sys.path` for us by what it prepends for the program."""
    if not _safe_path():
        sys.path[: _prepended()] = entries


def hand_over(program: Program) -> NoReturn:
    """Become a plain `python` that runs `program`. Does not return; raises OSError if that cannot be done."""
    from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined]

    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    command = [sys.orig_argv[0], *_args_from_interpreter_flags(), *program.command_line]
    environment = {**os.environ, "ALPYNA": "0"}  # or an installed start-up hook would take it from there again
    if os.name == "posix":
        os.execve(sys.executable, command, environment)
    import subprocess

    sys.exit(subprocess.call(command, executable=sys.executable, env=environment))
