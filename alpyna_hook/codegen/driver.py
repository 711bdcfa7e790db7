"""The host's part of a device program, as Python source.

    def run(rt, a, a_n0, a_s0, n):
        if not (n <= a_n0):
            return 1, [0]
        ...
        i_extent = alp_trips(0, n, 1)
        rt.launch(0, (i_extent,), (a, i_extent, rt.fault))
        if rt.faulted():
            return 2, [1]
        return 0, []

A second function, `overwritten`, of the same inputs without `rt`, gives the arrays (by IR name) of which this call
overwrites every element.  `run` returns (return code, slots) as codegen/kernel.py has them: (1, [number of the failed
precondition, or what stands for none]), (2, [1]) after a fault, (0, values of the slots from slot 1 on, as Python
numbers) else. Where the grid is launched block by block, (3, these values as they are there) if it stopped half-way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from alpyna_hook.codegen.grid import RANGE_PARTS, Kernel
from alpyna_hook.codegen.gridsave import GridSaved
from alpyna_hook.codegen.hostpy import PRELUDE, condition, evaluated, limits, plain, unfit
from alpyna_hook.codegen.kernel import NO_TRIP, NOT_REPRESENTABLE, UNDERFLOW_WATCHED
from alpyna_hook.codegen.outs import slot_field
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.flow import assigned, at_entry
from alpyna_hook.ir.nodes import Break, Const, Expr, Loop, Nest, walk
from alpyna_hook.ir.abi import FP_UNDERFLOW
from alpyna_hook.ir.plan import KernelOut, Plan
from alpyna_hook.ir.steps import (
    Choose, Compute, Jump, Launch, Repeat, Serial, Step, Steps, counter_copies, reads_counter,
)  # fmt: skip
from alpyna_hook.ir.types import Rep, ScalarType, Type
from alpyna_hook.transform.overwrites import overwritten

_COMBINED = {"+": "sum", "*": "prod", "&": "and_", "|": "or_", "^": "xor"}


@dataclass(frozen=True, slots=True)
class DriverText:
    """faults: `run` may return 2 for something the host itself computes."""

    text: str
    faults: bool


class Driver:
    """Writes `run`."""

    def __init__(
        self, plan: Plan, steps: Steps, kernels: tuple[Kernel, ...], types: Mapping[str, Type],
        names: Mapping[str, str], outs: tuple[KernelOut, ...], out_slots: int,
    ) -> None:  # fmt: skip
        self.plan, self.plan_steps, self.kernels, self.types, self.names = plan, steps, kernels, types, names
        self.outs, self.out_slots = outs, out_slots
        self.number = {id(k.step): n for n, k in enumerate(kernels)}
        self.flags = {out.name: f"{names[out.name]}_set" for out in outs if out.set_slot >= 0}
        self.blocked = any(k.saved for k in kernels)
        self.may_fault = any(k.faults for k in kernels) and not self.blocked
        self._lines: list[str] = []
        self._depth = 1
        self.host_faults = False

    # -- writing ---------------------------------------------------------------------------------

    def line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(head)
        self._depth += 1
        before = len(self._lines)
        yield
        if len(self._lines) == before:
            self.line("pass")
        self._depth -= 1

    def text(self, inputs: tuple[str, ...], entry_types: Mapping[str, Type]) -> DriverText:
        """The whole source; `inputs` are the parameters of `run`."""
        self._entry(entry_types)
        with self.block("try:"):
            begin = [*self.flags.values(), *(self.names[n] for n in self._own_names())]
            if begin:
                self.line(f"{' = '.join(begin)} = 0")
            self._no_trip(self.plan.nest)
            self.steps(self.plan_steps.steps)
        with self.block("except (AlpFault, ArithmeticError):"):
            self.line("return 2, [1]")
        if self.may_fault:
            with self.block("if rt.faulted():"):
                self.line("return 2, [1]")
        self._finish()
        body = "\n".join(self._lines)
        head = f"def run({', '.join(('rt', *inputs))}):"
        covers = self._overwritten(inputs)
        return DriverText(f"{PRELUDE}\n\n{head}\n{body}\n\n\n{covers}\n", self.host_faults)

    def _overwritten(self, inputs: tuple[str, ...]) -> str:
        """The function that says which arrays a call overwrites whole."""
        lines = [f"def overwritten({', '.join(inputs)}):", "    found = []"]
        for array, stops in overwritten(self.plan.nest, self.plan_steps).items():
            name = self.names[array]
            tests = [f"{plain(stop, self.names)} == {name}_n{axis}" for axis, stop in enumerate(stops)]
            lines += [f"    if {' and '.join(tests)}:", f"        found.append({array!r})"]
        return "\n".join([*lines, "    return found"])

    # -- entry -----------------------------------------------------------------------------------

    def _entry(self, entry_types: Mapping[str, Type]) -> None:
        if self.plan.watch_fp:
            self.line("# devices have no floating-point flags: underflow cannot be seen there")
            with self.block(f"if fp_mask & {FP_UNDERFLOW}:"):
                self.line(f"return 1, [{UNDERFLOW_WATCHED}]")
        for live in self.plan.nest.live_ins:
            source, target = entry_types[live.name], self.types.get(live.name)
            if not isinstance(source, ScalarType) or not isinstance(target, ScalarType):
                continue
            name = self.names[live.name]
            unfitting = unfit(name, source.rep, target.rep)
            if unfitting:
                with self.block(f"if {unfitting}:"):
                    self.line(f"return 1, [{NOT_REPRESENTABLE}]")
            if source.rep is not target.rep and target.rep.is_float:
                self.line(f"{name} = float({name})")
        for number, precondition in enumerate(self.plan.preconditions):
            with self.block(f"if not ({condition(precondition, self.names)}):"):
                self.line(f"return 1, [{number}]")

    def _own_names(self) -> list[str]:
        """Scalars of the host's own that are no live-ins: some paths may leave them without a value."""
        live = {x.name for x in self.plan.nest.live_ins}
        return sorted(assigned_by_host(self.plan_steps.steps) - live - set(self.plan_steps.resident))

    def _no_trip(self, nest: Nest) -> None:
        if not any(out.definite for out in nest.live_outs):
            return
        loop = next((s for s in nest.body if isinstance(s, Loop)), None)
        if loop is not None:
            bounds = (at_entry(e, nest.body) for e in (loop.start, loop.stop, loop.step))
            start, stop, step = (plain(e, self.names) for e in bounds)
            with self.block(f"if alp_trips({start}, {stop}, {step}) == 0:"):
                self.line(f"return 1, [{NO_TRIP}]")

    def _value_of(self, expr: Expr) -> str:
        """Text of an expression with its checks, which may turn out to be faults."""
        divides = any(getattr(e, "op", "") in ("/", "//", "%") for e in walk(expr))
        text = evaluated(expr, self.names)
        self.host_faults |= divides or "alp_" in text
        return text

    def _range_of(self, loop: Loop) -> list[str]:
        """Start, stop and step."""
        self.host_faults |= not isinstance(loop.step, Const)
        return [self._value_of(e) for e in (loop.start, loop.stop, loop.step)]

    def _rep(self, name: str) -> Rep:
        kind = self.types[name]
        if not isinstance(kind, ScalarType):
            raise InternalError(f"{name} is no scalar")
        return kind.rep

    # -- steps -----------------------------------------------------------------------------------

    def steps(self, steps: tuple[Step, ...]) -> None:
        """Their text at the current depth."""
        for step in steps:
            match step:
                case Compute(stmt=stmt):
                    self.line(f"{self.names[stmt.name]} = {self._value_of(stmt.value)}")
                    self._set(stmt.name)
                case Repeat(loop=loop, steps=inner):
                    ends = ", ".join(self._range_of(loop))
                    with self.block(f"for {self.names[loop.counter]} in alp_range({ends}):"):
                        self.steps(inner)
                case Choose(stmt=stmt, then=then, other=other):
                    with self.block(f"if {self._value_of(stmt.test)}:"):
                        self.steps(then)
                    if other:
                        with self.block("else:"):
                            self.steps(other)
                case Jump(stmt=stmt):
                    self.line("break" if isinstance(stmt, Break) else "continue")
                case Serial():
                    self._serial(step)
                case Launch():
                    self._launch(step)

    def _set(self, name: str) -> None:
        if name in self.flags:
            self.line(f"{self.flags[name]} = 1")

    def _call(self, step: Launch | Serial, extents: list[str]) -> str:
        number = self.number[id(step)]
        args = self.kernels[number].args
        return f"({number}, {_tuple(extents)}, {_tuple(args)})"

    def _serial(self, step: Serial) -> None:
        self.line(f"rt.launch{self._call(step, ['1'])}")
        for name in sorted(assigned(step.body) & self.flags.keys()):  # on all paths (ir/steps.py)
            self._set(name)

    def _launch(self, step: Launch) -> None:
        extents = self._ranges(step.loops)
        first = self.plan.loop(step.loops[0].counter)
        order = sorted(step.loops, key=lambda loop: self.plan.loop(loop.counter).grid)
        call = self._call(step, [extents[loop.counter] for loop in order])
        if first.reductions:
            for name in (n for n, _ in first.reductions if n in self.plan_steps.resident):
                self.line("alp_slots = rt.outs()")
                self.line(f"{self.names[name]} = {self._value(name)}")
            with self.block(f"if {' and '.join(f'{e} > 0' for e in extents.values())}:"):
                self.line(f"alp_parts = [part.tolist() for part in rt.reduce{call}]")
                if self.may_fault:
                    with self.block("if rt.faulted():"):
                        self.line("return 2, [1]")
                self._combine(step)
        elif self.blocked:
            self._in_blocks(step)
        else:
            self.line(f"rt.launch{call}")
        self._last(step)

    def _in_blocks(self, step: Launch) -> None:
        """A grid that may stop half-way: what follows is as if its loop had made no more trips."""
        number, loop = self.number[id(step)], step.loops[0]
        kernel, trips = self.kernels[number], self.names[f"{loop.counter}@extent"]
        saved = _tuple([f"({one.array!r}, {one.offset}, {self._box(one)})" for one in kernel.saved])
        call = f"{number}, {trips}, {_tuple(kernel.args)}, {self._first(loop)}, {saved}"
        self.line(f"alp_done = rt.blocks({call}, {self.plan.block_bytes})")
        with self.block(f"if alp_done == 0 < {trips}:"):
            self.line("return 2, [1]")
        self.line(f"alp_code = 3 if alp_done < {trips} else 0")
        self.line(f"{trips} = alp_done")

    def _box(self, saved: GridSaved) -> str:
        """What the kernel saves of a row, as slices of its axes."""
        ends = ((plain(first, self.names), plain(behind, self.names)) for first, behind in saved.box)
        return _tuple([f"slice({first}, max({first}, {behind}))" for first, behind in ends])

    def _ranges(self, loops: tuple[Loop, ...]) -> dict[str, str]:
        """Assigns start, step and trips of the loops; counter -> extent of its axis, as text. Where a range moves with
        an outer counter, the larger of its extents at both ends serves: kernels work on any grid."""
        extents: dict[str, str] = {}
        outer: list[Loop] = []
        # Statements between the loops of a grid are not run for nothing even if the inner loop makes no trip.
        between = any(len(loop.body) > 1 for loop in loops[:-1])
        for loop in loops:
            start, stop, step = self._range_of(loop)
            moving = [x for x in outer if reads_counter(loop, frozenset((x.counter,)))]
            if moving:
                corners = " ".join(f"for {self.names[x.counter]} in {self._ends(x)}" for x in outer)
                trips = self.names[f"{loop.counter}@extent"]
                self.line(f"{trips} = max([1, *(alp_trips({start}, {stop}, {step}) {corners})])")
                extents[loop.counter] = trips
            else:
                extents[loop.counter] = self._range(loop, start, stop, step, bool(outer) and between)
            outer.append(loop)
        return extents

    def _range(self, loop: Loop, start: str, stop: str, step: str, at_least_one: bool) -> str:
        """Assigns start, step and trips of one loop; its extent."""
        texts = []
        for part, expr, text in zip(RANGE_PARTS, (loop.start, loop.step), (start, step)):
            name = self.names[f"{loop.counter}@{part}"]
            if not isinstance(expr, Const):
                self.line(f"{name} = {text}")
            texts.append(text if isinstance(expr, Const) else name)
        trips = self.names[f"{loop.counter}@extent"]
        self.line(f"{trips} = alp_trips({texts[0]}, {stop}, {texts[1]})")
        if self.plan.style == "rows" and texts[1] not in ("1", "(-1)"):  # where the last run ends
            self.host_faults = True
            self.line(f"alp_int({texts[0]} + {trips} * {texts[1]})")
        return f"max({trips}, 1)" if at_least_one else trips

    def _first(self, loop: Loop) -> str:
        return plain(loop.start, self.names) if isinstance(loop.start, Const) else self.names[f"{loop.counter}@base"]

    def _ends(self, loop: Loop) -> str:
        """First and last value of a counter, as a tuple."""
        first, trips = self._first(loop), self.names[f"{loop.counter}@extent"]
        step = plain(loop.step, self.names) if isinstance(loop.step, Const) else self.names[f"{loop.counter}@stride"]
        return f"({first}, {first} + max({trips} - 1, 0) * {step})"

    def _last(self, step: Launch) -> None:
        """What names have after the grid: copies of counters are computed, other values are on the device."""
        plan = self.plan.loop(step.loops[0].counter)
        copies = counter_copies(step.loops)
        needed = {*plan.last, *plan.conditional}
        resident = set(self.plan_steps.resident)
        by_host = {n: c for n, c in copies.items() if n in needed - resident}
        deepest = max((k for k, loop in enumerate(step.loops) if loop.counter in by_host.values()), default=-1)
        on_device = sorted(needed & resident & self.flags.keys())
        trips = self.names[f"{step.loops[0].counter}@extent"]
        if deepest < 0 and not on_device:
            return
        with self.block(f"if {trips} > 0:"):
            for name in on_device:
                self._set(name)
            depth = self._depth
            for k, loop in enumerate(step.loops[: deepest + 1]):
                self._last_of(loop, step.loops[:k], [n for n, c in by_host.items() if c == loop.counter])
            self._depth = depth

    def _last_of(self, loop: Loop, outer: tuple[Loop, ...], names: list[str]) -> None:
        """Last values of the copies of one counter; what follows is in its branch."""
        counter, trips = self.names[loop.counter], self.names[f"{loop.counter}@extent"]
        start, stop, step = (plain(e, self.names) for e in (loop.start, loop.stop, loop.step))
        if reads_counter(loop, frozenset(x.counter for x in outer)):
            self.line(f"{trips} = alp_trips({start}, {stop}, {step})")
        if outer:
            self.line(f"if {trips} > 0:")
            self._depth += 1
        self.line(f"{counter} = {start} + ({trips} - 1) * {step}")
        for name in names:
            self.line(f"{self.names[name]} = {counter}")
            self._set(name)

    # -- reductions ------------------------------------------------------------------------------

    def _combine(self, step: Launch) -> None:
        plan = self.plan.loop(step.loops[0].counter)
        for k, (name, op) in enumerate(plan.reductions):
            kind, target = self._rep(name), self.names[name]
            if name in plan.bounded:
                self.line(f"alp_before = {target}")
            value = self._combined(target, op, f"alp_parts[{k}]")
            if kind.is_float:
                value = f"alp_finite({value})" if self.plan.watch_fp else value
                self.host_faults |= self.plan.watch_fp
            elif kind is Rep.BOOL:
                value = f"bool({value})"
            elif name not in plan.bounded and op in ("+", "*"):
                value = f"alp_wrap({value}, {kind.bits}, {kind.is_signed})"
            self.line(f"{target} = {value}")
            if name in plan.bounded:
                place = len(plan.reductions) + plan.bounded.index(name)
                low, high = limits(kind)
                text = f"alp_bounded({target}, alp_before, sum(alp_parts[{place}]), {low if low else None}, {high})"
                self.line(f"{target} = {text}")
                self.host_faults = True
            self._set(name)

    def _combined(self, target: str, op: str, parts: str) -> str:
        match op:
            case "+":
                return f"{target} + sum({parts})"
            case "*":
                return f"{target} * prod({parts})"
            case "min" | "max":
                return f"{op}({target}, {op}({parts}))"
            case _:
                return f"reduce({_COMBINED[op]}, {parts}, {target})"

    # -- the end ---------------------------------------------------------------------------------

    def _finish(self) -> None:
        code = "alp_code" if self.blocked else "0"
        if not self.outs:
            self.line(f"return {code}, []")
            return
        resident = self.plan_steps.resident
        tags = {out.name: out.tag for out in self.plan.nest.live_outs}
        needed = {out.name for out in self.outs} | {tags[out.name] for out in self.outs if out.tag_slot >= 0}
        if needed & set(resident):
            self.line("alp_slots = rt.outs()")
        self.line(f"alp_outs = {[0] * (self.out_slots - 1)}")
        for out in self.outs:
            self._write(out, tags[out.name])
        self.line(f"return {code}, alp_outs")

    def _value(self, name: str) -> str:
        if name not in self.plan_steps.resident:
            return self.names[name]
        return f"alp_value({slot_field(self._rep(name))!r}, alp_slots[{self.plan_steps.resident.index(name)}])"

    def _write(self, out: KernelOut, tag: str) -> None:
        depth = self._depth
        if out.set_slot >= 0:
            self.line(f"if {self.flags[out.name]}:")
            self._depth += 1
            self.line(f"alp_outs[{out.set_slot - 1}] = 1")
        if out.tag_slot >= 0:
            self.line(f"alp_outs[{out.tag_slot - 1}] = {self._value(tag)}")
        self.line(f"alp_outs[{out.slot - 1}] = {self._value(out.name)}")
        self._depth = depth


def assigned_by_host(steps: tuple[Step, ...]) -> frozenset[str]:
    """Scalars that the host assigns, or may take from grid counters."""
    found: set[str] = set()
    for step in steps:
        match step:
            case Compute(stmt=stmt):
                found.add(stmt.name)
            case Launch(loops=loops):
                found |= counter_copies(loops).keys()
            case Repeat(steps=inner):
                found |= assigned_by_host(inner)
            case Choose(then=then, other=other):
                found |= assigned_by_host(then) | assigned_by_host(other)
            case _:
                pass
    return frozenset(found)


def _tuple(parts: list[str] | tuple[str, ...]) -> str:
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
