"""What a random program knows about itself while it is written: its arrays, scalars and loop variables."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Array:
    """An array the program may subscript. kind: f, i, b, c or x (ints meant as subscripts); dims: "n"/"m"."""

    name: str
    kind: str
    dims: tuple[str, ...]


@dataclass(frozen=True)
class Counter:
    """A loop variable that runs through [low, dim - high)."""

    name: str
    dim: str
    low: int
    high: int


class Program:
    """The state of one program while it is written."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.depth = 0
        self.arrays: list[Array] = []
        self.ints: list[str] = []
        self.floats: list[str] = []
        self.counters: list[Counter] = []
        self.taken = 0
        self.loops = 0
        self.exits: tuple[str, ...] = ()  # statements that leave the function
        self.risk = self.rng.choice((0.0, 0.0, 0.02, 0.1))

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def fresh(self, stem: str) -> str:
        self.taken += 1
        return f"{stem}{self.taken}"
