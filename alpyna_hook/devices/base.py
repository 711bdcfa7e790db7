"""What a device is, and what compiling a kernel gives: an address, or a failure as a value.

In:  kernel source text from codegen.
Out: `Kernel` or `CompileFailure`; no exception, since a failed compilation is no fault of the program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

# Version of the kernel ABI (slots, return codes): part of every cache key of compiled kernels.
ABI_VERSION = 1
SYMBOL = "kernel"  # the function that every kernel source defines


@dataclass(frozen=True, slots=True)
class Kernel:
    """A loaded kernel: `int32_t kernel(const alp_slot *in, alp_slot *out)` at `address`.

    compile_s  seconds it took to have it: compiler, cache and loading
    cache      whether the disk cache had it
    keep       what must stay alive as long as the address is used
    """

    address: int
    compile_s: float
    cache: Literal["hit", "miss"]
    path: str = ""
    keep: Any = field(default=None, compare=False, repr=False)


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
