"""Random programs against the prover: every claim (in range, no overflow, no zero divisor) is checked by running
the proved nest on entries that satisfy its preconditions."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from nests import Rejected, entry_of, typed
from replay import Fault, replay

from alpyna_hook.analysis.bounds import Proved, prove
from alpyna_hook.analysis.facts import rep_range
from alpyna_hook.analysis.predicates import holds
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.types import ScalarType

ENTRY = ["n", "m", "k"]
LOCAL = ["p", "q", "r"]


class Program:
    """One random loop nest over ints; `a` and `b` are subscripted with whatever comes out."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.counters: list[str] = []

    def text(self) -> str:
        return "\n".join(self.loop(0))

    def atom(self) -> str:
        pool = [*ENTRY, *LOCAL, *self.counters * 3, str(self.rng.randint(-2, 4)), "len(a)"]
        return self.rng.choice([*pool, "u[i % 5]"] if self.counters else pool)

    def expr(self, depth: int = 2) -> str:
        r = self.rng
        if depth == 0 or r.random() < 0.3:
            return self.atom()
        x, y = self.expr(depth - 1), self.expr(depth - 1)
        return r.choice([
            f"({x} + {y})", f"({x} - {y})", f"({x} + {y})", f"({x} - {y})", f"{r.randint(2, 3)} * {x}", f"({x} * {y})",
            f"({x}) % {r.choice(['n', 'len(a)', '4', 'm', '7'])}", f"({x}) // {r.choice(['2', '3', 'n'])}",
            f"min({x}, {y})", f"max({x}, {y})", f"abs({x})", f"({x} if {self.test()} else {y})",
            f"int(idx[{self.atom()} % 6])",
            f"({x}) & {r.choice(['7', '3'])}", f"({x}) >> 1", f"min(max({x}, 0), len(a) - 1)",
        ])  # fmt: skip

    def test(self) -> str:
        r = self.rng
        x, y = self.atom(), self.atom()
        plain = f"{x} {r.choice(['<', '<=', '>', '>=', '==', '!='])} {y}"
        return r.choice([plain, plain, f"0 <= {x} < len(a)", f"{plain} and {self.atom()} > 0", f"not {plain}"])

    def block(self, depth: int, inside: bool) -> list[str]:
        lines: list[str] = []
        for _ in range(self.rng.randint(1, 4)):
            lines += self.statement(depth, inside)
        return lines

    def statement(self, depth: int, inside: bool) -> list[str]:
        r = self.rng
        kind = r.random()
        if kind < 0.3:
            return [f"a[{self.expr()}] = 1.0"]
        if kind < 0.4:
            return [f"b[{self.expr(1)}] = a[{self.expr(1)}] + 1.0"]
        if kind < 0.55:
            return [f"{r.choice(LOCAL)} = {self.expr()}"]
        if kind < 0.68:
            return [f"{r.choice(LOCAL)} {r.choice(['+=', '+=', '-='])} {r.choice(['1', '2', self.atom()])}"]
        if kind < 0.85 and depth < 3:
            lines = [f"if {self.test()}:", *self.indented(self.block(depth + 1, inside))]
            if r.random() < 0.4:
                lines += ["else:", *self.indented(self.block(depth + 1, inside))]
            return lines
        if kind < 0.9 and inside:
            return [f"if {self.test()}:", "    " + r.choice(["continue", "break"])]
        if depth < 2 and len(self.counters) < 2:
            return self.loop(depth)
        return [f"a[{self.atom()}] = 2.0"]

    def loop(self, depth: int) -> list[str]:
        r = self.rng
        if self.counters and r.random() < 0.25:
            name = r.choice(LOCAL)
            return [f"while {name} < {self.atom()}:", *self.indented(self.block(depth + 1, True)), f"    {name} += 1"]
        start, stop = self.atom() if r.random() < 0.3 else "0", self.expr(1)
        counter = "ij"[len(self.counters)]
        step = r.choice(["", "", "", ", 2", ", -1", ", k"])
        if step == ", -1":
            start, stop = stop, r.choice(["-1", "0", start])
        header = f"for {counter} in range({start}, {stop}{step}):"
        self.counters.append(counter)
        body = self.block(depth + 1, True)
        self.counters.pop()
        return [header, *self.indented(body)]

    @staticmethod
    def indented(lines: list[str]) -> list[str]:
        return ["    " + line for line in lines]


def entry_values(rng: random.Random) -> dict[str, Any]:
    numbers = np.random.default_rng(rng.randrange(2**32))
    big = rng.random() < 0.05
    return {
        "a": np.zeros(rng.randint(1, 9)), "b": np.zeros(rng.randint(1, 9)),
        "idx": numbers.integers(-3, 9, 6), "u": numbers.integers(0, 256, 5).astype(np.uint8),
        "n": 2**62 if big else rng.randint(-1, 7), "m": rng.randint(-2, 7), "k": rng.choice([-2, -1, 1, 2, 3]),
        "p": rng.randint(-2, 4), "q": rng.randint(0, 3), "r": 0, "i": 0, "j": 0,
    }  # fmt: skip


def representable(nest: Nest, values: dict[str, Any]) -> bool:
    """Whether int live-ins fit what the nest holds them in (a local may be narrower; the guard sees to it)."""
    kinds = dict(nest.types)
    return all(
        rep_range(kind.rep)[0] <= v <= rep_range(kind.rep)[1]
        for name, v in values.items()
        if isinstance(v, int) and isinstance(kind := kinds[name], ScalarType) and kind.rep.is_int
    )


def check(seed: int) -> int:
    """Number of entries on which the claims of this seed's program were tried."""
    text = Program(seed).text()
    rng = random.Random(seed + 10**6)
    first = entry_values(rng)
    try:
        nest, entry = typed(text, **first)
    except Rejected:
        return 0
    proved: Proved = prove(nest, entry)
    live = [v.name for v in nest.live_ins if v.role != "function"]
    tried = 0
    for attempt in range(12):
        values = first if attempt == 0 else entry_values(rng)
        mine = {name: values[name] for name in live}
        if not all(holds(p, entry_of(nest, mine)) for p in proved.preconditions) or not representable(nest, mine):
            continue
        tried += 1
        try:
            replay(proved.nest, mine)
        except (Fault, ValueError):  # ValueError: range() with step 0
            pass
        except Exception as error:
            raise AssertionError(f"{error!r} for {mine}\n{text}") from error
    return tried


@pytest.mark.parametrize("block", range(8))
def test_no_claim_about_a_random_program_is_wrong(block: int) -> None:
    assert sum(check(seed) for seed in range(block * 10, block * 10 + 10)) > 10
