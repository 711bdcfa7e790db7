"""Class tags: the run-time answer to "is this a float or a numpy.float64?".

In: a typed expression and the scalars that carry tags.  Out: an int expression, the index of the expression's
class in a scalar's encoding.  Only live-outs whose class is ambiguous at exit, and the
scalars they are computed from, carry a tag, in the scalar "NAME.class".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from alpyna_hook.analysis import opsem
from alpyna_hook.analysis.unions import int_constant, type_of
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import (
    Binary, Call, Cast, Compare, Const, Expr, Logical, Select, Unary, Var,
)  # fmt: skip
from alpyna_hook.ir.types import BOOL, INT


@dataclass(frozen=True, slots=True)
class TagScope:
    """`encoding`: per tagged scalar its possible classes, in the order of the tag's values.  `wanted`: further
    scalars whose tags are needed."""

    encoding: Mapping[str, tuple[str, ...]]
    wanted: set[str] = field(default_factory=set)

    def name(self, scalar: str) -> str:
        """The scalar that holds the tag of `scalar`."""
        return f"{scalar}.class"


def tag_of(value: Expr, tags: TagScope, target: str) -> Expr:
    """The index of `value`'s class in the encoding of `target`."""
    index = {cls: i for i, cls in enumerate(tags.encoding[target])}
    return _choose(value, tags, lambda cls: _int(index.get(cls, 0)))


def _int(value: int) -> Expr:
    return Const(value, type=INT)


Chooser = Callable[[str], Expr]


def _choose(value: Expr, tags: TagScope, pick: Chooser) -> Expr:
    """`pick(class of value)`, as an expression evaluated beside `value`."""
    classes = sorted(type_of(value).classes)
    if len(classes) == 1:
        return pick(classes[0])
    choices = [pick(c) for c in classes]
    if all(c == choices[0] for c in choices):
        return choices[0]
    match value:
        case Var(name=name):
            return _by_tag(name.rpartition(":")[0] or name, classes, tags, pick)
        case Cast(operand=x):
            return _choose(x, tags, pick)
        case Select(test=test, then=x, other=y):
            return _select(test, _choose(x, tags, pick), _choose(y, tags, pick))
        case Logical(op=op, left=x, right=y):
            a, b = _choose(x, tags, pick), _choose(y, tags, pick)
            return _select(x, b, a) if op == "and" else _select(x, a, b)
        case Binary():
            return _pairs(value, tags, pick, partial(opsem.binary, value.op, exponent=int_constant(value.right)))
        case Compare():
            return _pairs(value, tags, pick, partial(opsem.compare, value.op))
        case Unary(operand=x):
            rule = partial(opsem.unary, value.op)
            return _choose(x, tags, lambda a: pick(_result(rule(a))))
        case Call(fn=("min" | "max") as fn, args=(x, y)):
            second = Compare("<" if fn == "min" else ">", y, x, value.span, BOOL)
            return _select(second, _choose(y, tags, pick), _choose(x, tags, pick))
        case Call(fn="abs", args=(x,)):
            return _choose(x, tags, lambda a: pick(_result(opsem.absolute(a))))
        case _:
            raise InternalError(f"no class tag for {value}")


def _pairs(value: Binary | Compare, tags: TagScope, pick: Chooser, rule: Callable[[str, str], opsem.Verdict]) -> Expr:
    """The choice for an operation on the classes of its two operands."""
    return _choose(
        value.left, tags, lambda a: _choose(value.right, tags, lambda b: pick(_result(rule(a, b))))
    )


def _select(test: Expr, then: Expr, other: Expr) -> Expr:
    return then if then == other else Select(test, then, other, test.span, INT)


def _by_tag(name: str, classes: list[str], tags: TagScope, pick: Chooser) -> Expr:
    """A chain of comparisons with the tag of scalar `name`."""
    if name not in tags.encoding:
        tags.wanted.add(name)
        return pick(classes[0])  # this pass is repeated with a tag for `name`
    tag = Var(tags.name(name), type=INT)
    chain = pick(classes[-1])
    for cls in reversed(classes[:-1]):
        here = Compare("==", tag, _int(tags.encoding[name].index(cls)), type=BOOL)
        chain = _select(here, pick(cls), chain)
    return chain


def _result(verdict: opsem.Verdict) -> str:
    if isinstance(verdict, opsem.Refusal):
        raise InternalError(f"a class combination was refused after inference: {verdict.why}")
    return verdict.result
