"""What a device is, and what compiling a kernel gives: an address, or a failure as a value.

In:  kernel source text from codegen.
Out: `Kernel` or `CompileFailure`; no exception, since a failed compilation is no fault of the program.

An `Accelerator` is a device with a queue; devices/program.py runs a device program on it behind such an address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, Protocol

from alpyna_hook import log
from alpyna_hook.ir.plan import DeviceKernel

# Version of the kernel ABI (slots, return codes): part of every cache key of compiled kernels.
ABI_VERSION = 1
ITEMS_PER_CORE = 16  # work items, of a device that is the host's CPU: enough to even out rows of different length


@dataclass(frozen=True, slots=True)
class Kernel:
    """A loaded kernel: `int32_t kernel(const alp_slot *in, alp_slot *out)` at `address`.

    compile_s  seconds it took to have it: compiler, cache and loading
    cache      whether the disk cache had it
    keep       what must stay alive as long as the address is used
    device     the Python function behind the address that runs the kernel on an accelerator, if it is one
    """

    address: int
    compile_s: float
    cache: Literal["hit", "miss"]
    path: str = ""
    keep: Any = field(default=None, compare=False, repr=False)
    device: Callable[[int, int], int] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class CompileFailure:
    """Why there is no kernel: one sentence for the report, and what the compiler said (may be empty)."""

    reason: str
    log: str = ""


class Cache(Protocol):
    """The part of runtime.diskcache.DiskCache that devices use. Nothing here raises."""

    def get(self, key: str) -> Any:
        """The record, or None."""

    def put(self, key: str, value: object) -> bool:
        """Stores a picklable record."""

    def get_file(self, key: str) -> str | None:
        """Path of a stored file whose content is intact, or None."""

    def put_file(self, key: str, path: str) -> str | None:
        """Stores a copy of the file and returns the copy's path, or None."""


class NoCache:
    """Stores nothing."""

    def get(self, key: str) -> Any:
        return None

    def put(self, key: str, value: object) -> bool:
        return False

    def get_file(self, key: str) -> str | None:
        return None

    def put_file(self, key: str, path: str) -> str | None:
        return None


class Device(Protocol):
    """A place where kernels run.

    name      as in the report: "host", "cuda:0 ..."
    variants  what it can run: ("seq", "omp") for the host
    """

    name: str

    @property
    def variants(self) -> tuple[str, ...]: ...

    def obstacle(self, variant: str) -> str:
        """Why `variant` cannot be used here, "" if it can."""

    def compile(self, source: str, variant: str, precise_fp: bool = False) -> Kernel | CompileFailure:
        """Compiled and loaded, from the cache if possible.

        precise_fp: the kernel reads floating-point exception flags, so the compiler may not invent or drop them.
        """


# ---- accelerators ----


class DeviceError(Exception):
    """An accelerator could not do what it was asked for; the text is one sentence for the report.

    lost  nothing will run on the device any more in this process
    """

    def __init__(self, reason: str, lost: bool = False, log: str = "") -> None:
        super().__init__(reason)
        self.lost = lost
        self.log = log


@dataclass(frozen=True, slots=True)
class Limits:
    """Work items in one launch.

    lanes  work items that keep the device busy: for style "rows" there are no more
    group  most work items in one group
    axes   most groups along x, y and z
    """

    lanes: int
    group: int
    axes: tuple[int, int, int]


Built = tuple[tuple[Any, ...], Literal["hit", "miss"]]  # functions, and whether the disk cache had the program


class Accelerator(Protocol):
    """An opened device with a queue of its own, in which things happen in the order they were asked for (but see
    `launch`).

    name           as in the report: "cuda:0 NVIDIA H100"
    style          of the device programs that suit it
    shares_memory  kernels can work on the host's arrays where they lie (`wrap`)
    abilities      what it can do of that which `DeviceProgram.needs` may ask for
    memory         bytes that it has
    failure        why it is not used any more, "" while it is
    told           the user has been told so, or need not be
    queued         with each launch that has reached the queue its last element is a new one, even if `launch` was
                   interrupted then; only where memory is shared

    All methods but `close` are called with `lock` held and inside `current()`. They raise DeviceError, or what the
    vendor's package raises, which `explain` then turns into a DeviceError. Buffers are opaque.
    """

    name: str
    style: Literal["grid", "rows"]
    shares_memory: bool
    limits: Limits
    abilities: frozenset[str]
    memory: int
    failure: str
    told: bool
    queued: list[Any]
    lock: Any

    def current(self) -> Any:
        """Context manager: the device is the one that this thread speaks to."""

    def build(self, text: str, kernels: tuple[DeviceKernel, ...]) -> Built:
        """A function per kernel, in order; and whether the disk cache had the program."""

    def cached(self, text: str) -> bool:
        """Whether `build` would find the program in the disk cache."""

    def allocate(self, size: int) -> Any:
        """A buffer of `size` > 0 bytes, whose contents are undefined."""

    def release(self, buffer: Any) -> None:
        """The buffer is not needed any more: by nothing that has not been asked for yet."""

    def wrap(self, array: Any, write: bool) -> Any:
        """A buffer that is the memory of a NumPy array; only where `shares_memory`."""

    def adopt(self, address: int, size: int) -> Any:
        """A buffer that is memory of another library on the device; only for variant "cuda"."""

    def disown(self, buffer: Any) -> None:
        """An adopted buffer is not needed any more. The memory stays as it is."""

    def duplicate(self, target: Any, source: Any, size: int) -> None:
        """Copies `size` bytes from buffer to buffer, an adopted one among them."""

    def await_stream(self, handle: int) -> None:
        """Waits until all is done that other libraries have put into their stream `handle` so far."""

    def upload(self, buffer: Any, array: Any, first: int = 0) -> None:
        """Copies a contiguous array of ordinary memory into the buffer, from byte `first` on; the array may be changed
        when this returns."""

    def download(self, array: Any, buffer: Any) -> None:
        """Copies the buffer into a contiguous array; waits until it is there."""

    def locked(self, size: int) -> Any:
        """`size` bytes of page-locked memory, as an array; None if the device has no use for it, or there is none."""

    def send(self, buffer: Any, first: int, part: Any) -> Callable[[], object]:
        """Begins to copy contiguous bytes, page-locked or not, into the buffer, from byte `first` on. They may be
        changed when a call of the result has returned."""

    def fetch(self, part: Any, buffer: Any, first: int) -> Callable[[], object]:
        """Begins to copy the buffer, from byte `first` on, into contiguous bytes, page-locked or not. They are there
        when a call of the result has returned."""

    def unwrap(self, buffer: Any) -> None:
        """The host can see what was written to a wrapped buffer when this returns."""

    def clear(self, buffer: Any, size: int) -> None:
        """Fills the buffer with zero bytes."""

    def launch(
        self, function: Any, groups: tuple[int, ...], group: tuple[int, ...], args: Sequence[Any],
        after: Sequence[Any] | None = None,
    ) -> None:  # fmt: skip
        """Puts `groups` of `group` work items each (x first) into the queue. after: elements of `queued`; the launch
        may begin when these are done, before others that are on their way."""

    def most_items(self, function: Any) -> int:
        """Most work items of one group that the function can be run with."""

    def finish(self) -> None:
        """Waits until all that was asked for is done."""

    def explain(self, error: BaseException) -> DeviceError:
        """What an exception of the vendor's package means."""

    def close(self) -> None:
        """Gives everything back; no exception."""


def tell(device: Accelerator, message: str) -> None:
    """One line for the user about a failure: of a device that is lost the first one says it all, whichever loops, and
    ways out of them, meet it later."""
    if not device.told:
        _warn(message)
    device.told = bool(device.failure)


@cache
def _warn(message: str) -> None:
    """Once in these words: a loop may have several specialisations that fail alike."""
    log.warning(message)
