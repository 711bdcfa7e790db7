"""Induction variables: ints that a loop steps by a constant, and `while` loops that are ranges in disguise.

    while k < limit and ...:          ->   at most range(k, limit, 2)
        ...
        k += 2

In: a loop body, what int names stand for before it.  Out: what they stand for at the start of a trip; the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from alpyna_hook.cost.symbolic import ONE, symbolic
from alpyna_hook.ir.affine import QConst, QParam, Quantity, simplify
from alpyna_hook.ir.nodes import Assign, Binary, Cast, Compare, Const, Expr, Logical, Stmt, Var, While, walk_stmts

Values = dict[str, "Quantity | None"]

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "!=": "!=", "==": "=="}


@dataclass(frozen=True, slots=True)
class Counted:
    """`while` as a range over the values of `name`. `sure`: nothing else ends the loop."""

    name: str
    start: Quantity
    stop: Quantity
    step: int
    sure: bool


def at_loop_entry(body: tuple[Stmt, ...], counter: str, values: Mapping[str, Quantity | None]) -> Values:
    """What int names stand for at the start of a trip: invariants keep their value, `k += 2` becomes an unknown base
    plus 2 * counter (only its slope is of use), other assigned names are unknown."""
    inside = dict(values)
    for name in assigned_names(body):
        step = induction_step(name, body)
        inside[name] = None
        if step is not None:
            base = QParam(f"{name}@{counter}")
            inside[name] = simplify("+", base, simplify("*", QConst(step), QParam(counter)))
    inside[counter] = QParam(counter)
    return inside


def counted(loop: While, values: Mapping[str, Quantity | None]) -> Counted | None:
    """The range that bounds the trips of `loop`, if one of its (and-ed) tests compares an induction variable, whose
    value before the loop is known, with something that the loop does not change."""
    tests = list(_conjuncts(loop.test))
    for test in tests:
        if isinstance(test, Compare):
            for name, op, bound in (
                (test.left, test.op, test.right),
                (test.right, _MIRRORED[test.op], test.left),
            ):
                found = _range(_bare(name), op, bound, loop.body, values)
                if found is not None:
                    variable, start, stop, step = found
                    return Counted(variable, start, stop, step, len(tests) == 1)
    return None


def _range(
    variable: Expr, op: str, bound: Expr, body: tuple[Stmt, ...], values: Mapping[str, Quantity | None]
) -> tuple[str, Quantity, Quantity, int] | None:
    if not isinstance(variable, Var):
        return None
    start, step = values.get(variable.name), induction_step(variable.name, body)
    changed = assigned_names(body)
    stop = symbolic(_bare(bound), {name: q for name, q in values.items() if name not in changed})
    if start is None or stop is None or not step:
        return None
    if (op in ("<", "<=") and step < 0) or (op in (">", ">=") and step > 0) or op == "==":
        return None
    if op == "<=":
        stop = simplify("+", stop, ONE)
    elif op == ">=":
        stop = simplify("-", stop, ONE)
    return variable.name, start, stop, step


def _conjuncts(test: Expr) -> list[Expr]:
    if isinstance(test, Logical) and test.op == "and":
        return _conjuncts(test.left) + _conjuncts(test.right)
    return [test]


def _bare(expr: Expr) -> Expr:
    while isinstance(expr, Cast):
        expr = expr.operand
    return expr


def induction_step(name: str, body: tuple[Stmt, ...]) -> int | None:
    """c if the only assignment to `name` in `body`, made on every trip, is `name += c`."""
    if assigned_names(body).count(name) != 1:
        return None
    for stmt in body:
        match stmt:
            case Assign(
                name=target, value=Binary(op="+" | "-" as op, left=Var(name=used), right=Const(value=int() as c))
            ) if target == used == name:
                return int(c) if op == "+" else -int(c)
    return None


def assigned_names(body: tuple[Stmt, ...]) -> list[str]:
    """Names assigned in `body`, once per assignment."""
    return [s.name for s in walk_stmts(body) if isinstance(s, Assign)]
