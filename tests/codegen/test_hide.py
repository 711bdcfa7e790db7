"""Which values are hidden from the C compiler, so that it does not compute with them itself."""

from __future__ import annotations

import pytest

from alpyna_hook.codegen.hide import HIDE, hidden
from alpyna_hook.ir.nodes import Call, Nest, walk, walk_exprs
from tests.analysis.lowering import lower, typed

TYPES = {"n": "int", "a": "float64[1]", "r": "float64[1]", "c": "int64[1]", "s": "float64"}


def hidden_in(body: str) -> list[str]:
    """The texts of what is hidden in the loop over i with this body."""
    inside = "".join(f"        {line}\n" for line in body.splitlines())
    text = f"def f(n, a, r, c, s):\n    for i in range(n):\n{inside}    return s\n"
    nest = lower(text)
    full = typed(nest, **{x.name: TYPES[x.name] for x in nest.live_ins if x.name in TYPES})
    assert isinstance(full, Nest)
    calls = [e for e in walk_exprs(hidden(full.body)) if isinstance(e, Call) and e.fn == HIDE]
    assert not any(isinstance(e, Call) and e.fn == HIDE for c in calls for e in walk(c.args[0]))
    spans = [call.args[0].span for call in calls]
    return [text.splitlines()[s.line - 3][s.col : s.end_col] for s in spans]


@pytest.mark.parametrize(
    "body, found",
    [
        ("s = 0.0", ["0.0"]),
        ("r[i] = 0.0\nr[i] = 2.0 / r[i]", ["0.0"]),
        ("if a[i] == 2.0:\n    r[i] = a[i] * 1e308", ["2.0"]),
        ("r[i] = a[i] if a[i] > s else 0.0", ["0.0"]),
        ("r[i] = max(a[i], 5.0)", ["5.0"]),
        ("r[i] = a[i] % 3.0", ["3.0"]),
        ("r[i] = 1.0 / c[i]", ["1.0"]),
        ("r[i] = i", ["r[i]"]),  # the conversion
        ("s = -(1e200 * 1e200)", ["1e200"]),
    ],
)
def test_what_may_be_handed_on_is_hidden(body: str, found: list[str]) -> None:
    assert hidden_in(body) == found


@pytest.mark.parametrize(
    "body",
    [
        "r[i] = a[i] * 2.0 + 1.0",
        "s = s + a[i] / 4.0",
        "r[i] = 0.25 * (a[i] + i)",
        "r[i] = a[i] ** 2",
        "c[i] = c[i] * 3 + 1",
        "if c[i] == 3:\n    c[i] = 0",
    ],
)
def test_operands_beside_what_no_compiler_knows_stay(body: str) -> None:
    assert hidden_in(body) == []
