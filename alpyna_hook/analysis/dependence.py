"""Data dependences between array accesses: cheap tests first, exact integer sets for the rest.

In: the accesses of a nest, the entry quantities of one call, predicates that may not be assumed.
Out: for a pair of accesses and a *direction* per common loop, one of
    independent     no two such iterations touch the same element
    conditional     independent if a predicate holds, which is true at this entry
    dependent       anything else
The tests are in quicktests.py and polyhedron.py; this module asks them what parallelisation, distribution
and code generation want to know.
"""

from __future__ import annotations

from collections.abc import Sequence

from alpyna_hook.analysis.access import Access, nest_accesses
from alpyna_hook.analysis.polyhedron import exact_answer
from alpyna_hook.analysis.question import DEPENDENT, Answer, Direction, Question, common_loops, conflicting
from alpyna_hook.analysis.quicktests import cheap_answer
from alpyna_hook.ir.affine import Env, Predicate
from alpyna_hook.ir.nodes import Nest


def depends(question: Question, src: Access, dst: Access, directions: Sequence[Direction]) -> Answer:
    """Whether `dst` may touch an element that `src` touched, in iterations related by `directions`
    (one per common loop, outermost first; missing ones are "*")."""
    if src.array != dst.array or len(src.index) != len(dst.index) or src.sizes != dst.sizes:
        return DEPENDENT
    common = common_loops(src, dst)
    relation = dict(zip(common, directions))
    key = (src.index, src.modes, src.loops, src.guards, dst.index, dst.modes, dst.loops, dst.guards, tuple(directions))
    if key in question.cache:
        return question.cache[key]
    answer = cheap_answer(question, src, dst, relation)
    if answer is None:
        answer = exact_answer(question, src, dst, relation)
    question.cache[key] = answer
    return answer


# -- what code generation asks -------------------------------------------------------------------


def interchange_legal(
    nest: Nest, outer: str, inner: str, entry: Env | None = None, may_alias: frozenset[frozenset[str]] = frozenset()
) -> bool:
    """Whether the directly nested loops `outer` and `inner` may change places: no dependence has
    direction (<, >) (Kennedy & Allen, theorem 5.2). Arrays only: carried scalars are the caller's
    affair. No precondition is assumed, so the answer holds for every entry."""
    question = Question(nest_accesses(nest), entry or {}, _NOTHING_ASSUMED, may_alias)
    inside = [a for a in question.nest.accesses if inner in a.loops]
    for src in inside:
        for dst in inside:
            if not conflicting(src, dst, may_alias):
                continue
            common = common_loops(src, dst)
            depth = common.index(outer)
            directions: list[Direction] = ["="] * depth
            directions += ["<" if c == outer else ">" if c == inner else "*" for c in common[depth:]]
            answer = depends(question, src, dst, directions)
            if answer.dependent or answer.conditions:
                return False
    return True


def innermost_independent(
    nest: Nest, counter: str, entry: Env | None = None, may_alias: frozenset[frozenset[str]] = frozenset()
) -> bool:
    """Whether no array dependence is carried by `counter` at all (no precondition assumed): a C
    compiler may be told that its iterations are independent in memory."""
    question = Question(nest_accesses(nest), entry or {}, _NOTHING_ASSUMED, may_alias)
    inside = [a for a in question.nest.accesses if counter in a.loops]
    return not any(
        answer.dependent or answer.conditions for *_, answer in carried_pairs(question, inside, counter)
    )


class _Everything(frozenset[Predicate]):
    """A `banned` set that bans all."""

    def __contains__(self, item: object) -> bool:
        return True


_NOTHING_ASSUMED: frozenset[Predicate] = _Everything()


def carried_pairs(
    question: Question, accesses: Sequence[Access], counter: str
) -> list[tuple[Access, Access, Answer]]:
    """(source, sink, answer) for each pair of `accesses` (all inside `counter`) that could be
    carried by that loop and is not plainly independent; first the certain dependences."""
    found: list[tuple[Access, Access, Answer]] = []
    seen: set[object] = set()
    # A value written late in one iteration and read early in the next tells people most: such pairs come first.
    sinks = sorted(accesses, key=lambda access: access.is_write)
    for src in sorted(reversed(accesses), key=lambda access: not access.is_write):
        for dst in sinks:
            if not conflicting(src, dst, question.may_alias):
                continue
            depth = src.loops.index(counter)
            key = (src.array, src.index, src.modes, src.loops[: depth + 1], src.guards,
                   dst.array, dst.index, dst.modes, dst.guards, src.is_write, dst.is_write, src.loops, dst.loops)
            if key in seen:
                continue
            seen.add(key)
            directions: list[Direction] = ["="] * depth
            directions.append("<")
            answer = depends(question, src, dst, directions)
            if answer.dependent or answer.conditions:
                found.append((src, dst, answer))
                if answer.dependent:
                    return found[-1:]
    return found
