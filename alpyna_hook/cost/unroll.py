"""Short loops of constant length, unrolled as a C compiler does before it vectorises.

    for i: for j:                          for i: for j:
        for d in range(3):         ->          s += w[0] * a[i, j]; s += w[1] * a[i, j + 1]; ...
            s += w[d] * a[i, j + d]

In: a block of counts.  Out: the block with such loops folded into it; the loop over j is then the innermost one,
and what the loop over d carried is a chain within one iteration.  For compiled variants only.
"""

from __future__ import annotations

from dataclasses import replace

from alpyna_hook.cost.accesses import Access
from alpyna_hook.cost.chains import Amounts
from alpyna_hook.cost.counts import Block, LoopCount
from alpyna_hook.ir.affine import QConst, simplify

# gcc 12: max-completely-peel-times = 16, max-completely-peeled-insns = 200; clang 19 unrolls about as far.
MOST_TRIPS = 16
MOST_WORK = 150.0


def unrolled(block: Block) -> Block:
    """`block` without its short constant loops, at any depth."""
    return _folded(block, ())[0]


def _folded(block: Block, carried: tuple[str, ...]) -> tuple[Block, bool]:
    """The block, and whether all that was folded into it is straight. `carried`: scalars carried by the loop whose body
    this is; a folded loop that carries one of them on lengthens its chain."""
    kept: list[LoopCount] = []
    all_straight = True
    for loop in block.loops:
        body, straight = _folded(loop.body, loop.carried)
        loop = replace(loop, body=body, straight=loop.straight and straight)
        trips = _short(loop)
        if trips is None:
            kept.append(loop)
            continue
        block = _merged(block, loop, trips)
        all_straight = all_straight and loop.straight
        if set(loop.carried) & set(carried):
            block = replace(block, chain=_sum(block.chain, loop.body.chain, len(trips)))
    return replace(block, loops=tuple(kept)), all_straight


def _short(loop: LoopCount) -> range | None:
    """The loop's range if it is to be unrolled."""
    start, stop, step = loop.start, loop.stop, loop.step
    if loop.body.loops or loop.trip_share != 1.0:
        return None
    if not (isinstance(start, QConst) and isinstance(stop, QConst) and isinstance(step, QConst) and step.value):
        return None
    trips = range(start.value, stop.value, step.value)
    work = sum(n for _, n in loop.body.ops) + len(loop.body.accesses)
    return trips if len(trips) <= MOST_TRIPS and len(trips) * work <= MOST_WORK else None


def _merged(block: Block, loop: LoopCount, trips: range) -> Block:
    factor = loop.weight * len(trips)
    copies = [_at(access, loop, value) for value in trips for access in loop.body.accesses]
    return replace(
        block,
        ops=_sum(block.ops, loop.body.ops, factor),
        accesses=(*block.accesses, *dict.fromkeys(copies)),
    )


def _at(access: Access, loop: LoopCount, value: int) -> Access:
    """The access in the copy for one value of the loop's counter."""
    weight = access.weight * loop.weight
    if access.strides is None or access.offset is None:
        return replace(access, weight=weight)
    strides = dict(access.strides)
    moved = strides.pop(loop.counter, QConst(0))
    offset = simplify("+", access.offset, simplify("*", moved, QConst(value)))
    return replace(access, strides=tuple(strides.items()), offset=offset, weight=weight)


def _sum(a: Amounts, b: Amounts, factor: float) -> Amounts:
    total = dict(a)
    for name, number in b:
        total[name] = total.get(name, 0.0) + factor * number
    return tuple(sorted(total.items()))
