"""CUDA devices, through PyCUDA, which is imported when one is opened and not before.

In:  the disk cache; the environment (which device).
Out: `open_device`: an `Accelerator`, or why there is none.

It works in the device's primary context (CUDA Driver API, "Primary Context Management"), which the CUDA runtime uses,
and with it CuPy and PyTorch; it is current only while Alpyna uses it. All goes through one stream. Large copies go
through page-locked memory (staging.py); small ones are left to the driver, which has some of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from alpyna_hook.devices import cudacc
from alpyna_hook.devices.base import ABI_VERSION, Built, Cache, DeviceError, Limits, tell
from alpyna_hook.digest import sha256
from alpyna_hook.ir.plan import DeviceKernel
from alpyna_hook.ir.types import Rep

if TYPE_CHECKING:
    from alpyna_hook.devices.memory import Array

CHOICE: Final = "CUDA_DEVICE"  # environment, PyCUDA's own: number of the device
_EVENTS: Final = 32  # more than the pieces of a copy that are on their way
_PER_UNIT: Final = 2048  # work items that keep a multiprocessor busy
_FORMATS: Final = {
    Rep.BOOL: "B", Rep.I8: "b", Rep.I16: "h", Rep.I32: "i", Rep.I64: "q", Rep.U8: "B", Rep.U16: "H", Rep.U32: "I",
    Rep.U64: "Q", Rep.F32: "f", Rep.F64: "d",
}  # fmt: skip
# After these the context is of no use to anybody (CUDA Driver API, CUresult: "the process must be terminated").
_FATAL: Final = ("illegal", "launch failure", "launch timed out", "ecc", "misaligned", "assert", "lost", "hardware",
                 "unavailable", "context is destroyed", "invalid device context", "initialization error",
                 "shutting down", "unknown error")  # fmt: skip
_NO_ROOM: Final = "too many resources"  # a launch that PyCUDA calls a LaunchError, too, but after which all is well


def open_device(cache: Cache) -> CudaDevice | str:
    """The device that the environment names, else the first one."""
    try:
        import pycuda.driver as cuda
    except ImportError as error:
        return f"PyCUDA cannot be imported ({_first_line(error)}); it takes an NVIDIA driver and pip install pycuda"
    except Exception as error:
        return f"PyCUDA cannot be used: {_first_line(error)}"
    try:
        cuda.init()
        count = cuda.Device.count()
        wanted = number()
        if count == 0:
            return "there is no CUDA device"
        if not wanted.isdecimal() or int(wanted) >= count:
            return f"{CHOICE}={wanted!r} is no number from 0 to {count - 1}"
        return CudaDevice(cuda, int(wanted), cache)
    except Exception as error:
        return f"CUDA cannot be used: {_first_line(error)}"


def number() -> str:
    """What the environment says of the device's number."""
    return os.environ.get(CHOICE, "").strip() or "0"


@cache
def _driver() -> Any:
    """The driver's library: PyCUDA has no way to wait for a stream that is not its own."""
    return ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")


class _Function(NamedTuple):
    """A kernel that is ready to be launched, and the most work items of a group of it."""

    function: Any
    most: int


class CudaDevice:
    """An `Accelerator` (devices/base.py)."""

    variant = "cuda"
    style: Literal["grid", "rows"] = "grid"
    shares_memory = False
    abilities = frozenset(("fp64", "denorm32", "div32", "atomics64"))

    def __init__(self, cuda: Any, number: int, cache: Cache) -> None:
        self._cuda, self._cache = cuda, cache
        device = cuda.Device(number)
        attribute, get = cuda.device_attribute, device.get_attribute
        self.name = f"cuda:{number} {device.name()}"
        self.capability = "".join(map(str, device.compute_capability()))
        self.limits = Limits(
            get(attribute.MULTIPROCESSOR_COUNT) * _PER_UNIT,
            get(attribute.MAX_THREADS_PER_BLOCK),
            (get(attribute.MAX_GRID_DIM_X), get(attribute.MAX_GRID_DIM_Y), get(attribute.MAX_GRID_DIM_Z)),
        )
        self.memory = int(device.total_memory())
        self.failure, self.told = "", False
        self.queued: list[Any] = []
        self.lock = threading.RLock()
        self._modules: list[Any] = []  # unloaded in `close`, where the context is current
        self._events: deque[Any] = deque()
        self._context: Any = device.retain_primary_context()
        try:
            with self.current():
                self._stream = cuda.Stream()
        except BaseException:
            self._context.detach()
            raise

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """Makes the primary context current for this thread, and gives back what was."""
        self._context.push()
        try:
            yield
        except BaseException:
            self._leave()  # what the caller makes of its own error says more
            raise
        if self._leave():
            tell(self, f"{self.name}: {self.failure}; loops run without it")

    def _leave(self) -> bool:
        """Takes the context off this thread's stack; whether that failed. The error is one of the launches before, and
        takes back nothing that the caller has seen done. PyCUDA then leaves the context on its own stack, and would
        abort the process at its end; contexts that were given up are dropped from the stack by whatever looks for the
        current one."""
        try:
            self._cuda.Context.pop()
        except self._cuda.Error as error:
            self.failure = self.failure or f"it failed: {_first_line(error)}"
            with _unheard():
                with contextlib.suppress(Exception):
                    self._context.detach()
                with contextlib.suppress(Exception):
                    self._cuda.Event()
            return True
        return False

    # --- programs --------------------------------------------------------------------------------------------------

    def build(self, text: str, kernels: tuple[DeviceKernel, ...]) -> Built:
        key = self._key(text)
        code = self._cache.get(key)
        module = self._load(code) if isinstance(code, bytes) else None
        hit = module is not None
        if module is None:
            code = cudacc.compile_text(text, self.capability)
            module = self._load_new(code)
            self._cache.put(key, code)
        self._modules.append(module)
        return tuple(self._function(module, kernel) for kernel in kernels), "hit" if hit else "miss"

    def cached(self, text: str) -> bool:
        return self._cache.get(self._key(text)) is not None

    def _key(self, text: str) -> str:
        parts = ("cuda", text, cudacc.FLAGS, self.capability, ABI_VERSION)
        return sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()

    def _load(self, code: bytes) -> Any:
        """The module, or None: another version of the driver may not take it."""
        try:
            return self._cuda.module_from_buffer(code)
        except self._cuda.Error:
            return None

    def _load_new(self, code: bytes) -> Any:
        """The module of code that was made for this device just now; the next one would be refused as well."""
        try:
            return self._cuda.module_from_buffer(code)
        except self._cuda.Error as error:
            if isinstance(error, self._cuda.MemoryError) or self.explain(error).lost:
                raise
            major, minor = divmod(self._cuda.get_driver_version() // 10, 100)
            raise DeviceError(
                f"its driver, of CUDA {major}.{minor}, does not take what {cudacc.describe()} makes: "
                f"{_without_log(error)}", lost=True,
            ) from error  # fmt: skip

    def _function(self, module: Any, kernel: DeviceKernel) -> _Function:
        function = module.get_function(kernel.name)
        try:
            form = "".join("P" if arg == "buffer" else _FORMATS[Rep(arg)] for arg in kernel.args)
        except KeyError as error:
            raise DeviceError(f"{error.args[0].value} cannot be passed by value") from None
        function.prepare(form + "P" * len(kernel.partials))
        return _Function(function, function.get_attribute(self._cuda.function_attribute.MAX_THREADS_PER_BLOCK))

    # --- memory ----------------------------------------------------------------------------------------------------

    def allocate(self, size: int) -> Any:
        return self._cuda.mem_alloc(size)

    def release(self, buffer: Any) -> None:
        buffer.free()

    def wrap(self, array: Array, write: bool) -> Any:
        raise DeviceError("it does not share the host's memory")

    def unwrap(self, buffer: Any) -> None:
        raise DeviceError("it does not share the host's memory")

    def adopt(self, address: int, size: int) -> Any:
        return address

    def disown(self, buffer: Any) -> None:
        pass

    def duplicate(self, target: Any, source: Any, size: int) -> None:
        self._cuda.memcpy_dtod_async(int(target), int(source), size, self._stream)

    def await_stream(self, handle: int) -> None:
        """While a stream records a graph nothing runs in it, and waiting would spoil the graph (CUDA Driver API,
        cuStreamIsCapturing)."""
        stream, capturing = ctypes.c_void_p(handle), ctypes.c_int(0)
        code = _driver().cuStreamIsCapturing(stream, ctypes.byref(capturing))
        if code == 0 and capturing.value:
            raise DeviceError("the stream that its arrays are used in records a graph")
        code = code or _driver().cuStreamSynchronize(stream)
        if code:
            raise DeviceError(f"the stream that its arrays are used in cannot be waited for (CUDA error {code})")

    def upload(self, buffer: Any, array: Array, first: int = 0) -> None:
        self._cuda.memcpy_htod_async(int(buffer) + first, array, self._stream)  # returns when the driver has read it

    def download(self, array: Array, buffer: Any) -> None:
        self._cuda.memcpy_dtoh_async(array, buffer, self._stream)
        self._stream.synchronize()

    def locked(self, size: int) -> Any:
        import numpy as np

        try:
            return self._cuda.pagelocked_empty(size, np.uint8)
        except self._cuda.Error as error:  # besides for lack of it: it is not allowed, or this system has none
            if self.explain(error).lost:
                raise
            return None

    def send(self, buffer: Any, first: int, part: Array) -> Callable[[], object]:
        self._cuda.memcpy_htod_async(int(buffer) + first, part, self._stream)
        return self._mark()

    def fetch(self, part: Array, buffer: Any, first: int) -> Callable[[], object]:
        self._cuda.memcpy_dtoh_async(part, int(buffer) + first, self._stream)
        return self._mark()

    def _mark(self) -> Callable[[], object]:
        """Waits for all that was asked for so far. Events are used in turn: one that was recorded anew waits for more
        than it had to, as everything is in one stream."""
        if len(self._events) < _EVENTS:
            self._events.append(self._cuda.Event(self._cuda.event_flags.DISABLE_TIMING))
        else:
            self._events.rotate(-1)
        self._events[-1].record(self._stream)
        wait: Callable[[], object] = self._events[-1].synchronize
        return wait

    def clear(self, buffer: Any, size: int) -> None:
        self._cuda.memset_d8_async(buffer, 0, size, self._stream)

    # --- running ---------------------------------------------------------------------------------------------------

    def launch(
        self, function: Any, groups: tuple[int, ...], group: tuple[int, ...], args: Sequence[Any],
        after: Sequence[Any] | None = None,
    ) -> None:  # fmt: skip
        rest = (1,) * (3 - len(groups))
        function.function.prepared_async_call((*groups, *rest), (*group, *rest), self._stream, *args)

    def most_items(self, function: Any) -> int:
        most: int = function.most
        return most

    def finish(self) -> None:
        self._stream.synchronize()

    def explain(self, error: BaseException) -> DeviceError:
        cuda = self._cuda
        text = _without_log(error)
        if isinstance(error, (cuda.MemoryError, MemoryError)):
            return DeviceError("it has not enough memory")
        if isinstance(error, cuda.Error):
            lost = isinstance(error, cuda.LaunchError) or any(word in text.lower() for word in _FATAL)
            lost &= _NO_ROOM not in text
            return DeviceError(f"it failed: {text}", lost=lost)
        return DeviceError(f"it failed: {type(error).__name__}: {text}", log=repr(error))

    def close(self) -> None:
        if self._context is None:
            return
        with contextlib.suppress(Exception):
            with self.current():
                self._modules.clear()
                self._events.clear()
                self._stream = None
            self._context.detach()
        self._context = None


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _without_log(error: BaseException) -> str:
    """Of a module that is refused, PyCUDA appends the compiler's log, whether there is one or only stray bytes."""
    return _first_line(error).partition(" - ")[0]


@contextlib.contextmanager
def _unheard() -> Iterator[None]:
    """What the process writes to its stderr meanwhile is lost: where a lost context is given up, PyCUDA prints that
    this has failed, too, for everybody to see."""
    try:
        before, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # there is no stderr
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)
        os.close(nowhere)
