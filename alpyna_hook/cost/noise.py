"""Telling a disturbed measurement from a good one: other programs make what is measured slower, never faster.

In: tasks that take one sample each.  Out: a `Figure` per task: its value, and whether that can be trusted.

Three defences, none of which needs a quiet machine, only quiet moments:
- rounds: every task runs once per round, so that the samples of a figure are spread over the whole time;
- the CPU's share: a sample during which the thread did not have its core (CPU time against wall clock) is put aside;
- agreement: a figure counts if its two lowest clean samples, of different rounds, are close. Low quantiles instead of
  means: Chen & Revels, "Robust benchmarking in noisy environments" (2016).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

CLEAN_SHARE = 0.9  # of the wall-clock time that a clean sample had its core
AGREE = 1.15  # the second-lowest sample over the lowest one, at most, for a figure to be trusted
CLOSE = 1.04  # the same, for a figure to need no more rounds
MIN_ROUNDS = 3
MOST_ROUNDS = 5  # times the planned number


class Clocks(NamedTuple):
    """Seconds: of the wall, of CPU time of this thread, of CPU time of this process."""

    wall: Callable[[], float] = time.perf_counter
    thread: Callable[[], float] = time.thread_time
    process: Callable[[], float] = time.process_time


class Sample(NamedTuple):
    """seconds: per whatever the figure is about; share: of its core(s) that it had, 1 if not disturbed."""

    seconds: float
    share: float = 1.0


class Task(NamedTuple):
    """run: takes a sample in about the seconds it is given; weight: of its share of the time; threads: kept busy;
    agree: the second-lowest sample over the lowest one, at most, for the figure to be trusted."""

    run: Callable[[float], Sample]
    weight: float = 1.0
    threads: int = 1
    agree: float = AGREE


def sampled(run: Callable[[], float], share_s: float, clocks: Clocks, threads: int = 1) -> Sample:
    """The best of the runs that fit into `share_s` seconds; a clean one if there was any.

    run      returns seconds per operation; nan (no memory, say) ends it
    threads  that it keeps busy; those that wait for others are taken to spin
    """
    deadline = clocks.wall() + share_s
    best, clean = Sample(float("inf"), 0.0), Sample(float("inf"), 0.0)
    cpu = clocks.thread if threads == 1 else clocks.process
    while True:
        wall, busy = clocks.wall(), cpu()
        seconds = run()
        busy, wall = cpu() - busy, clocks.wall() - wall
        if seconds != seconds:
            return Sample(seconds)
        share = busy / (threads * wall) if wall > 0.0 else 1.0
        if share >= CLEAN_SHARE**threads and seconds < clean.seconds:
            clean = Sample(seconds, share)
        if seconds < best.seconds:
            best = Sample(seconds, share)
        if clocks.wall() >= deadline:
            return clean if clean.share else best


@dataclass
class Figure:
    """The samples of one figure, one per round."""

    task: Task
    clean: list[float] = field(default_factory=list)
    disturbed: list[float] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """One round's sample; what is not a positive number is none."""
        if 0.0 < sample.seconds < float("inf"):
            clean = sample.share >= CLEAN_SHARE**self.task.threads
            (self.clean if clean else self.disturbed).append(sample.seconds)

    @property
    def value(self) -> float | None:
        """The lowest clean sample, else the lowest; None if there is none."""
        return min(self.clean or self.disturbed, default=None)

    @property
    def trusted(self) -> bool:
        """Whether the two lowest clean samples agree."""
        return self._agree(self.task.agree)

    @property
    def settled(self) -> bool:
        """Whether they agree so well that more samples are not worth their time."""
        return self._agree(CLOSE)

    def _agree(self, factor: float) -> bool:
        lowest = sorted(self.clean)[:2]
        return len(lowest) == 2 and lowest[1] <= factor * lowest[0]


def in_rounds(tasks: Mapping[str, Task], budget_s: float, planned: int, clocks: Clocks) -> dict[str, Figure]:
    """All tasks round by round in about `budget_s` seconds, `planned` rounds if nothing disturbs.

    Every task gets a sample, whatever the time. After MIN_ROUNDS, rounds go to those that are not settled yet.
    """
    found = {name: Figure(task) for name, task in tasks.items()}
    deadline = clocks.wall() + budget_s
    unit = budget_s / (planned * sum(task.weight for task in tasks.values()))
    for number in range(MOST_ROUNDS * planned):
        for name, task in tasks.items():
            skipped = clocks.wall() >= deadline if number else False
            if not skipped and not (number >= MIN_ROUNDS and found[name].settled):
                found[name].add(task.run(unit * task.weight))
        if clocks.wall() >= deadline or (number >= MIN_ROUNDS and all(f.settled for f in found.values())):
            break
    return found


class LoadWatch:
    """What else this machine did meanwhile: make one before measuring, ask `note` after it."""

    def __init__(self, clocks: Clocks = Clocks()) -> None:
        self._clocks = clocks
        self._wall, self._own, self._stat = clocks.wall(), clocks.process(), _stat()

    def note(self) -> dict[str, float]:
        """Load average; cores that other processes used, and that the hypervisor took; as far as the system says."""
        found: dict[str, float] = {}
        if hasattr(os, "getloadavg"):
            found["average"] = round(os.getloadavg()[0], 2)
        wall = self._clocks.wall() - self._wall
        own, stat = self._clocks.process() - self._own, _stat()
        if wall > 0.0:
            found["own_cpus"] = round(own / wall, 2)
        if wall > 0.0 and stat is not None and self._stat is not None:
            busy, stolen = (b - a for a, b in zip(self._stat, stat))
            found["other_cpus"] = round(max(busy - own, 0.0) / wall, 2)
            found["stolen_cpus"] = round(max(stolen, 0.0) / wall, 2)
        return found


def _stat() -> Sequence[float] | None:
    """Seconds since the start of the system that all CPUs together were busy, and that were stolen (Linux)."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            fields = [float(x) for x in file.readline().split()[1:]]
        tick = float(os.sysconf("SC_CLK_TCK"))
        return [(fields[0] + fields[1] + fields[2] + fields[5] + fields[6]) / tick, fields[7] / tick]
    except (OSError, ValueError, IndexError, AttributeError):
        return None
