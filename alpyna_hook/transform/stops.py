"""Which kernels can stop between two iterations of their outermost loop, for a signal that the program handles.

What is done then must be what CPython has done at that moment: all iterations up to some one, and nothing of those
after it.  A loop over fewer iterations, run as planned, leaves just that behind, names included; so it suffices that
the kernel's outermost loop is the program's, and that running it in pieces gives the same.

In: a plan and the nest that it was made of, as it was lowered.  Out: whether it can stop; the form is in
codegen/stops.py.
"""

from __future__ import annotations

from alpyna_hook.ir.nodes import Assign, Const, Loop, Nest, While
from alpyna_hook.ir.plan import LoopPlan, Plan
from alpyna_hook.ir.types import ScalarType

LARGEST_STEP = 1 << 20  # times iterations of a piece, at most 2^40 of them, that stays within 64 bits


def can_stop(plan: Plan, original: Nest) -> bool:
    """Whether the outermost loop of `plan` is that of `original`, in its order, and may be run in pieces."""
    *before, loop = plan.nest.body
    if not isinstance(loop, (Loop, While)) or not all(isinstance(s, Assign) for s in before):
        return False  # it was distributed or cut
    if (loop.span.line, loop.span.col) != (original.body[-1].span.line, original.body[-1].span.col):
        return False  # interchanged
    planned = plan.loop(loop.counter) if isinstance(loop, Loop) else None
    return planned is None or not planned.parallel or _in_pieces(loop, planned, plan)


def _in_pieces(loop: Loop | While, planned: LoopPlan, plan: Plan) -> bool:
    """Whether the threads can share out one piece after another. They copy arrays that they add into, which is too dear
    for each piece, and sums of floats would depend on where the pieces begin."""
    types = dict(plan.nest.types)
    kinds = [types[name] for name, _ in planned.reductions]
    exact = all(isinstance(kind, ScalarType) and kind.rep.is_int for kind in kinds)
    return exact and not planned.array_reductions and isinstance(loop, Loop) and small_step(loop)


def small_step(loop: Loop) -> bool:
    """A constant step, so that pieces can begin anywhere."""
    step = loop.step.value if isinstance(loop.step, Const) else 0
    return isinstance(step, int) and 0 < abs(step) <= LARGEST_STEP
