"""Going on with a loop that compiled code has done in part (transform/blocks.py).

In: the trips that are done and the live-outs as they were then, noted by the dispatcher (`note`) for the thread whose
site returns False.  Out: `carried`, which gives those to the code in front of the copy of the loop; and `rest`, which
the copy calls around each iterable, and which skips what is done, once.
"""

from __future__ import annotations

from _thread import get_ident
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

Place = tuple[int, int]  # line and column of a `for`

ALL = -1  # trips to skip: the whole loop is done

_pending: dict[int, dict[Place, int]] = {}
_values: dict[int, tuple[object, ...] | None] = {}


def note(skip: dict[Place, int], live_outs: tuple[object, ...] | None = None) -> None:
    """What this thread is about to resume.

    skip       the loops of the nest -> trips to skip (ALL: every one)
    live_outs  their values there (guard.UNSET: not assigned yet); None: no name has changed
    """
    _pending[get_ident()] = skip
    _values[get_ident()] = live_outs


def carried() -> tuple[object, ...] | None:
    """The live-outs to assign before going on, once; None: leave the names alone."""
    return _values.pop(get_ident(), None)


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
