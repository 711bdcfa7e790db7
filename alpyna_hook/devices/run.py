"""One run of a device program: what its driver sees as `rt`.

In:  the arrays of one call, the driver's launches.
Out: results on the device, and only when all has gone well in the program's arrays.

What is written to the program's memory can be taken back until the run is known to succeed. From a device with memory
of its own, results come when all kernels are done (results.py). On one that shares the host's memory, where kernels
work on the arrays themselves, the written ones are saved before the first launch, unless there is only one launch, at
the end: one that cannot be enqueued has written nothing; or one grid, launched in blocks that save what they write
(blocks.py), after any of which the interpreter can go on. Arrays of other libraries that lie on the device are used
where they are, too; what is saved of them stays on the device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from alpyna_hook import signals
from alpyna_hook.devices import memory
from alpyna_hook.devices.base import Accelerator, DeviceError
from alpyna_hook.devices.blocks import Blocks, SavedRows, Shared, rows_of_a_block
from alpyna_hook.devices.memory import Operand
from alpyna_hook.devices.resident import Resident, Residents
from alpyna_hook.devices.results import Delivery, Placed, needed
from alpyna_hook.devices.shapes import grid, rows
from alpyna_hook.ir.plan import BLOCKS_AT_ONCE, BLOCKS_NOTED, DeviceKernel
from alpyna_hook.ir.types import Rep

if TYPE_CHECKING:
    from alpyna_hook.devices.memory import Array


class ResultsLost(BaseException):
    """The device failed while it wrote to the program's arrays, and what they held is not known any more. No Exception:
    the program must not go on with them."""


@dataclass
class Run:
    """The `rt` of a driver. Made for one call and used by one thread.

    may_fault  the kernels may set `fault` after they have written
    residents  arrays that are on the device already; None: nothing is kept there
    trouble    why the device did not begin all blocks
    """

    device: Accelerator
    pool: memory.Pool
    kernels: tuple[DeviceKernel, ...]
    functions: tuple[Any, ...]
    out_slots: int
    may_fault: bool
    residents: Residents | None = None
    trouble: Exception | None = None
    _placed: list[Placed] = field(default_factory=list)
    _taken: list[tuple[int, Any]] = field(default_factory=list)
    _claimed: list[Resident] = field(default_factory=list)
    _journals: list[tuple[int, Any]] = field(default_factory=list)
    _held: tuple[int, tuple[int, ...], tuple[Any, ...]] | None = None
    _launched: bool = False  # perhaps: an interrupt may have come between
    _surely: bool = False
    _settled: bool = False
    _delivery: Delivery | None = None
    _shapes: dict[tuple[int, tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    _saved: list[tuple[Array, Array]] | None = None
    _blocks: Blocks | None = None
    _state: Shared | None = None
    _wrapped: list[Any] = field(default_factory=list)
    _kept: list[tuple[Any, Any, int]] = field(default_factory=list)  # adopted buffers, copies of them, bytes
    _fault: Any = None
    _out: Any = None

    # --- what the driver may use -----------------------------------------------------------------------------------

    def launch(self, k: int, extents: tuple[int, ...], args: tuple[Any, ...]) -> None:
        """Puts kernel `k` into the queue: `extents` iterations along each of its axes, x first. Does not wait."""
        if self._surely and self._saved is not None:  # once all is said and done, nothing but the launch is left
            shape = self._shapes.get((k, extents))
            if shape is not None:
                self.device.launch(self.functions[k], *shape, args)
                return
        if any(extent <= 0 for extent in extents):
            return
        work = (k, extents, args)
        if self._may_hold and not self._launched and self._saved is None and not self.may_fault:
            if self._held is None:
                self._held = work
                return
            self._issue_held()
        self._save()
        self._enqueue(*work)

    def reduce(self, k: int, extents: Sequence[int], args: Sequence[Any]) -> list[Any]:
        """Runs kernel `k` and gives, per partial result that it has, an array of one element per work item."""
        import numpy as np

        partials = [memory.dtype_of(Rep(rep)) for _, rep in self.kernels[k].partials]
        if any(extent <= 0 for extent in extents):
            return [np.empty(0, dtype) for dtype in partials]
        self._issue_held()
        self._save()
        groups, group = self._shape(k, tuple(extents))
        items = math.prod(groups) * math.prod(group)
        buffers = [self._take(items * dtype.itemsize) for dtype in partials]
        self._launched = True
        self.device.launch(self.functions[k], groups, group, (*args, *buffers))
        found = [np.empty(items, dtype) for dtype in partials]
        for array, buffer in zip(found, buffers):
            self.device.download(array, buffer)
        return found

    def blocks(
        self, k: int, trips: int, args: tuple[Any, ...], first: int,
        saved: tuple[tuple[str, int, tuple[slice, ...]], ...], item_bytes: int,
    ) -> int:  # fmt: skip
        """Runs kernel `k`, of one axis, block by block, and waits. The trips that are done, which are all that the
        arrays show: the blocks before the one that faulted, or that a failing device did not begin.

        saved       (array, c, box): trip t writes row first + t + c of it, and no other; of a row, the kernel saves
                    what is in the box, where there is one, else all
        item_bytes  that a work item saves in one block
        """
        if trips <= 0:
            return 0
        blocks = self._in_blocks(trips, first, saved, item_bytes)
        if any(p.apart and p.operand.written for p in self._placed):
            return self._unsettled(k, blocks, args)
        self._blocks = blocks
        trouble = None
        try:
            self._launch_blocks(k, blocks, args)
        except Exception as error:
            if signals.from_handler(error):
                raise
            trouble = error
        done = self._settle_blocks(blocks)
        if trouble is not None:
            if done == 0:
                raise trouble
            self.trouble = trouble
        return done

    @property
    def fault(self) -> Any:
        """A buffer of one int32, 0 at first, that kernels set when a check fires."""
        if self._fault is None:
            self._fault = self._take(4)
            self.device.clear(self._fault, 4)
        return self._fault

    @property
    def state(self) -> Any:
        """In place of `fault` for the kernel that `blocks` runs: int32s, 0 at first (codegen/grid.py)."""
        if self._state is None:
            self._state = self._shared((1 + BLOCKS_NOTED,), memory.dtype_of(Rep.I32))
            if self._state.array is not None:
                self._state.array[...] = 0
            else:
                self.device.clear(self._state.buffer, 4 * (1 + BLOCKS_NOTED))
        return self._state.buffer

    def faulted(self) -> int:
        """Waits, and gives what is in `fault`."""
        import numpy as np

        if self._fault is None:
            return 0
        self._issue_held()
        found = np.zeros(1, np.int32)
        self.device.download(found, self._fault)
        return int(found[0])

    @property
    def out(self) -> Any:
        """A buffer of `out_slots` slots of 8 bytes, 0 at first."""
        if self._out is None:
            self._out = self._take(8 * self.out_slots)
            self.device.clear(self._out, 8 * self.out_slots)
        return self._out

    def outs(self) -> Any:
        """Waits, and gives the slots of `out` as an int64 array (`.view` gives them as something else)."""
        import numpy as np

        found = np.zeros(self.out_slots, np.int64)
        if self._out is not None:
            self._issue_held()
            self.device.download(found, self._out)
        return found

    # --- before and after the driver -------------------------------------------------------------------------------

    def place(self, operands: Sequence[Operand]) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """Brings the arrays to the device: name -> (buffer, strides in it, in elements)."""
        found = {}
        for operand in operands:
            host = memory.view(operand.address, operand.dims, operand.strides, operand.rep)
            if operand.there:
                first, behind = operand.span
                if first != operand.address:
                    raise DeviceError(f"{operand.name} does not begin with its first element")
                placed = Placed(operand, host, self.device.adopt(first, behind - first), False)
                strides = operand.strides
            elif self.device.shares_memory and memory.stands_alone(operand, operands):
                placed = Placed(operand, host, self.device.wrap(memory.flat(operand), operand.written), False)
                strides = operand.strides
            else:
                placed = self._brought(operand, host)
                strides = memory.packed_strides(operand.dims)
            self._placed.append(placed)
            found[operand.name] = (placed.buffer, strides)
        return found

    def conclude(self) -> None:
        """Brings what was written into the program's arrays. If it raises, `abandon` knows the way back."""
        apart = [p for p in self._placed if p.operand.written and p.apart]
        staging = self.residents.staging if self.residents is not None else None
        self._delivery = Delivery(self.device, staging, apart)
        self._issue_held(save=bool(apart))  # those apart are still to be copied, which may fail
        self._settle()
        self._delivery.bring()

    @property
    def committed(self) -> bool:
        """All results are in the program's arrays."""
        return self._settled and (self._delivery is None or self._delivery.done)

    @property
    def done(self) -> int:
        """Trips of the grid that was launched in blocks."""
        return (self._blocks.done or 0) if self._blocks is not None else 0

    @property
    def begun(self) -> bool:
        """The program's arrays are not what they were at entry: blocks of the grid are done."""
        return self._blocks is not None and self._blocks.done != 0

    def abandon(self) -> None:
        """The program's arrays as they were before the run: after a fault, a failed entry condition, an error. It may
        find that all was done nevertheless (`committed`), or blocks of it (`begun`). ResultsLost: neither is so."""
        self._held = None
        if self._blocks is not None:
            if self._blocks.done is None:
                self._settle_blocks(self._blocks)
            return
        if not self._launched or self.committed:
            return
        shared = self._writes_in_place
        try:
            self.device.finish()  # nothing may go on writing
        except Exception as error:
            if signals.from_handler(error):
                self.device.finish()
            elif shared:
                raise ResultsLost("the device does not say whether it still writes to the program's arrays") from error
        for array, before in self._saved or ():
            array[...] = before
        self._put_back()
        if shared and self._saved is None:
            if not self._surely:
                raise ResultsLost("the device failed when it was to write to the program's arrays")
            self._settle()

    def release(self, failed: bool) -> None:
        """Gives the buffers back. `failed`: what is on the device is not known any more. The results are where they
        belong: what the device has to say against it now is of no account."""
        claimed, self._claimed = self._claimed, []
        taken, self._taken = self._taken, []
        journals, self._journals = self._journals, []
        placed, self._placed = self._placed, []
        wrapped, self._wrapped = self._wrapped, []
        tasks: list[tuple[Callable[[Any], None], Any]] = []
        if self.residents is not None:
            for resident in claimed:
                resident.sound &= not failed
                tasks.append((self.residents.keep, resident))
            if failed:
                tasks.insert(0, (Residents.forget, self.residents))
        tasks += [(self.pool.give, one) for one in taken]
        tasks += [(memory.journals().give, one) for one in journals]
        tasks += [
            (self.device.disown if one.operand.there else self.device.release, one.buffer)
            for one in placed if not one.apart
        ]  # fmt: skip
        tasks += [(self.device.release, buffer) for buffer in wrapped]
        interrupt = None
        for work, one in tasks:
            try:
                work(one)
            except Exception as error:
                interrupt = error if signals.from_handler(error) else interrupt
        if interrupt is not None:
            raise interrupt

    # --- inside ----------------------------------------------------------------------------------------------------

    @property
    def _writes_in_place(self) -> bool:
        return any(not p.apart and p.operand.written for p in self._placed)

    @property
    def _may_hold(self) -> bool:
        """The last launch may wait until all else is done, and then need no way back: the device notes whether it was
        put into the queue, which one with memory of its own does not."""
        return self._writes_in_place and not any(p.operand.there and p.operand.written for p in self._placed)

    def _keep(self, placed: Placed) -> None:
        """A copy of an adopted buffer, on the device."""
        copy = self._take(placed.operand.bytes)
        self.device.duplicate(copy, placed.buffer, placed.operand.bytes)
        self._kept.append((placed.buffer, copy, placed.operand.bytes))

    def _put_back(self) -> None:
        """Adopted buffers as they were. ResultsLost if that fails: what they hold is not known then."""
        try:
            for buffer, copy, size in self._kept:
                self.device.duplicate(buffer, copy, size)
            if self._kept:
                self.device.finish()
        except Exception as error:
            if signals.from_handler(error):
                self._put_back()
            else:
                raise ResultsLost("the device failed while arrays on it were put back") from error

    def _brought(self, operand: Operand, host: Array) -> Placed:
        """A copy of the array on the device; only what the loop may see of it is sent."""
        key = (operand.address, operand.dims, operand.strides, operand.rep)
        for other in self._placed:  # two names of one array
            seen = other.resident is not None and other.resident.key == key
            if seen and not (operand.written or other.operand.written):
                return Placed(operand, host, other.buffer, True)
        if self.residents is None:
            buffer = self._take(operand.bytes)
            if needed(operand):
                self.device.upload(buffer, _packed(host))
            return Placed(operand, host, buffer, True)
        claimed = sum(one.size for one in self._claimed)
        resident = self.residents.claim(key, operand.bytes, operand.written and needed(operand), claimed)
        if resident is not None:
            self._claimed.append(resident)
        buffer = self._take(operand.bytes) if resident is None else resident.taken[1]
        placed = Placed(operand, host, buffer, True, resident)
        placed.bring(self.residents.staging)
        return placed

    def _take(self, size: int) -> Any:
        taken = self.pool.take(size)
        self._taken.append(taken)
        return taken[1]

    def _shared(self, shape: tuple[int, ...], dtype: Any) -> Shared:
        """A buffer that is the host's own memory, so that to read it is no business of the device; where it shares
        that memory."""
        size = math.prod(shape) * dtype.itemsize
        if not self.device.shares_memory:
            return Shared(None, self._take(size))
        taken = memory.journals().take(size)
        self._journals.append(taken)
        array = taken[1][:size]
        self._wrapped.append(self.device.wrap(array, True))
        return Shared(array.view(dtype).reshape(shape), self._wrapped[-1])

    def _copies(self, shape: tuple[int, ...], dtype: Any, trips: int) -> tuple[Shared, ...]:
        """Buffers for what the blocks that are at work at a time save; `shape`: of one block's."""
        blocks = -(-trips // shape[0])
        return tuple(self._shared(shape, dtype) for _ in range(min(blocks, BLOCKS_AT_ONCE)))

    def _save(self) -> None:
        """Copies of the arrays that are written in place, before the first launch."""
        if self._launched or self._saved is not None:
            return
        needed = [
            p for p in self._placed
            if not p.apart and p.operand.written and (self.may_fault or not p.operand.overwritten)
        ]  # fmt: skip
        for placed in needed:
            if placed.operand.there:
                self._keep(placed)
        self._saved = [self._saved_copy(p.host) for p in needed if not p.operand.there]

    def _saved_copy(self, host: Array) -> tuple[Array, Array]:
        """The array, its axes as they lie in memory, and a copy, in memory that earlier runs have used already."""
        import numpy as np

        taken = memory.journals().take(host.nbytes)
        self._journals.append(taken)
        host = host.transpose(np.argsort([-abs(stride) for stride in host.strides], kind="stable"))
        copy = taken[1][: host.nbytes].view(host.dtype).reshape(host.shape)
        np.copyto(copy, host)
        return host, copy

    def _launch_blocks(self, k: int, blocks: Blocks, args: tuple[Any, ...]) -> None:
        groups, group = self._shape(k, (blocks.rows,))
        launched: list[Any] = []
        for block in range(blocks.count):
            buffers = [rows.copies[block % BLOCKS_AT_ONCE].buffer for rows in blocks.saved]
            done = launched[max(block - BLOCKS_AT_ONCE - 1, 0) : max(block - BLOCKS_AT_ONCE + 1, 0)]
            self.device.launch(self.functions[k], groups, group, (*args, block, blocks.rows, *buffers), done)
            launched += self.device.queued[-1:]

    def _unsettled(self, k: int, blocks: Blocks, args: tuple[Any, ...]) -> int:
        """`blocks` where some results are not brought into the program's arrays yet: what the kernel saves is of no
        use, and the way back is that of any other one."""
        self.may_fault = True
        self._save()
        self._launched = True
        self._launch_blocks(k, blocks, args)
        self._surely = True
        self.device.finish()
        return 0 if self._noted()[0] else blocks.trips

    def _in_blocks(
        self, trips: int, first: int, saved: tuple[tuple[str, int, tuple[slice, ...]], ...], item_bytes: int
    ) -> Blocks:
        placed = {p.operand.name: p for p in self._placed}
        shapes = [(placed[name].operand.dims, placed[name].operand.rep.itemsize) for name, _, _ in saved]
        rows = rows_of_a_block(shapes, trips, self.device.limits.lanes, item_bytes)
        kept = []
        for (name, c, box), (dims, _) in zip(saved, shapes):
            host = placed[name].host
            kept.append(SavedRows(host, first + c, box, self._copies((rows, *dims[1:]), host.dtype, trips)))
        return Blocks(trips, rows, kept)

    def _noted(self) -> Sequence[int]:
        """What is in `state`; the kernels are done."""
        import numpy as np

        assert self._state is not None  # it is among the kernel's arguments
        found = self._state.array
        if found is None:
            found = np.zeros(1 + BLOCKS_NOTED, np.int32)
            self.device.download(found, self._state.buffer)
        else:
            self.device.unwrap(self._state.buffer)
        return [int(x) for x in found]

    def _settle_blocks(self, blocks: Blocks) -> int:
        written = [p.buffer for p in self._placed if p.operand.written and not p.apart]
        try:
            return blocks.settle(self.device, written, self._noted)
        except Exception as error:
            if signals.from_handler(error):
                raise
            try:
                return blocks.settle(self.device, written, self._noted)
            except Exception as again:
                raise ResultsLost("the device failed while it wrote to the program's arrays") from again

    def _issue_held(self, save: bool = True) -> None:
        held, self._held = self._held, None
        if held is not None:
            if save:
                self._save()
            self._enqueue(*held)

    def _enqueue(self, k: int, extents: tuple[int, ...], args: tuple[Any, ...]) -> None:
        groups, group = self._shapes[k, extents] = self._shape(k, extents)
        first, before = not self._launched, self.device.queued[-1:]
        self._launched = True
        try:
            self.device.launch(self.functions[k], groups, group, args)
        except Exception:
            last = self.device.queued[-1:]
            if last and not (before and last[0] is before[0]):  # interrupted by the program, but on its way
                self._surely = True
            elif self._saved is None:
                self._launched = not first  # what could not be put into the queue does not run
            raise
        self._surely = True

    def _shape(self, k: int, extents: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if len(extents) != self.kernels[k].axes:
            raise DeviceError(f"kernel {self.kernels[k].name} has {self.kernels[k].axes} axes, not {len(extents)}")
        limits = self.device.limits
        if self.device.style == "rows":
            return rows(extents, limits), (1,) * len(extents)
        partials = bool(self.kernels[k].partials)
        return grid(extents, limits, self.device.most_items(self.functions[k]), limits.lanes if partials else 0)

    def _settle(self) -> None:
        """Waits for the kernels, and makes the host see what they wrote to the arrays themselves. Where these were not
        saved there is no way back, so it tries twice."""
        try:
            self._wait()
        except Exception as error:
            if self._saved is not None or not self._writes_in_place or signals.from_handler(error):
                raise
            try:
                self._wait()
            except Exception as again:
                raise ResultsLost("the device failed while it wrote to the program's arrays") from again

    def _wait(self) -> None:
        self.device.finish()
        for placed in self._placed:
            if not placed.apart and placed.operand.written and not placed.operand.there:
                self.device.unwrap(placed.buffer)
        self._settled = True


def _packed(host: Array) -> Array:
    import numpy as np

    return np.ascontiguousarray(host)
