"""Going on with a loop that compiled code has done in part (transform/blocks.py).

In: the trips that are done, noted by the dispatcher (`note`) for the thread whose site returns False.
Out: `rest`, which the copy of the loop calls around each iterable, and which skips what is done, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from threading import get_ident
from typing import Any

Place = tuple[int, int]  # line and column of a `for`

ALL = -1  # trips to skip: the whole loop is done

_pending: dict[int, dict[Place, int]] = {}


def note(skip: dict[Place, int]) -> None:
    """The loops of the nest that this thread is about to resume -> trips to skip (ALL: every one)."""
    _pending[get_ident()] = skip


def rest(line: int, col: int, iterable: Iterable[Any]) -> Iterable[Any]:
    """What is left of the `for` loop at this place: all of it, but for the first time after `note`."""
    skip = _pending.get(get_ident())
    if not skip:
        return iterable
    trips = skip.pop((line, col), 0)
    if trips == ALL:
        return ()
    if isinstance(iterable, range):
        return iterable[trips:]
    return islice(iterable, trips, None) if trips else iterable
