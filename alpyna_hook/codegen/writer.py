"""An indenting line writer for C-like text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Writer:
    """Collects lines; `block` indents and closes with a brace."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._depth = 0

    def line(self, text: str = "") -> None:
        """One line at the current depth; preprocessor lines too, since gcc allows them indented."""
        self._lines.append("    " * self._depth + text if text else "")

    def lines(self, text: str) -> None:
        """Several lines of ready text, each at the current depth."""
        for line in text.splitlines():
            self.line(line)

    @contextmanager
    def block(self, head: str, tail: str = "}") -> Iterator[None]:
        """`head {` ... `}` with the lines written meanwhile indented."""
        self.line(f"{head} {{" if head else "{")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self.line(tail)

    def indent(self) -> None:
        self._depth += 1

    def dedent(self, tail: str) -> None:
        """Back by one level, with a closing line if `tail` is not empty."""
        self._depth -= 1
        if tail:
            self.line(tail)

    def amend(self, text: str) -> None:
        """Appends to the line written last."""
        self._lines[-1] += text

    def fork(self) -> Writer:
        """An empty writer at the same depth."""
        other = Writer()
        other._depth = self._depth
        return other

    def take(self) -> list[str]:
        """All lines so far, with their indentation; the writer is empty afterwards."""
        lines, self._lines = self._lines, []
        return lines

    def raw(self, lines: list[str]) -> None:
        """Lines that already have their indentation."""
        self._lines.extend(lines)

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"
