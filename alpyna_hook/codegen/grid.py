"""Kernels of a device program: one per `Launch` and `Serial` step (ir/steps.py).

    __kernel void alp_kernel0(__global const double *restrict a, ..., const int64_t i_extent,
                              __global int32_t *alp_fault)

Parameters in order: for each array the kernel uses its buffer, and those of its dimensions and strides that it reads;
the scalars it reads; start, step and trip count of the grid's loops where they are no constants; `alp_fault`, which a
work item that met a fault sets to 1; `alp_out`, the slots of the scalars that stay on the device; then a buffer per
partial result.  An item of style "grid" strides over each axis by the size of the grid; of style "rows", it takes a run
of the iterations.

A grid that is launched block by block (transform/device.py, `in_blocks`) takes the number of the block, the iterations
of one block, and a buffer per array that it writes, for what it saves there (codegen/gridsave.py):

    if (*alp_fault && INT32_MAX - *alp_fault + 2 <= alp_block) return;  // what a block that faulted has saved is kept
    alp_fault[1 + alp_block % 4] = alp_block + 1;                       // the last blocks begun
    ...
        atomic_max(alp_fault, INT32_MAX - alp_block);                   // the first block that faulted

Two blocks are at work at a time (devices/blocks.py): all items of a block that begins find the same in `*alp_fault` as
far as it matters to them, which is what blocks that were done before have left there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from alpyna_hook.codegen.dialect import Dialect
from alpyna_hook.codegen.expr import Scope, scalar_type
from alpyna_hook.codegen.gridsave import PART_BYTES, GridSaved, element_saves, grid_saved
from alpyna_hook.codegen.helpers import CTYPE
from alpyna_hook.codegen.stmt import Body, block, resolve
from alpyna_hook.codegen.watch import watched
from alpyna_hook.codegen.writer import Writer
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.flow import assigned, exposed, mentions
from alpyna_hook.ir.nodes import Const, Loop, Stmt, Store, Var, walk_stmts
from alpyna_hook.ir.plan import BLOCKS_AT_ONCE, BLOCKS_NOTED, DeviceKernel, Plan
from alpyna_hook.ir.steps import ENTRY, Choose, Launch, Repeat, Serial, Step, Steps, open_ended, reads_counter
from alpyna_hook.ir.types import INT, ArrayType, Rep, ScalarType, Type

_FAULT_PARAM, _OUT_PARAM = "alp_fault", "alp_out"
_IDENTITY = {"+": "0", "*": "1", "&": "~0", "|": "0", "^": "0"}
RANGE_PARTS = ("base", "stride", "extent")  # start, step and trip count of a loop of the grid, as parameters
# COUNTER@NAME: those; in rows, also the first trip of a work item and the one past its last, and what they count; the
# counter's value at the first trip of a block
NAMES_OF_A_RANGE = (*RANGE_PARTS, "begin", "past", "first", "end", "block")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel and how the driver calls it.

    args    Python expressions, in the order of `device.args`
    faults  it may set the fault flag
    saved   it is launched block by block, and saves these arrays; `args` lack what a block brings. What cannot fault is
            launched as a whole
    """

    device: DeviceKernel
    step: Launch | Serial
    text: str
    args: tuple[str, ...]
    faults: bool
    saved: tuple[GridSaved, ...] = ()


@dataclass(slots=True)
class Unit:
    """The kernels of one program as they are rendered."""

    plan: Plan
    steps: Steps
    dialect: Dialect
    types: dict[str, Type]
    names: dict[str, str]
    lines: tuple[str, ...]
    helpers: dict[str, None] = field(default_factory=dict)
    commented: set[int] = field(default_factory=set)

    def kernels(self, steps: tuple[Step, ...]) -> tuple[Kernel, ...]:
        """All kernels, in the order of the steps."""
        found: list[_Draft] = []
        self._collect(steps, found)
        faults = any(d.scope.faults for d in found)
        return tuple(d.finish(number, faults) for number, d in enumerate(found))

    def _collect(self, steps: tuple[Step, ...], found: list[_Draft]) -> None:
        for step in steps:
            match step:
                case Launch() | Serial():
                    found.append(_Draft(self, step))
                    found[-1].render()
                case Repeat(steps=inner):
                    self._collect(inner, found)
                case Choose(then=then, other=other):
                    self._collect(then, found)
                    self._collect(other, found)
                case _:
                    pass


class _Draft:
    """One kernel while it is rendered: statements first, then what they turn out to need."""

    def __init__(self, unit: Unit, step: Launch | Serial) -> None:
        self.unit, self.step = unit, step
        self.loops = step.loops if isinstance(step, Launch) else ()
        self.body: tuple[Stmt, ...] = (step.loops[0],) if isinstance(step, Launch) else step.body
        self.scope = Scope(dict(unit.names), unit.types, unit.dialect, helpers=unit.helpers)
        self.plan = unit.plan.loop(self.loops[0].counter) if self.loops else None
        self.reductions = dict(self.plan.reductions) if self.plan else {}
        self.bounded = {n: f"{unit.names[n]}_magnitude" for n in (self.plan.bounded if self.plan else ())}
        self.read, self.written = self._residents()
        self.reused: frozenset[str] = frozenset()  # scalars passed on for a range, then assigned anew
        self.before: list[str] = []
        self.inside: list[str] = []
        self.after: list[str] = []
        self.saved: tuple[GridSaved, ...] = ()

    def _residents(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Scalars that the kernel takes from the device's slots, and those that it leaves there."""
        resident, changed = self.unit.steps.resident, assigned(self.body)
        if self.plan is None:
            mentioned = mentions(self.body)
            return tuple(n for n in resident if mentioned[n]), tuple(n for n in resident if n in changed)
        needed = exposed(self.body) - set(self.reductions)
        last = {*self.plan.last, *self.plan.conditional}
        return tuple(n for n in resident if n in needed), tuple(n for n in resident if n in last & changed)

    # -- statements ------------------------------------------------------------------------------

    def render(self) -> None:
        unit = self.unit
        body = self.body
        if unit.plan.watch_fp:
            body = watched(body, frozenset(self.reductions))
        if self.plan is not None and unit.plan.style == "rows":
            body = (self._share(body[0]),)
        writer = Writer()
        writer.indent()
        self.reused = (exposed(self.body) & assigned(self.body)) - set(self.read) - set(self.reductions)
        own = {*self.read, *self.written, *self.reductions, *self.reused}
        ctx = Body(
            unit.plan, self.scope, writer, unit.lines, declared=set(own), flags={}, bounded=self.bounded,
            commented=unit.commented, atomic=self._atomic(),
        )  # fmt: skip
        if unit.plan.style == "grid" and self.plan is not None:
            self._pass_ranges()
            self._note_last(ctx)
        before = set(unit.commented)
        block(body, ctx)
        loop = body[0]
        if self.plan is not None and self.plan.saved and self.scope.faults and isinstance(loop, Loop):
            self.saved = grid_saved(loop, self.plan.saved, ctx)
            saves = element_saves(loop, self.saved, ctx)
            if saves:  # once more, with these
                writer.take()
                unit.commented = before
                block(body, replace(ctx, declared=set(own), commented=before, saves=saves))
        self.inside = resolve(writer.take(), self.scope.faults)
        self._around()

    def _atomic(self) -> frozenset[str]:
        plans = [self.unit.plan.loop(loop.counter) for loop in self.loops]
        return frozenset(array for plan in plans for array, _ in plan.array_reductions)

    def _share(self, loop: Stmt) -> Loop:
        """`loop` over this work item's run of iterations."""
        if not isinstance(loop, Loop):
            raise InternalError("no loop to share out")
        c = loop.counter
        return replace(loop, start=Var(f"{c}@first", type=INT), stop=Var(f"{c}@end", type=INT))

    def _own_run(self, loop: Loop) -> list[str]:
        """The lines that find this work item's run of iterations."""
        c, names, dialect = loop.counter, self.scope.names, self.unit.dialect
        trips, item, items = names[f"{c}@extent"], dialect.item[0], dialect.items[0]
        found, skipped = [], ""
        if self.saved:
            rest = f"{trips} - alp_done"
            found.append("const int64_t alp_done = alp_block * alp_rows;")
            found.append(f"const int64_t alp_trips = {rest} < alp_rows ? {rest} : alp_rows;")
            found.append(f"const int64_t {names[f'{c}@block']} = {_moved(loop, 'alp_done', names)};")
            trips, skipped = "alp_trips", "alp_done + "
        for trip, counter, k in (("begin", "first", item), ("past", "end", f"{item} + 1")):
            at = names[f"{c}@{trip}"]
            found.append(f"const int64_t {at} = {skipped}{self.scope.call('alp_share', trips, k, items)};")
            if not self._whole:
                found.append(f"const int64_t {names[f'{c}@{counter}']} = {_moved(loop, at, names)};")
        return found

    @property
    def _whole(self) -> list[GridSaved]:
        """The arrays of which whole rows are saved."""
        return [saved for saved in self.saved if saved.element is None]

    def _in_parts(self, loop: Loop) -> list[str]:
        """The body, a few rows at a time, which are saved while they are in the innermost cache."""
        c, names = loop.counter, self.scope.names
        begin, past = names[f"{c}@begin"], names[f"{c}@past"]
        bytes_of = [f"{self._row(saved.array)} * (int64_t)sizeof *{names[saved.array]}" for saved in self._whole]
        fewest = max(self.unit.plan.loop(c).strip, 1)
        lines = [
            f"const int64_t alp_most = {PART_BYTES} / ({' + '.join(bytes_of)} + 1);",
            f"const int64_t alp_part = alp_most > {fewest} ? alp_most : {fewest};",
            f"for (int64_t alp_trip = {begin}; alp_trip < {past}; alp_trip += alp_part) {{",
            f"    const int64_t alp_stop = {past} - alp_trip < alp_part ? {past} : alp_trip + alp_part;",
            *(
                f"    const int64_t {names[f'{c}@{counter}']} = {_moved(loop, at, names)};"
                for counter, at in (("first", "alp_trip"), ("end", "alp_stop"))
            ),
        ]
        for saved in self._whole:
            lines += [f"    {line}" for line in self._save(loop, saved)]
        return [*(f"    {line}" for line in lines), *(f"    {line}" for line in self.inside), "    }"]

    def _row(self, array: str) -> str:
        """Elements of a row."""
        dims = range(1, self.scope.array(array).ndim)
        return " * ".join(f"{self.scope.names[array]}_n{axis}" for axis in dims) or "1"

    def _save(self, loop: Loop, saved: GridSaved) -> list[str]:
        """The rows of these iterations lie side by side; those outside the array belong to iterations without one."""
        c, names, offset = loop.counter, self.scope.names, saved.offset
        name, row = names[saved.array], self._row(saved.array)
        low, high = (_plus(names[f"{c}@{part}"], offset) for part in ("first", "end"))
        element = f"alp_e * {name}_s0" if self.scope.array(saved.array).layout == "S" else "alp_e"
        return [
            "{",
            f"    const int64_t alp_low = {low} > 0 ? {low} : 0;",
            f"    const int64_t alp_high = {high} < {name}_n0 ? {high} : {name}_n0;",
            f"    const int64_t alp_from = {_plus(names[f'{c}@block'], offset)} * ({row});",
            f"    for (int64_t alp_e = alp_low * ({row}); alp_e < alp_high * ({row}); alp_e++)",
            f"        {name}_saved[alp_e - alp_from] = {name}[{element}];",
            "}",
        ]

    def _pass_ranges(self) -> None:
        """Ranges that move with an outer counter are computed in the kernel: their names are no parameters."""
        counters: set[str] = set()
        for loop in self.loops:
            if reads_counter(loop, frozenset(counters)):
                for part in RANGE_PARTS:
                    del self.scope.names[f"{loop.counter}@{part}"]
            counters.add(loop.counter)

    def _note_last(self, ctx: Body) -> None:
        """The item that runs the last iteration leaves the scalars that are needed afterwards."""
        for name in self.written:
            level = next(k for k, loop in enumerate(self.loops) if name in _assigned_at(loop, self.loops))
            tests = [f"{self._counter(loop)}_trip == {self._trips(loop)} - 1" for loop in self.loops[: level + 1]]
            axes = [self.unit.plan.loop(loop.counter).grid - 1 for loop in self.loops[level + 1 :]]
            tests += [f"{self.unit.dialect.item[axis]} == 0" for axis in axes]
            head = f"if ({' && '.join(tests)}) {{"
            lines = ctx.last_lines.setdefault(self.loops[level].counter, [head, "}"])
            lines.insert(-1, f"    {self._slot(name)} = {self.scope.names[name]};")

    def _counter(self, loop: Loop) -> str:
        return self.scope.names[loop.counter]

    def _trips(self, loop: Loop) -> str:
        return self.scope.names.get(f"{loop.counter}@extent", f"{self._counter(loop)}_trips")

    # -- what goes around them -------------------------------------------------------------------

    def _around(self) -> None:
        names, scope = self.scope.names, self.scope
        if self.plan is not None and self.unit.plan.style == "rows":
            self.before += self._own_run(self.loops[0])
        if self._whole:
            self.inside = self._in_parts(self.loops[0])
        for name in dict.fromkeys((*self.read, *self.written)):
            start = self._slot(name) if name in self.read else "0"
            self.before.append(f"{CTYPE[scalar_type(scope, name).rep]} {names[name]} = {start};")
        for number, (name, op) in enumerate(self.reductions.items()):
            kind = scalar_type(scope, name).rep
            self.before.append(f"{CTYPE[kind]} {names[name]} = {_identity(op, kind)};")
            self.after.append(f"alp_partial{number}[{self._item()}] = {names[name]};")
        for number, magnitude in enumerate(self.bounded.values(), len(self.reductions)):
            self.before.append(f"uint64_t {magnitude} = 0;")
            self.after.append(f"alp_partial{number}[{self._item()}] = {magnitude};")
        if self.plan is None:
            self.before.insert(0, f"if ({self.unit.dialect.item[0]} != 0)")
            self.before.insert(1, "    return;")
            self.after += [f"{self._slot(name)} = {names[name]};" for name in self.written]
        elif self.unit.plan.style == "rows" and self.written:
            begin, past, trips = (names[f"{self.loops[0].counter}@{part}"] for part in ("begin", "past", "extent"))
            self.after.append(f"if ({begin} < {past} && {past} == {trips}) {{")
            self.after += [f"    {self._slot(name)} = {names[name]};" for name in self.written]
            self.after.append("}")

    def _item(self) -> str:
        """The number of this work item among all."""
        text = ""
        for axis in reversed(range(self._axes())):
            item, items = f"({self.unit.dialect.item[axis]})", f"({self.unit.dialect.items[axis]})"
            text = f"({text} * {items} + {item})" if text else item
        return text

    def _axes(self) -> int:
        return max(len(self.loops), 1) if self.unit.plan.style == "grid" else 1

    def _slot(self, name: str) -> str:
        rep = scalar_type(self.scope, name).rep
        member = {Rep.F64: "d", Rep.F32: "f", Rep.U64: "u"}.get(rep, "i")
        return f"{_OUT_PARAM}[{self.unit.steps.resident.index(name)}].{member}"

    # -- the whole -------------------------------------------------------------------------------

    def finish(self, number: int, others_fault: bool) -> Kernel:
        """others_fault: some kernel of the program does, so that values may be void."""
        faults = self.scope.faults
        stop = others_fault and (faults or open_ended(self.body))
        used = re.sub("//.*", "", "\n".join((*self.before, *self.inside, *self.after)))  # no user's words
        params, kinds, args, preset = self._parameters(used)
        odd = bool(re.search(r"&odd\b", used))
        if faults or stop:
            params.append(f"{self.unit.dialect.space}int32_t *{_FAULT_PARAM}")
            kinds.append("buffer")
            args.append("rt.state" if self.saved else "rt.fault")
        if re.search(rf"\b{_OUT_PARAM}\b", used):
            params.append(f"{self.unit.dialect.space}alp_slot *{_OUT_PARAM}")
            kinds.append("buffer")
            args.append("rt.out")
        partials = [(op, scalar_type(self.scope, n).rep) for n, op in self.reductions.items()]
        partials += [("+", Rep.U64)] * len(self.bounded)
        for k, (_, rep) in enumerate(partials):
            params.append(f"{self.unit.dialect.space}{self._element(rep)} *alp_partial{k}")
        if self.saved:
            params += ["const int64_t alp_block", "const int64_t alp_rows"]
            kinds += ["i64", "i64"]
        for saved in self.saved:
            elem, name = self._element(self.scope.array(saved.array).elem), self.scope.names[saved.array]
            params.append(f"{self.unit.dialect.space}{elem} *{self.unit.dialect.restrict} {name}_saved")
            kinds.append("buffer")
        w = Writer()
        name = f"alp_kernel{number}"
        w.line(f"{self.unit.dialect.kernel_head} {name}(")
        for k, param in enumerate(params):
            w.line(f"    {param}{',' if k + 1 < len(params) else ')'}")
        with w.block(""):
            if self.saved:
                w.line(f"if (*{_FAULT_PARAM} && INT32_MAX - *{_FAULT_PARAM} + {BLOCKS_AT_ONCE} <= alp_block)")
                w.line("    return;")
                w.line(f"{_FAULT_PARAM}[1 + alp_block % {BLOCKS_NOTED}] = (int32_t)(alp_block + 1);")
            elif stop:
                w.line(f"if (*{_FAULT_PARAM})")
                w.line("    return;")
            for line in preset + self.before:
                w.line(line)
            if faults:
                w.line("int64_t fault = 0;")
            if odd:
                w.line("int32_t odd = 0;")
            w.raw(self.inside)
            for line in self.after:
                w.line(line)
            if faults:
                w.line("if (fault | odd)" if odd else "if (fault)")
                first = f"atomic_max({_FAULT_PARAM}, INT32_MAX - (int32_t)alp_block)"
                w.line(f"    {first if self.saved else f'*{_FAULT_PARAM} = 1'};")
        device = DeviceKernel(name, tuple(kinds), self._axes(), tuple((op, rep.value) for op, rep in partials))
        return Kernel(device, self.step, w.text(), tuple(args), faults, self.saved)

    def _element(self, rep: Rep) -> str:
        return self.unit.dialect.bool_element if rep is Rep.BOOL else CTYPE[rep]

    def _parameters(self, used: str) -> tuple[list[str], list[str], list[str], list[str]]:
        """Declarations, kinds and the driver's arguments for what the text mentions; lines that unpack them."""
        params: list[str] = []
        kinds: list[str] = []
        args: list[str] = []
        preset: list[str] = []
        stored = {s.array for s in walk_stmts(self.body) if isinstance(s, Store)}
        names, dialect = self.unit.names, self.unit.dialect

        def add(declaration: str, kind: str, arg: str) -> None:
            params.append(declaration)
            kinds.append(kind)
            args.append(arg)

        for array, kind in self.unit.types.items():
            if not isinstance(kind, ArrayType):
                continue
            name = names[array]
            if re.search(rf"\b{name}\[", used):
                const = "" if array in stored else "const "
                restrict = f"{dialect.restrict} " if array in self.unit.plan.restrict else ""
                add(f"{dialect.space}{const}{self._element(kind.elem)} *{restrict}{name}", "buffer", name)
            for size in (f"{name}_{tag}{k}" for tag in "ns" for k in range(kind.ndim)):
                if re.search(rf"\b{size}\b", used):
                    add(f"const int64_t {size}", "i64", size)
        for scalar in sorted(exposed(self.body) - set(self.reductions) - set(self.read)):
            kind = self.unit.types[scalar]
            name = names[scalar]
            if not isinstance(kind, ScalarType) or not re.search(rf"\b{name}\b", used):
                continue
            const = "" if scalar in self.reused else "const "
            if kind.rep is Rep.BOOL:
                passed = names[f"{scalar}@passed"]
                add(f"const int64_t {passed}", "i64", f"int({names[scalar.removesuffix(ENTRY)]})")
                preset.append(f"{const}bool {name} = {passed} != 0;")
            else:
                add(f"{const}{CTYPE[kind.rep]} {name}", kind.rep.value, names[scalar.removesuffix(ENTRY)])
        for loop in self.loops:
            for part in RANGE_PARTS:
                name = self.scope.names.get(f"{loop.counter}@{part}", "")
                if name and re.search(rf"\b{name}\b", used):
                    add(f"const int64_t {name}", "i64", name)
        return params, kinds, args, preset


def _assigned_at(loop: Loop, loops: tuple[Loop, ...]) -> frozenset[str]:
    """Scalars that `loop` assigns outside the next loop of the grid."""
    deeper = [x for x in loops if x is not loop]
    return assigned(tuple(s for s in loop.body if s not in deeper))


def _plus(text: str, offset: int) -> str:
    return f"({text} {'+' if offset > 0 else '-'} {abs(offset)})" if offset else text


def _moved(loop: Loop, trip: str, names: Mapping[str, str]) -> str:
    """The counter's value at trip number `trip`."""
    start, step = (
        str(e.value) if isinstance(e, Const) else names[f"{loop.counter}@{part}"]
        for part, e in (("base", loop.start), ("stride", loop.step))
    )
    moved = trip if step == "1" else f"{trip} * {step}" if not step.startswith("-") else f"{trip} * ({step})"
    return moved if start == "0" else f"{start} + {moved}"


def _identity(op: str, rep: Rep) -> str:
    if op in ("min", "max"):
        if rep.is_float:
            return "INFINITY" if op == "min" else "-INFINITY"
        bits = f"{'' if rep.is_signed else 'U'}INT{rep.bits}"
        if op == "min":
            return f"{bits}_MAX"
        return f"{bits}_MIN" if rep.is_signed else "0"
    return f"({CTYPE[rep]}){_IDENTITY[op]}" if op == "&" else _IDENTITY[op]
