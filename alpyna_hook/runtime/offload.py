"""Device variants as the dispatcher uses them. Nothing of a vendor is imported before one is asked for.

In:  settings, specialisations with plans for devices.
Out: the targets that nests are specialised for; loaded kernels, or why there are none.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from alpyna_hook import log, settings
from alpyna_hook.devices.base import Cache, CompileFailure, Kernel, tell
from alpyna_hook.ir.types import Type
from alpyna_hook.specialisation import Specialisation

if TYPE_CHECKING:
    from alpyna_hook.devices.opened import Opened

VARIANTS: Final = ("cuda", "opencl")


def targets(known: Mapping[str, str], cache: Cache, pin: str = "") -> tuple[str, ...]:
    """What a nest is to be specialised for besides the host, as `pipeline.Request.devices` names it.

    known  the variants whose devices the machine profile has figures of, and their style; others take part only if the
           user forces them. They are opened, which takes 0.1 s and more, when a loop is to run there, not to be priced.
    pin    the variant that the project forces for this nest, "" for none
    """
    forced = settings.current().variant
    if forced == "auto" and pin in VARIANTS:
        forced = pin
    if forced == "auto":
        return tuple(f"{variant}:{known[variant]}" for variant in VARIANTS if variant in known)
    if forced not in VARIANTS:
        return ()
    opened = device(forced, cache)
    if isinstance(opened, str):
        _missing(forced, opened, True)
        return ()
    return (f"{forced}:{opened.device.style}",)


def device(variant: str, cache: Cache) -> Opened | str:
    """The device that runs `variant`, opened at the first call; or why there is none."""
    from alpyna_hook.devices import opened

    return opened.get(variant, cache)


@cache
def _missing(variant: str, reason: str, forced: bool) -> None:
    """Said once; of a device that was lost it has been said."""
    from alpyna_hook.devices import opened

    say = log.warning if forced and not opened.told(variant) else log.info
    say(f"{variant}: {reason}; loops run on the host")


def compile_variant(
    spec: Specialisation, variant: str, types: Mapping[str, Type], name: str, cache: Cache, priced: str = ""
) -> Kernel | str:
    """The loaded kernel, whose `keep` is a `devices.program.Program`; or why there is none.

    types   of the live-ins as the guard hands them over
    name    of the site, for messages
    priced  name of the device whose figures it was chosen by; empty: it was not chosen by any
    """
    found = device(variant, cache)
    if isinstance(found, str):
        _missing(variant, found, settings.current().variant == variant)
        return found
    from alpyna_hook.devices import opened, program

    source = spec.sources[variant]  # type: ignore[index]
    assert source.device is not None
    if source.device.style != found.device.style or priced not in ("", found.device.name):
        return f"{found.device.name} is not the device that was calibrated (alpyna calibrate measures it)"
    unmet = opened.unmet(found, source.device.needs)
    if unmet:
        _missing(variant, f"{found.device.name}: {unmet}", settings.current().variant == variant)
        return f"{found.device.name}: {unmet}"
    result = program.load(name, source, types, spec.disjoint, found.device, found.pool, found.residents)
    if isinstance(result, CompileFailure):
        tell(found.device, f"{name}: {result.reason}; the loop runs without it")
        log.debug(result.log)
        return result.reason
    return result


def is_open(variant: str) -> bool:
    """Whether the device that runs `variant` is open already."""
    from alpyna_hook.devices import opened

    return opened.is_open(variant)


def cached(spec: Specialisation, variant: str, cache: Cache) -> bool:
    """Whether the disk cache has the program of this variant."""
    found = device(variant, cache)
    return not isinstance(found, str) and bool(found.device.cached(spec.sources[variant].text))  # type: ignore[index]


def failure(kernel: Kernel) -> str:
    """Why this device kernel is not to be called again; empty if it is in order. It raises what the program's own
    signal handlers raised while the kernel ran."""
    program: Any = kernel.keep
    if program.pending is not None:
        interrupt, program.pending = program.pending, None
        raise interrupt
    reason: str = program.failure
    return reason


def describe() -> list[dict[str, str]]:
    """The accelerators that this process uses, for the report."""
    opened = sys.modules.get("alpyna_hook.devices.opened")
    found: list[dict[str, str]] = opened.describe() if opened is not None else []
    return found
