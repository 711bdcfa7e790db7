"""Alpyna's own messages: single lines on stderr, filtered by ALPYNA_LOG.

In: a message.  Out: "alpyna: message" on stderr, or nothing.  `bug` is for exceptions of our own, which must not
reach the user's program.
"""

from __future__ import annotations

from alpyna_hook import settings

_RANK = {level: rank for rank, level in enumerate(settings.LOG_LEVELS)}


def enabled(level: str) -> bool:
    """True if messages of `level` are shown."""
    return _RANK[level] >= _RANK[settings.current().log]


def debug(message: str) -> None:
    """What happened inside, step by step."""
    _say("debug", message)


def info(message: str) -> None:
    """What a curious user may want to know."""
    _say("info", message)


def warning(message: str) -> None:
    """What the user should know: something was asked for and could not be done."""
    _say("warning", message)


def error(message: str) -> None:
    """What the user must know."""
    _say("error", message)


def bug(where: str, exception: BaseException) -> None:
    """Note an exception of Alpyna's own, met while doing `where`; with ALPYNA_LOG=debug it is raised again."""
    if settings.current().log == "debug":
        import traceback

        settings.complain("".join(traceback.format_exception(exception)).rstrip())
        raise exception
    text = str(exception).partition("\n")[0]
    _say("warning", f"internal error {where}: {type(exception).__name__}: {text} (the program is not affected)")


def _say(level: str, message: str) -> None:
    if enabled(level):
        settings.complain(message)
