"""Heads of sites: what the runtime needs of a site before it looks at it closely, as plain data.

In: a site of the front end (runtime/outline.py makes its head), or the tuple that the cache of guarded code kept.
Out: `Head`; its nest is unpickled when it is first asked for.

A process that finds its code, its decisions and its kernels in the caches gets by with heads: it imports neither the
IR nor what works on it.
"""

from __future__ import annotations

from alpyna_hook.errors import Rejection
from alpyna_hook.source import Span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeAlias

    from alpyna_hook.ir.nodes import Nest

    # name, number of its root, attributes followed from there, role, intrinsic, optional: see ir.nodes.LiveIn
    LiveIn: TypeAlias = tuple[str, int, tuple[str, ...], str, str, bool]


class Head:
    """One site, accepted or rejected.

    index, line, end_line, function, roots, optional   as in frontend.sites.Site
    rejection  why it stays in the interpreter; None if it is accepted
    live_ins   a tuple per live-in of the nest, in its order
    stored     arrays that the nest stores into
    outline    what a glance needs of the nest (runtime/glance.py)
    digest     changes with the nest and the source lines of the loop
    """

    __slots__ = (
        "_nest", "_pickled", "digest", "end_line", "function", "index", "line", "live_ins", "outline", "rejection",
        "roots", "stored",
    )  # fmt: skip

    def __init__(
        self, place: tuple[int, int, int, str], roots: tuple[str, ...], rejection: Rejection | None = None,
        nest: Nest | None = None, live_ins: tuple[LiveIn, ...] = (), stored: tuple[str, ...] = (),
        outline: tuple[Any, ...] = (), digest: str = "", pickled: bytes = b"",
    ) -> None:  # fmt: skip
        self.index, self.line, self.end_line, self.function = place
        self.roots, self.rejection = roots, rejection
        self.live_ins, self.stored, self.outline, self.digest = live_ins, stored, outline, digest
        self._nest, self._pickled = nest, pickled

    @property
    def accepted(self) -> bool:
        return self._nest is not None or bool(self._pickled)

    @property
    def optional(self) -> frozenset[str]:
        return frozenset(self.roots[number] for _, number, _, _, _, optional in self.live_ins if optional)

    @property
    def nest(self) -> Nest | None:
        """The nest; None if the site is rejected. Imports the IR."""
        if self._nest is None and self._pickled:
            import pickle

            self._nest = pickle.loads(self._pickled)
        return self._nest

    def packed(self) -> tuple[Any, ...]:
        """As plain data, which `marshal` can write."""
        if self._nest is not None and not self._pickled:
            import pickle

            self._pickled = pickle.dumps(self._nest, pickle.HIGHEST_PROTOCOL)
        why, place = self.rejection, (self.index, self.line, self.end_line, self.function)
        said = None
        if why is not None:
            span = (why.span.line, why.span.col, why.span.end_line, why.span.end_col)
            said = (why.code, why.title, why.label, span, why.help)
        return place, self.roots, said, self.live_ins, self.stored, self.outline, self.digest, self._pickled


def unpacked(data: tuple[Any, ...]) -> Head:
    """The inverse of `Head.packed`. Raises ValueError or TypeError for what it has not made."""
    place, roots, said, live_ins, stored, outline, digest, pickled = data
    rejection = None
    if said is not None:
        code, title, label, span, hint = said
        rejection = Rejection(code, title, label, Span(*span), hint)
    return Head(place, roots, rejection, None, live_ins, stored, outline, digest, pickled)
