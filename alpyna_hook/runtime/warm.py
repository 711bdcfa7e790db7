"""Warm starts: entries of the guard from what an earlier process decided and compiled.

In: a call of a site for which this process has no entry yet.  Out: a `Start` with an entry, made from a record of the
disk cache, or None: there is no record, it does not fit this call, or something that it rests on has changed.

A record holds plain data: the decision, the recipe of the entry, the name of the compiled library. Neither the IR nor
the passes nor the cost model is imported; the dispatcher does that once a decision comes up for review, a kernel fails
or a report is due, and then carries on as if this process had decided itself (`dispatch.SiteState._adopt`).

The key of a record is made of the loop, of what kinds of values it was called with, and of a stamp for all else that
the decision rests on. What is wrong with a record is no more than a reason not to use it.
"""

from __future__ import annotations

import os
import sys
import time
from functools import cache

from alpyna_hook import log, settings
from alpyna_hook.devices import finding, forks, library
from alpyna_hook.runtime import diskcache, entries, stamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from alpyna_hook.runtime.heads import Head
    from alpyna_hook.runtime.reading import Fact, Reading

MAX_CHOICES = 8  # kept per record: shapes for which different decisions were made
TRUST_S = 2.0  # predicted seconds of calls after which a decision that proved right is reviewed all the same
SLACK = 1.2  # of measured over predicted seconds
COLD_CALLS = 2.0  # that a process's first call may take besides: cost/learn.py
WRITE_S = 0.1  # seconds between writes, each of which takes milliseconds on a slow disk: sizes may change at each call
PROFILE = "profile.json"  # cost.machine.FILE_NAME

_noted: dict[str, tuple[Any, ...]] = {}  # records of this process
_unwritten: set[str] = set()
_written_at = [-WRITE_S]


class Start:
    """One decision of an earlier process, carried out in this one.

    reading   the call that it was looked up for
    decision  plain form of a cost.decide.Decision: see specials.packed
    entry     of the guard; None if the site is to be retired
    kernel    (address, seconds to load, path, what to keep alive); None for the interpreter
    checked   it came up for review once, and had run as predicted
    """

    def __init__(self, found: Reading, decision: tuple[Any, ...], recipe: entries.Recipe) -> None:
        self.reading, self.decision, self.recipe = found, decision, recipe
        self.variant: str = decision[0]
        self.retire: bool = decision[4]
        self.reason: str = decision[6]
        self.entry: Any = None
        self.kernel: tuple[int, float, str, object] | None = None
        self.checked = False

    @property
    def predicted_s(self) -> float:
        """Of one call."""
        return float(dict(self.decision[1]).get(self.variant, 0.0))

    def used_up(self) -> bool:
        return self.entry is not None and self.entry.calls_left == 0

    def renew(self) -> bool:
        """At a review: whether the decision stands without asking the oracle, because the kernel is the best choice
        and has run about as fast as predicted, its first call apart. The entry then serves on."""
        expected = SLACK * self.predicted_s * (self.entry.calls + COLD_CALLS)
        regret = self.decision[5]
        if self.checked or not self.kernel or regret > 0.0 or entries.measured_ns(self.entry) > expected * 1e9:
            return False
        self.checked = True
        self.entry.calls_left = max(int(TRUST_S / max(self.predicted_s, 1e-9)), 1)
        return True


def find(head: Head, found: Reading, failed: entries.Failed, pin: str) -> Start | None:
    """The start for this call, if a record has it. `pin`: the variant that the project wants for the site, or ""."""
    if forks.omp_unsafe():
        return None
    record = diskcache.of_process().get_plain(_key(head, (found.key, pin)))
    if record is None:
        return None
    try:
        facts = {live[0]: fact for live, fact in zip(head.live_ins, found.facts)}
        for decision, recipe, kernel in record:
            if all(low <= _value(leaf, facts) <= high for leaf, low, high in decision[2]):
                return _made(head, Start(found, decision, entries.Recipe(*recipe)), kernel, failed)
    except (TypeError, ValueError, KeyError, IndexError) as error:
        log.debug(f"a record of {head.function}:{head.line} is not used: {error!r}")
    return None


def _value(leaf: tuple[Any, ...], facts: dict[str, Fact]) -> Any:
    """The value of an entry quantity: ("param", name), ("dim", array, axis) or ("stride", array, axis)."""
    fact: Any = facts[leaf[1]]
    match leaf:
        case "param", _:
            return fact
        case "dim", _, axis:
            return fact[0][axis]
        case _, _, axis:
            return fact[1][axis]


def _made(head: Head, start: Start, kernel: tuple[str, str] | None, failed: entries.Failed) -> Start | None:
    """`start` with its kernel loaded and its entry made; None if the library is gone."""
    if start.retire:
        return start
    address, keep = 0, None
    if kernel is not None:
        began = time.perf_counter()
        path = diskcache.of_process().file(kernel[0])
        if path is None:
            return None
        forks.watch()
        try:
            address, keep = library.load(path, kernel[1])
        except (OSError, AttributeError) as error:
            log.debug(f"{path} is not loaded: {error}")
            return None
        start.kernel = address, time.perf_counter() - began, path, keep
    start.entry = entries.build(head, start.reading.checks, start.recipe, address, keep, failed)
    return start


def note(
    head: Head, call: tuple[object, ...], decision: tuple[Any, ...], recipe: entries.Recipe,
    kernel: tuple[str, str] | None,
) -> None:  # fmt: skip
    """Keeps a decision for later processes.

    call    `Reading.key` of a call that it was made for, and the variant that the project wants
    kernel  (path of the library in the disk cache, library to load before it)
    """
    disk = diskcache.of_process()
    if kernel is not None:
        name = disk.name_of(kernel[0])
        if name is None:
            return
        kernel = name, kernel[1]
    key = _key(head, call)
    known = _noted.get(key) or disk.get_plain(key)
    others = [choice for choice in known if choice[0][2] != decision[2]] if isinstance(known, tuple) else []
    _noted[key] = ((decision, tuple(recipe), kernel), *others[: MAX_CHOICES - 1])
    _unwritten.add(key)
    _write_at_exit(os.getpid())
    if time.perf_counter() - _written_at[0] >= WRITE_S:
        write()


def write() -> None:
    """Puts into the disk cache what `note` has kept back."""
    disk = diskcache.of_process()
    while _unwritten:
        key = _unwritten.pop()
        disk.put_plain(key, _noted[key])
    _written_at[0] = time.perf_counter()


@cache
def _write_at_exit(process: int) -> None:
    import atexit

    atexit.register(lambda: write() if os.getpid() == process else None)


def _key(head: Head, call: tuple[object, ...]) -> str:
    return diskcache.key_of("warm", stamp(), head.digest, repr(call))


@cache
def stamp() -> str:
    """What decisions rest on besides loop and call; `stamp.cache_clear()` where this process changes some of it."""
    current = settings.current()
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return repr((
        stamps.package(), sys.version, _numpy(), current.fp, current.threads, current.variant, cpus,
        finding.stamp(current.cc), stamps.of_file(os.path.join(current.cache_dir, PROFILE)), _accelerators(),
    ))  # fmt: skip


def _accelerators() -> tuple[object, ...]:
    """Changes when an accelerator comes or goes. One that is new has no figures in the profile before it is measured,
    so this is for those that come back."""
    drivers = ("/dev/nvidiactl", "/dev/kfd", "/dev/dri", "/etc/OpenCL/vendors")
    choice = (os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "OCL_ICD_VENDORS", "PYOPENCL_CTX"))
    return *map(os.path.exists, drivers), *choice


def _numpy() -> tuple[object, ...]:
    """Tells NumPy's releases apart without importing it."""
    module = sys.modules.get("numpy")
    folders = [os.path.dirname(str(module.__file__))] if module is not None else [
        os.path.join(folder, "numpy") for folder in sys.path
    ]  # fmt: skip
    for folder in folders:
        found = stamps.of_file(os.path.join(folder, "version.py"))
        if found:
            return folder, *found
    return ()
