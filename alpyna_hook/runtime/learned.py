"""What measured times taught about a specialisation, kept from run to run.

In: the key of a specialisation (its source, types and the version of this package are in it).  Out: its `History`; at
the end of the process what was learned goes into the disk cache, under that key and this machine.

A later process believes half of it (of each ratio's logarithm), and measures anew: what it finds soon weighs more.
"""

from __future__ import annotations

import atexit
import os
from functools import cache

from alpyna_hook import settings
from alpyna_hook.cost.learn import History, Ratio
from alpyna_hook.cost.machine import fingerprint
from alpyna_hook.runtime.diskcache import DiskCache, key_of

BELIEF = 0.5

_histories: dict[str, History] = {}


def recall(key: str, disk: DiskCache) -> History:
    """The history to begin with; it is stored at the end of the process if anything was measured."""
    place = key_of("learned", key, repr(sorted(fingerprint().items())), str(settings.current().threads))
    history = History()
    found = disk.get(place)
    if isinstance(found, dict):
        for (variant, decade), log in found.items():
            history.ratios[variant, decade] = Ratio([BELIEF * log])
    if settings.current().variant == "auto":
        _histories[place] = history
        _keep_at_exit(disk, os.getpid())
    return history


@cache
def _keep_at_exit(disk: DiskCache, process: int) -> None:
    atexit.register(keep, disk, process)


def keep(disk: DiskCache, process: int) -> None:
    """Stores what was measured; not in a forked child, whose parent will."""
    if os.getpid() != process:
        return
    for place, history in _histories.items():
        known = {name: ratio.log for name, ratio in history.ratios.items() if ratio.at}
        if known:
            disk.put(place, known)
