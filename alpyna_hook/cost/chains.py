"""Loop-carried chains: the longest path of operations from one trip of a loop to the next (a latency bound).

In: a loop body in typed IR.  Out: amounts by operation class; what they take is the model's business.
Chains run through scalars (`s += a[i]`) or through memory (`p[i] = p[i-1] + a[i]`).
"""

from __future__ import annotations

from collections.abc import Mapping

from alpyna_hook.cost.classes import call_class, cast_class, machine_binary, rep_name
from alpyna_hook.cost.symbolic import slope, symbolic
from alpyna_hook.ir.affine import QConst, Quantity, evaluate, leaves, simplify
from alpyna_hook.ir.flow import assigned, exposed
from alpyna_hook.ir.nodes import (
    Binary, Call, Cast, Compare, Const, Dim, Expr, Load, Logical, Select, Stmt, Store, Unary, Var, walk,
)  # fmt: skip

Amounts = tuple[tuple[str, float], ...]  # (operation class, number), sorted by class


def carried(body: tuple[Stmt, ...]) -> tuple[str, ...]:
    """Scalars read in a trip before they are surely assigned in it, and assigned somewhere in it."""
    return tuple(sorted(exposed(body) & assigned(body)))


# Rough latencies in cycles, used only to choose the longest of several chains; the model prices the
# chosen one with measured figures. Agner Fog, "Instruction tables", Zen 3 / Ice Lake columns.
_NOMINAL = {"add": 4.0, "mul": 4.0, "div": 13.0, "sqrt": 18.0, "idiv": 15.0, "forward": 5.0, "cvt": 4.0}


def nominal(chain: Amounts) -> float:
    total = 0.0
    for name, number in chain:
        head, _, rep = name.partition(".")
        if head in ("libm", "npy", "pow", "fmod"):
            total += 40.0 * number
        elif rep == "int":
            total += number * (_NOMINAL["idiv"] if head == "idiv" else 3.0 if head == "mul" else 1.0)
        else:
            total += number * _NOMINAL.get(head, 1.0)
    return total


def chain_of(expr: Expr, depth: Mapping[str, Amounts], loads: frozenset[Expr] = frozenset()) -> Amounts | None:
    """Longest chain through `expr` from a name in `depth` or a load in `loads`; None if it depends on neither."""
    if expr in loads:
        return (("forward", 1.0),)
    match expr:
        case Var():
            return depth.get(expr.name)
        case Const() | Dim():
            return None
    parts: tuple[Expr, ...]
    name: str | None
    match expr:
        case Binary(left=left, right=right):
            parts, name = (left, right), machine_binary(expr)
        case Unary(op=sign, operand=x):
            parts, name = (x,), f"neg.{rep_name(expr)}" if sign == "-" else None
        case Cast(operand=x):
            parts, name = (x,), cast_class(expr)
        case Compare(left=left, right=right):
            parts, name = (left, right), f"cmp.{rep_name(left)}"
        case Logical(left=left, right=right):
            parts, name = (left, right), None
        case Select(test=test, then=then, other=other):
            parts, name = (test, then, other), f"select.{rep_name(expr)}"
        case Call(args=args):
            parts, name = args, call_class(expr)
        case Load(index=index):
            parts, name = index, "forward"  # a load whose address is carried: pointer chasing
        case _:
            parts, name = (), None
    below = [c for c in (chain_of(p, depth, loads) for p in parts) if c is not None]
    if not below:
        return None
    return _plus(max(below, key=nominal), name)


def _plus(chain: Amounts, op: str | None) -> Amounts:
    if op is None:
        return chain
    total = dict(chain)
    total[op] = total.get(op, 0.0) + 1.0
    return tuple(sorted(total.items()))


def memory_chain(body: tuple[Stmt, ...], counter: str, values: Mapping[str, Quantity | None]) -> Amounts:
    """Longest chain carried through memory: a store whose value needs what an earlier trip of `counter` stored.

    Same slopes, and a distance of 1..8 trips (`p[i] = p[i-1] + a[i]`), or an address that does not move with
    `counter` (`y[i] += ...` over j), where a compiler keeps the value in a register: no forwarding then.
    """
    best: Amounts = ()
    for stmt in body:
        if not isinstance(stmt, Store):
            continue
        hits: dict[Expr, float] = {}
        for e in walk(stmt.value):
            if isinstance(e, Load) and e.array == stmt.array:
                distance = _trips_apart(stmt.index, e.index, counter, values)
                if distance is not None:
                    hits[e] = distance
        for load, distance in hits.items():
            chain = chain_of(stmt.value, {}, frozenset((load,))) or ()
            if distance == 0:  # in a register
                chain = tuple((n, c) for n, c in chain if n != "forward")
            else:
                chain = tuple((n, c / distance) for n, c in chain)
            best = max(best, chain, key=nominal)
    return best


def _trips_apart(
    stored: tuple[Expr, ...], loaded: tuple[Expr, ...], counter: str, values: Mapping[str, Quantity | None]
) -> float | None:
    """Trips of `counter` between a store and the later load of the same element: 0 if neither moves with the
    counter and both are one element, None if there is no such (constant, short) distance."""
    distance: float | None = None
    moves = False
    for s, r in zip(stored, loaded):
        a, b = symbolic(s, values), symbolic(r, values)
        if a is None or b is None:
            return None
        step, gap = slope(a, counter), simplify("-", a, b)
        if slope(b, counter) != step:
            return None
        constant = _constant(gap, a, b)
        if constant is None or not isinstance(step, QConst):
            return None
        if step.value == 0:
            if constant != 0:
                return None
            continue
        moves = True
        here = constant / step.value
        if distance is not None and here != distance:
            return None
        distance = here
    if not moves:
        return 0.0
    return distance if distance is not None and 0 < distance <= 8 else None


def _constant(gap: Quantity, a: Quantity, b: Quantity) -> int | None:
    """`a - b` if it is the same for all values: compared at two points of all leaves."""
    names = leaves(a) | leaves(b)
    points = ({q: 1000 + 7 * k for k, q in enumerate(sorted(names, key=str))}, dict.fromkeys(names, 5))
    try:
        first, second = (evaluate(gap, p) for p in points)
    except ZeroDivisionError:
        return None
    return first if first == second else None
