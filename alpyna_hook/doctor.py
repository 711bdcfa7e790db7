"""`alpyna doctor`, `alpyna calibrate`, `alpyna cache`: what there is on this machine, and looking after it.

In: the command's arguments.  Out: text on stdout, and the exit status.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import alpyna_hook
from alpyna_hook import settings as settings_module


def main(arguments: list[str]) -> int:
    """`alpyna doctor`: status 1 if no compiled variant can run here."""
    if arguments:
        return _usage("doctor")
    print(f"alpyna    {alpyna_hook.__version__}")
    print(f"python    {platform.python_version()} ({platform.python_implementation()}), {sys.executable}")
    healthy = True
    for title, describe in (
        ("numpy", _numpy), ("guard", _guard), ("compiler", _compiler), ("threads", _threads), ("opencl", _opencl),
        ("cuda", _cuda), ("cache", _cache_folder),
        ("start-up", _startup), ("profile", _profile),
    ):  # fmt: skip
        try:
            lines = list(describe())
        except _Missing as missing:
            lines, healthy = [f"MISSING: {missing}"], False
        except Exception as bug:
            lines, healthy = [f"cannot be examined: {type(bug).__name__}: {bug}"], False
        for number, line in enumerate(lines):
            print(f"{title if number == 0 else '':<9} {line}")
    return 0 if healthy else 1


class _Missing(Exception):
    """Something without which nothing is accelerated."""


def _numpy() -> Iterator[str]:
    try:
        import numpy
    except ImportError as error:
        raise _Missing(f"NumPy cannot be imported ({error})") from None
    yield numpy.__version__


def _guard() -> Iterator[str]:
    from alpyna_hook.runtime import guard

    yield {"c": "C extension", "python": "pure Python (the C extension was not built, calls cost more)"}[
        guard.IMPLEMENTATION
    ]


def _compiler() -> Iterator[str]:
    from alpyna_hook.runtime import specials

    tool = specials.device().tool
    if isinstance(tool, str):
        raise _Missing(f"{tool}; install gcc or clang, or: pip install ziglang")
    yield " ".join(tool.command)
    yield f"flags {_short(tool.flags)}"
    yield "OpenMP works" if tool.openmp else "OpenMP does not work: loops run on one core"


def _short(flags: Sequence[str]) -> str:
    """The flags in a line, those that keep the compiler's hands off libm's functions as one."""
    prefix = "-fno-builtin-"
    functions = sum(flag.startswith(prefix) for flag in flags)
    rest = [flag for flag in flags if not flag.startswith(prefix)]
    return " ".join([*rest, f"{prefix}... ({functions} functions of libm)"] if functions else rest)


def _threads() -> Iterator[str]:
    yield str(settings_module.current().threads)


def _opencl() -> Iterator[str]:
    yield from _accelerator("opencl")


def _cuda() -> Iterator[str]:
    yield from _accelerator("cuda")
    from alpyna_hook.devices import cudacc

    yield f"compiler: {cudacc.describe() or 'none'}"


def _accelerator(variant: str) -> Iterator[str]:
    from alpyna_hook.runtime import offload, specials

    found = offload.device(variant, specials.disk())
    yield found if isinstance(found, str) else found.device.name.removeprefix("opencl: ")


def _cache_folder() -> Iterator[str]:
    from alpyna_hook.runtime import specials

    disk = specials.disk()
    stats = disk.stats()
    wanted = settings_module.current().cache_dir
    if disk.folder != wanted:
        yield f"{wanted} cannot be used; {disk.folder or 'nothing is kept'} takes its place"
    else:
        yield wanted
    yield f"{stats.entries} entries, {stats.bytes / 2**20:.1f} MiB"


def _startup() -> Iterator[str]:
    from alpyna_hook import startup

    found = [path for folder in startup._site_folders() if (path := Path(folder, startup.PTH_NAME)).exists()]
    yield f"installed: {found[0]}" if found else "not installed (alpyna install: ALPYNA=1 python script.py)"


def _profile() -> Iterator[str]:
    from alpyna_hook.cost import profiles

    current = settings_module.current()
    profile = profiles.current(Path(current.cache_dir), current.threads)
    first, *rest = profiles.describe(profile).splitlines()
    unused = profiles.not_of_this_machine(current.cache_dir)
    if unused:
        yield f"WARNING: the stored profile is not used: {unused} (alpyna calibrate makes a new one)"
    yield first.removeprefix("machine profile: ")
    yield from (line.strip() for line in rest)


def calibrate(arguments: list[str]) -> int:
    """`alpyna calibrate`: measure the machine profile, store and print it. 1 if it cannot be stored."""
    if arguments:
        return _usage("calibrate")
    from alpyna_hook.cost import measure, profiles

    current, began = settings_module.current(), time.perf_counter()  # opening a device may take seconds
    profile = measure.calibrate(accelerators=_accelerators(), began=began)
    stored = profiles.save(profile, Path(current.cache_dir))
    print(profiles.describe(profile))
    return 0 if stored else 1


def _accelerators() -> dict[str, Any]:
    """The accelerators that can be opened here, by variant."""
    from alpyna_hook.devices import opened
    from alpyna_hook.runtime import offload, specials

    found = {variant: opened.get(variant, specials.disk()) for variant in offload.VARIANTS}
    return {variant: one.device for variant, one in found.items() if not isinstance(one, str)}


def cache(arguments: list[str]) -> int:
    """`alpyna cache [show | clear]`."""
    from alpyna_hook.runtime import specials

    commands: dict[str, Callable[[], int]] = {"show": lambda: 0, "clear": lambda: specials.disk().clear()}
    action = arguments[0] if arguments else "show"
    if action not in commands or len(arguments) > 1:
        return _usage("cache", "[show | clear]")
    removed = commands[action]()
    if action == "clear":
        print(f"removed {removed} entries")
    for line in _cache_folder():
        print(line)
    return 0


def _usage(command: str, rest: str = "") -> int:
    print(f"usage: alpyna {command} {rest}".rstrip(), file=sys.stderr)
    return 2
