"""Rejections (values: why a loop stays in the interpreter) and internal errors (our own bugs)."""

from __future__ import annotations

from alpyna_hook.frozen import Frozen
from alpyna_hook.source import Source, Span, caret


class Rejection(Frozen):
    """Why a loop, or an expression in it, cannot be compiled.

    code   stable kebab-case name of the reason, e.g. "call-unknown" (tests and the JSON report use it)
    title  one sentence for the user: what stands in the way
    label  the few words printed beneath the caret
    span   where
    help   one sentence: what would help; empty if nothing would
    """

    __slots__ = ("code", "title", "label", "span", "help")

    code: str
    title: str
    label: str
    span: Span
    help: str

    def __init__(self, code: str, title: str, label: str, span: Span, help: str = "") -> None:
        self._set(code, title, label, span, help)

    def render(self, source: Source) -> str:
        """The message with file and line, the source line and a caret, as `explain` prints it."""
        head = f"{source.filename}:{self.span.line}: {self.title} [{self.code}]"
        text = f"{head}\n{caret(source, self.span, self.label)}"
        return f"{text}\n    help: {self.help}" if self.help else text


class InternalError(Exception):
    """A bug of Alpyna's own: it never reaches the user's program (the site is retired instead)."""
