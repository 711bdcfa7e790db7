"""A site's calls with CuPy arrays: a state beside the site's own, of calls with stand-ins for these arrays.

In:  a call of a site that has CuPy's arrays among its arguments.
Out: None (the original loop runs, in CuPy), or the live-outs after the loop has run where the arrays lie.

Its kernels must never meet a stand-in on the host. So it has a guard of its own, its specialisations have no variant
for the host (pipeline.py), and nothing of it is kept for warm starts, whose records know NumPy's arrays only.
"""

from __future__ import annotations

from typing import Any

from alpyna_hook.cost.machine import FOREIGN
from alpyna_hook.devices import streams
from alpyna_hook.errors import Rejection
from alpyna_hook.runtime import foreign
from alpyna_hook.runtime.dispatch import SiteState
from alpyna_hook.runtime.reading import Reading


class AbroadState(SiteState):
    """One site, called with CuPy arrays under these names."""

    def __init__(self, site: SiteState, abroad: frozenset[str]) -> None:
        super().__init__(site.key, site.source, site.head, site.record, lambda key: None, FOREIGN)
        self.abroad = abroad
        self.retired = False

    def _start(self, found: Reading) -> bool:
        return False

    def _for_later(self, special: Any, signature: Any, decision: Any) -> bool:
        return False

    def retire(self, why: str) -> None:
        """The site itself may go on with arrays of the host."""
        super().retire(why)
        self.guard.clear()
        self.retired = True


def call(site: SiteState, args: tuple[Any, ...]) -> object:
    """The site, called with CuPy arrays."""
    found = foreign.stand_ins(site.head, args)
    if isinstance(found, str):
        site.record.rejection = Rejection(
            "foreign-array", f"It is left to CuPy: {found}.", "this loop", site.nest.span,
            "for a loop on the host copy the arrays before it, cupy.asnumpy(...), and back what it has stored",
        )  # fmt: skip
        return None
    state = site.elsewhere.get(found.arrays)
    if state is None:
        state = site.elsewhere[found.arrays] = AbroadState(site, found.arrays)
    if state.retired:
        return None
    with streams.awaited(found.streams):
        return state.guard(*found.args)
