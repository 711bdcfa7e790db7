"""Predictions for one specialisation, fast enough to be made at a call.

In: its candidates and a profile, once; then entry values, again and again.  Out: predicted seconds by variant.

The model is bound once. The first evaluations walk it in Python; from then on each regime of the model is recorded the
first time that it is met (tape.py), and is run again in a microsecond.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from alpyna_hook.cost import rules
from alpyna_hook.cost.machine import Profile
from alpyna_hook.cost.model import Env, Parts, bind
from alpyna_hook.cost.priced import Candidate
from alpyna_hook.cost.tape import Picker, Tape, Tree, record
from alpyna_hook.ir.affine import QDim, QParam, QStride, Quantity

DIRECT = 2  # evaluations before anything is recorded: recording takes as long as ten of them
MOST_STEPS = 4000  # recorded, about 100 KB of code and values; then it begins anew


class Evaluator:
    """Predicted seconds of `candidates` on a machine.

    profile    the machine's figures
    leaves     entry quantities that predictions depend on; `inputs` are their values in this order
    deciding   those that a choice depends on: of trip counts, and the sizes of journalled arrays
    sized      those of `deciding` that trip counts depend on
    unknown    whether trip counts depend on data
    picker     what picks and boxes as pick.py defines it, in C; None: where that was not built, or has too much to hold
    """

    def __init__(self, candidates: Mapping[str, Candidate], profile: Profile, threads: int) -> None:
        self.candidates, self.profile = dict(candidates), profile
        self.variants = tuple(candidates)
        self._interp = 2 * self.variants.index("interp")  # in what a tape returns
        self._bounds = [bind(candidate, profile, variant) for variant, candidate in candidates.items()]
        self._threads = threads
        self._evaluations = 0
        self._estimated = [leaf for bound in self._bounds for leaf, _ in bound.estimated]
        self.leaves = tuple(dict.fromkeys(leaf for bound in self._bounds for leaf, _ in bound.known))
        self._read = _reader(self.leaves)
        interp = candidates["interp"].counts
        self.unknown = bool(interp.unknown)
        self.deciding = _deciding_leaves(candidates)
        trips = set(interp.trip_leaves)
        self.sized = tuple(leaf for leaf in self.deciding if leaf in trips and leaf in self.leaves)
        self.picker = self._made_picker()
        self._tree: Tree | None = None
        self._tape: Tape | None = None

    def parts(self, env: Env) -> dict[str, Parts]:
        """Seconds of the kernel and of what is around it, by variant."""
        if self._estimated and any(leaf in env for leaf in self._estimated):
            return {v: bound.parts(env, self._threads) for v, bound in zip(self.variants, self._bounds)}
        return self.at(self.inputs(env))

    def inputs(self, env: Env) -> tuple[float, ...]:
        """The values of `leaves`. KeyError if one is missing."""
        return self._read(env)

    def at(self, inputs: Sequence[float]) -> dict[str, Parts]:
        """As `parts`, for `inputs`."""
        seconds = self._seconds(inputs)
        each = iter(seconds)
        return dict(zip(self.variants, zip(each, each)))

    def work(self, inputs: Sequence[float]) -> float:
        """Predicted seconds in the interpreter, whatever is known of data-dependent trip counts."""
        seconds = self._seconds(inputs)
        return seconds[self._interp] + seconds[self._interp + 1]

    def _seconds(self, inputs: Sequence[float]) -> Sequence[float]:
        seconds = self._tape(inputs) if self._tape is not None else None
        if seconds is not None:
            return seconds
        self._evaluations += 1
        if self._evaluations <= DIRECT:
            return self._walk(inputs)
        so_far = self._tree if self._tree is None or len(self._tree.steps) <= MOST_STEPS else None
        found, self._tree = record(self._walk, inputs, so_far)
        self._tape = self._tree.tape()
        if self.picker is not None:
            self.picker.use(self._tape)
        return found

    def _walk(self, inputs: Sequence[Any]) -> list[float]:
        env = dict(zip(self.leaves, inputs))
        return [seconds for bound in self._bounds for seconds in bound.parts(env, self._threads)]

    def _made_picker(self) -> Any:
        places = tuple(self.leaves.index(leaf) if leaf in self.sized else -1 for leaf in self.deciding)
        estimated, figures = tuple(self._estimated), rules.figures(self.profile)
        try:
            return Picker and Picker(
                self.variants, self.leaves, estimated, self.deciding, places, self.unknown, figures
            )
        except ValueError:  # too many names
            return None


def _reader(leaves: tuple[Quantity, ...]) -> Callable[[Env], tuple[float, ...]]:
    """Their values, as fast as Python can: this is half of the time of a prediction."""
    if len(leaves) > 1:
        return itemgetter(*leaves)
    return lambda env: tuple([env[leaf] for leaf in leaves])


def _deciding_leaves(candidates: Mapping[str, Candidate]) -> tuple[Quantity, ...]:
    found: dict[Quantity, None] = {}
    for candidate in candidates.values():
        for leaf in candidate.counts.trip_leaves:
            if isinstance(leaf, (QParam, QDim, QStride)):
                found[leaf] = None
        if candidate.counts.can_fault and candidate.journal is not False:
            for array in candidate.counts.arrays:
                if array.written:
                    found.update(dict.fromkeys(array.dims))
    return tuple(found)
