"""A program under Alpyna does what it does under `python`: output, tracebacks, exit status, what it sees of itself."""

from __future__ import annotations

import io
import re
import signal
import sys
import zipfile
from dataclasses import dataclass, replace

import pytest

from tests.conftest import Outcome, Project

LOOP = "total = 0\nfor index in range(3):\n    total += index\n"  # so that the script is one that Alpyna rewrites

SHOW = """\
import sys
from importlib.machinery import SourceFileLoader
bases = lambda v: (v if type(v) is type else type(v)).__mro__
kind = lambda v: [c.__name__ for c in bases(v) if not c.__module__.startswith("alpyna")]
shown = {k: kind(v) if k in ("__loader__", "__spec__", "__builtins__") else v for k, v in globals().items()}
print([item for item in shown.items() if item[0].startswith("__")])
print(sys.argv, sys.path[:3], sys.flags, __name__, sys.modules["__main__"].__dict__ is globals())
"""


@dataclass(frozen=True)
class Case:
    """A program: its files, the command line, and what to expect at least."""

    name: str
    files: dict[str, str | bytes]
    command: tuple[str, ...] = ("script.py",)
    status: int = 0
    stderr: str = ""  # must occur in it
    flags: tuple[str, ...] = ()
    stdin: str | None = None


def script(name: str, text: str, status: int = 0, stderr: str = "", **rest: object) -> Case:
    return Case(name, {"script.py": text}, status=status, stderr=stderr, **rest)  # type: ignore[arg-type]


def zipped(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    return buffer.getvalue()


RAISING = "def inner(n):\n    for i in range(n):\n        x = 1 // (i - 1)\n    return x\n\n"
RAISING += "def outer():\n    inner(3)\n\n"

CASES = [
    script("sees itself as main", LOOP + SHOW, command=("script.py", "a", "-m", "--b")),
    script("sees itself by a relative path", LOOP + SHOW, command=("./../project/script.py",)),
    script("without a loop", SHOW),
    script("interpreter flags", LOOP + SHOW + "assert False\n", flags=("-O", "-W", "error", "-B", "-X", "utf8")),
    script("development mode", LOOP + SHOW, flags=("-X", "dev")),
    script("uncaught exception", RAISING + "outer()\n", 1, "ZeroDivisionError"),
    script("cause", RAISING + "try:\n    outer()\nexcept Exception as e:\n    raise KeyError('k') from e\n", 1,
           "direct"),
    script("context", RAISING + "try:\n    outer()\nexcept Exception:\n    outer()\n", 1, "During handling"),
    script("recursion without end", LOOP + "def f(n):\n    return f(n + 1)\nf(0)\n", 1, "more times"),
    script("recursion to the limit", LOOP + "def f(n):\n    global m\n    m = n\n    f(n + 1)\ntry:\n    f(0)\n"
           "except RecursionError:\n    print(m)\n"),
    script("syntax error", LOOP + "x = (\n", 1, "SyntaxError"),
    script("indentation error", LOOP + "  x = 1\n", 1, "IndentationError"),
    Case("bytes that are not UTF-8", {"script.py": b"for i in range(3):\n    s = '\xe9'\n"}, status=1,
         stderr="SyntaxError"),
    Case("another encoding",
         {"script.py": b"# coding: latin-1\nfor i in range(3):\n    s = '\xe9'\nprint(ascii(s))\n"}),
    Case("bytes that are not UTF-8, in a comment", {"script.py": b"for i in range(3):\n    pass  # \xe9\n"}, status=1,
         stderr="SyntaxError"),
    Case("bytes that are not UTF-8, without loops", {"script.py": b"print(1)\n# \xe9\n"}, status=1,
         stderr="SyntaxError"),
    Case("standard input that is not UTF-8", {}, ("-",), 1, "SyntaxError", stdin=LOOP + "# \udce9\n"),
    Case("command that names an encoding", {}, ("-c", "# coding: latin-1\n" + LOOP + "print(ascii('é'))\n1/0"), 1),
    Case("command with other line ends", {}, ("-c", LOOP.replace("\n", "\r\n") + "print('''a\rb''')\r\n1/0"), 1),
    Case("a null byte", {"script.py": b"for i in range(3):\n    s = '\0'\n"}, status=1),
    Case("Windows line ends", {"script.py": b"for i in range(3):\r\n    s = '''a\r\nb'''\r\nprint(repr(s))\r\n1/0\r\n"},
         status=1, stderr="line 5"),
    Case("a byte order mark", {"script.py": b"\xef\xbb\xbffor i in range(3):\n    s = 'x'\nprint(s)\n"}),
    Case("no such file", {}, ("nowhere.py", "a"), 2, "can't open file"),
    Case("no such file, a path", {}, ("no/such/file.py",), 2, "can't open file"),
    Case("a folder without main", {"folder/x.py": ""}, ("folder",), 1, "can't find '__main__'"),
    Case("this folder", {"__main__.py": LOOP + SHOW}, (".", "a")),
    Case("this folder by no name", {"x.py": ""}, ("",), 1, "can't find '__main__'"),
    Case("a folder", {"folder/__main__.py": LOOP + SHOW + "import beside\n1/0", "folder/beside.py": LOOP + "print(9)"},
         ("folder", "a"), 1),
    Case("a zip file", {"x.zip": zipped(__main__=LOOP + SHOW + "import beside\n", beside=LOOP + "1/0\n")},
         ("x.zip", "a"), 1, "ZeroDivisionError"),
    Case("a text file that is no Python", {"script.txt": "for the love of Python\n"}, ("script.txt",), 1,
         "SyntaxError"),
    Case("module", {"package/__init__.py": "print('init')\n" + LOOP, "package/tool.py": LOOP + SHOW + "1/0\n"},
         ("-m", "package.tool", "a"), 1, "ZeroDivisionError"),
    Case("package", {"package/__init__.py": LOOP, "package/__main__.py": LOOP + SHOW}, ("-m", "package", "-m", "a")),
    Case("module, joined option", {"tool.py": LOOP + SHOW}, ("-mtool", "a")),
    Case("package without main", {"package/__init__.py": LOOP}, ("-m", "package"), 1, "cannot be directly executed"),
    Case("no such module", {}, ("-m", "nowhere"), 1, "No module named nowhere"),
    Case("module with a syntax error", {"tool.py": LOOP + "x = (\n"}, ("-m", "tool"), 1, "SyntaxError"),
    Case("namespace package", {"space/tool.py": LOOP + SHOW + "import space\nprint(space.__path__)"},
         ("-m", "space.tool")),
    Case("command", {}, ("-c", LOOP + SHOW, "a", "-b")),
    Case("command that raises", {}, ("-c", LOOP + "1/0"), 1, "<string>"),
    Case("command with a syntax error", {}, ("-c", "for i in range(3): pass\nx = (", "a"), 1, "SyntaxError"),
    Case("standard input", {}, ("-", "a"), 1, "<stdin>", stdin=LOOP + SHOW + "1/0\n"),
    Case("import of a module with a syntax error", {"script.py": LOOP + "import other", "other.py": LOOP + "x = (\n"},
         status=1, stderr="SyntaxError"),
    Case("import of a module that raises", {"script.py": LOOP + "import other", "other.py": LOOP + "1/0\n"},
         status=1, stderr="other.py"),
    Case("import of a module that imports what is not there", {"script.py": LOOP + "import other",
                                                               "other.py": LOOP + "import nowhere\n"}, status=1),
    Case("import of a package", {"script.py": LOOP + "from package.part import f\nf()\n", "package/__init__.py": LOOP,
                                 "package/part.py": "def f():\n    for i in range(3):\n        1/0\n"}, status=1),
    script("exit with a number", LOOP + "import sys\nsys.exit(7)", 7),
    script("exit with a text", LOOP + "import sys\nsys.exit('so long')", 1, "so long"),
    script("exit with None", LOOP + "import sys\nsys.exit(None)"),
    script("exit with True", LOOP + "import sys\nsys.exit(True)", 1),
    script("exit with a float", LOOP + "import sys\nsys.exit(2.5)", 1, "2.5"),
    script("exit with a negative number", LOOP + "import sys\nsys.exit(-1)", 255),
    script("exit from a function", LOOP + "def f():\n    for i in range(3):\n        raise SystemExit(i + 4)\nf()", 4),
    script("interrupted", LOOP + "raise KeyboardInterrupt", -signal.SIGINT, "KeyboardInterrupt"),
    script("interrupted by a signal", LOOP + "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
           "for i in range(10**9):\n    pass\n", -signal.SIGINT, "KeyboardInterrupt"),
    script("killed", LOOP + "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    script("leaves by os._exit", LOOP + "import os\nos._exit(5)", 5),
    script("own excepthook", LOOP + "import sys, traceback\nsys.excepthook = lambda t, v, tb: print(t, v, "
           "traceback.format_tb(tb), v.__traceback__ is tb)\n1/0", 1),
    script("excepthook that raises", LOOP + "import sys\ndef hook(t, v, tb):\n    raise KeyError('hook')\n"
           "sys.excepthook = hook\n1/0", 1, "Error in sys.excepthook"),
    script("excepthook that exits", LOOP + "import sys\ndef hook(t, v, tb):\n    sys.exit(9)\n"
           "sys.excepthook = hook\n1/0", 9),
    script("atexit functions, newest first", LOOP + "import atexit, sys\natexit.register(print, 'first')\n"
           "atexit.register(lambda: print(sys.last_value, '__file__' in globals()))\n1/0\n", 1),
    script("an atexit function sees no __file__", LOOP + "import atexit\n"
           "atexit.register(lambda: print('__file__' in globals(), list(globals())[:9]))\n"),
    script("an exception in a thread", RAISING + "import threading\nt = threading.Thread(target=outer, name='T')\n"
           "t.start()\nt.join()\nprint('on')", 0, "Exception in thread T"),
    script("an exception in a destructor", LOOP + "class A:\n    def __del__(self):\n        1/0\nA()\nprint('on')", 0,
           "Exception ignored"),
    script("loops in a destructor after all modules", RAISING + "class A:\n    def __del__(self):\n        outer()\n"
           "a = A()\ntry:\n    outer()\nexcept ZeroDivisionError:\n    print('raised')\n", 0, "Exception ignored"),
    script("warnings", LOOP + "import warnings\ndef f():\n    for i in range(2):\n"
           "        warnings.warn('w', stacklevel=2)\nf()\nwarnings.warn('here')\n", 0, "UserWarning"),
    script("warnings of the compiler", LOOP + "x = 1 is 1\ny = '\\d'\n", 0, "SyntaxWarning"),
    script("warnings of the compiler, no loops", "'''\nfor example\n'''\nx = 1 is 1\ny = '\\d'\n", 0, "SyntaxWarning"),
    script("warnings of the compiler, marked", "__alpyna__ = True\n" + LOOP + "y = 1 is 1\nz = '\\d'\n", 0,
           "SyntaxWarning"),
    script("warnings of the compiler, a loop that is given back", "def f(n):\n    t = 0\n    for i in range(n):\n"
           "        t += i\n    return t is 1\nfor k in range(1500):\n    f(2)\n", 0, "SyntaxWarning"),
    script("errors of the compiler later on", "import warnings\nwarnings.simplefilter('error')\n"
           "def f(n):\n    t = 0\n    for i in range(n):\n        t += i\n    return t is 1\n"
           "for k in range(1500):\n    f(2)\n", 0, "SyntaxWarning"),
    Case("warnings of the compiler for a module", {"script.py": LOOP + "import other\n",
                                                   "other.py": "'''\nfor example\n'''\nx = 1 is 1\ny = '\\d'\n"},
         stderr="SyntaxWarning", flags=("-B",)),
    script("errors of the compiler", LOOP + "y = '\\d'\n", 1, "SyntaxError", flags=("-W", "error")),
    script("an unawaited coroutine", LOOP + "async def f():\n    for i in range(3):\n        pass\nf()\n", 0,
           "never awaited"),
    script("source of its own functions", LOOP + "import inspect\ndef f():\n    for i in range(3):\n        pass\n"
           "print(inspect.getsource(f), inspect.getsourcefile(f), f.__code__.co_firstlineno, f.__module__)\n"),
    script("pickled functions", LOOP + "import pickle\ndef f(): pass\nclass C: pass\n"
           "print(pickle.loads(pickle.dumps(f)) is f, type(pickle.loads(pickle.dumps(C()))) is C)\n"),
    script("spawned processes", "import multiprocessing\ndef square(x):\n    s = 0\n    for i in range(x):\n"
           "        s += x\n    return s\nif __name__ == '__main__':\n"
           "    with multiprocessing.get_context('spawn').Pool(2) as pool:\n"
           "        print(pool.map(square, range(5)))\n"),
    script("forked processes", LOOP + "import os, atexit, sys\natexit.register(print, 'bye')\nsys.stdout.flush()\n"
           "if os.fork() == 0:\n    sys.exit(0)\nprint(os.wait()[1])\n"),
    script("its own import by name", LOOP + "import sys\nif __name__ == '__main__':\n    import script\n"
           "    print(script.__name__, script is sys.modules['__main__'])\n"),
    script("asserts and their text", LOOP + "assert total == 4, f'{total} it is'\n", 1, "AssertionError: 3 it is"),
]  # fmt: skip

if sys.version_info >= (3, 11):
    group = RAISING + "try:\n    outer()\nexcept Exception as e:\n    raise ExceptionGroup('g', [e])\n"
    CASES += [
        script("exception group", group, 1, "ExceptionGroup: g"),
        script("without prepended path", LOOP + SHOW, flags=("-P",)),
    ]


def masked(outcome: Outcome) -> Outcome:
    """`outcome` without addresses of objects."""
    return replace(outcome, stderr=re.sub("0x[0-9a-f]+", "0x", outcome.stderr))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_as_under_python(case: Case, project: Project) -> None:
    project.write(case.files)
    expected = masked(project.plain(*case.command, flags=case.flags, stdin=case.stdin))
    assert expected.status == case.status and case.stderr in expected.stderr, "the case itself is wrong"
    assert masked(project.runner(*case.command, flags=case.flags, stdin=case.stdin)) == expected
    assert masked(project.activated(*case.command, flags=case.flags, stdin=case.stdin)) == expected


REMOVED = """import os, sys
os.mkdir("removed"); os.chdir("removed"); os.rmdir("../removed")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.parametrize("command", [
    ("{}/script.py", "a"), ("script.py",), (".",), ("-c", LOOP + SHOW), ("-m", "script"), ("-m", "beside"), ("-",),
], ids=str)  # fmt: skip
def test_in_a_folder_that_has_been_removed(command: tuple[str, ...], project: Project) -> None:
    project.write({"removed.py": REMOVED, "script.py": LOOP + SHOW})
    (project.site / "beside.py").write_text(LOOP + SHOW)
    program = tuple(word.format(project.folder) if word.startswith("{}") else word for word in command)
    expected = masked(project.run("removed.py", *program, stdin=LOOP + SHOW))
    assert masked(project.run("removed.py", "-m", "alpyna", *program, stdin=LOOP + SHOW)) == expected
    assert masked(project.run("removed.py", *program, stdin=LOOP + SHOW, ALPYNA="1")) == expected
