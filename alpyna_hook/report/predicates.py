"""Preconditions as Python-like text, for people.

In: a `Predicate`.  Out: "n <= a.shape[0] and k != 0".
"""

from __future__ import annotations

from alpyna_hook.ir.affine import PAll, PAny, PCompare, PFinite, Predicate, pretty


def pretty_predicate(predicate: Predicate, inner: bool = False) -> str:
    """The text of `predicate`; in brackets if it stands within another (`inner`) and needs them."""
    match predicate:
        case PCompare(op=op, left=left, right=right):
            return f"{_bare(pretty(left))} {op} {_bare(pretty(right))}"
        case PFinite(name=name, nonzero=nonzero):
            return f"{name} is finite" + (" and not 0" if nonzero else "")
        case PAll(parts=parts):
            text = " and ".join(pretty_predicate(p, True) for p in parts)
        case PAny(parts=parts):
            text = " or ".join(pretty_predicate(p, True) for p in parts)
    return f"({text})" if inner else text


def _bare(text: str) -> str:
    """`text` without a pair of brackets around all of it."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for position, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0 and position < len(text) - 1:
            return text
    return text[1:-1]
