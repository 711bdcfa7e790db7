"""The settings of this process.

In: environment variables and the command line's options.  Out: `current()`, one frozen `Settings`.

A bad value in the environment is one line on stderr and the default is used: a program must not fail because a
variable is misspelt. A bad value on the command line raises `BadValue`, which becomes a usage error.
This module is on the path of every start, so it imports neither `dataclasses` nor `typing` (10 ms each).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

VARIANTS = ("auto", "interp", "seq", "omp", "cuda", "opencl")
FP_MODES = ("strict", "relaxed")
LOG_LEVELS = ("debug", "info", "warning", "error", "off")
REPORT_SUFFIXES = (".txt", ".json", ".html")
REPORT_ON_STDERR = "-"
MAX_THREADS = 4096
CC_TIMEOUT_S = 60.0
MAX_TIMEOUT_S = 86400

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("0", "false", "no", "off", "")


class BadValue(ValueError):
    """A setting that cannot be used; the text says what would be right."""


class Settings:
    """What the user asked for. Immutable; `replace` gives a changed copy.

    modules    fnmatch patterns of dotted names to mark besides the defaults
    variant    one of VARIANTS; "auto" lets the oracle choose
    fp         "strict" (bit for bit CPython's results) or "relaxed"
    threads    OpenMP threads, at least 1
    report     None, REPORT_ON_STDERR, or a file whose suffix is one of REPORT_SUFFIXES
    require    exit with status 3 if a loop that ran was never accelerated for lack of support
    cache_dir  absolute path of the per-user cache folder (it need not exist)
    cc         the C compiler the user named; None to look for one
    cc_timeout seconds that one run of a compiler may take
    log        one of LOG_LEVELS
    enabled    False under ALPYNA=0: nothing is hooked, nothing is rewritten
    """

    __slots__ = (
        "modules", "variant", "fp", "threads", "report", "require", "cache_dir", "cc", "cc_timeout", "log", "enabled",
    )  # fmt: skip

    modules: tuple[str, ...]
    variant: str
    fp: str
    threads: int
    report: str | None
    require: bool
    cache_dir: str
    cc: str | None
    cc_timeout: float
    log: str
    enabled: bool

    def __init__(
        self,
        modules: tuple[str, ...] = (),
        variant: str = "auto",
        fp: str = "strict",
        threads: int = 0,
        report: str | None = None,
        require: bool = False,
        cache_dir: str = "",
        cc: str | None = None,
        cc_timeout: float = CC_TIMEOUT_S,
        log: str = "warning",
        enabled: bool = True,
    ) -> None:
        """`threads` 0 and `cache_dir` "" stand for this machine's and this user's defaults."""
        values = (
            modules, variant, fp, threads or available_cpus(), report, require,
            cache_dir or default_cache_dir(os.environ), cc, cc_timeout, log, enabled,
        )  # fmt: skip
        for name, value in zip(self.__slots__, values):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Settings are frozen: cannot set {name!r}")

    __delattr__ = None  # type: ignore[assignment]

    def as_dict(self) -> dict[str, Any]:
        """Field name -> value, in the order of the class docstring."""
        return {name: getattr(self, name) for name in self.__slots__}

    def replace(self, **changes: Any) -> Settings:
        """A copy with `changes` applied."""
        return Settings(**{**self.as_dict(), **changes})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.as_dict().items()))

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{k}={v!r}' for k, v in self.as_dict().items())})"


_current: Settings | None = None


def current() -> Settings:
    """The settings of this process; read from the environment at the first call."""
    global _current
    if _current is None:
        _current, problems = from_environment(os.environ)
        for line in problems:
            complain(line)
    return _current


def use(settings: Settings) -> None:
    """Make `settings` what `current()` returns from now on."""
    global _current
    _current = settings


def from_environment(environ: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """The settings that `environ` asks for, and one line for each value that had to be ignored."""
    values: dict[str, Any] = {"threads": _omp_threads(environ), "cache_dir": default_cache_dir(environ)}
    problems: list[str] = []
    for field, (variable, parse) in ENVIRONMENT.items():
        text = environ.get(variable)
        if text is None or (not text.strip() and field != "enabled"):
            continue
        try:
            values[field] = parse(text)
        except BadValue as bad:
            problems.append(f"{variable}={text!r} is ignored: {bad}")
    return Settings(**values), tuple(problems)


def complain(line: str) -> None:
    """One line for the user on stderr; never raises."""
    try:
        print(f"alpyna: {line}", file=sys.stderr)
    except Exception:  # stderr is closed or broken: there is nobody to tell
        pass


def default_cache_dir(environ: Mapping[str, str]) -> str:
    """The per-user cache folder: $XDG_CACHE_HOME/alpyna, or what the platform has in its place.

    XDG Base Directory Specification: a relative path in the variable is to be ignored.
    """
    base = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME") or os.path.expanduser("~")
        match sys.platform:
            case "win32":
                base = environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
            case "darwin":
                base = os.path.join(home, "Library", "Caches")
            case _:
                base = os.path.join(home, ".cache")
    return os.path.abspath(os.path.join(base, "alpyna"))


def available_cpus() -> int:
    """CPUs in this process's affinity mask (all CPUs where the platform has no masks)."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def _omp_threads(environ: Mapping[str, str]) -> int:
    """The first figure of OMP_NUM_THREADS (a list counts by nesting level, OpenMP 5.2, 21.2.3), or 0."""
    first = environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and 0 < int(first) <= MAX_THREADS else 0


def parse_flag(text: str) -> bool:
    """A switch: 1/true/yes/on or 0/false/no/off."""
    value = text.strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise BadValue("it must be 1 or 0")


def parse_modules(text: str) -> tuple[str, ...]:
    """Comma-separated fnmatch patterns."""
    return tuple(pattern.strip() for pattern in text.split(",") if pattern.strip())


def parse_threads(text: str) -> int:
    """A thread count."""
    value = text.strip()
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= MAX_THREADS):
        raise BadValue(f"it must be a number from 1 to {MAX_THREADS}")
    return int(value)


def parse_timeout(text: str) -> float:
    """Seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MAX_TIMEOUT_S:  # not for a NaN either
        raise BadValue(f"it must be a number of seconds up to {MAX_TIMEOUT_S}")
    return seconds


def parse_report(text: str) -> str | None:
    """Where the report goes: a switch, "-" for stderr, or a file by suffix."""
    value = text.strip()
    if value == REPORT_ON_STDERR or value.lower() in _TRUE:
        return REPORT_ON_STDERR
    if value.lower() in _FALSE:
        return None
    if value.lower().endswith(REPORT_SUFFIXES):
        return value
    raise BadValue(f"a report file must end in {', '.join(REPORT_SUFFIXES[:-1])} or {REPORT_SUFFIXES[-1]}")


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        value = text.strip().lower()
        if value not in choices:
            raise BadValue(f"it must be one of {', '.join(choices)}")
        return value

    return parse


def current_folder() -> str:
    """The current folder; "" where it has been removed, in which CPython runs programs none the less."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _parse_path(text: str) -> str:
    path = os.path.expanduser(text.strip())
    if not os.path.isabs(path) and not current_folder():
        raise BadValue("there is no current folder")
    return os.path.abspath(path)


parse_variant = _one_of(VARIANTS)
parse_fp = _one_of(FP_MODES)
parse_log = _one_of(LOG_LEVELS)

# Field of Settings -> its environment variable and the parser of its text.
ENVIRONMENT: dict[str, tuple[str, Callable[[str], Any]]] = {
    "modules": ("ALPYNA_MODULES", parse_modules),
    "variant": ("ALPYNA_VARIANT", parse_variant),
    "fp": ("ALPYNA_FP", parse_fp),
    "threads": ("ALPYNA_THREADS", parse_threads),
    "report": ("ALPYNA_REPORT", parse_report),
    "require": ("ALPYNA_REQUIRE", parse_flag),
    "cache_dir": ("ALPYNA_CACHE_DIR", _parse_path),
    "cc": ("ALPYNA_CC", str.strip),
    "cc_timeout": ("ALPYNA_CC_TIMEOUT", parse_timeout),
    "log": ("ALPYNA_LOG", parse_log),
    "enabled": ("ALPYNA", parse_flag),
}
