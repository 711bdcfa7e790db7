"""Specialisations as the dispatcher uses them: made, priced, compiled, and turned into guard entries.

The process has one oracle, one host device and one disk cache; they are made at the first use.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from functools import cache
from typing import Any

from alpyna_hook import __version__, log, settings
from alpyna_hook.cost import profiles
from alpyna_hook.cost.counts import Block, LoopCount, loops
from alpyna_hook.cost.decide import Decision, History, Oracle
from alpyna_hook.cost.machine import Profile
from alpyna_hook.cost.rules import first_review
from alpyna_hook.devices import forks, host
from alpyna_hook.devices.base import CompileFailure, Kernel
from alpyna_hook.devices.toolchain import Toolchain
from alpyna_hook.errors import InternalError, Rejection
from alpyna_hook.ir.affine import Predicate, QDim, QParam, QStride, Quantity, evaluate
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.plan import KernelOut, Plan, Variant
from alpyna_hook.ir.types import REP_OF_CLASS, ArrayType, ObjectType, Rep, Type
from alpyna_hook.runtime import diskcache, guard, learned, offload, stamps, warm
from alpyna_hook.runtime.diskcache import DiskCache, key_of
from alpyna_hook.runtime.entries import Recipe
from alpyna_hook.runtime.heads import Head
from alpyna_hook.runtime.reading import plain_key
from alpyna_hook.runtime.signature import Signature, reps_by_typenum
from alpyna_hook.source import Source
from alpyna_hook.specialisation import Specialisation
from alpyna_hook.transform import blocks
from alpyna_hook.transform.schedule import TRIPS_PER_THREAD

TIMED_S = 2e-5  # calls predicted to be longer are all timed; shorter ones are sampled


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


def targets(pin: str) -> tuple[str, ...]:
    """The kinds of accelerator that a nest is specialised for (pipeline.Request.devices): where the user leaves the
    choice to the oracle, those that were calibrated. `pin`: the variant that the project wants for it, "" for none."""
    return offload.targets({v: figures.style for v, figures in oracle().profile.devices.items()}, disk(), pin)


@cache
def device() -> host.HostDevice:
    """The host device."""
    return host.HostDevice(disk(), settings.current().cc, settings.current().cc_timeout)


def specialise(
    nest: Nest, signature: Signature, banned: frozenset[Predicate], source: Source, devices: tuple[str, ...] = ()
) -> Specialisation | Rejection:
    """The specialisation for `signature`, from the disk cache if it has it.

    A cached specialisation was made for other entry values; the conditions that it rests on are checked by
    its kernels at each call, so that it is as good here, unless this call has outgrown it.
    """
    current = settings.current()
    threads = current.threads
    key = key_of_specialisation(nest, signature, banned, devices)
    found = disk().get(key)
    if isinstance(found, Rejection) or isinstance(found, Specialisation) and not outgrown(found, signature.entry):
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


def outgrown(spec: Specialisation, entry: Mapping[Quantity, int]) -> bool:
    """Whether code that was made for few trips meets many at this call. Threads share two loops as one because the
    outer one had few: without the inner one among them, that runs in vector lanes, and its rows can be saved block by
    block. Or a loop in another one saves its rows each time that it is entered, which was not often. Or one work item
    of a device does what was too little for more."""
    many = TRIPS_PER_THREAD * settings.current().threads
    for candidate in spec.candidates.values():
        shared = [loop for loop in loops(candidate.counts.root) if loop.counter in candidate.parallel]
        collapsed = [loop for loop in shared if any(below.counter in candidate.collapse for below in loop.body.loops)]
        if any((_trips(loop, entry) or 0) >= many for loop in collapsed):
            return True
        if any(n > blocks.MAX_SWEEPS for n in _entered(candidate.counts.root, dict(candidate.saved), entry)):
            return True
    return any(plan.short and not _all_short(plan, entry) for plan in spec.plans.values())


def _all_short(plan: Plan, entry: Mapping[Quantity, int]) -> bool:
    from alpyna_hook.cost.trips import middling
    from alpyna_hook.transform.device import all_short

    return all_short(plan.nest, plan.short, middling(plan.nest.body, entry))


def _entered(block: Block, counters: Container[str], entry: Mapping[Quantity, int], times: int = 1) -> Iterator[int]:
    """How often each of these loops is entered at this call, as far as that can be told."""
    for loop in block.loops:
        if loop.counter in counters:
            yield times
        else:
            yield from _entered(loop.body, counters, entry, times * (_trips(loop, entry) or 1))


def _trips(loop: LoopCount, entry: Mapping[Quantity, int]) -> int | None:
    """Trip count at this call; None if it cannot be told."""
    try:
        start, stop, step = (evaluate(q, entry) for q in (loop.start, loop.stop, loop.step) if q is not None)
        return len(range(start, stop, step))
    except (KeyError, ValueError, ZeroDivisionError):
        return None


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
    """What the oracle wants to know of each variant: "compiled" (loaded), "disk", "no", or "closed": nor is its device
    open. The disk is only asked about the variants that it looks at."""

    def __init__(self, spec: Specialisation, kernels: Mapping[str, Kernel]) -> None:
        self._spec, self._kernels = spec, kernels
        self._on_disk: dict[str, bool] = {}

    def __getitem__(self, variant: str) -> str:
        if variant in self._kernels:
            return "compiled"
        if variant in offload.VARIANTS and not offload.is_open(variant):
            return "closed"
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


_said: set[tuple[str, str]] = set()  # sites, and why a compiler failed on them


def compile_variant(spec: Specialisation, decision: Decision, signature: Signature, name: str) -> Kernel | str:
    """The loaded kernel, or why there is none. `name`: of the site, for messages."""
    variant = decision.variant
    if variant in offload.VARIANTS:
        figures = None if decision.asked else oracle().profile.devices.get(variant)
        return offload.compile_variant(spec, variant, signature.types, name, disk(), figures.name if figures else "")
    if variant == "omp" and forks.omp_unsafe():
        return "OpenMP cannot be used in a forked child process"
    obstacle = device().obstacle(variant)
    if obstacle:
        if isinstance(device().tool, str):
            _without_compiler(obstacle)
        return obstacle
    source = spec.sources[variant]  # type: ignore[index]
    result = device().compile_kernel(source.text, variant == "omp", False)
    if isinstance(result, CompileFailure):
        say = log.debug if (name, result.reason) in _said else log.warning  # a loop's variants fail alike
        say(f"{name}: {result.reason}")
        _said.add((name, result.reason))
        log.debug(result.log)
        return result.reason
    return result


def recipe(
    nest: Nest, spec: Specialisation, signature: Signature, decision: Decision, error_mask: int | None = None
) -> Recipe:
    """Of a guard entry that carries `decision` out.

    error_mask  the FP flags that NumPy's error state must watch for the entry to match; None: any will do
    """
    variant: Variant = decision.variant if decision.variant != "interp" else "seq"  # type: ignore[assignment]
    source = spec.sources[variant]
    slots, slot = _slots(nest, signature)
    extra = tuple((param.kind, param.name, param.rep) for param in source.params if param.kind != "live")
    masks = [slot + number for number, (kind, _, _) in enumerate(extra) if kind == "fp_mask"]
    position = {live.name: k for k, live in enumerate(nest.live_ins)}
    predicted = decision.predicted.get(decision.variant) or 0.0
    journalled = source.faults and not source.resume and source.device is None  # a device program saves by itself
    ranges = [(slots[leaf], low, high) for leaf, (low, high) in decision.ranges.items() if leaf in slots]
    return Recipe(
        extra=extra,
        ranges=tuple((slot, max(low, -(2**63)), min(high, 2**63 - 1)) for slot, low, high in ranges),
        values=tuple((slot, error_mask) for slot in masks if error_mask is not None),
        disjoint=tuple((position[a], position[b]) for a, b in spec.disjoint),
        overlapping=tuple((position[a], position[b]) for a, b in sorted(map(sorted, signature.may_alias))),
        same=tuple((position[a], position[b]) for a, b in spec.same),
        journal=tuple(position[a] for a in spec.written) if journalled else (),
        outs=tuple(map(_out_spec, source.outs)),
        resume=tuple((point.loops, point.skipped, point.carried) for point in source.resume),
        record=source.record,
        calls_left=min(max(decision.calls_before_review, 1), 2**62),
        time_always=predicted > TIMED_S or variant != "seq" or _may_take_long(spec, decision),
        # A device program is Python code, and releases the GIL where it waits.
        release_gil=predicted > guard.GIL_NS * 1e-9 and source.device is None,
    )


def _may_take_long(spec: Specialisation, decision: Decision) -> bool:
    """Whether calls of this decision can take much longer than the one it was made for: it stands for all sizes, or
    their length depends on data."""
    counts = spec.candidates["interp"].counts
    return bool(counts.unknown or (counts.trip_leaves and not decision.ranges))


def packed(decision: Decision) -> tuple[object, ...]:
    """As plain data, for the records of warm.py."""
    ranges = tuple((_plain(leaf), low, high) for leaf, (low, high) in decision.ranges.items())
    return (
        decision.variant, tuple(decision.predicted.items()), ranges, decision.calls_before_review, decision.retire,
        decision.regret, decision.reason, decision.kernel_s,
    )  # fmt: skip


def unpacked(data: tuple[Any, ...]) -> Decision:
    """The inverse of `packed`."""
    variant, predicted, ranges, *rest = data
    return Decision(variant, dict(predicted), {_leaf(*leaf): (low, high) for leaf, low, high in ranges}, *rest)


def _plain(leaf: Quantity) -> tuple[object, ...]:
    match leaf:
        case QParam(name=name):
            return "param", name
        case QDim(array=array, axis=axis):
            return "dim", array, axis
        case QStride(array=array, axis=axis):
            return "stride", array, axis
        case _:
            raise InternalError(f"a decision rests on {leaf}")


def _leaf(kind: str, name: str, axis: int = 0) -> Quantity:
    return QParam(name) if kind == "param" else QDim(name, axis) if kind == "dim" else QStride(name, axis)


def keep(
    head: Head, kernels: Mapping[str, Kernel], signature: Signature, decision: Decision, made: Recipe, pin: str
) -> None:
    """Keeps a decision and its kernel for later processes (warm.py), which review it early. Not a try."""
    if decision.trial:
        return
    kernel = kernels.get(decision.variant)
    library = None
    if kernel is not None:
        tool = device().tool
        library = kernel.path, tool.preload if isinstance(tool, Toolchain) and decision.variant == "omp" else ""
        early = first_review(max(decision.predicted[decision.variant], 1e-9))
        made = made._replace(calls_left=min(made.calls_left, early))
    call = plain_key(signature.checks, signature.same, signature.may_alias)
    warm.note(head, (call, pin), packed(decision), made, library)


def loaded(kernel: tuple[int, float, str, object]) -> Kernel:
    """The kernel of a `warm.Start`."""
    address, seconds, path, library = kernel
    assert device().tool, "the report names the compiler"
    return Kernel(address, seconds, "hit", path, library)


def _slots(nest: Nest, signature: Signature) -> tuple[dict[Quantity, int], int]:
    """The input slot of each entry quantity, and the next one."""
    slots: dict[Quantity, int] = {}
    slot = 1
    for live in nest.live_ins:
        kind: Type = signature.types[live.name]
        if isinstance(kind, ArrayType):
            for axis in range(kind.ndim):
                slots[QDim(live.name, axis)] = slot + 1 + axis
                slots[QStride(live.name, axis)] = slot + 1 + kind.ndim + axis
        elif not isinstance(kind, ObjectType) and kind.rep.is_int:
            slots[QParam(live.name)] = slot
        slot += _slots_of(kind)
    return slots, slot


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
