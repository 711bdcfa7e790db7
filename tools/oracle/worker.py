"""A worker of oracle_eval.py: one kernel, one way of deciding. JSON lines in and out, as tools/_worker.py.

    python -m alpyna --variant V --threads N --modules 'kernels.*' tools/oracle/worker.py KIND PLATFORMS

KIND "timed": the variant is forced by --variant.
KIND "probe": also asks an oracle per platform what it would choose for each loop, with nothing learned and every kernel
compiled ("load" answers with that), and can be told to follow one of them.
KIND "auto": the oracle as it is, limited to the variants of its platform; a history begins with each size.

    {"op": "load", "kernel": K, "size": S}     -> {"first_s", "asked": {platform: {site: [decision, ...]}}}
    {"op": "round", "budget_s": B}             -> {"times_s": [...]}
    {"op": "settle", "budget_s": B}            -> {"calls"}: until no decision comes up for review soon, or B is over
    {"op": "follow", "platform": P}            -> {}: "" for the forced variant again
    {"op": "ran"}                              -> {"ran": {site: [variant of most calls since "settle"]}}
PLATFORMS: JSON, name -> [threads, [variants]].
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alpyna_hook.cost.decide import NEVER, Decision, History, Oracle
from alpyna_hook.cost.evaluate import DIRECT
from alpyna_hook.devices import opened
from alpyna_hook.runtime import dispatch, offload, records, specials

__alpyna__ = False

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT)]
SOON = 1000  # calls: a review further away is none


class Ready(Mapping[str, str]):
    """Every kernel is compiled."""

    def __getitem__(self, variant: str) -> str:
        return "compiled"

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


class Probe(Oracle):
    """Answers as the forced oracle does, for exactly the sizes asked about, and notes what others would have chosen."""

    platforms: dict[str, tuple[Oracle, frozenset[str]]]
    asked: dict[str, dict[str, list[dict[str, Any]]]]
    follows = ""

    def decide(self, candidates: Any, env: Any, ready: Any, history: Any, pin: str = "") -> Decision:
        forced = super().decide(candidates, env, ready, history)
        if ready.get(forced.variant, "compiled") != "compiled":
            return forced  # to be compiled: the question comes again after that, and is to be noted once
        for name, (oracle, allowed) in self.platforms.items():
            offered = {v: c for v, c in candidates.items() if v in allowed}
            decision = oracle.decide(offered, env, Ready(), History())
            note = {"variant": decision.variant, "predicted_s": decision.predicted}
            note["choose_s"] = _seconds(lambda: oracle.choose(offered, env, Ready(), History()))
            note["decide_s"] = _seconds(lambda: oracle.decide(offered, env, Ready(), History()))
            self.asked.setdefault(name, {}).setdefault(site_of(candidates), []).append(note)
            if name == self.follows:
                followed = decision
        chosen = followed if self.follows else forced
        exact = {leaf: (int(env[leaf]), int(env[leaf])) for leaf in candidates["interp"].counts.trip_leaves}
        return replace(chosen, ranges=exact, calls_before_review=NEVER, retire=False)


class Limited(Oracle):
    """The oracle, offered only the variants of its platform."""

    allowed: frozenset[str]

    def decide(self, candidates: Any, env: Any, ready: Any, history: Any, pin: str = "") -> Decision:
        return super().decide({v: c for v, c in candidates.items() if v in self.allowed}, env, ready, history)


def _seconds(call: Any) -> float:
    """Of one call, once what belongs to specialising is done: binding the model, recording its regime."""
    for _ in range(DIRECT + 1):
        call()
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def site_of(candidates: Any) -> str:
    """"line" of the site that these candidates are of."""
    for state in dispatch._states.values():
        for special in state._specials.values():
            if special.candidates is candidates or special.candidates["interp"] is candidates["interp"]:
                return str(state.record.line)
    return "?"


def forget() -> None:
    """All decisions come up anew, with nothing learned."""
    for state in dispatch._states.values():
        for special in state._specials.values():
            special.history = History()
            for choice in special.choices:
                if choice.entry is not None:
                    state._remove(choice)
            special.choices.clear()


class Loaded:
    """A kernel with the arguments of one size."""

    def __init__(self, kernel: str, size: Any) -> None:
        self.module = importlib.import_module(f"kernels.{kernel}")
        self.args = self.module.setup(tuple(size) if isinstance(size, list) else size)
        self.settled: dict[int, int] = {}  # calls of each decision when it had settled
        self.pristine = [a.copy() if isinstance(a, np.ndarray) else a for a in self.args]

    def timed(self) -> float:
        """Seconds of one call on restored arguments."""
        for arg, first in zip(self.args, self.pristine):
            if isinstance(arg, np.ndarray):
                np.copyto(arg, first)
        start = time.perf_counter()
        self.module.kernel(*self.args)
        return time.perf_counter() - start

    def spend(self, budget_s: float) -> list[float]:
        """Seconds of each call, until `budget_s` are over, restoring the arguments included; one at least."""
        times: list[float] = []
        end = time.perf_counter() + budget_s
        while not times or time.perf_counter() < end:
            times.append(self.timed())
        return times

    def settle(self, budget_s: float) -> int:
        """Calls until no decision comes up for review within SOON calls, or the time is over."""
        calls, end = 0, time.perf_counter() + budget_s
        while time.perf_counter() < end:
            for _ in range(16):
                self.timed()
                calls += 1
                if time.perf_counter() >= end:
                    break
            if calls > 64 and not any(0 < left < SOON for left in reviews()):
                break
        self.settled = {id(d): d.calls for r in records.all_sites() for d in r.decisions}
        return calls

    def ran(self) -> dict[str, list[str]]:
        """Per site, the variant of most calls since it settled: others were tries."""
        found: dict[str, list[str]] = {}
        self.timed()
        for record in records.all_sites():
            if record.module == self.module.__name__ and record.reached:
                calls: dict[str, int] = {}
                for d in record.decisions:  # the report keeps them all, so that ids stay theirs
                    calls[d.variant] = calls.get(d.variant, 0) + d.calls - self.settled.get(id(d), 0)
                found[str(record.line)] = [max(calls, key=lambda v: calls[v])] if any(calls.values()) else ["interp"]
        return found


def reviews() -> list[int]:
    """Calls that each decision still stands for."""
    return [
        choice.entry.calls_left
        for state in dispatch._states.values()
        for special in state._specials.values()
        for choice in special.choices
        if choice.entry is not None
    ]


def prepare(kind: str, platforms: dict[str, tuple[int, list[str]]]) -> Oracle:
    """Puts the oracle of this worker in place."""
    real = specials.oracle()
    oracle: Oracle = real
    if kind == "probe":
        oracle = probe = Probe(real.profile, real.threads, real.forced)
        probe.asked = {}
        probe.platforms = {
            name: (Oracle(real.profile, threads), frozenset(allowed)) for name, (threads, allowed) in platforms.items()
        }
    elif kind == "auto":
        oracle = limited = Limited(real.profile, real.threads, real.forced)
        ((_, allowed),) = platforms.values()
        limited.allowed = frozenset(allowed)
    specials.oracle = lambda: oracle  # type: ignore[assignment]
    wanted = sorted({v for _, allowed in platforms.values() for v in allowed} & set(offload.VARIANTS))
    # also devices that the oracle does not think of by itself, so that its judgement of them is seen
    specials.targets = lambda pin: tuple(  # type: ignore[assignment]
        f"{v}:{opened.get(v, specials.disk()).device.style}" for v in wanted  # type: ignore[union-attr]
    )
    return oracle


def answer(command: dict[str, Any], oracle: Oracle, loaded: Loaded | None) -> tuple[dict[str, Any], Loaded | None]:
    """The reply to one command, and the kernel that is loaded after it."""
    if command["op"] == "load":
        forget()
        if isinstance(oracle, Probe):
            oracle.asked, oracle.follows = {}, ""
        loaded = Loaded(command["kernel"], command["size"])
        seconds = loaded.timed()
        return {"first_s": seconds, "asked": getattr(oracle, "asked", {})}, loaded
    assert loaded is not None
    if command["op"] == "round":
        return {"times_s": loaded.spend(command["budget_s"])}, loaded
    if command["op"] == "settle":
        return {"calls": loaded.settle(command["budget_s"])}, loaded
    if command["op"] == "follow":
        assert isinstance(oracle, Probe)
        if oracle.follows != command["platform"]:
            forget()
            oracle.follows = command["platform"]
            loaded.timed()
        return {}, loaded
    return {"ran": loaded.ran()}, loaded


def main() -> None:
    oracle = prepare(sys.argv[1], json.loads(sys.argv[2]))
    loaded: Loaded | None = None
    for line in sys.stdin:
        try:
            reply, loaded = answer(json.loads(line), oracle, loaded)
        except Exception as error:  # the parent notes it beside the point
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
