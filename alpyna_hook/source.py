"""Source text and spans: where in the user's file something stands.

In: a file name and its text.  Out: `Span` values that every IR node, rejection and report line
carries, and `caret`, which renders a span the way CPython's tracebacks do.
"""

from __future__ import annotations

import codecs
from importlib.util import decode_source, source_hash

from alpyna_hook.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ast


class Span(Frozen):
    """A region of one source file. Lines count from 1, columns (in characters) from 0, end exclusive."""

    __slots__ = ("line", "col", "end_line", "end_col")

    line: int
    col: int
    end_line: int
    end_col: int

    def __init__(self, line: int, col: int, end_line: int, end_col: int) -> None:
        put = object.__setattr__  # one by one: every node of the IR has a span
        put(self, "line", line)
        put(self, "col", col)
        put(self, "end_line", end_line)
        put(self, "end_col", end_col)


NO_SPAN = Span(0, 0, 0, 0)


class Source(Frozen):
    """One source file: its name as shown in tracebacks, its dotted module name and its text."""

    __slots__ = ("filename", "module", "text")

    filename: str
    module: str
    text: str

    def __init__(self, filename: str, module: str, text: str) -> None:
        self._set(filename, module, text)

    def line(self, number: int) -> str:
        """The text of line `number` (from 1) without its line end; empty if there is none."""
        lines = split_lines(self.text)
        return lines[number - 1] if 0 < number <= len(lines) else ""


def decoded(data: bytes) -> str:
    """The text of a source file, as `importlib.util.decode_source` gives it; raises what that raises. It imports
    `tokenize` and `re`, 5 ms, to look for what nearly no file has: another encoding."""
    head = data.split(b"\n", 2)[:2]
    if data.startswith(codecs.BOM_UTF8) or any(b"coding" in line for line in head) or b"\r" in data:
        return decode_source(data)
    return data.decode("utf-8")


COMMAND = "<string>"  # file name of the code of `-c`


def of_command(data: bytes) -> str:
    """The text of `-c`: it is Unicode already, so a comment that names an encoding means nothing."""
    return "\n".join(split_lines(data.decode("utf-8")))


def split_lines(text: str) -> list[str]:
    """The lines of `text` as Python's parser counts them (`str.splitlines` also splits at form feeds and others)."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def site_key(source: Source, index: int) -> str:
    """The name in `builtins` of the callable that guards loop `index` of `source`.

    It cannot be spelt in Python, so it hides nothing. The hash keeps apart what shares a module name: a
    module and its reloaded successor, or two scripts that each ran as `__main__`.
    """
    return f"@alpyna:{source.module}:{source_hash(source.text.encode('utf-8', 'surrogatepass')).hex()}:{index}"


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
