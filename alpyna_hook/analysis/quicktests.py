"""Dependence tests that cost microseconds: ZIV, strong SIV, GCD, Banerjee, and a search for a witness.

In: two accesses and the directions asked for.  Out: an `Answer`, or None if these tests cannot tell.  (Goff,
Kennedy, Tseng: Practical Dependence Testing, PLDI 1991; Kennedy & Allen, Optimizing Compilers for Modern
Architectures, ch. 3.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from alpyna_hook.analysis.access import Access, LoopDomain
from alpyna_hook.analysis.predicates import value_of
from alpyna_hook.analysis.question import DEPENDENT, INDEPENDENT, Answer, Direction, Question, plain, shared
from alpyna_hook.ir.affine import Affine, Env, QDim, Quantity, affine


def cheap_answer(question: Question, src: Access, dst: Access, relation: Mapping[str, Direction]) -> Answer | None:
    """ZIV, strong SIV, GCD and Banerjee, dimension by dimension, then a search for a witness; None if
    all that cannot tell."""
    equal = frozenset(c for c, d in relation.items() if d == "=")
    distances: dict[str, int] = {}
    dimensions: list[tuple[Affine, list[_Term]]] = []
    unknown = 0
    for axis in range(len(src.index)):
        x, y = plain(src, axis), plain(dst, axis)
        if x is None or y is None:
            if src.index[axis] is None or dst.index[axis] is None:
                unknown += 1  # equal for all we know
            else:
                dimensions.append((affine({}), [_WRAPS]))
            continue
        known, moving = _split(question, x, y, equal)
        dimensions.append((known, moving))
        if not known.terms and (known.const % math.gcd(*(c for *_, c in moving)) if moving else known.const):
            return INDEPENDENT  # GCD (ZIV without moving terms): no integer solution
        found = _strong_siv(question, known, moving, relation)
        if isinstance(found, Answer):
            return found
        if found is not None:
            counter = moving[0][1]
            if distances.setdefault(counter, found) != found:
                return INDEPENDENT  # two dimensions ask for different distances
    if unknown == len(src.index):
        return DEPENDENT
    if any(_apart(question, src, dst, relation, known, moving) for known, moving in dimensions):
        return INDEPENDENT
    if _witness(question, src, dst, relation, dimensions, distances):
        distance = next((distances[c] for c, d in relation.items() if d in "<>" and c in distances), None)
        return Answer(True, distance=distance)
    return None


_Term: TypeAlias = tuple[str, str, int]  # side ("src" or "dst"), counter or symbol, coefficient
_WRAPS: _Term = ("", "", 0)  # stands for a dimension whose subscript may or may not wrap


def _apart(
    question: Question, src: Access, dst: Access, relation: Mapping[str, Direction], known: Affine,
    moving: Sequence[_Term],
) -> bool:
    """Banerjee's inequalities with symbolic, triangular bounds (Kennedy & Allen, section 3.3.3): whether
    source and sink subscript differ by the same sign throughout their loops and this direction."""
    if not moving or moving[0] == _WRAPS:
        return False
    bounds = _Bounds(question, src, dst, relation)
    return any(
        bounds.positive({**{("", k): sign * c for k, c in known.terms},
                         **{(side, k): sign * c for side, k, c in moving}}, sign * known.const)
        for sign in (1, -1)
    )  # fmt: skip


_Sided: TypeAlias = "dict[tuple[str, str | Quantity], int]"  # linear form; side "" for what both share


class _Bounds:
    """Bounds of the two iterations' counters, for the elimination of one counter after the other."""

    def __init__(self, question: Question, src: Access, dst: Access, relation: Mapping[str, Direction]) -> None:
        self.question, self.relation = question, relation
        self.loops = {"src": src.loops, "dst": dst.loops, "": src.loops}
        self.equal = frozenset(c for c, d in relation.items() if d == "=")

    def positive(self, form: _Sided, const: int, tries: int = 8) -> bool:
        """Whether form + const >= 1 for all iterations (sufficient)."""
        form = {k: c for k, c in form.items() if c}
        counters = [(side, k) for side, k in form if isinstance(k, str)]
        if not counters:
            # sizes are >= 0; other parameters must cancel
            return const >= 1 and all(isinstance(k, QDim) and c > 0 for (_, k), c in form.items())
        side, key = max(counters, key=self.depth)
        c = form.pop((side, key))
        for bound_side, bound in self.bounds(side, str(key), c > 0)[:tries]:
            reduced = dict(form)
            for k, f in bound.terms:
                where = ("" if not isinstance(k, str) or k in self.equal else bound_side, k)
                reduced[where] = reduced.get(where, 0) + c * f
            if self.positive(reduced, const + c * bound.const, tries - 1):
                return True
        return False

    def depth(self, key: tuple[str, str | Quantity]) -> tuple[int, bool]:
        side, counter = key
        loops = self.loops[side]
        return (loops.index(str(counter)) if counter in loops else 99, side == "dst")

    def bounds(self, side: str, counter: str, lower: bool) -> list[tuple[str, Affine]]:
        """(side of the counters in it, bound) of one counter, from its range and from the direction."""
        loop = self.question.nest.loops.get(counter)
        step = None if loop is None else loop.constant_step
        if loop is None or step is None or counter not in self.loops[side]:
            return []
        found: list[tuple[str, Affine]] = []
        direction = self.relation.get(counter, "*")
        if side == "dst" and direction in "<>" and ((direction == "<") == (step > 0)) == lower:
            apart = abs(step) if lower else -abs(step)
            found.append(("src", affine({counter: 1}, apart)))
        bound = loop.start if lower == (step > 0) else loop.stop
        if bound is not None:
            inside = 0 if bound is loop.start else (-1 if step > 0 else 1)
            found.append((side, bound + affine({}, inside)))
        return found


def _witness(
    question: Question, src: Access, dst: Access, relation: Mapping[str, Direction],
    dimensions: Sequence[tuple[Affine, list[_Term]]], distances: Mapping[str, int],
) -> bool:
    """Whether this very entry has a dependent pair, tried in the middle of the loops that have a direction,
    for a simple shape: step 1, no guards, at most one free counter per side and dimension. It saves
    most carried loops the exact test."""
    if src.guards or dst.guards:
        return False
    fixed: dict[str, dict[str | Quantity, int]] = {"src": {}, "dst": {}}
    ranges: dict[tuple[str, str], range] = {}
    for counter, direction in relation.items():
        values = _range_now(question.nest.loops[counter], question.entry, fixed["src"])
        apart = distances.get(counter, 1) if direction in "<>" else 0
        if values is None or len(values) <= apart or direction == "*":
            return False
        early = values[(len(values) - 1 - apart) // 2]
        late = early + apart
        fixed["src"][counter], fixed["dst"][counter] = (late, early) if direction == ">" else (early, late)
    for side, access in (("src", src), ("dst", dst)):
        for counter in access.loops:
            values = _range_now(question.nest.loops[counter], question.entry, fixed[side])
            if values is None or not values or fixed[side].get(counter, values[0]) not in values:
                return False
            ranges[side, counter] = values
    used: set[tuple[str, str]] = set()
    for known, moving in dimensions:
        gap = _value_now(known, question.entry, fixed["src"])
        if gap is None:
            return False
        gap += sum(c * fixed[side][key] for side, key, c in moving if side and key in fixed[side])
        free = [t for t in moving if not t[0] or t[1] not in fixed[t[0]]]
        if not _solvable(gap, free, ranges) or not used.isdisjoint(t[:2] for t in free):
            return False
        used.update(t[:2] for t in free)
    return True


def _solvable(gap: int, free: Sequence[_Term], ranges: Mapping[tuple[str, str], range]) -> bool:
    """Whether gap + free terms == 0 has a solution within the ranges; False if that is not plain."""
    if not free:
        return gap == 0
    if len(free) > 2 or any(t[:2] not in ranges for t in free):
        return False
    if len(free) == 1:
        side, key, c = free[0]
        return gap % c == 0 and -gap // c in ranges[side, key]
    (side, key, c), (side2, key2, c2) = free
    if c + c2 or side == side2 or gap % c:
        return False
    shift, a, b = gap // c, ranges[side, key], ranges[side2, key2]  # key + shift == key2
    return max(a.start + shift, b.start) < min(a.stop + shift, b.stop)


def _range_now(loop: LoopDomain, entry: Env, fixed: Mapping[str | Quantity, int]) -> range | None:
    if loop.start is None or loop.stop is None or loop.constant_step != 1:
        return None
    start, stop = _value_now(loop.start, entry, fixed), _value_now(loop.stop, entry, fixed)
    return None if start is None or stop is None else range(start, stop)


def _value_now(form: Affine, entry: Env, fixed: Mapping[str | Quantity, int]) -> int | None:
    """Value of a form at this entry with some counters fixed, None if something in it is not known."""
    rest = affine({k: c for k, c in form.terms if k not in fixed}, form.const)
    value = value_of(rest, entry)
    return None if value is None else value + sum(c * fixed[k] for k, c in form.terms if k in fixed)


def _split(
    question: Question, x: Affine, y: Affine, equal: frozenset[str]
) -> tuple[Affine, list[_Term]]:
    """x(source) - y(sink) as a part known to be the same on both sides, and terms (side, key, coefficient)."""
    known: dict[str | Quantity, int] = {}
    moving: list[_Term] = []
    for side, form, sign in (("src", x, 1), ("dst", y, -1)):
        for key, c in form.terms:
            if isinstance(key, str) and not shared(question.nest, key, equal):
                moving.append((side, key, sign * c))
            else:
                known[key] = known.get(key, 0) + sign * c
    return affine(known, x.const - y.const), moving


def _strong_siv(
    question: Question, known: Affine, moving: list[_Term], relation: Mapping[str, Direction]
) -> Answer | int | None:
    """a*i + c against a*i' + d: the distance in iterations, an answer if it contradicts the direction."""
    if known.terms or len(moving) != 2:
        return None
    (side, key, c), (side2, key2, c2) = moving
    if key != key2 or side == side2 or c + c2 or key.startswith("$") or key not in relation:
        return None
    step = question.nest.loops[key].constant_step
    # c*i + known == c*i'  =>  i' - i = known / c
    if known.const % c or (step is not None and known.const // c % step):
        return INDEPENDENT
    if relation[key] == "*":
        return None
    if known.const == 0:
        return INDEPENDENT if relation[key] in "<>" else None
    if step is None:
        return None
    iterations = known.const // c // step
    if (iterations > 0) != (relation[key] == "<"):
        return INDEPENDENT
    return abs(iterations)
