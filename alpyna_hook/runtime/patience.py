"""How long a site's loop stays in the interpreter before it is looked at closely.

In:  the head of a site, and the arguments of its calls.
Out: the interpreter's seconds of all the work seen, and when there will never be enough of it.

A closer look pays if the work that is to come takes longer than the look. As much as has been seen is taken to come,
so that too late a look costs at most as much again as the look itself (ski rental: Karlin et al., Algorithmica 1988).
"""

from __future__ import annotations

import sys
import time

from alpyna_hook.runtime import glance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from alpyna_hook.runtime.heads import Head

# A site is looked at closely when its work in the interpreter would have paid for that, or after so many glances.
# It is given up without, if all these calls were tiny; sooner if its sizes cannot change.
MAX_GLANCES = 1000
FIXED_GLANCES = 50
TINY_S = 5e-6  # seconds of the interpreter per call, by the glance's upper bound
LOOK_S = 5e-3  # seconds: typing, analysing and pricing one nest
FIRST_LOOK_S = 0.1  # the same, and the imports it needs,
NUMPY_S = 0.1  # and NumPy's, if the program has not imported it
MANY = 1e5  # trips that a `while` loop is taken to make at most (glance.stakes) if it is to prove itself long first
NEVER_MIND = float("inf")  # seconds: look closely, whatever the work


class Patience:
    """One site's. scale: its work's seconds over those that a glance tells."""

    def __init__(self, head: Head, scale: float = 1.0) -> None:
        self._head, self._scale = head, scale
        self._glances, self._seconds = 0, 0.0
        self._left = 0  # calls left to the interpreter
        self._enough = 0  # glances after which a site of tiny calls is given up; 0: not looked yet
        self._seen: dict[tuple[object, ...], float | None] = {}  # at most MAX_GLANCES entries
        self._first = 0.0  # time of the first call whose work a glance could not tell: from then on it is not asked
        self._constants = 1.0

    @property
    def left(self) -> tuple[int, float]:
        """The calls that were left to the interpreter, and seconds of all glanced at."""
        return self._left, self._seconds

    def seconds(self, args: tuple[Any, ...]) -> float:
        """Seconds of all the work seen, this call's among it; infinite if a glance cannot tell."""
        if self._glances >= MAX_GLANCES:
            return NEVER_MIND
        seconds = None if self._first else self._glance(args)
        if seconds is None:
            return self._since_first(args)
        self._glances += 1
        self._seconds += seconds * self._scale
        return self._seconds

    def leave(self) -> bool:
        """A call is left to the interpreter. Whether all later ones may as well be."""
        self._left += 1
        if self._enough == 0:
            fixed = glance.interpreter_seconds(self._head, ()) is not None
            self._enough = FIXED_GLANCES if fixed else MAX_GLANCES
        return self._glances >= self._enough and self._seconds <= self._enough * TINY_S

    def _since_first(self, args: tuple[Any, ...]) -> float:
        """Seconds since the first call, which bound the work seen here if nothing else does; infinite where a loop may
        be long, as its first call may be its last, or a closer look is cheap."""
        now = time.perf_counter()
        if not self._first:
            self._first, self._constants = now, glance.constants(self._head)
        if ready() or glance.stakes(self._constants, args) >= MANY:
            return NEVER_MIND
        return now - self._first

    def _glance(self, args: tuple[Any, ...]) -> float | None:
        """As glance.interpreter_seconds, which takes 40 us: remembered by sizes, because hot little functions are
        called with the same ones again and again."""
        sizes = glance.sizes(self._head, args)
        if sizes is None:
            return glance.interpreter_seconds(self._head, args)
        if sizes not in self._seen:
            if len(self._seen) >= MAX_GLANCES:
                self._seen.clear()
            self._seen[sizes] = glance.interpreter_seconds(self._head, args)
        return self._seen[sizes]


def ready() -> bool:
    """Whether this process has imported what a closer look takes."""
    return "alpyna_hook.runtime.specials" in sys.modules


def first_look_s() -> float:
    """Seconds that the first closer look of this process takes, imports included."""
    return FIRST_LOOK_S + NUMPY_S * ("numpy" not in sys.modules)
