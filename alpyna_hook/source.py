"""Source text and spans: where in the user's file something stands.

In: a file name and its text.  Out: `Span` values that every IR node, rejection and report line
carries, and `caret`, which renders a span the way CPython's tracebacks do.
"""

from __future__ import annotations

import ast
import re
import zlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A region of one source file. Lines count from 1, columns (in characters) from 0, end exclusive."""

    line: int
    col: int
    end_line: int
    end_col: int


NO_SPAN = Span(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Source:
    """One source file: its name as shown in tracebacks, its dotted module name and its text."""

    filename: str
    module: str
    text: str

    def line(self, number: int) -> str:
        """The text of line `number` (from 1) without its line end; empty if there is none."""
        lines = split_lines(self.text)
        return lines[number - 1] if 0 < number <= len(lines) else ""


def split_lines(text: str) -> list[str]:
    """The lines of `text` as Python's parser counts them (`str.splitlines` also splits at form feeds and others)."""
    return re.split(r"\r\n|\r|\n", text)


def site_key(source: Source, index: int) -> str:
    """The name in `builtins` of the callable that guards loop `index` of `source`.

    It cannot be spelt in Python, so it hides nothing. The checksum keeps apart what shares a module name: a
    module and its reloaded successor, or two scripts that each ran as `__main__`.
    """
    return f"@alpyna:{source.module}:{zlib.crc32(source.text.encode('utf-8', 'surrogatepass')):08x}:{index}"


def span_of(node: ast.AST, source: Source | None = None) -> Span:
    """The span of an AST node; with `source`, byte columns (what `ast` counts) become characters."""
    line = getattr(node, "lineno", 0)
    end_line = getattr(node, "end_lineno", None) or line
    col = getattr(node, "col_offset", 0)
    end_col = getattr(node, "end_col_offset", None) or col
    if source is not None:
        col = _chars(source.line(line), col)
        end_col = _chars(source.line(end_line), end_col)
    return Span(line, col, end_line, end_col)


def _chars(line: str, byte_col: int) -> int:
    return len(line.encode("utf-8")[:byte_col].decode("utf-8", "replace"))


def caret(source: Source, span: Span, label: str = "") -> str:
    """Two lines: the source line of `span`, indented by four, and `^^^^ label` beneath its columns."""
    text = source.line(span.line)
    stripped = text.lstrip()
    shift = len(text) - len(stripped)
    end = span.end_col if span.end_line == span.line else len(text)
    start = max(span.col - shift, 0)
    width = max(end - span.col, 1)
    mark = " " * start + "^" * width
    return f"    {stripped.rstrip()}\n    {mark}{' ' + label if label else ''}"
