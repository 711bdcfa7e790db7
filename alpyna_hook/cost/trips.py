"""Trip counts at one call, of loops whose bounds are quantities that are known at entry.

In: loops of a typed nest; the values of quantities at the call.  Out: ranges and trip counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from alpyna_hook.cost.symbolic import symbolic
from alpyna_hook.ir.affine import QParam, Quantity, evaluate
from alpyna_hook.ir.nodes import Loop, Stmt, blocks_of


def range_of(loop: Loop, entry: Mapping[Quantity, int]) -> range | None:
    """What the loop counts, if its bounds are quantities of `entry`."""
    known: dict[str, Quantity | None] = {q.name: q for q in entry if isinstance(q, QParam)}
    bounds = [symbolic(e, known) for e in (loop.start, loop.stop, loop.step)]
    try:
        start, stop, step = (int(evaluate(q, entry)) for q in bounds if q is not None)
    except (KeyError, ValueError, ZeroDivisionError):
        return None
    return range(start, stop, step) if step else None


def trips_of(loop: Loop, entry: Mapping[Quantity, int]) -> int | None:
    """Trip count at this call, if it can be told."""
    found = range_of(loop, entry)
    return None if found is None else len(found)


def middling(body: tuple[Stmt, ...], entry: Mapping[Quantity, int]) -> dict[str, int]:
    """Trips of the loops in `body`, as far as they can be told, when those around them are in the middle of theirs."""
    found: dict[str, int] = {}
    for stmt in body:
        inside = entry
        if isinstance(stmt, Loop) and (counted := range_of(stmt, entry)) is not None:
            found[stmt.counter] = len(counted)
            inside = {**entry, QParam(stmt.counter): counted[len(counted) // 2] if counted else counted.start}
        for block in blocks_of(stmt):
            found |= middling(block, inside)
    return found
