"""Random control flow around small loops: no name that somebody reads later may get lost.

The programs are all about liveness and definite assignment: loops that only move values between names, amid
`if`, `while`, `try`, `with`, `match`, `else` branches, jumps, closures and `del`.  Names may well be unbound; then
the exception has to be the same.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from nest_interpreter import run_lowered, run_plain

NAMES = "abcd"
JUMPS = ("break", "break", "break", "continue", "continue", "continue", "return [a, c]", "raise ValueError(b)")


class Writer:
    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.counters = 0

    def add(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def name(self) -> str:
        return self.rng.choice(NAMES)

    def value(self) -> str:
        kind = self.rng.randrange(4)
        return (str(self.rng.randrange(5)), self.name(), f"{self.name()} + 1", f"{self.name()} - {self.name()}")[kind]

    def block(self, indent: int, depth: int, loops: int, pure: bool) -> None:
        for _ in range(self.rng.randint(1, 3)):
            self.statement(indent, depth, loops, pure)

    def statement(self, indent: int, depth: int, loops: int, pure: bool) -> None:
        """`pure`: only what can be lowered. `loops`: how many loops `break` could leave."""
        simple = [self.assign, self.assign, self.swap] + ([self.jump] if loops else [])
        nested: list[Callable[..., None]] = [self.branch, self.for_loop, self.while_loop]
        if not pure:
            simple += [self.log, self.log, self.log] + [self.delete] * (self.rng.random() < 0.3)
            nested += [self.for_loop, self.attempt, self.suppress, self.match]
        chosen = self.rng.choice(nested if depth and self.rng.random() < 0.5 else simple)
        chosen(indent, depth - 1, loops, pure)

    def assign(self, indent: int, *_: object) -> None:
        self.add(indent, f"{self.name()} {self.rng.choice(('=', '=', '+='))} {self.value()}")

    def swap(self, indent: int, *_: object) -> None:
        self.add(indent, f"{self.name()}, {self.name()} = {self.value()}, {self.value()}")

    def log(self, indent: int, *_: object) -> None:
        self.add(indent, f"log.append({self.name()})")

    def delete(self, indent: int, *_: object) -> None:
        self.add(indent, self.rng.choice((f"del {self.name()}", "return log", "raise ValueError")))

    def jump(self, indent: int, *_: object) -> None:
        self.add(indent, f"if {self.name()} > {self.rng.randrange(4)}: {self.rng.choice(JUMPS)}")

    def branch(self, indent: int, depth: int, loops: int, pure: bool) -> None:
        self.add(indent, f"if {self.name()} % 2:")
        self.block(indent + 1, depth, loops, pure)
        if self.rng.random() < 0.5:
            self.add(indent, "else:")
            self.block(indent + 1, depth, loops, pure)

    def for_loop(self, indent: int, depth: int, loops: int, pure: bool) -> None:
        bound = self.rng.choice(("0", "1", "3", "n", f"{self.name()} % 4"))
        self.add(indent, f"for {self.name()} in range({bound}):")
        inner = pure or self.rng.random() < 0.7
        self.block(indent + 1, depth, 1, inner)
        if self.rng.random() < 0.2:
            self.add(indent, "else:")
            self.block(indent + 1, depth, loops, pure)

    def while_loop(self, indent: int, depth: int, loops: int, pure: bool) -> None:
        self.counters += 1
        count = f"w{self.counters}"
        self.add(indent, f"{count} = 0")
        self.add(indent, f"while {self.rng.choice(('True', self.name()))}:")
        self.add(indent + 1, f"{count} += 1")
        self.add(indent + 1, f"if {count} > 3: break")
        self.block(indent + 1, depth, 1, pure or self.rng.random() < 0.5)
        if self.rng.random() < 0.2:
            self.add(indent, "else:")
            self.block(indent + 1, depth, loops, pure)

    def attempt(self, indent: int, depth: int, loops: int, pure: bool) -> None:
        self.add(indent, "try:")
        self.block(indent + 1, depth, loops, pure)
        handled = self.rng.random() < 0.7
        if handled:
            self.add(indent, f"except (ValueError, UnboundLocalError){self.rng.choice(('', ' as ' + self.name()))}:")
            self.block(indent + 1, depth, loops, pure)
            if self.rng.random() < 0.3:
                self.add(indent, "else:")
                self.block(indent + 1, depth, loops, pure)
        if not handled or self.rng.random() < 0.4:
            self.add(indent, "finally:")
            self.block(indent + 1, depth, 0, pure)

    def suppress(self, indent: int, depth: int, loops: int, pure: bool) -> None:
        self.add(indent, "with contextlib.suppress(ValueError):")
        self.block(indent + 1, depth, loops, pure)

    def match(self, indent: int, depth: int, loops: int, pure: bool) -> None:
        self.add(indent, f"match {self.name()}:")
        self.add(indent + 1, f"case {self.rng.choice(('0', '1 | 2', f'int({self.name()})'))}:")
        self.block(indent + 2, depth, loops, pure)


def program(seed: int) -> str:
    w = Writer(seed)
    w.add(0, "import contextlib\nimport sys\nlog = []")
    w.add(0, "def f(n, a):")
    closure = w.rng.random()
    if closure < 0.15:
        w.add(1, f"def peek(): log.append({w.name()})")
    for name in NAMES:
        if w.rng.random() < 0.85:
            w.add(1, f"{name} = {w.rng.randrange(3)}")
    w.block(1, 3, 0, pure=False)
    w.block(1, 3, 0, pure=False)
    w.add(1, f"log.append({w.name()})")
    if closure < 0.15:
        w.add(1, "peek()")
    elif closure < 0.2:
        w.add(1, "log.append(sorted(v for v in locals().items() if v[0][0] != '_'))")
    w.add(1, "return log")
    w.add(0, "try: result = f(2, 1)\nexcept ValueError as error: log.append(error.args)")
    w.add(0, "except Exception as error: log.append(type(error).__name__)")
    return "\n".join(w.lines) + "\n"


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_no_name_is_lost(first: int) -> None:
    ran = 0
    for seed in range(first, first + 100):
        text = program(seed)
        try:
            compile(text, "program.py", "exec")
        except SyntaxError:
            continue
        got, sites = run_lowered(text)
        assert got == run_plain(text), f"seed {seed}\n{text}"
        ran += bool(sites)
    assert ran > 30
