"""Plan for a device -> the text of its kernels (codegen/grid.py) and the driver that launches them (driver.py)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from alpyna_hook.analysis.reproducible import needs
from alpyna_hook.codegen.dialect import Dialect
from alpyna_hook.codegen.driver import Driver
from alpyna_hook.codegen.grid import NAMES_OF_A_RANGE, Unit
from alpyna_hook.codegen.helpers import text_of
from alpyna_hook.codegen.hostpy import WORDS
from alpyna_hook.codegen.names import c_names
from alpyna_hook.codegen.outs import live_outs
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.abi import RESUME_SLOTS
from alpyna_hook.ir.nodes import Load, Store, walk_exprs, walk_stmts
from alpyna_hook.ir.plan import DeviceProgram, KernelParam, KernelSource, Plan
from alpyna_hook.ir.steps import ENTRY, steps_of
from alpyna_hook.ir.types import INT, ArrayType, Rep, ScalarType, Type
from alpyna_hook.transform.device import types_of


def render_device(
    plan: Plan, entry_types: Mapping[str, Type], lines: tuple[str, ...], dialect: Dialect
) -> KernelSource:
    """The program of `plan`.

    entry_types  type of each live-in as the guard hands it over
    lines        source lines of the user's file, for comments; may be empty
    """
    nest = plan.nest
    steps = steps_of(nest, {p.counter: p for p in plan.loops})
    if isinstance(steps, str):
        raise InternalError(steps)
    types = {n: replace(t, layout="S") if isinstance(t, ArrayType) and t.layout == "F" else t
             for n, t in types_of(nest).items()}  # on the device it may lie in another order
    types |= {f"{c}@{part}": INT for c in _counters(plan) for part in NAMES_OF_A_RANGE}
    types |= {f"{n}{ENTRY}": types[n] for n in steps.resident}
    types |= {f"{n}@passed": INT for n, t in tuple(types.items()) if isinstance(t, ScalarType) and t.rep is Rep.BOOL}
    names = dict(c_names(types, dialect.reserved | WORDS))
    unit = Unit(plan, steps, dialect, types, names, lines)
    kernels = unit.kernels(steps.steps)
    params = [KernelParam("live", x.name) for x in nest.live_ins]
    if plan.watch_fp:
        params.append(KernelParam("fp_mask"))
    blocked = any(k.saved for k in kernels)
    outs, out_slots = live_outs(nest, types)
    inputs = _inputs(plan, entry_types, names)
    driver = Driver(plan, steps, kernels, types, names, outs, out_slots).text(inputs, entry_types)
    stored = {s.array for s in walk_stmts(nest.body) if isinstance(s, Store)}
    loaded = {e.array for e in walk_exprs(nest.body) if isinstance(e, Load)}
    arrays = [x.name for x in nest.live_ins if isinstance(types.get(x.name), ArrayType)]
    program = DeviceProgram(
        style=plan.style,
        kernels=tuple(k.device for k in kernels),
        driver=driver.text,
        inputs=inputs,
        reads=tuple(a for a in arrays if a in loaded),
        writes=tuple(a for a in arrays if a in stored),
        resident=len(steps.resident),
        needs=tuple(sorted((*needs(nest), *_atomics(plan, types)))),
    )
    faults = driver.faults or any(k.faults for k in kernels)
    text = _assemble(plan, unit.helpers, [k.text for k in kernels], dialect)
    resume = plan.resume if blocked else ()
    out_slots += RESUME_SLOTS * blocked
    return KernelSource(text, tuple(params), outs, out_slots, faults, False, resume, device=program)


def _counters(plan: Plan) -> list[str]:
    return [p.counter for p in plan.loops if p.grid]


def _atomics(plan: Plan, types: Mapping[str, Type]) -> set[str]:
    kinds = [types[array] for p in plan.loops if p.grid for array, _ in p.array_reductions]
    return {"atomics64" for kind in kinds if isinstance(kind, ArrayType) and kind.elem.bits == 64}


def _inputs(plan: Plan, entry_types: Mapping[str, Type], names: Mapping[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    for live in plan.nest.live_ins:
        kind, name = entry_types[live.name], names.get(live.name, "")
        if isinstance(kind, ArrayType):
            name = name or f"alp_unused_{len(found)}"
            found += [name, *(f"{name}_{tag}{k}" for tag in "ns" for k in range(kind.ndim))]
        elif isinstance(kind, ScalarType):
            found.append(name or f"alp_unused_{len(found)}")
    return (*found, "fp_mask") if plan.watch_fp else tuple(found)


def _assemble(plan: Plan, helpers: Mapping[str, None], kernels: list[str], dialect: Dialect) -> str:
    """The whole text; a helper that another one calls comes before it."""
    texts: dict[str, str] = {}

    def add(helper: str) -> None:
        text = text_of(helper, dialect)
        for called in re.findall(r"\b(alp_mul_[iu]\d+)\(", text):
            if called not in texts and called != helper:
                add(called)
        texts[helper] = text

    for helper in helpers:
        add(helper)
    style = f", {plan.style}" if plan.variant == "opencl" else ""
    return "\n\n".join([f"/* {plan.nest.name}, {plan.variant}{style} */", dialect.prelude, *texts.values(), *kernels])
