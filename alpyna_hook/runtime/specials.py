"""Specialisations as the dispatcher uses them: made, priced, compiled, and turned into guard entries.

The process has one oracle, one host device and one disk cache; they are made at the first use.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from alpyna_hook import __version__, log, settings
from alpyna_hook.cost import profiles
from alpyna_hook.cost.decide import Decision, History, Oracle
from alpyna_hook.cost.machine import Profile
from alpyna_hook.devices import host
from alpyna_hook.devices.base import CompileFailure, Kernel
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.affine import Predicate, QDim, QParam, QStride, Quantity
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.plan import RESUME_SLOTS, KernelOut, KernelSource, Variant
from alpyna_hook.ir.types import REP_OF_CLASS, ArrayType, ObjectType, Rep, Type
from alpyna_hook.runtime import diskcache, errstate, guard, learned, offload, resume, stamps, ufuncs
from alpyna_hook.runtime.diskcache import DiskCache, key_of
from alpyna_hook.runtime.signature import Signature, reps_by_typenum
from alpyna_hook.source import Source
from alpyna_hook.specialisation import Specialisation
from alpyna_hook.transform import blocks

# Gets (return code, out[0].i, args, where to go on or None); its result is the site's.
Failed = Callable[[int, int, "tuple[Any, ...]", "Halfway | None"], object]
TIMED_S = 2e-5  # calls predicted to be longer are all timed; shorter ones are sampled
GIL_S = 5e-3  # calls predicted to be longer let other threads run meanwhile


@cache
def oracle() -> Oracle:
    """The oracle of this process."""
    current = settings.current()
    return Oracle(profiles.current(current.cache_dir, current.threads), current.threads, current.variant, _measured)


def _measured(previous: Profile) -> Profile | None:
    from pathlib import Path

    from alpyna_hook.cost import measure

    return measure.quick(Path(settings.current().cache_dir), previous)


def disk() -> DiskCache:
    return diskcache.of_process()


def targets() -> tuple[str, ...]:
    """The kinds of accelerator that nests are specialised for (pipeline.Request.devices)."""
    return offload.targets((), disk())


@cache
def device() -> host.HostDevice:
    """The host device."""
    return host.HostDevice(disk(), settings.current().cc)


def specialise(
    nest: Nest, signature: Signature, banned: frozenset[Predicate], source: Source, devices: tuple[str, ...] = ()
) -> Specialisation | Rejection:
    """The specialisation for `signature`, from the disk cache if it has it.

    A cached specialisation was made for other entry values; the conditions that it rests on are checked by
    its kernels at each call, so that it is as good here.
    """
    current = settings.current()
    threads = current.threads
    key = key_of_specialisation(nest, signature, banned, devices)
    found = disk().get(key)
    if isinstance(found, (Specialisation, Rejection)):
        return found
    from alpyna_hook.pipeline import Request, specialise as run_passes  # imported by those who need new code only

    spec: Specialisation | Rejection = run_passes(
        Request(
            nest, signature.types, signature.entry, signature.same, signature.may_alias, banned,
            current.fp, threads, tuple(source.text.splitlines()), blocks.restartable(nest),  # type: ignore[arg-type]
            devices,
        )
    )  # fmt: skip
    if isinstance(spec, Specialisation) and not _fits(spec, signature):
        spec = Rejection(
            "too-many-names", "this loop reads or leaves behind more names than compiled code is called with",
            "this loop", nest.span, f"{guard.MAX_PARAMS} names are the limit; an array counts as more than one",
        )  # fmt: skip
    disk().put(key, spec)
    return spec


def key_of_specialisation(
    nest: Nest, signature: Signature, banned: frozenset[Predicate], devices: tuple[str, ...] = ()
) -> str:
    """Changes with all that a specialisation depends on."""
    current = settings.current()
    return key_of(
        "specialisation", _version(), nest.name, repr(nest), repr(signature.key), repr(sorted(map(repr, banned))),
        current.fp, str(current.threads), repr(devices), str(blocks.BLOCK_BYTES),
    )  # fmt: skip


def history_of(nest: Nest, signature: Signature, banned: frozenset[Predicate]) -> History:
    """What earlier processes learned of a specialisation; empty if there was none."""
    return learned.recall(key_of_specialisation(nest, signature, banned), disk())


def _fits(spec: Specialisation, signature: Signature) -> bool:
    """Whether the guard has a slot for all that goes in and comes out."""
    slots = 1 + sum(map(_slots_of, signature.types.values()))
    return all(
        len(source.params) <= guard.MAX_PARAMS and slots + len(source.params) <= guard.MAX_IN
        and source.out_slots <= guard.MAX_OUT
        for source in spec.sources.values()
    )  # fmt: skip


def _slots_of(kind: Type) -> int:
    """Input slots of a live-in."""
    if isinstance(kind, ArrayType):
        return 1 + 2 * kind.ndim
    return 0 if isinstance(kind, ObjectType) else 2 if kind.rep.is_complex else 1


@cache
def _version() -> str:
    """Changes with the sources of this package, so that no stale specialisation is ever read."""
    import numpy as np

    return key_of(__version__, np.__version__, stamps.package())


class Readiness(Mapping[str, str]):
    """What the oracle wants to know of each variant: "compiled" (loaded), "disk" or "no". The disk is only asked
    about the variants that it looks at."""

    def __init__(self, spec: Specialisation, kernels: Mapping[str, Kernel]) -> None:
        self._spec, self._kernels = spec, kernels
        self._on_disk: dict[str, bool] = {}

    def __getitem__(self, variant: str) -> str:
        if variant in self._kernels:
            return "compiled"
        if variant not in self._on_disk:
            text = self._spec.sources[variant].text  # type: ignore[index]
            if variant in offload.VARIANTS:
                self._on_disk[variant] = offload.cached(self._spec, variant, disk())
            else:
                self._on_disk[variant] = device().cached(text, variant == "omp")
        return "disk" if self._on_disk[variant] else "no"

    def __iter__(self) -> Iterator[str]:
        return iter(self._spec.sources)

    def __len__(self) -> int:
        return len(self._spec.sources)


@cache
def _without_compiler(reason: str) -> None:
    """Said once: as a warning if the user named the compiler; else a machine without one is no news."""
    say = log.warning if settings.current().cc else log.info
    say(f"{reason}; loops stay in the interpreter")


def compile_variant(spec: Specialisation, variant: str, signature: Signature, name: str) -> Kernel | str:
    """The loaded kernel, or why there is none. `name`: of the site, for messages."""
    if variant in offload.VARIANTS:
        return offload.compile_variant(spec, variant, signature.types, name, disk())
    if variant == "omp" and host.omp_unsafe():
        return "OpenMP cannot be used in a forked child process"
    obstacle = device().obstacle(variant)
    if obstacle:
        if isinstance(device().tool, str):
            _without_compiler(obstacle)
        return obstacle
    source = spec.sources[variant]  # type: ignore[index]
    result = device().compile_kernel(source.text, variant == "omp", False)
    if isinstance(result, CompileFailure):
        log.warning(f"{spec.nest.name}: {result.reason}")
        log.debug(result.log)
        return result.reason
    return result


def make_entry(
    nest: Nest, roots: tuple[str, ...], spec: Specialisation, kernels: Mapping[str, Kernel], signature: Signature,
    decision: Decision, failed: Failed, error_mask: int | None = None,
) -> Any:  # fmt: skip
    """A guard entry that carries `decision` out. `failed` gets what `guard.Entry` says, and the loops to resume.

    error_mask  the FP flags that NumPy's error state must watch for the entry to match; None: any will do
    """
    compiled = decision.variant != "interp"
    variant: Variant = decision.variant if compiled else "seq"  # type: ignore[assignment]
    source = spec.sources[variant]
    params, slots, slot = _params(nest, roots, signature)
    record = (ctypes.c_int64 * RESUME_SLOTS)()
    values = []
    for param in source.params:
        if param.kind == "fp_mask":
            errstate.watch()
            params.append((-1, (), ("fp_mask",)))
            values = [(slot, error_mask)] if error_mask is not None else []
        elif param.kind == "ufunc":
            params.append((-1, (), ("const", ufuncs.address(param.name, Rep(param.rep)))))
        elif param.kind == "resume":
            params.append((-1, (), ("const", ctypes.addressof(record))))
        slot += param.kind != "live"
    position = {live.name: k for k, live in enumerate(nest.live_ins)}
    predicted = decision.predicted.get(decision.variant) or 0.0
    journalled = source.faults and not source.resume and source.device is None  # a device program saves by itself
    ranges = [(slots[leaf], low, high) for leaf, (low, high) in decision.ranges.items() if leaf in slots]
    return guard.Entry(
        params,
        kernels[variant].address if compiled else 0,
        threads=settings.current().threads,
        ranges=[(slot, max(low, -(2**63)), min(high, 2**63 - 1)) for slot, low, high in ranges],
        values=values,
        disjoint=[(position[a], position[b]) for a, b in spec.disjoint],
        same=[(position[a], position[b]) for a, b in spec.same],
        journal=[position[a] for a in spec.written] if journalled else [],
        outs=[_out_spec(out) for out in source.outs],
        failed=lambda rc, detail, args, outs: failed(rc, detail, args, _halfway(source, record, outs)),
        calls_left=min(max(decision.calls_before_review, 1), 2**62),
        time_always=predicted > TIMED_S or variant != "seq",
        # The resume record is one per entry; a device program is Python code, and releases the GIL where it waits.
        release_gil=predicted > GIL_S and not source.resume and source.device is None,
        data=(kernels.get(variant), record),
    )


class Halfway(NamedTuple):
    """Where the interpreter goes on: Python loops -> trips to skip, and the live-outs there (None: as at entry)."""

    skip: dict[tuple[int, int], int]
    live_outs: tuple[Any, ...] | None


def _halfway(source: KernelSource, record: Any, live_outs: tuple[Any, ...] | None) -> Halfway | None:
    """Where the kernel has stopped; None if the arrays are as they were at entry."""
    if live_outs is None:
        return None
    point = source.resume[record[0]]
    done = dict.fromkeys(point.skipped, resume.ALL)
    skip = {**done, **{place: record[1 + depth] for depth, place in enumerate(point.loops)}}
    return Halfway(skip, live_outs if point.carried else None)


def _params(nest: Nest, roots: tuple[str, ...], signature: Signature) -> tuple[list[Any], dict[Quantity, int], int]:
    """Guard params of the live-ins, the slot of each entry quantity, and the next slot."""
    params: list[Any] = []
    slots: dict[Quantity, int] = {}
    slot = 1
    index = {root: k for k, root in enumerate(roots)}
    for live, check in zip(nest.live_ins, signature.checks, strict=True):
        params.append((index[live.root], live.path, check))
        kind: Type = signature.types[live.name]
        if isinstance(kind, ArrayType):
            for axis in range(kind.ndim):
                slots[QDim(live.name, axis)] = slot + 1 + axis
                slots[QStride(live.name, axis)] = slot + 1 + kind.ndim + axis
        elif not isinstance(kind, ObjectType) and kind.rep.is_int:
            slots[QParam(live.name)] = slot
        slot += _slots_of(kind)
    return params, slots, slot


@cache
def _typenum_of_rep() -> dict[Rep, int]:
    return {rep: num for num, rep in reps_by_typenum().items()}


def _out_spec(out: KernelOut) -> tuple[tuple[str, ...], int, int, int]:
    kinds = []
    for name in out.classes:
        if name in ("float", "bool", "complex"):
            kinds.append(name)
        elif name == "int":
            kinds.append("int" if Rep(out.rep).is_int else "int_from_double")
        else:
            kinds.append(f"np:{_typenum_of_rep()[REP_OF_CLASS[name]]}")
    return tuple(kinds), out.slot, out.tag_slot, out.set_slot
