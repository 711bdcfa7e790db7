"""Dependence tests against brute force, and what code generation asks of them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from nests import analyse, entry_of, typed
from replay import Fault, replay

from alpyna_hook.analysis.access import nest_accesses
from alpyna_hook.analysis.bounds import prove
from alpyna_hook.analysis.dependence import innermost_independent, interchange_legal
from alpyna_hook.analysis.predicates import holds

SUBSCRIPTS = ["i", "j", "i + 1", "i - 1", "j - 1", "j + 2", "2 * i", "2 * j + 1", "i + j", "i - j", "n - i",
              "n - 1 - j", "i + k", "j - k", "3", "i // 2", "j % 3", "idx[i]", "-1", "n - 1"]  # fmt: skip
GUARDS = ["", "if i > j:", "if i != k:", "if (i + j) % 2 == 0:", "if i < n // 2 and j > 0:", "if a[i, j] > 4.0:"]
BOUNDS = ["n", "i", "i + 1", "n - i", "min(n, i + 3)"]
STARTS = ["0", "1", "i", "i + 1", "max(0, i - 2)"]


def random_nest(rng: random.Random) -> str:
    def two() -> str:
        return f"{rng.choice(SUBSCRIPTS)}, {rng.choice(SUBSCRIPTS)}"

    steps = rng.choice(["", "", ", 2", ", 1"])
    lines = [f"for i in range({rng.choice(['0', '1'])}, n{steps}):"]
    if rng.random() < 0.3:
        lines.append(f"    b[{rng.choice(['i', 'i - 1', 'k', '2 * i'])}] = a[{two()}]")
    downwards = rng.random() < 0.2
    lines.append("    for j in range(n - 1, -1, -1):" if downwards else
                 f"    for j in range({rng.choice(STARTS)}, {rng.choice(BOUNDS)}):")  # fmt: skip
    guard = rng.choice(GUARDS)
    if guard:
        lines.append("        " + guard)
    pad = " " * (12 if guard else 8)
    for _ in range(rng.choice([1, 1, 2])):
        kind = rng.random()
        if kind < 0.6:
            lines.append(f"{pad}a[{two()}] = a[{two()}] + 1.0")
        elif kind < 0.8:
            lines.append(f"{pad}t = a[{two()}]")
            lines.append(f"{pad}a[{two()}] = t * 2.0 - i")
        elif kind < 0.87:
            lines.append(f"{pad}h[{rng.choice(SUBSCRIPTS)}] += j")
        else:
            lines.append(pad + rng.choice(["total += i - j", "best = max(best, i * j)", "last = i + j", "total -= 1"]))
    return "\n".join(lines)


def random_values(rng: random.Random) -> dict[str, Any]:
    n, k = rng.randint(0, 6), rng.randint(0, 6)
    sizes = (rng.choice([n, n + 1, 2 * n + 2]) or 1, rng.choice([n, n + 2, 2 * n + 2]) or 1)
    numbers = np.random.default_rng(rng.randrange(2**32))
    return {
        "a": np.floor(numbers.random(sizes) * 9), "b": np.zeros(sizes[0]), "h": np.zeros(sizes[0], np.int64),
        "idx": numbers.integers(0, max(n, 1), max(n, 1)), "n": n, "k": k, "t": 0.0, "j": 0,
        "total": 5, "best": -3, "last": 0,
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(80))
def test_no_random_nest_is_called_parallel_wrongly(seed: int) -> None:
    """Prove bounds and verdicts for some values, then check them by running, in program order and shuffled,
    on these and on other values that satisfy the preconditions."""
    rng = random.Random(seed)
    text = random_nest(rng)
    first = random_values(rng)
    result = analyse(text, **first)
    live = [v.name for v in result.nest.live_ins if v.role != "function"]
    for attempt in range(4):
        values = first if attempt == 0 else random_values(rng)
        values = {k: values[k] for k in live}
        entry = entry_of(result.nest, values)
        if not all(holds(p, entry) for p in result.proved.preconditions):
            continue
        try:
            expected = replay(result.proved.nest, values)
        except Fault:
            continue
        for counter, verdict in result.parallel.verdicts.items():
            if verdict.parallel and all(holds(p, entry) for p in verdict.preconditions):
                got = replay(result.proved.nest, values, (counter, verdict, random.Random(seed)))
                for name in expected:
                    assert np.array_equal(got[name], expected[name]), f"{counter}, {name}, {values}:\n{text}"


def legal(text: str, outer: str, inner: str, **values: Any) -> bool:
    nest, entry = typed(text, **values)
    return interchange_legal(prove(nest, entry).nest, outer, inner, entry)


TWO = "for i in range(1, n):\n    for j in range(1, n - 1):\n        A[i, j] = "


@pytest.mark.parametrize(("value", "expected"), [
    ("B[j, i]", True),
    ("A[i - 1, j - 1]", True),
    ("A[i - 1, j + 1]", False),  # direction (<, >): the classic case
    ("A[i - 1, j]", True),
    ("A[i, j - 1]", True),
])  # fmt: skip
def test_interchange_is_legal_unless_a_dependence_turns_round(value: str, expected: bool) -> None:
    a = np.zeros((8, 8))
    assert legal(TWO + value, "i_1", "j_1", A=a, B=a + 1, n=8) is expected


def test_innermost_loop_without_carried_dependence() -> None:
    a = np.zeros((8, 8))
    nest, entry = typed(TWO + "A[i - 1, j + 1]", A=a, n=8)
    nest = prove(nest, entry).nest
    assert innermost_independent(nest, "j_1", entry) and not innermost_independent(nest, "i_1", entry)


def test_a_scalar_set_outside_a_loop_is_one_value_inside() -> None:
    """CSR rows: `base` is unknown, yet the same for all j."""
    text = "for i in range(n):\n    base = idx[i]\n    for j in range(n):\n        b[base + j] = a[i, j]"
    v = {"n": 4, "idx": np.arange(4), "b": np.zeros(9), "a": np.zeros((4, 4))}
    verdicts = {c[0]: x.parallel for c, x in analyse(text, **v).parallel.verdicts.items()}
    assert verdicts == {"i": False, "j": True}


def test_accesses_in_program_order_with_their_loops() -> None:
    text = "for i in range(n):\n    t = i + 2\n    a[i, t] = a[t, i] + b[2 * t - i]"
    nest, _ = typed(text, n=3, a=np.zeros((9, 9)), b=np.zeros(9))
    found = [(str(x).replace("_1", ""), x.is_write, x.loops) for x in nest_accesses(nest).accesses]
    assert found == [("a[i + 2, i]", False, ("i_1",)), ("b[i + 4]", False, ("i_1",)), ("a[i, i + 2]", True, ("i_1",))]
