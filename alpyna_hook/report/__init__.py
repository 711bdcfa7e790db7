"""Reports at exit: which loop ran where, how long, and why not faster.

In: the `SiteRecord`s of the process.  Out: text on stderr, or a file whose suffix names the format.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from alpyna_hook.settings import REPORT_ON_STDERR, complain

if TYPE_CHECKING:
    from alpyna_hook.runtime.records import SiteRecord
    from alpyna_hook.settings import Settings


def emit(
    records: Sequence[SiteRecord],
    target: str | os.PathLike[str] | None,
    settings: Settings,
    devices: Sequence[Mapping[str, str]] = (),
) -> None:
    """Write the report: to stderr if `target` is None or "-", else to that file, as `.json`, `.html` or text.

    `devices`: name, compiler and such of each device the run opened.
    Never raises: the program is over, and its exit status is its own. What went wrong is one line on stderr.
    """
    try:
        if target is None or target == REPORT_ON_STDERR:
            _to_stderr(records, settings, devices)
        else:
            _to_file(records, os.fspath(target), settings, devices)
    except Exception as bug:
        complain(f"the report could not be made: {type(bug).__name__}: {bug}")


def _to_stderr(
    records: Sequence[SiteRecord], settings: Settings, devices: Sequence[Mapping[str, str]]
) -> None:
    from alpyna_hook.report import facts, text

    stream = sys.stderr
    if stream is None:
        return
    colour = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    style = text.coloured if colour else text.plain
    with contextlib.suppress(Exception):  # the program's own last lines come first on a shared terminal
        sys.stdout.flush()
    stream.write("\n" + text.render(records, facts.header(settings, devices), style))
    stream.flush()


def _to_file(
    records: Sequence[SiteRecord], path: str, settings: Settings, devices: Sequence[Mapping[str, str]]
) -> None:
    from alpyna_hook.report import facts, html, json_report, text

    header = facts.header(settings, devices)
    match os.path.splitext(path)[1].lower():
        case ".json":
            content = json_report.render(records, header)
        case ".html" | ".htm":
            content = html.render(records, header)
        case _:
            content = text.render(records, header)
    try:
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(content)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        complain(f"cannot write the report to {path!r}: {reason}")
