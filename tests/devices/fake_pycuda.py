"""The part of `pycuda.driver` that devices/cuda.py uses, on memory of the host; kernels are Python functions.

It is strict where the real one crashes or goes wrong in silence: everything needs the context to be current in the
calling thread, memory is accessed within an allocation that is not freed, and what is asked for in a stream, copies
from and to page-locked memory among it, is done only when something waits for it, and what comes behind it is not.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np


class Error(Exception):
    """CUDA said no."""


class MemoryError(Error):  # noqa: A001
    """Out of device memory."""


class LaunchError(Error):
    """A kernel died, and the context with it."""


class FakeCuda:
    """A driver with one device of `room` bytes, on which `functions` run."""

    Error, MemoryError, LaunchError = Error, MemoryError, LaunchError
    device_attribute = SimpleNamespace(
        MULTIPROCESSOR_COUNT=4, MAX_THREADS_PER_BLOCK=1024, MAX_GRID_DIM_X=2**31 - 1, MAX_GRID_DIM_Y=65535,
        MAX_GRID_DIM_Z=65535,
    )  # fmt: skip
    function_attribute = SimpleNamespace(MAX_THREADS_PER_BLOCK="most")
    event_flags = SimpleNamespace(DISABLE_TIMING=2)

    def __init__(self, functions: Mapping[str, Callable[..., None]], room: int = 1 << 30, count: int = 1) -> None:
        self.functions, self.room, self.count = functions, room, count
        self.allocations: dict[int, Any] = {}
        self.next = 0x10000
        self.stacks = threading.local()
        self.lost = False  # leaving the context fails, and leaves it on the stack
        self.room_locked = 1 << 40  # bytes of page-locked memory
        self.retained = 0
        self.initialised = False
        self.Context = SimpleNamespace(pop=self._pop, synchronize=self.check)
        self.log: list[tuple[Any, ...]] = []
        self.sent: list[int] = []  # bytes of each copy to the device
        self.fetched: list[int] = []  # and back
        self.locked: list[int] = []  # bytes of each piece of page-locked memory that was asked for

    # what the module offers

    def init(self) -> None:
        self.initialised = True

    @property
    def Device(self) -> Any:  # noqa: N802
        assert self.initialised
        device = lambda number: _Device(self, number)  # noqa: E731
        device.count = lambda: self.count  # type: ignore[attr-defined]
        return device

    def Stream(self) -> Any:  # noqa: N802
        self.check()
        return _Stream(self)

    def Event(self, flags: int = 0) -> Any:  # noqa: N802
        self.check()
        return _Event(self)

    def module_from_buffer(self, code: bytes) -> Any:
        self.check()
        if code != b"machine code":
            raise Error("device kernel image is invalid")
        return SimpleNamespace(get_function=lambda name: _Function(self, name))

    def get_driver_version(self) -> int:
        return 12040

    def mem_alloc(self, size: int) -> Any:
        self.check()
        if size > self.room:
            raise MemoryError("cuMemAlloc failed: out of memory")
        self.room -= size
        address, self.next = self.next, self.next + size + 256
        self.allocations[address] = np.full(size, 0xA5, np.uint8)
        return _Allocation(self, address)

    def memcpy_htod_async(self, target: Any, array: Any, stream: Any) -> None:
        self.check()
        self.sent.append(array.nbytes)
        destination = self.bytes(int(target), array.nbytes)
        if isinstance(array, _Locked):
            stream.later(lambda: np.copyto(destination, array))
        else:
            content = _as_bytes(array).copy()
            stream.later(lambda: np.copyto(destination, content))

    def memcpy_dtoh_async(self, array: Any, source: Any, stream: Any) -> None:
        self.check()
        self.fetched.append(array.nbytes)
        origin = self.bytes(int(source), array.nbytes)
        stream.later(lambda: np.copyto(_as_bytes(array), origin))

    def memcpy_htod(self, target: Any, array: Any) -> None:
        self.check()
        self.bytes(int(target), array.nbytes)[:] = array

    def memcpy_dtoh(self, array: Any, source: Any) -> None:
        self.check()
        array[:] = self.bytes(int(source), array.nbytes)

    def memcpy_dtod(self, target: Any, source: Any, size: int) -> None:
        self.check()
        self.bytes(int(target), size)[:] = self.bytes(int(source), size)

    def memcpy_dtod_async(self, target: Any, source: Any, size: int, stream: Any) -> None:
        self.check()
        destination, origin = self.bytes(int(target), size), self.bytes(int(source), size)
        stream.later(lambda: np.copyto(destination, origin))

    def memset_d8_async(self, target: Any, value: int, size: int, stream: Any) -> None:
        self.check()
        stream.later(lambda: self.bytes(int(target), size).fill(value))

    def pagelocked_empty(self, size: int, dtype: Any) -> Any:
        self.check()
        if size > self.room_locked:
            raise MemoryError("cuMemHostAlloc failed: out of memory")
        self.room_locked -= size
        self.locked.append(size)
        return np.empty(size, dtype).view(_Locked)

    # its inside

    def stack(self) -> list[Any]:
        if not hasattr(self.stacks, "contexts"):
            self.stacks.contexts = []
        found: list[Any] = self.stacks.contexts
        return found

    def _pop(self) -> None:
        if self.lost:
            raise Error("cuCtxPopCurrent failed: an illegal memory access was encountered")
        self.stack().pop()

    def check(self) -> None:
        while self.stack() and getattr(self.stack()[-1], "given_up", False):
            self.stack().pop()
        if not self.stack():
            raise Error("invalid device context")

    def bytes(self, address: int, size: int = -1) -> Any:
        """The memory from `address` on: all of its allocation, or `size` bytes of it."""
        for start, memory in self.allocations.items():
            if start <= address < start + memory.size:
                found = memory[address - start :]
                assert size <= found.size, "beyond the end of the allocation"
                return found if size < 0 else found[:size]
        raise LaunchError("an illegal memory access was encountered")


def _as_bytes(array: Any) -> Any:
    """A contiguous array's memory."""
    assert array.flags.c_contiguous
    return array.reshape(-1).view(np.uint8)


class _Locked(np.ndarray):
    """Page-locked memory: copies read it when they happen, not when they are asked for."""


class _Device:
    def __init__(self, cuda: FakeCuda, number: int) -> None:
        self.cuda, self.number = cuda, number

    def name(self) -> str:
        return "Pretended GPU"

    def total_memory(self) -> int:
        return self.cuda.room

    def compute_capability(self) -> tuple[int, int]:
        return 9, 0

    def get_attribute(self, value: int) -> int:
        return value

    def retain_primary_context(self) -> Any:
        self.cuda.retained += 1
        return _Context(self.cuda)


class _Context:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.given_up = cuda, False

    def push(self) -> None:
        self.cuda.stack().append(self)

    def detach(self) -> None:
        assert self.cuda.lost or self not in self.cuda.stack()
        self.given_up = True
        self.cuda.retained -= 1


class _Allocation:
    def __init__(self, cuda: FakeCuda, address: int) -> None:
        self.cuda, self.address = cuda, address

    def __int__(self) -> int:
        return self.address

    def free(self) -> None:
        self.cuda.check()
        self.cuda.room += self.cuda.allocations.pop(self.address).size


class _Stream:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.waiting: list[Callable[[], None]] = []
        self.done = 0

    def later(self, work: Callable[[], None]) -> None:
        self.waiting.append(work)

    def synchronize(self) -> None:
        self.reach(self.done + len(self.waiting))

    def reach(self, count: int) -> None:
        """Does what was asked for, up to the `count`th work since the beginning, and no more."""
        self.cuda.check()
        while self.done < count:
            self.done += 1
            self.waiting.pop(0)()


class _Event:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.stream = cuda, None
        self.stream: Any

    def record(self, stream: Any) -> None:
        self.cuda.check()
        self.stream, self.reached = stream, stream.done + len(stream.waiting)

    def synchronize(self) -> None:
        if self.stream is not None:
            self.stream.reach(self.reached)


class _Function:
    def __init__(self, cuda: FakeCuda, name: str) -> None:
        self.cuda, self.name, self.form = cuda, name, ""

    def prepare(self, form: str) -> None:
        self.form = form

    def get_attribute(self, which: str) -> int:
        return 1024

    def prepared_async_call(
        self, grid: tuple[int, ...], block: tuple[int, ...], stream: Any, *args: Any
    ) -> None:  # fmt: skip
        self.cuda.check()
        assert len(grid) == len(block) == 3 and len(args) == len(self.form)
        numbers = [int(a) if form == "P" else a for form, a in zip(self.form, args)]
        struct.pack(self.form, *numbers)
        self.cuda.log.append((self.name, grid, block))
        values = [self.cuda.bytes(a) if form == "P" else a for form, a in zip(self.form, numbers)]
        stream.later(lambda: self.cuda.functions[self.name](*values))
