"""Branches: how often they are taken, and what their jumps cost beside one of which nothing is known.

In: an `if` in typed IR.  Out: shares.

Nothing is known of most data.  One idiom tells: `if x < best: best = x` keeps a running extreme.  Of n values in random
order only the harmonic number H_n ever become `best` (Knuth, "The Art of Computer Programming", vol. 1, section 1.2.10,
algorithm M), and a jump that nearly always goes one way is predicted (Smith, "A study of branch prediction strategies",
ISCA 1981).
"""

from __future__ import annotations

from alpyna_hook.ir.nodes import Assign, Cast, Compare, Expr, If, Load, Store, Var

TAKEN = 0.5  # share of executions that take a data-dependent branch: nothing is known of the data
EXTREME_TAKEN = 0.05  # of a test for a running extreme: H_n / n for a hundred values
# Of the cost of a jump of which nothing is known, what remains where it is always predicted: of 3 cycles, 2 are those
# of the mispredictions (machine.py), some 16 cycles each (Fog, "Microarchitecture").
PREDICTED = 1 / 3


def taken(branch: If) -> float:
    """Share of executions in which `branch.then` runs."""
    return EXTREME_TAKEN if _keeps_extreme(branch) else TAKEN


def jump(share: float) -> float:
    """Cost of a jump that is taken with this share, in those of one of which nothing is known: mispredictions come with
    its rarer direction."""
    return PREDICTED + (1.0 - PREDICTED) * min(share, 1.0 - share) / TAKEN


def _keeps_extreme(branch: If) -> bool:
    """`if VALUE < PLACE: PLACE = VALUE`, or with another order: PLACE is a variable or an element."""
    test = branch.test
    if not isinstance(test, Compare) or test.op not in ("<", "<=", ">", ">=") or len(branch.then) != 1 or branch.other:
        return False
    (kept,) = branch.then
    if not isinstance(kept, (Assign, Store)):
        return False
    sides = [(test.left, test.right), (test.right, test.left)]
    return any(_is_place(place, kept) and _bare(value) == _bare(kept.value) for place, value in sides)


def _is_place(expr: Expr, kept: Assign | Store) -> bool:
    """Whether `expr` is what `kept` writes."""
    match _bare(expr):
        case Var(name=name):
            return isinstance(kept, Assign) and kept.name == name
        case Load(array=array, index=index):
            return isinstance(kept, Store) and (kept.array, kept.index) == (array, index)
    return False


def _bare(expr: Expr) -> Expr:
    """Without conversions."""
    while isinstance(expr, Cast):
        expr = expr.operand
    return expr
