"""OpenCL devices, through PyOpenCL, which is imported when one is opened and not before.

In:  the disk cache; the environment (which device).
Out: `open_device`: an `Accelerator`, or why there is none.

A device that is a CPU works on the host's arrays where they lie (CL_MEM_USE_HOST_PTR: OpenCL 1.2 specification, 5.2.1;
map and unmap: 5.4.2); others get copies. Most CPU drivers make no copy of such memory, which is tried out when the
device is opened: nothing is then mapped, and its own buffers are host memory, too, which the host reads and writes.
Kernels are compiled without any relaxation of floating point.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from alpyna_hook.devices.base import ABI_VERSION, ITEMS_PER_CORE, Built, Cache, DeviceError, Limits
from alpyna_hook.digest import sha256
from alpyna_hook.ir.plan import DeviceKernel
from alpyna_hook.ir.types import Rep

if TYPE_CHECKING:
    from alpyna_hook.devices.memory import Array

CHOICE: Final = "ALPYNA_OPENCL_DEVICE"  # environment: a part of the device's or the platform's name, or a number
_GRID_PER_UNIT: Final = 2048  # work items that keep one compute unit of a GPU busy
_MANY: Final = 2**31 - 1
_MOST_NOTED: Final = 256  # launches: each holds an event
_INVALID_BUFFER_SIZE: Final = -61  # larger than the device's largest buffer
_CODES_OF_A_LOST_DEVICE: Final = (-2, -34, -36)  # CL_DEVICE_NOT_AVAILABLE, CL_INVALID_CONTEXT, CL_INVALID_COMMAND_QUEUE


def open_device(cache: Cache) -> OpenCLDevice | str:
    """The device that the environment names, else a GPU with double precision, else the best there is."""
    try:
        cl = _import()
    except Exception as error:
        return f"PyOpenCL cannot be imported ({_first_line(error)}); pip install 'pyopencl[pocl]'"
    try:
        device = _choose(cl)
        return device if isinstance(device, str) else OpenCLDevice(cl, device, cache)
    except Exception as error:
        return f"OpenCL cannot be used: {_first_line(error)}"
    finally:
        _give_back_signals()


def _import() -> Any:
    """PyOpenCL. Its import leaves PYOPENCL_HOME behind, which the program and its children need not see."""
    before = os.environ.get("PYOPENCL_HOME")
    import pyopencl

    with contextlib.suppress(Exception):  # the loader of drivers reads the variable now
        pyopencl.get_platforms()
    if before is None:
        os.environ.pop("PYOPENCL_HOME", None)
    return pyopencl


def _give_back_signals() -> None:
    """PoCL takes SIGUSR1 for itself when its devices are asked for: the program's handler, or that it has none, is put
    in place again. Other than in the main thread Python cannot do that."""
    with contextlib.suppress(AttributeError, ValueError):
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            handler = signal.getsignal(number)
            if handler is not None:  # else it is no handler of Python's
                signal.signal(number, handler)


def _choose(cl: Any) -> Any:
    """A device, or why there is none. Raises what PyOpenCL raises."""
    found = [device for platform in cl.get_platforms() for device in _devices(cl, platform)]
    wanted = os.environ.get(CHOICE, "").strip()
    if wanted:
        fitting = [
            d for k, d in enumerate(found)
            if wanted == str(k) or wanted.lower() in d.name.lower() or wanted.lower() in d.platform.name.lower()
        ]  # fmt: skip
        names = ", ".join(f"{k}: {d.name}" for k, d in enumerate(found)) or "none"
        return max(fitting, key=lambda d: _rank(cl, d)) if fitting else f"{CHOICE}={wanted!r} fits none of {names}"
    theirs = os.environ.get("PYOPENCL_CTX")
    if theirs:
        try:
            return cl.create_some_context(interactive=False).devices[0]
        except RuntimeError as error:
            return f"PYOPENCL_CTX={theirs!r} names no device ({_first_line(error)})"
    if not found:
        return "there is no OpenCL device"
    return max(found, key=lambda d: _rank(cl, d))


def _devices(cl: Any, platform: Any) -> list[Any]:
    try:
        return [d for d in platform.get_devices() if d.available and d.compiler_available]
    except cl.Error:  # a platform without devices
        return []


def _rank(cl: Any, device: Any) -> tuple[bool, bool, int]:
    """Double precision first, then a GPU, then the number of compute units."""
    return bool(device.double_fp_config), bool(device.type & cl.device_type.GPU), device.max_compute_units


class OpenCLDevice:
    """An `Accelerator` (devices/base.py)."""

    variant = "opencl"

    def __init__(self, cl: Any, device: Any, cache: Cache) -> None:
        self._cl, self._device, self._cache = cl, device, cache
        self._context = cl.Context([device])
        self._queue = cl.CommandQueue(self._context, device)
        is_cpu = bool(device.type & cl.device_type.CPU)
        platform = device.platform
        self.name = f"opencl: {' '.join(device.name.split())} ({platform.name})"
        self.style: Literal["grid", "rows"] = "rows" if is_cpu else "grid"
        self.shares_memory = is_cpu
        self._pending = False  # something may be in the queue
        self._memory: dict[int, Any] = {}  # of its own buffers, as bytes, where the device works in host memory
        self._direct = False
        self._direct = is_cpu and self._works_in_host_memory()
        self._unordered = self._second_queue() if self._direct else None
        units = device.max_compute_units
        self.limits = Limits(
            units * (ITEMS_PER_CORE if is_cpu else _GRID_PER_UNIT), device.max_work_group_size, (_MANY,) * 3
        )
        self.abilities = _abilities(cl, device)
        self.memory = int(device.global_mem_size)
        self.failure, self.told = "", False
        self.queued: list[Any] = []
        self.lock = threading.RLock()
        rounding = ("-cl-fp32-correctly-rounded-divide-sqrt",) if "div32" in self.abilities else ()
        self._options = ("-cl-std=CL1.2", "-w", *rounding)  # PoCL prints warnings on the program's stderr
        self._identity = (
            platform.name, platform.version, device.name, device.version, device.driver_version, self._options,
            ABI_VERSION,
        )  # fmt: skip

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        """OpenCL has no current device."""
        yield

    # --- programs --------------------------------------------------------------------------------------------------

    def build(self, text: str, kernels: tuple[DeviceKernel, ...]) -> Built:
        key = self._key(text)
        binary = self._cache.get(key)
        program = self._from_binary(binary) if isinstance(binary, bytes) else None
        hit = program is not None
        if program is None:
            program = self._build(self._cl._cl._Program(self._context, text))
            self._cache.put(key, program.get_info(self._cl.program_info.BINARIES)[0])
        return tuple(self._function(program, kernel) for kernel in kernels), "hit" if hit else "miss"

    def cached(self, text: str) -> bool:
        return self._cache.get(self._key(text)) is not None

    def _key(self, text: str) -> str:
        return sha256(repr((text, self._identity)).encode("utf-8", "surrogatepass")).hexdigest()

    def _from_binary(self, binary: bytes) -> Any:
        """The program, or None: another version of the driver may not take it."""
        try:
            return self._build(self._cl._cl._Program(self._context, [self._device], [binary]))
        except (DeviceError, self._cl.Error):
            return None

    def _build(self, program: Any) -> Any:
        """Compiles by PyOpenCL's inner layer: the outer one has a cache of its own, and turns what the compiler says
        into warnings of the program."""
        try:
            program._build(" ".join(self._options).encode(), [self._device])
        except self._cl.Error as error:
            said = ""
            with contextlib.suppress(self._cl.Error):
                said = program.get_build_info(self._device, self._cl.program_build_info.LOG)
            raise DeviceError(f"its compiler refused the kernel ({_first_line(error)})", log=said) from error
        return program

    def _function(self, program: Any, kernel: DeviceKernel) -> Any:
        import numpy as np

        function = self._cl.Kernel(program, kernel.name)
        kinds = [None if arg == "buffer" else np.dtype(_NUMBERS[Rep(arg)]) for arg in kernel.args]
        function.set_scalar_arg_dtypes([*kinds, *(None for _ in kernel.partials)])
        return function

    # --- memory ----------------------------------------------------------------------------------------------------

    def _works_in_host_memory(self) -> bool:
        """Whether the host sees what is written to a wrapped array, however it is aligned, without mapping it."""
        import numpy as np

        for first in (0, 8):
            array = np.zeros(4096, np.uint8)[first:]
            buffer = self._over(array, True)
            self._cl.enqueue_fill_buffer(self._queue, buffer, b"\1", 0, array.size)
            self._queue.finish()
            seen = bool(array.all())
            buffer.release()
            if not seen:
                return False
        return True

    def _second_queue(self) -> Any:
        """A queue that keeps no order, where there is such a thing: the next launch's first work items then fill the
        cores that the last ones of this launch leave idle."""
        kinds = self._cl.command_queue_properties
        if not self._device.queue_properties & kinds.OUT_OF_ORDER_EXEC_MODE_ENABLE:
            return None
        return self._cl.CommandQueue(self._context, self._device, kinds.OUT_OF_ORDER_EXEC_MODE_ENABLE)

    def allocate(self, size: int) -> Any:
        if self._direct:
            import numpy as np

            memory = np.empty(size, np.uint8)
            buffer = self._over(memory, True)
            self._memory[buffer.int_ptr] = memory
            return buffer
        buffer = self._cl.Buffer(self._context, self._cl.mem_flags.READ_WRITE, size)
        if not self.shares_memory:  # drivers allocate at the first use: fail now if it fails
            self._cl.enqueue_fill_buffer(self._queue, buffer, b"\0", 0, size)
        return buffer

    def release(self, buffer: Any) -> None:
        self._memory.pop(buffer.int_ptr, None)
        buffer.release()

    def wrap(self, array: Array, write: bool) -> Any:
        return self._over(array, write)

    def _over(self, array: Array, write: bool) -> Any:
        """A buffer that is the array's memory."""
        flags = self._cl.mem_flags
        return self._cl.Buffer(
            self._context, flags.USE_HOST_PTR | (flags.READ_WRITE if write else flags.READ_ONLY), hostbuf=array
        )

    def unwrap(self, buffer: Any) -> None:
        import numpy as np

        if self._direct:
            self._idle()
            return
        cl = self._cl
        mapped, _ = cl.enqueue_map_buffer(
            self._queue, buffer, cl.map_flags.READ, 0, (buffer.size,), np.uint8, is_blocking=True
        )
        mapped.base.release(self._queue)
        self._queue.finish()

    def upload(self, buffer: Any, array: Array, first: int = 0) -> None:
        if self._direct:
            self._idle()
            self._memory[buffer.int_ptr][first : first + array.nbytes] = _bytes_of(array)
            return
        self._cl.enqueue_copy(self._queue, buffer, array, dst_offset=first, is_blocking=True)

    def download(self, array: Array, buffer: Any) -> None:
        if self._direct:
            self._idle()
            _bytes_of(array)[:] = self._memory[buffer.int_ptr][: array.nbytes]
            return
        self._cl.enqueue_copy(self._queue, array, buffer, is_blocking=True)

    def locked(self, size: int) -> Any:
        return None  # drivers have their own

    def send(self, buffer: Any, first: int, part: Array) -> Callable[[], object]:
        wait: Callable[[], object] = self._cl.enqueue_copy(
            self._queue, buffer, part, dst_offset=first, is_blocking=False
        ).wait
        return wait

    def fetch(self, part: Array, buffer: Any, first: int) -> Callable[[], object]:
        wait: Callable[[], object] = self._cl.enqueue_copy(
            self._queue, part, buffer, src_offset=first, is_blocking=False
        ).wait
        return wait

    def clear(self, buffer: Any, size: int) -> None:
        if self._direct:
            self._idle()
            self._memory[buffer.int_ptr][:size] = 0
            return
        self._cl.enqueue_fill_buffer(self._queue, buffer, b"\0", 0, size)

    # --- running ---------------------------------------------------------------------------------------------------

    def launch(
        self, function: Any, groups: tuple[int, ...], group: tuple[int, ...], args: Sequence[Any],
        after: Sequence[Any] | None = None,
    ) -> None:  # fmt: skip
        queue = self._queue
        if after is not None and self._unordered is not None:
            queue = self._unordered
            if not after:
                self._queue.finish()  # copies may be on their way, of which the other queue does not know
        function.set_args(*args)
        items = tuple(n * width for n, width in zip(groups, group))
        self._pending = True
        if len(self.queued) >= _MOST_NOTED:
            self.queued.clear()
        # One call into C, so that no signal handler of the program runs after the launch and before it is noted.
        self.queued.extend(
            map(
                self._cl.enqueue_nd_range_kernel, (queue,), (function,), (items,), (group,), (None,),
                (after or None,),
            )  # fmt: skip
        )

    def most_items(self, function: Any) -> int:
        most: int = function.get_work_group_info(self._cl.kernel_work_group_info.WORK_GROUP_SIZE, self._device)
        return most

    def finish(self) -> None:
        self._queue.finish()
        if self._unordered is not None:
            self._unordered.finish()
        self._pending = False
        self.queued.clear()

    def _idle(self) -> None:
        """Waits if there is something to wait for: the host is about to touch memory that the device works in."""
        if self._pending:
            self.finish()

    def explain(self, error: BaseException) -> DeviceError:
        cl = self._cl
        code = getattr(error, "code", 0)
        if isinstance(error, (cl.MemoryError, MemoryError)) or code == _INVALID_BUFFER_SIZE:
            return DeviceError("it has not enough memory")
        if isinstance(error, cl.Error):
            return DeviceError(f"it failed: {_first_line(error)}", lost=code in _CODES_OF_A_LOST_DEVICE)
        return DeviceError(f"it failed: {type(error).__name__}: {_first_line(error)}", log=repr(error))

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.finish()
        self._queue = self._unordered = self._context = None


def _bytes_of(array: Array) -> Any:
    """The contiguous array's memory."""
    import numpy as np

    return array.reshape(-1).view(np.uint8)


# Element types of arguments passed by value; a bool is one byte in OpenCL C and CUDA C both, and passed as an int.
_NUMBERS: Final = {
    Rep.BOOL: "uint8", Rep.I8: "int8", Rep.I16: "int16", Rep.I32: "int32", Rep.I64: "int64", Rep.U8: "uint8",
    Rep.U16: "uint16", Rep.U32: "uint32", Rep.U64: "uint64", Rep.F32: "float32", Rep.F64: "float64",
    Rep.C64: "complex64", Rep.C128: "complex128",
}  # fmt: skip


def _abilities(cl: Any, device: Any) -> frozenset[str]:
    """What `DeviceProgram.needs` may ask for."""
    single = device.single_fp_config
    found = []
    if device.double_fp_config:
        found.append("fp64")
    if single & cl.device_fp_config.DENORM:
        found.append("denorm32")
    if single & cl.device_fp_config.CORRECTLY_ROUNDED_DIVIDE_SQRT:
        found.append("div32")
    if "cl_khr_int64_base_atomics" in device.extensions.split():
        found.append("atomics64")
    return frozenset(found)


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
