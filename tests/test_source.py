"""Source text, spans and rejections as values."""

from __future__ import annotations

import copy
import pickle
from importlib.util import decode_source

import pytest

from alpyna_hook.errors import Rejection
from alpyna_hook.source import NO_SPAN, Source, Span, decoded, split_lines


@pytest.mark.parametrize("data", [
    b"", b"x = 1\n", b"x = 1\r\ny\r\n", b"x\ry", "x = 'ä'\n".encode(), b"\xef\xbb\xbfx = 1\n", b"\x0cx\n",
    b"# -*- coding: latin-1 -*-\nx = '\xe4'\n", b"#!/bin/x\n# vim: fileencoding=cp1252\nx = '\x80'\n",
    b"x\n\n# coding: latin-1\nx = '\xc3\xa4'\n",
])  # fmt: skip
def test_text_is_decoded_as_importlib_does(data: bytes) -> None:
    assert decoded(data) == decode_source(data)


@pytest.mark.parametrize("data", [
    b"x = '\xe4'\n", b"\n\n\nx = '\xe4'\n", b"# coding: no-such\n", b"\xef\xbb\xbf# coding: latin-1\n",
])  # fmt: skip
def test_what_has_no_text_raises_as_importlib_does(data: bytes) -> None:
    for function in (decode_source, decoded):
        with pytest.raises((SyntaxError, UnicodeDecodeError)):
            function(data)


def test_lines_are_split_as_the_parser_counts_them() -> None:
    assert split_lines("a\r\nb\rc\n\x0cd\x85e\n") == ["a", "b", "c", "\x0cd\x85e", ""]


def test_values_are_equal_by_fields_frozen_and_can_be_pickled() -> None:
    span = Span(1, 2, 3, 4)
    why = Rejection("code", "title", "label", span)
    assert span == Span(1, 2, 3, 4) != NO_SPAN and hash(span) == hash(Span(1, 2, 3, 4))
    assert why != Rejection("code", "title", "label", span, "help") and why != span
    assert repr(span) == "Span(line=1, col=2, end_line=3, end_col=4)"
    for value in (span, why, Source("a.py", "a", "x\n")):
        assert pickle.loads(pickle.dumps(value)) == value == copy.deepcopy(value)
        with pytest.raises(AttributeError, match="frozen"):
            value.line = 5  # type: ignore[misc]
