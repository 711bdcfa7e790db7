"""The command line: `python -m alpyna [options] script.py [args]`, and the console command `alpyna`.

In: arguments.  Out: the exit status; 2 for a usage error, 3 where `--require` finds a loop wanting.

The options of `run` are parsed by hand: all that follows the program's name is the program's own, `--report` may stand
without a value, and `argparse` alone would take 10 ms of every start.
"""

from __future__ import annotations

import os
import sys

from alpyna_hook import settings as settings_module
from alpyna_hook.settings import BadValue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from alpyna_hook.execfile import Program

USAGE = """\
usage: {command} [options] script.py [arguments]
       {command} [options] -m package.module [arguments]
       {command} [options] -c "code" [arguments]

Run a Python program with its loop nests compiled, in parallel where that is proved safe.

options:
  --modules PATTERNS   also mark these modules: comma-separated fnmatch patterns of dotted names
  --variant NAME       auto (default), or force interp, seq, omp, cuda or opencl wherever that is legal
  --fp strict|relaxed  strict (default): results bit for bit as CPython's
  --threads N          OpenMP threads (default: OMP_NUM_THREADS, else the CPUs of the affinity mask)
  --report [FILE]      at exit, say what ran where and why: on stderr, or in FILE.txt, .json or .html
  --require            exit with status 3 if a loop that ran was never accelerated for lack of support
  -h, --help           this text
  --version            the version

Each option is also an environment variable: ALPYNA_MODULES, ALPYNA_VARIANT, ALPYNA_FP, ALPYNA_THREADS, ALPYNA_REPORT,
ALPYNA_REQUIRE; and ALPYNA_CACHE_DIR, ALPYNA_CC, ALPYNA_CC_TIMEOUT, ALPYNA_LOG. ALPYNA=0 switches everything off.
"""

COMMANDS = """\
usage: alpyna COMMAND ...

  run        run a program: alpyna run [options] script.py [arguments]; see alpyna run --help
  explain    show the loops of a file, and why a loop is left to the interpreter
  calibrate  measure this machine anew
  doctor     show what Alpyna finds here: Python, NumPy, compiler, cache, machine profile
  cache      show the cache folder, or clear it
  install    make ALPYNA=1 python script.py work in this environment
  uninstall  undo that
"""

# Options with a value: name -> (field of Settings, parser).
_VALUED: dict[str, tuple[str, Callable[[str], Any]]] = {
    "--modules": ("modules", settings_module.parse_modules),
    "--variant": ("variant", settings_module.parse_variant),
    "--fp": ("fp", settings_module.parse_fp),
    "--threads": ("threads", settings_module.parse_threads),
}
_INFORMATION = ("-h", "--help", "--version")


class UsageError(Exception):
    """The command line cannot be understood; the text says why."""


def main(arguments: list[str] | None = None, command: str = "alpyna") -> int:
    """Entry point of the console command (`command` "alpyna") and of `python -m alpyna`."""
    arguments = sys.argv[1:] if arguments is None else arguments
    first = arguments[0] if arguments else ""
    if first in _COMMANDS and (command == "alpyna" or not os.path.exists(first)):
        return _COMMANDS[first](arguments[1:])
    if command != "alpyna":
        return run(arguments, command)
    if first in _INFORMATION:
        _inform(first, COMMANDS)
        return 0
    print(COMMANDS, end="", file=sys.stderr)
    if first:
        print(f"\nalpyna: error: there is no command {first!r}", file=sys.stderr)
    return 2


# --- run ------------------------------------------------------------------------------------------------------------


def run(arguments: list[str], command: str = "alpyna run") -> int:
    """Run a program. Raises what it raises; our caller's frames are cut off its traceback (see execfile.py)."""
    usage = USAGE.format(command=command)
    if arguments and arguments[0] in _INFORMATION:
        _inform(arguments[0], usage)
        return 0
    try:
        options, program = parse_run(arguments)
    except UsageError as error:
        print(f"{usage.partition(chr(10) * 2)[0]}\n{command}: error: {error}", file=sys.stderr)
        return 2
    settings = settings_module.current().replace(**options)
    settings_module.use(settings)
    from alpyna_hook import execfile

    if not settings.enabled:
        execfile.run(program, _unguarded)
        return 0
    from alpyna_hook import hook, shadows, startup

    main = program.name if program.kind == "module" else "__main__"
    first = shadows.first_of(program.name) if program.folder and program.kind == "path" and program.name != "-" else ""
    active = startup.begin(program.folder, main, settings, first=first, path=execfile.inherited_path())
    guarded = hook.main_code if active else _unguarded
    if not settings.require:
        execfile.run(program, guarded)
        return 0
    from alpyna_hook import require

    with require.checked(True):
        execfile.run(program, guarded)
    return 0


def _unguarded(data: bytes, filename: str) -> None:
    """In place of `hook.main_code`: CPython's own code is right for every script."""


def parse_run(arguments: list[str]) -> tuple[dict[str, Any], Program]:
    """Options (as fields of Settings) and the program. Raises UsageError."""
    from alpyna_hook.execfile import Program

    options: dict[str, Any] = {}
    rest = list(arguments)
    while rest:
        option, equals, value = rest[0].partition("=")
        if option in _VALUED:
            if not equals and len(rest) < 2:
                raise UsageError(f"{option} needs a value")
            field, parse = _VALUED[option]
            options[field] = _parsed(option, parse, value if equals else rest.pop(1))
        elif option == "--report":
            if not equals:
                takes_next = len(rest) > 2 and rest[1].lower().endswith(settings_module.REPORT_SUFFIXES)
                value = rest.pop(1) if takes_next else settings_module.REPORT_ON_STDERR
            options["report"] = _parsed(option, settings_module.parse_report, value)
        elif rest[0] == "--require":
            options["require"] = True
        elif rest[0][:2] in ("-m", "-c"):
            return options, _program_of_option(rest)
        elif rest[0] == "--" and len(rest) > 1:
            return options, Program("path", rest[1], rest[2:])
        elif rest[0].startswith("-") and rest[0] != "-":
            raise UsageError(f"there is no option {rest[0]}")
        else:
            return options, Program("path", rest[0], rest[1:])
        del rest[0]
    raise UsageError("no program is given")


def _program_of_option(rest: list[str]) -> Program:
    """The program of `-m NAME` or `-c CODE`; the value may be joined to the letter, as `python` has it."""
    from alpyna_hook.execfile import Program

    letter, joined = rest[0][:2], rest[0][2:]
    if not joined and len(rest) < 2:
        raise UsageError(f"{letter} needs a value")
    values = [joined, *rest[1:]] if joined else rest[1:]
    return Program("module" if letter == "-m" else "command", values[0], values[1:])


def _parsed(option: str, parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except BadValue as bad:
        raise UsageError(f"{option} {text}: {bad}") from None


def _inform(option: str, text: str) -> None:
    import alpyna_hook

    print(f"alpyna {alpyna_hook.__version__}" if option == "--version" else text.rstrip("\n"))


# --- other commands -------------------------------------------------------------------------------------------------


def _explain(arguments: list[str]) -> int:
    from alpyna_hook.report import explain

    return explain.main(arguments)


def _calibrate(arguments: list[str]) -> int:
    from alpyna_hook import doctor

    return doctor.calibrate(arguments)


def _doctor(arguments: list[str]) -> int:
    from alpyna_hook import doctor

    return doctor.main(arguments)


def _cache(arguments: list[str]) -> int:
    from alpyna_hook import doctor

    return doctor.cache(arguments)


def _install(arguments: list[str]) -> int:
    from alpyna_hook import startup

    return startup.install(arguments)


def _uninstall(arguments: list[str]) -> int:
    from alpyna_hook import startup

    return startup.uninstall(arguments)


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "run": run, "explain": _explain, "calibrate": _calibrate, "doctor": _doctor, "cache": _cache,
    "install": _install, "uninstall": _uninstall,
}  # fmt: skip
