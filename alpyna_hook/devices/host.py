"""The host device: kernels in C, sequential or OpenMP, as shared libraries.

In:  C source that defines `int32_t kernel(const alp_slot *in, alp_slot *out)`.
Out: `Kernel` (address, loaded) or `CompileFailure`; compiled libraries are kept in the disk cache.

A warm start runs no compiler and not even its `--version`: the key is made of the source, the flags, the compiler's
remembered identity, the CPU's features and the ABI version.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Final

from alpyna_hook import signals
from alpyna_hook.devices import finding, forks, library, toolchain
from alpyna_hook.devices.base import ABI_VERSION, Cache, CompileFailure, Kernel, NoCache
from alpyna_hook.devices.forks import omp_unsafe
from alpyna_hook.devices.fused import has_fused
from alpyna_hook.devices.toolchain import LINK_LIBM, OPENMP_FLAG, Toolchain
from alpyna_hook.digest import sha256
from alpyna_hook.settings import CC_TIMEOUT_S

_LOG_LINES: Final = 20  # of what a failing compiler said


class HostDevice:
    """Compiles for this computer's CPU.

    cache     where libraries are kept
    cc        the compiler the user named; None: look for one
    timeout   seconds for one run of the compiler
    """

    name = "host"

    def __init__(self, cache: Cache | None = None, cc: str | None = None, timeout: float = CC_TIMEOUT_S) -> None:
        self._cache: Cache = cache if cache is not None else NoCache()
        self._cc = cc
        self._timeout = timeout
        self._tool: Toolchain | str | None = None
        forks.watch()

    @property
    def tool(self) -> Toolchain | str:
        """The compiler, or why there is none. Looked for once."""
        if self._tool is None:
            self._tool = toolchain.find(self._cc, self._cache, self._timeout)
        return self._tool

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(variant for variant in ("seq", "omp") if not self.obstacle(variant))

    def obstacle(self, variant: str) -> str:
        """Why `variant` cannot be used here, "" if it can."""
        if isinstance(self.tool, str):
            return self.tool
        if variant == "omp":
            if not self.tool.openmp:
                return f"{self.tool.command[0]} cannot build OpenMP programs"
            if omp_unsafe():
                return "this is a forked process, in which libgomp would hang"
        return "" if variant in ("seq", "omp") else f"the host has no variant {variant!r}"

    def compile(self, source: str, variant: str, precise_fp: bool = False) -> Kernel | CompileFailure:
        """As `devices.base.Device.compile`."""
        obstacle = self.obstacle(variant)
        if obstacle:
            return CompileFailure(obstacle)
        return self.compile_kernel(source, variant == "omp", precise_fp)

    def compile_kernel(self, source: str, openmp: bool, precise_fp: bool = False) -> Kernel | CompileFailure:
        """`source` as a loaded kernel. precise_fp: floating-point exception flags must be those of the source."""
        start = time.perf_counter()
        tool = self.tool
        if isinstance(tool, str):
            return CompileFailure(tool)
        if openmp and not tool.openmp:
            return CompileFailure(f"{tool.command[0]} cannot build OpenMP programs")
        flags = kernel_flags(tool, openmp, precise_fp)
        key = _key(source, flags, tool)
        path = self._cache.get_file(key)
        if path is not None:
            loaded = _load(path, tool.preload if openmp else "")
            if not isinstance(loaded, CompileFailure):
                return Kernel(loaded[0], time.perf_counter() - start, "hit", path, loaded[1])
        try:
            return self._build(source, tool, flags, key, start, openmp)
        except OSError as error:
            if signals.from_handler(error):
                raise
            return CompileFailure(f"no place for the compiler's output: {error}")

    def cached(self, source: str, openmp: bool, precise_fp: bool = False) -> bool:
        """Whether `compile_kernel` would find the kernel in the disk cache."""
        tool = self.tool
        if isinstance(tool, str) or (openmp and not tool.openmp):
            return False
        return self._cache.get_file(_key(source, kernel_flags(tool, openmp, precise_fp), tool)) is not None

    def _build(
        self, source: str, tool: Toolchain, flags: Sequence[str], key: str, start: float, openmp: bool
    ) -> Kernel | CompileFailure:
        """Runs the compiler in a temporary folder, stores and loads what it made. Raises OSError."""
        import tempfile

        with tempfile.TemporaryDirectory(prefix="alpyna-") as folder:
            output = os.path.join(folder, "kernel.so")
            result = toolchain.run(toolchain.command_line(tool, flags, output), source, self._timeout)
            if result.returncode != 0 or not os.path.isfile(output):
                return _failure(tool, result)
            if tool.unfused and has_fused(output):
                return self._build(source, tool._replace(unfused=()), (*flags, *tool.unfused), key, start, openmp)
            path = self._cache.put_file(key, output) or output
            loaded = _load(path, tool.preload if openmp else "")
        # A library that could not be cached stays mapped after its file is gone.
        if isinstance(loaded, CompileFailure):
            if tool.link != LINK_LIBM:  # it may need the compiler's own support library
                return self._build(source, tool._replace(link=LINK_LIBM), flags, key, start, openmp)
            return loaded
        return Kernel(loaded[0], time.perf_counter() - start, "miss", path, loaded[1])


def kernel_flags(tool: Toolchain, openmp: bool, precise_fp: bool) -> tuple[str, ...]:
    """The compiler's flags. Without precise_fp it may assume that nobody looks at floating-point exception flags,
    which is what lets it vectorise conditional code."""
    trapping = "-ftrapping-math" if precise_fp else "-fno-trapping-math"
    return (*tool.flags, *finding.libm_flags(), trapping, *((OPENMP_FLAG,) if openmp else ()))


def _key(source: str, flags: Sequence[str], tool: Toolchain) -> str:
    parts = (source, tuple(flags), tool.command, tool.identity, tool.link, finding.cpu_features(), ABI_VERSION)
    return sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _load(path: str, preload: str) -> tuple[int, object] | CompileFailure:
    """Address of the kernel in the library at `path`, and the library."""
    try:
        return library.load(path, preload)
    except (OSError, AttributeError) as error:
        return CompileFailure(f"the compiled library could not be loaded: {error}")


def _failure(tool: Toolchain, result: toolchain.RunResult) -> CompileFailure:
    name = os.path.basename(tool.command[0])
    log = "\n".join(result.output.splitlines()[-_LOG_LINES:])
    if result.returncode is None:
        return CompileFailure(f"{name}: {result.output}")
    if result.returncode < 0:
        return CompileFailure(f"{name} was killed by signal {-result.returncode}", log)
    if result.returncode == 0:
        return CompileFailure(f"{name} wrote no output", log)
    return CompileFailure(f"{name} refused the kernel (status {result.returncode})", log)
