"""A device program that looks like a kernel to the guard, which calls it by `Program.called` (ABI: codegen/kernel.py).

In:  a `KernelSource` for a device, the types of the live-ins, an opened `Accelerator`.
Out: `Program.called`, also by an address: decodes the `in` slots, brings the arrays to the device (run.py), calls the
program's driver, brings back what was written, fills the `out` slots.

No exception leaves it. A device that fails has written nothing: the call then returns 1 with DEVICE_FAILED as its
detail, `failure` says why in a sentence, and the dispatcher gives the loop to another variant. Or it has written whole
blocks of a grid: the call then returns 3, and the interpreter goes on. An exception that is the program's own (raised
by a signal handler meanwhile: Ctrl-C, a time limit) waits in `pending` for the dispatcher to raise.
"""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from alpyna_hook import log, signals
from alpyna_hook.devices import memory, streams
from alpyna_hook.devices.base import Accelerator, CompileFailure, DeviceError, Kernel, tell
from alpyna_hook.devices.memory import Operand
from alpyna_hook.devices.resident import Residents
from alpyna_hook.devices.run import ResultsLost, Run
from alpyna_hook.ir.abi import DEVICE_FAILED, HALF_WAY
from alpyna_hook.ir.plan import DeviceProgram, KernelOut, KernelSource
from alpyna_hook.ir.types import ArrayType, ObjectType, Rep, ScalarType, Type

_ADDRESS: Final = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)
_NOT_DONE: Final = 1  # return code: nothing is written
_FIELDS: Final = {Rep.F64: "d", Rep.F32: "f4x", Rep.C128: "dd", Rep.C64: "f4xf4x", Rep.U64: "Q"}  # else "q"


@dataclass(frozen=True, slots=True)
class _Input:
    """One live-in: where its slots begin among the unpacked ones."""

    name: str
    kind: Type
    first: int


class Program:
    """One specialisation on one device.

    name      of the loop, for messages: "module:line"
    types     type of each live-in as the guard hands it over
    disjoint  pairs of arrays that the guard has proved to share no element
    """

    def __init__(
        self, name: str, source: KernelSource, types: Mapping[str, Type], disjoint: Sequence[tuple[str, str]],
        device: Accelerator, pool: memory.Pool, residents: Residents | None, functions: tuple[Any, ...],
    ) -> None:  # fmt: skip
        assert source.device is not None
        self.name, self.failure = name, ""
        self.pending: BaseException | None = None
        self._source, self._program, self._device = source, source.device, device
        self._pool, self._residents = pool, residents
        self._functions = functions
        self._inputs, self._in = _layout(source, types)
        self._suspects = _suspects(source.device, {frozenset(pair) for pair in disjoint})
        scope: dict[str, Any] = {}
        exec(compile(source.device.driver, f"<alpyna driver of {name}>", "exec"), scope)
        self._driver = scope["run"]
        self._overwritten = scope.get("overwritten", lambda *_: ())
        self._callback = _ADDRESS(self.called)

    @property
    def address(self) -> int:
        """Of `int32_t kernel(const alp_slot *in, alp_slot *out)`."""
        return ctypes.cast(self._callback, ctypes.c_void_p).value or 0

    # --- a call ----------------------------------------------------------------------------------------------------

    def called(self, inputs: int, outputs: int) -> int:
        """The kernel, of the addresses of its slots. Only an exception on the way in leaves it."""
        try:
            return self._serve(inputs, outputs)
        except BaseException as error:
            if isinstance(error, Exception) and not signals.from_handler(error):
                self._fail(error)
            else:
                self.pending = error
        ctypes.c_int64.from_address(outputs).value = DEVICE_FAILED
        return _NOT_DONE

    def _fail(self, error: Exception) -> None:
        """Notes why the device is not to be used for this loop again; one line for the user."""
        device = self._device
        failure = error if isinstance(error, DeviceError) else device.explain(error)
        self.failure = f"{device.name}: {device.failure if device.told else failure}"
        if failure.lost and not device.told:
            device.failure = str(failure)
        tell(device, f"{self.name}: {self.failure}; the loop runs without it")
        log.debug(failure.log)

    def _serve(self, inputs: int, outputs: int) -> int:
        device = self._device
        if device.failure:
            raise DeviceError(device.failure, lost=True)
        slots = self._in.unpack(memory.bytes_at(inputs, self._in.size))
        operands = self._operands(slots)
        self._check_apart(operands)
        with device.lock, device.current():
            run = Run(
                device, self._pool, self._program.kernels, self._functions, max(self._program.resident, 1),
                self._source.faults, self._residents,
            )  # fmt: skip
            failed = True
            try:
                for handle in streams.named():
                    device.await_stream(handle)
                code = self._run(run, operands, slots, outputs)
                failed = False
                return code
            except BaseException as error:
                run.abandon()
                own = not isinstance(error, Exception) or signals.from_handler(error)
                if run.committed and not own:
                    log.debug(f"{self.name}: {error!r} came too late")
                    return 0
                if run.begun and not own:
                    raise ResultsLost("an error after the device has written to the program's arrays") from error
                raise
            finally:
                run.release(failed)

    def _run(self, run: Run, operands: Mapping[str, Operand], slots: tuple[Any, ...], outputs: int) -> int:
        placed = run.place(list(operands.values()))
        code, outs = self._driver(run, *self._arguments(slots, placed))
        if code == HALF_WAY:
            self._store(outs, outputs)
            self._note_place(run, outputs)
        elif code == 0:
            self._store(outs, outputs)
            run.conclude()
        else:
            run.abandon()
            ctypes.c_int64.from_address(outputs).value = outs[0]
        return int(code)

    def _note_place(self, run: Run, outputs: int) -> None:
        """Fills the resume record: there is one blocked loop, the outermost one."""
        if run.trouble is not None:
            self._fail(run.trouble)
        record = (ctypes.c_int64 * 2).from_address(outputs + 8 * self._source.record)
        record[0], record[1] = 0, run.done
        ctypes.c_int64.from_address(outputs).value = 1

    def _operands(self, slots: tuple[Any, ...]) -> dict[str, Operand]:
        """The arrays that the kernels use."""
        program = self._program
        overwritten = {*program.overwritten, *self._overwritten(*self._arguments(slots, {}))}
        found = {}
        for one in self._inputs:
            if isinstance(one.kind, ArrayType) and (one.name in program.reads or one.name in program.writes):
                middle, end = one.first + 1 + one.kind.ndim, one.first + 1 + 2 * one.kind.ndim
                found[one.name] = Operand(
                    one.name, slots[one.first], slots[one.first + 1 : middle], slots[middle:end], one.kind.elem,
                    one.name in program.reads, one.name in program.writes, one.name in overwritten,
                    bool(one.kind.place),
                )  # fmt: skip
        return found

    def _check_apart(self, operands: Mapping[str, Operand]) -> None:
        """Each array gets a buffer of its own: right only if no element of a written one is also another's."""
        for a, b in self._suspects:
            (first, behind), (low, high) = operands[a].span, operands[b].span
            if first < high and low < behind:
                raise DeviceError(f"{a} and {b} may share elements")

    def _arguments(self, slots: tuple[Any, ...], placed: Mapping[str, tuple[Any, tuple[int, ...]]]) -> list[Any]:
        """What the driver gets: see ir.plan.DeviceProgram. Strides are those of the array as it lies on the device."""
        found: list[Any] = []
        for one in self._inputs:
            if isinstance(one.kind, ArrayType):
                behind = one.first + 1 + one.kind.ndim
                buffer, strides = placed.get(one.name, (None, slots[behind : behind + one.kind.ndim]))
                found += [buffer, *slots[one.first + 1 : behind], *strides]
            elif isinstance(one.kind, ScalarType) and one.kind.rep.is_complex:
                found.append(complex(slots[one.first], slots[one.first + 1]))
            else:
                found.append(slots[one.first])
        return found

    def _store(self, outs: Sequence[Any], outputs: int) -> None:
        """The live-outs into their slots; `outs` begins with slot 1."""
        slots = memory.bytes_at(outputs, 8 * max(self._source.out_slots, 1))
        for out in self._source.outs:
            tag = 0
            for slot in (out.tag_slot, out.set_slot):
                if slot >= 0:
                    struct.pack_into("q", slots, 8 * slot, int(outs[slot - 1]))
            if out.set_slot >= 0 and not outs[out.set_slot - 1]:
                continue
            if out.tag_slot >= 0:
                tag = int(outs[out.tag_slot - 1])
            form = _form(out, tag)
            for part in range(2 if Rep(out.rep).is_complex else 1):
                value = outs[out.slot - 1 + part]
                struct.pack_into(form, slots, 8 * (out.slot + part), value if form in "df" else int(value))


def _layout(source: KernelSource, types: Mapping[str, Type]) -> tuple[tuple[_Input, ...], struct.Struct]:
    """The live-ins and how their slots are unpacked; slot 0 holds the number of threads."""
    inputs = []
    text, first = "q", 1
    for param in source.params:
        kind = types[param.name] if param.kind == "live" else ScalarType(Rep.I64, frozenset(("int",)))
        if isinstance(kind, ObjectType):
            continue
        inputs.append(_Input(param.name, kind, first))
        if isinstance(kind, ArrayType):
            part, count = "Q" + "q" * (2 * kind.ndim), 1 + 2 * kind.ndim
        else:
            part, count = _FIELDS.get(kind.rep, "q"), 2 if kind.rep.is_complex else 1
        text, first = text + part, first + count
    return tuple(inputs), struct.Struct("=" + text)


def _suspects(program: DeviceProgram, disjoint: set[frozenset[str]]) -> list[tuple[str, str]]:
    """Pairs of arrays, one of them written, that nobody has proved to be apart."""
    used = dict.fromkeys((*program.reads, *program.writes))
    return [
        (a, b)
        for a, b in combinations(used, 2)
        if (a in program.writes or b in program.writes) and frozenset((a, b)) not in disjoint
    ]


def _form(out: KernelOut, tag: int) -> str:
    """The slot's member, as a struct format, through which a value of this class comes back (runtime/specials.py)."""
    name, rep = out.classes[tag], Rep(out.rep)
    if name == "float" or (name == "int" and not rep.is_int):
        return "d"
    if name in ("bool", "int"):
        return "Q" if rep is Rep.U64 else "q"
    return _FIELDS.get(rep, "q")[0]


def load(
    name: str, source: KernelSource, types: Mapping[str, Type], disjoint: Sequence[tuple[str, str]],
    device: Accelerator, pool: memory.Pool, residents: Residents | None = None,
) -> Kernel | CompileFailure:  # fmt: skip
    """Builds a device program: a kernel whose `keep` is the `Program`."""
    start = time.perf_counter()
    assert source.device is not None
    try:
        with device.lock, device.current():
            functions, cache = device.build(source.text, source.device.kernels)
        program = Program(name, source, types, disjoint, device, pool, residents, functions)
    except Exception as error:
        if signals.from_handler(error):
            raise
        failure = error if isinstance(error, DeviceError) else device.explain(error)
        if failure.lost and not device.told:
            device.failure = str(failure)
        return CompileFailure(f"{device.name}: {failure}", failure.log)
    return Kernel(program.address, time.perf_counter() - start, cache, "", program, device=program.called)
