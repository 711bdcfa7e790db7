"""`--require`: the exit status says whether every loop that ran could be compiled.

In: the records of the process, at the end of the program.  Out: reasons, and status 3 if there are any.

A loop counts as wanting if it ran and no form of it could be compiled: it is rejected, or its compiled form could
not be built. One that the oracle left to the interpreter is supported; so is one that the user switched off, and
one around loops that were accelerated (a time loop that prints).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alpyna_hook.runtime.records import SiteRecord

STATUS = 3
_BY_WISH = frozenset(("switched-off", "foreign-compiler"))


@contextmanager
def checked(required: bool) -> Iterator[None]:
    """Around the program: raises SystemExit(3) after it if it ends well, but loops are wanting."""
    if not required:
        yield
        return
    try:
        yield
    except SystemExit as leaving:
        if leaving.code not in (None, 0):
            raise  # it failed by itself
    _wait_for_threads()
    reasons = unmet()
    if reasons:
        sys.stdout.flush()
        print("alpyna: --require: these loops ran without ever being accelerated:", file=sys.stderr)
        for line in reasons:
            print(line, file=sys.stderr)
        raise SystemExit(STATUS)


def _wait_for_threads() -> None:
    """What the interpreter does next anyway: loops may still run in them."""
    threading = sys.modules.get("threading")
    if threading is not None:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()


def unmet() -> list[str]:
    """One line, or several with a caret, for each loop that is wanting."""
    from alpyna_hook.runtime import records

    sites = records.all_sites()
    return [_why(site) for site in sites if _wanting(site) and not _around_accelerated(site, sites)]


def _wanting(site: SiteRecord) -> bool:
    if not site.reached or site.status == "accelerated":
        return False
    if site.rejection is not None:
        return site.rejection.code not in _BY_WISH
    return any(not spec.decisions for spec in site.specialisations)


def _around_accelerated(site: SiteRecord, sites: Sequence[SiteRecord]) -> bool:
    return any(
        inner.status == "accelerated"
        and (inner.module, inner.file) == (site.module, site.file)
        and site.line < inner.line
        and inner.end_line <= site.end_line
        for inner in sites
    )


def _why(site: SiteRecord) -> str:
    if site.rejection is not None and site.source is not None:
        return site.rejection.render(site.source)
    return f"{site.file}:{site.line}: {site.note or site.reason or 'no compiled form could be built'}"
