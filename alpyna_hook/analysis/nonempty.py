"""Inner loops that make at least one trip, by what is known at entry.

    for x in range(w):
        for k in range(m):          # 0 < m: then `k` is surely assigned here,
            ...
        steps[x] = k                # no value of it comes from an earlier iteration, or from before the loop

In: the loops of a question, and scalars that they assign.  Out: for each such loop an entry predicate under which
it is never empty, if that predicate holds at this call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from alpyna_hook.analysis.access import assigned_names
from alpyna_hook.analysis.predicates import is_entry, nonnegative
from alpyna_hook.analysis.question import Question
from alpyna_hook.analysis.scalars import Names, definitely_assigned, upward_exposed
from alpyna_hook.ir.affine import Affine, PAll, Predicate, affine
from alpyna_hook.ir.nodes import Loop, Stmt, walk_stmts

Usable: TypeAlias = Callable[[Predicate], bool]
_ONE = affine({}, 1)
TRUE = PAll(())


def nonempty_loops(body: tuple[Stmt, ...], question: Question, names: Names, usable: Usable) -> dict[str, Predicate]:
    """Counter -> predicate, for the loops in `body` that assign one of `names`. Usable predicates only; TRUE where
    nothing has to be checked."""
    found: dict[str, Predicate] = {}
    for stmt in walk_stmts(body):
        if isinstance(stmt, Loop) and not names.isdisjoint(assigned_names(stmt.body)):
            least = _least_trips(stmt.counter, question)
            condition = False if least is None else nonnegative(least - _ONE)
            if condition is True:
                found[stmt.counter] = TRUE
            elif not isinstance(condition, bool) and usable(condition):
                found[stmt.counter] = condition
    return found


def without_exposure(
    body: tuple[Stmt, ...], question: Question, names: Names, usable: Usable | None = None
) -> tuple[Names, tuple[Predicate, ...]]:
    """Those of `names` that `body` never reads before it has assigned them, and what that rests on.

    usable  which predicates that may be; `question.usable` if not given
    """
    loops = nonempty_loops(body, question, names, usable or question.usable)
    good = names - upward_exposed(body, frozenset(loops))
    for counter in list(loops):  # only what helps is worth a precondition
        if not good & upward_exposed(body, frozenset(loops) - {counter}):
            del loops[counter]
    return good, _conditions(loops)


def surely_assigned(
    body: tuple[Stmt, ...], question: Question, names: Names
) -> tuple[Names, tuple[Predicate, ...]]:
    """Those of `names` that every iteration with this body assigns, and what that rests on."""
    loops = nonempty_loops(body, question, names - definitely_assigned(body), question.usable)
    good = names & definitely_assigned(body, frozenset(loops))
    for counter in list(loops):
        if good <= definitely_assigned(body, frozenset(loops) - {counter}):
            del loops[counter]
    return good, _conditions(loops)


def _conditions(loops: dict[str, Predicate]) -> tuple[Predicate, ...]:
    return tuple(dict.fromkeys(p for p in loops.values() if p != TRUE))


def _least_trips(counter: str, question: Question) -> Affine | None:
    """An entry form: the loop makes at least so many trips (or more, by steps other than 1) if it is positive."""
    domain = question.nest.loops[counter]
    sign, conditions = question.step_sign(counter)
    if domain.start is None or domain.stop is None or not sign or conditions:
        return None
    form: Affine | None = (domain.stop - domain.start).scale(sign)
    while form is not None and not is_entry(form):
        form = _without_counter(form, question)
    return form


def _without_counter(form: Affine, question: Question) -> Affine | None:
    """A form with one counter less that is nowhere greater: the counter at the end of its range."""
    name = next(k for k, _ in reversed(form.terms) if isinstance(k, str))
    domain = question.nest.loops.get(name)
    if domain is None or domain.start is None or domain.stop is None:
        return None  # a symbol, or a loop whose range is not known
    sign, conditions = question.step_sign(name)
    if not sign or conditions:
        return None
    factor = form.coefficient(name)
    end = domain.start if factor * sign > 0 else domain.stop - affine({}, sign)
    return form - affine({name: factor}) + end.scale(factor)
