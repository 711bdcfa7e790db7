"""What is asked of dependence analysis, and the vocabulary of its tests.

In: accesses of a nest, the entry quantities of one call, predicates that may not be assumed.  Out: `Question`,
which all tests share, and `Answer`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from alpyna_hook.analysis.access import Access, NestAccesses
from alpyna_hook.analysis.predicates import holds, nonnegative, value_of
from alpyna_hook.ir.affine import Affine, Env, Predicate, QDim, affine

# Relation of the source's iteration to the sink's, per common loop, in time (not in counter value):
# "<" earlier, "=" the same, ">" later, "*" any.
Direction: TypeAlias = Literal["<", "=", ">", "*"]


@dataclass(frozen=True, slots=True)
class Answer:
    """dependent: whether a dependence has to be assumed; conditions: what independence rests on;
    distance: of the dependence in iterations, if the same everywhere."""

    dependent: bool
    conditions: tuple[Predicate, ...] = ()
    distance: int | None = None


INDEPENDENT = Answer(False)
DEPENDENT = Answer(True)


@dataclass(frozen=True)
class Question:
    """What all questions about one nest share."""

    nest: NestAccesses
    entry: Env
    banned: frozenset[Predicate] = frozenset()
    may_alias: frozenset[frozenset[str]] = frozenset()
    cache: dict[object, Answer] = field(default_factory=dict, compare=False)

    def usable(self, predicate: Predicate) -> bool:
        return predicate not in self.banned and holds(predicate, self.entry)

    def step_sign(self, counter: str) -> tuple[int, tuple[Predicate, ...]]:
        """Sign of a loop's step, 0 if unknown, with what it rests on."""
        step = self.nest.loops[counter].step
        if step is None:
            return 0, ()
        if not step.terms:
            return (step.const > 0) - (step.const < 0), ()
        value = value_of(step, self.entry)
        if value:
            sign = 1 if value > 0 else -1
            condition = nonnegative(step.scale(sign) - affine({}, 1))
            if isinstance(condition, bool):
                return (sign, ()) if condition else (0, ())
            if self.usable(condition):
                return sign, (condition,)
        return 0, ()


def conflicting(a: Access, b: Access, may_alias: frozenset[frozenset[str]]) -> bool:
    """Whether the two can touch one element at all and one of them writes."""
    if not (a.is_write or b.is_write):
        return False
    return a.array == b.array or frozenset((a.array, b.array)) in may_alias


def common_loops(a: Access, b: Access) -> tuple[str, ...]:
    """The loops around both, outermost first."""
    count = 0
    for x, y in zip(a.loops, b.loops):
        if x != y:
            break
        count += 1
    return a.loops[:count]


def plain(access: Access, axis: int) -> Affine | None:
    """The subscript if it is the element's place itself (never wraps), or wraps always (a constant)."""
    form = access.index[axis]
    if form is None or access.modes[axis] == "direct":
        return form
    if not form.terms:
        return form if form.const >= 0 else form + affine({QDim(access.array, axis): 1})
    return None


def shared(nest: NestAccesses, key: str, equal: frozenset[str]) -> bool:
    """Whether a counter or symbol has one value for both accesses."""
    if key.startswith("$"):
        return equal.issuperset(nest.symbols[key])
    return key in equal
