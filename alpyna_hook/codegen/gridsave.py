"""How a grid that is launched block by block (codegen/grid.py) saves the rows that it is about to write.

    alp_done    trips of the blocks before this one          i_block  the counter's value there
    y_saved     what this block's rows were: row k is that of the block's trip k

An array whose elements each iteration writes once, at places that the host can tell (rowsave.py), is saved element by
element, just before the store.  Of others a work item saves whole rows, a few at a time, so that what it then works on
comes from the innermost cache.

In: the grid's loop over one work item's share of a block.  Out: C lines; for the host, what a row has of saved
elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alpyna_hook.codegen.rowsave import Saved, at_store, saved_array
from alpyna_hook.ir.nodes import Binary, Const, Dim, Expr, Loop, Var, walk
from alpyna_hook.ir.types import INT

if TYPE_CHECKING:
    from alpyna_hook.codegen.stmt import Body

PART_BYTES = 4096  # of whole rows saved at a time by a work item


@dataclass(frozen=True, slots=True)
class GridSaved:
    """An array that a grid saves: iteration i writes row i + offset.

    box  with `element`: per axis but the first, the first element that an iteration writes and the one behind its last
    """

    array: str
    offset: int
    element: Saved | None = None
    box: tuple[tuple[Expr, Expr], ...] = ()


def grid_saved(loop: Loop, saved: Sequence[tuple[str, int]], ctx: Body) -> tuple[GridSaved, ...]:
    """How the arrays are to be saved in `loop`."""
    found = []
    for array, offset in saved:
        how = saved_array(loop, array, offset, ctx)
        box = _box(how, loop)
        found.append(GridSaved(array, offset) if box is None else GridSaved(array, offset, how, box))
    return tuple(found)


def element_saves(loop: Loop, saved: Sequence[GridSaved], ctx: Body) -> dict[int, str]:
    """The lines that save single elements, by the `id` of the store that they belong to."""
    how = [one.element for one in saved if one.element is not None]
    return {id(one.store): at_store(one, loop, ctx) for one in how}


def _box(how: Saved, loop: Loop) -> tuple[tuple[Expr, Expr], ...] | None:
    """None: the array is not saved element by element, or where is not the same in each iteration of the grid."""
    if how.store is None:
        return None
    box: list[tuple[Expr, Expr]] = []
    for index in how.store.index[1:]:
        inner = next((x for x in how.chain if _mentions(index, x.counter)), None)
        if inner is None:
            box.append((index, Binary("+", index, Const(1, type=INT), type=INT)))
        elif isinstance(inner.step, Const) and inner.step.value == 1:
            box.append((_with(index, inner.counter, inner.start), _with(index, inner.counter, inner.stop)))
        else:
            return None  # there are elements between those that are written
    parts = [part for pair in box for end in pair for part in walk(end)]
    simple = all(isinstance(part, (Const, Dim, Var)) or _is_sum(part) for part in parts)
    return tuple(box) if simple and not any(_mentions(end, loop.counter) for pair in box for end in pair) else None


def _is_sum(expr: Expr) -> bool:
    return isinstance(expr, Binary) and expr.op in ("+", "-", "*") and not expr.checks


def _mentions(expr: Expr, name: str) -> bool:
    return any(isinstance(part, Var) and part.name == name for part in walk(expr))


def _with(index: Expr, counter: str, value: Expr) -> Expr:
    """`index`, the counter plus or minus a constant, where the counter is `value`."""
    match index:
        case Var(name=name) if name == counter:
            return value
        case Binary(op=op, left=left, right=right):
            return Binary(op, _with(left, counter, value), _with(right, counter, value), type=INT)
    return index
