"""What is best for a call if everything is compiled, and for which other calls that stands.

In: the model of a specialisation (`Evaluator`), the entry values of a call, what was measured (`History`).  Out: the
cheapest variant, with what else a decision needs to know (`pick`); ranges of entry values (`box`).

`define_pick` and `define_box` are the definitions. They are seldom run: the evaluator's C extension follows them
(_pick.h), and gives up where something is not usual, such as a regime of the model that is met for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping

from alpyna_hook.cost import rules
from alpyna_hook.cost.evaluate import Evaluator
from alpyna_hook.cost.learn import History
from alpyna_hook.cost.model import Env
from alpyna_hook.ir.affine import Quantity

# (cheapest variant, seconds by variant, the same of those that are offered, of the cheapest: seconds of the kernel
# alone, uncorrected by what was measured, whether it was measured well, and calls until it comes up for review, then
# what rules.worth says)
Picked = tuple[str, dict[str, float], dict[str, float], float, bool, int, str, float]
Ranges = dict[Quantity, tuple[int, int]]


def pick(model: Evaluator, env: Env, history: History) -> Picked:
    """The cheapest variant of a call if all are compiled."""
    found: Picked | None = None
    if model.picker is not None:
        found = model.picker.pick(env, history.known(), history.calls)
    return define_pick(model, env, history) if found is None else found


def define_pick(model: Evaluator, env: Env, history: History) -> Picked:
    """`pick` by definition."""
    parts = model.parts(env)
    predicted = history.corrected(parts, model.unknown)
    offered = rules.worth_threads(predicted, parts, history)
    best = rules.cheapest(offered)
    kernel_s = parts[best][0]
    known = history.fresh(best, kernel_s)
    review = rules.until_review(best, offered[best], known, history.calls)
    return best, predicted, offered, kernel_s, known, review, *rules.worth(offered, model.profile)


def box(model: Evaluator, env: Env, chosen: str, history: History, unpaid: dict[str, float]) -> Ranges:
    """The ranges of entry values for which `chosen` stands. unpaid: variant -> seconds still to be paid before it can
    run, asked for if `chosen` is "interp"."""
    found: Ranges | None = None
    if model.picker is not None:
        found = model.picker.box(env, chosen, history.known(), unpaid)
    return define_box(model, env, chosen, history, unpaid) if found is None else found


def define_box(model: Evaluator, env: Env, chosen: str, history: History, unpaid: Mapping[str, float]) -> Ranges:
    """`box` by definition: power-of-two buckets around the deciding leaves, narrowed while `chosen` would be a poor
    choice in the corner with the least or with the most work. A bucket alone says nothing of `range(lo, hi)` with both
    a million."""

    def good(corner: list[float]) -> bool:
        predicted = history.corrected(model.at(tuple(corner)), model.unknown)
        return rules.good(chosen, predicted, unpaid, model.profile)

    around = {leaf: rules.bucket(int(env[leaf])) for leaf in model.deciding if leaf in env}
    sized = {leaf: around[leaf] for leaf in model.sized if leaf in around}
    if not sized:
        return around
    inputs = model.inputs(env)
    places = {leaf: model.leaves.index(leaf) for leaf in sized}
    work = model.work(inputs)
    rising = {leaf: _rises(model, inputs, work, places[leaf], high) for leaf, (_, high) in sized.items()}
    for _ in range(rules.ROUNDS):
        low, high = list(inputs), list(inputs)
        for leaf, span in sized.items():
            low[places[leaf]], high[places[leaf]] = span if rising[leaf] else span[::-1]
        if good(low) and good(high):
            return {**around, **sized}
        sized = {leaf: rules.narrowed(span, int(env[leaf])) for leaf, span in sized.items()}
    return {**around, **{leaf: (int(env[leaf]), int(env[leaf])) for leaf in sized}}


def _rises(model: Evaluator, inputs: tuple[float, ...], work: float, place: int, high: int) -> bool:
    """Whether more work comes with a larger value of a leaf: `hi` of range(lo, hi) yes, `lo` no. work: as it is."""
    return model.work((*inputs[:place], high, *inputs[place + 1 :])) >= work
