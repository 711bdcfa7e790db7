"""The host's C compiler: finding it, naming it for cache keys, running it under a time limit.

In:  the compiler the user named (or None), PATH, a Cache.
Out: `Toolchain` or the reason there is none; `run(...)` -> what the compiler said.

`subprocess` is imported only where a compiler is really run: a warm start does without.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from alpyna_hook import signals
from alpyna_hook.codegen.libm import ROUNDED
from alpyna_hook.devices.base import ABI_VERSION, Cache
from alpyna_hook.devices.finding import COMPILERS, cpu_features
from alpyna_hook.devices.finding import command_of as _command_of
from alpyna_hook.devices.finding import zig as _zig
from alpyna_hook.digest import sha256

if TYPE_CHECKING:
    import subprocess

# gcc folds powf(x, 2.0f) to x*x unless told not to (codegen/libm.py), contracts a*b+c to an FMA by default, and makes
# signed overflow undefined: Python's results need the opposite (DESIGN section 3). They stand before the flags for
# speed: gcc takes a later -fno-fast-math for -fmath-errno, too, and square roots would be calls, never vector code.
SEMANTIC_FLAGS = ("-ffp-contract=off", "-fno-fast-math", "-fwrapv")
NO_BUILTINS = tuple(f"-fno-builtin-{name}" for name in ROUNDED)
# Aligned loops: one of a few instructions that lies across two cache lines takes up to twice as long (a transposition
# on Zen 4: 9.5 us or 5.1 us), and where a loop lies would be chance.
SPEED_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-falign-loops=32")
OUTPUT_FLAGS = ("-shared", "-fPIC", "-x", "c")
OPENMP_FLAG = "-fopenmp"

LINK_LIBM = ("-lm",)

VERSION_S = 10.0  # seconds to wait for `--version`: what hangs there hangs in the middle of somebody's program
PROBE_S = 20.0  # seconds for a test program (zig takes 10 when it is new)

_PROBE_OPENMP = (
    "int kernel(int n, double *a)\n"
    "{\n#pragma omp parallel for\n    for (int i = 0; i < n; i++) a[i] += 1.0;\n    return n;\n}\n"
)
# gcc 12.0 to 12.2 fuse pairs like these into vfmaddsub whatever -ffp-contract says (GCC bug 107647). Of what they make
# each kernel is looked at, and made again without fused instructions (AVX-512 brings its own) if it has any. The flags
# of any other compiler must pass this test, else it has to do without them altogether.
_PROBE_FUSED = """\
void pairs(int n, const double *restrict x, const double *restrict y, double *restrict out)
{
    for (int i = 0; i < n; i++) {
        const double a = x[2 * i], b = x[2 * i + 1], c = y[2 * i], d = y[2 * i + 1];
        out[2 * i] = a * c - b * d;
        out[2 * i + 1] = a * d + b * c;
    }
}
void pair(int n, const double *x, const double *y, double *out)
{
    const double a = x[0], b = x[1], c = y[0], d = y[1];
    out[0] = a * c - b * d;
    out[1] = a * d + b * c;
}
"""
_UNFUSED_FLAGS = ("-mno-fma", "-mno-avx512f")


class Toolchain(NamedTuple):
    """A C compiler that works.

    command   as run, e.g. ("/usr/bin/gcc",)
    identity  text that changes when the compiler does: path, version
    flags     the accepted ones among SPEED_FLAGS, and the semantic ones
    openmp    whether OpenMP kernels compile and link
    preload   a shared library to load globally before an OpenMP kernel, "" if none
    link      the end of the command: what kernels are linked with
    unfused   what is added for a kernel whose code has fused operations (devices/fused.py), if the compiler makes such
    """

    command: tuple[str, ...]
    identity: str
    flags: tuple[str, ...]
    openmp: bool
    preload: str = ""
    link: tuple[str, ...] = LINK_LIBM
    unfused: tuple[str, ...] = ()


class RunResult(NamedTuple):
    """returncode: exit status (negative: killed by a signal), None if it did not start or ran out of time."""

    returncode: int | None
    output: str


def find(named: str | None, cache: Cache, timeout: float) -> Toolchain | str:
    """The first compiler that works: the one named, else gcc, clang, cc, the package `ziglang`; or why not."""
    if named:
        command = _command_of(named)
        if command is None:
            return f"the C compiler {named!r} was not found"
        tool = _examine(command, cache, timeout)
        return tool if isinstance(tool, Toolchain) else f"the C compiler {named!r} does not work: {tool}"
    for name in COMPILERS:
        command = _command_of(name)
        if command is not None and isinstance(tool := _examine(command, cache, timeout), Toolchain):
            return tool
    zig = _zig()
    if zig is not None:
        tool = _examine((zig, "cc"), cache, timeout, _intel_openmp(), _link_zig())
        if isinstance(tool, Toolchain):
            return tool if tool.preload else tool._replace(openmp=False)
    return "no C compiler was found (gcc, clang, cc, or the package ziglang)"


def _intel_openmp() -> str:
    """Path of libiomp5 from the package `intel-openmp`, which puts it into the environment's lib folder."""
    for prefix in dict.fromkeys((sys.prefix, sys.base_prefix)):
        path = os.path.join(prefix, "lib", "libiomp5.so")
        if os.path.isfile(path):
            return path
    return ""


def _link_zig() -> tuple[str, ...]:
    """Links with the C library that this process runs on. zig would first build stubs of one: 15 s, once, but in the
    middle of somebody's program."""
    found = []
    for name in ("libm", "libc"):
        path = _mapped_library(name)
        if path is None:
            return LINK_LIBM
        found.append(path)
    return ("-nostdlib", "-x", "none", *found)


def _mapped_library(name: str) -> str | None:
    """Path of a shared library that is loaded here: "libm" finds libm.so.6 and libm-2.31.so."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            for line in maps:
                path = line.rpartition(" ")[2].strip()
                if os.path.basename(path).startswith((f"{name}.so.", f"{name}-")) and ".so" in path:
                    return path
    except OSError:
        pass
    return None


def _digest(*parts: object) -> str:
    return sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _examine(
    command: tuple[str, ...], cache: Cache, timeout: float, preload: str = "", link: tuple[str, ...] = LINK_LIBM
) -> Toolchain | str:
    """What this compiler can do on this CPU, remembered as long as its executable is unchanged; or what is wrong."""
    try:
        status = os.stat(command[0])
    except OSError as error:
        return str(error.strerror)
    real = os.path.realpath(command[0])
    key = _digest(
        "toolchain", Toolchain._fields, _PROBE_FUSED, ABI_VERSION, command, real, status.st_mtime_ns, status.st_size,
        preload, link, cpu_features(), SPEED_FLAGS, SEMANTIC_FLAGS, NO_BUILTINS, _UNFUSED_FLAGS,
    )  # fmt: skip
    known = cache.get(key)
    if isinstance(known, Toolchain):
        return known
    version = run((*command, "--version"), "", min(timeout, VERSION_S))
    if version.returncode is None:
        return version.output
    if version.returncode != 0:
        return f"status {version.returncode} when asked for its version"
    identity = f"{real} {version.output.partition(chr(10))[0]}"
    bare = Toolchain(command, identity, (), False, preload, link)
    tool = _probe(bare, _known_to_fuse(version.output), min(timeout, PROBE_S))
    if isinstance(tool, Toolchain):
        cache.put(key, tool)
    return tool


def _known_to_fuse(version: str) -> bool:
    """Whether the compiler has GCC bug 107647, by what `--version` says."""
    words = version.partition("\n")[0].split()
    return bool(words) and "gcc" in words[0] and any(word.startswith(("12.0.", "12.1.", "12.2.")) for word in words)


def _probe(tool: Toolchain, fuses: bool, timeout: float) -> Toolchain | str:
    """`tool` with the fastest flags that keep results exact, and whether it has OpenMP; or what is wrong with it."""
    semantic = (*SEMANTIC_FLAGS, *NO_BUILTINS)
    without = (tuple(flag for flag in SPEED_FLAGS if flag != one) for one in ("-march=native", "-falign-loops=32"))
    for speed in (SPEED_FLAGS, *without, ("-O3",), ("-O2",)):
        flags = (*semantic, *speed)
        verdict, openmp = _both(tool, flags, timeout)
        if fuses and verdict in ("fused", "exact"):
            return tool._replace(flags=flags, openmp=openmp, unfused=_UNFUSED_FLAGS)
        if verdict == "fused":
            flags = (*flags, *_UNFUSED_FLAGS)
            verdict, openmp = _both(tool, flags, timeout)
        if verdict == "hung":
            return "it did not finish a test program"
        if verdict == "exact":
            return tool._replace(flags=flags, openmp=openmp)
    return "it does not build a test program"


def _both(tool: Toolchain, flags: tuple[str, ...], timeout: float) -> tuple[str, bool]:
    """What `_products` says of `flags`, and whether OpenMP kernels build; the compiler does the two at once."""
    import threading

    openmp: list[bool] = []
    side = threading.Thread(target=lambda: openmp.append(_builds(tool, (*flags, OPENMP_FLAG), timeout)), daemon=True)
    try:
        side.start()
    except RuntimeError:  # no more threads: the system has none, or CPython 3.12 wants none while it ends
        return _products(tool, flags, timeout), _builds(tool, (*flags, OPENMP_FLAG), timeout)
    verdict = _products(tool, flags, timeout)
    side.join()
    return verdict, openmp == [True]


def command_line(tool: Toolchain, flags: Sequence[str], output: str) -> tuple[str, ...]:
    """The command that compiles a kernel from standard input to the shared library `output`."""
    return (*tool.command, *flags, *OUTPUT_FLAGS, "-", "-o", output, *tool.link)


def _builds(tool: Toolchain, flags: tuple[str, ...], timeout: float) -> bool:
    """Whether an OpenMP kernel compiles and links with these flags."""
    import tempfile

    try:
        with tempfile.TemporaryDirectory(prefix="alpyna-") as folder:
            output = os.path.join(folder, "probe.so")
            result = run(command_line(tool, flags, output), _PROBE_OPENMP, timeout)
            return result.returncode == 0 and os.path.isfile(output)
    except OSError as error:
        if signals.from_handler(error):
            raise
        return False


def _products(tool: Toolchain, flags: tuple[str, ...], timeout: float) -> Literal["exact", "fused", "broken", "hung"]:
    """Whether compiled sums of products are exact or fused, or the test program does not even build and load, or the
    compiler gives no answer."""
    import ctypes
    import tempfile

    size = 64  # doubles: long enough for vector code
    try:
        with tempfile.TemporaryDirectory(prefix="alpyna-") as folder:
            output = os.path.join(folder, "fused.so")
            result = run(command_line(tool, (*flags, "-fno-trapping-math"), output), _PROBE_FUSED, timeout)
            if result.returncode != 0:
                return "broken" if result.returncode is not None else "hung"
            library = ctypes.CDLL(output)
    except OSError as error:
        if signals.from_handler(error):
            raise
        return "broken"
    x, y, out = ((ctypes.c_double * size)() for _ in range(3))
    for i in range(size):
        x[i], y[i] = 1 / (i + 3), 1 / (2 * i + 7)
    for name, pairs in (("pairs", size // 2), ("pair", 1)):
        getattr(library, name)(pairs, x, y, out)
        for k in range(0, 2 * pairs, 2):
            a, b, c, d = x[k], x[k + 1], y[k], y[k + 1]
            if out[k] != a * c - b * d or out[k + 1] != a * d + b * c:
                return "fused"
    return "exact"


def run(command: tuple[str, ...], source: str, timeout: float) -> RunResult:
    """Runs `command` without a shell, `source` on its standard input; after `timeout` seconds its whole process group
    is killed. Interrupts (Ctrl-C) kill it too and pass."""
    import signal
    import subprocess

    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,  # a group of its own: cc1, as and ld go down with the driver
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: CPython 3.12 is about to end
        if signals.from_handler(error):
            raise
        return RunResult(None, f"{command[0]} did not start: {error}")
    try:
        output, _ = process.communicate(source, timeout=timeout)
        return RunResult(process.returncode, output)
    except subprocess.TimeoutExpired:
        return RunResult(None, f"no answer within {timeout:g} s")
    finally:
        if process.returncode is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except OSError:
                process.kill()
            _abandon(process)


def _abandon(process: subprocess.Popen[str]) -> None:
    """Closes the pipes of a killed process unread (a descendant that left the group may still hold their ends)."""
    for pipe in (process.stdin, process.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except OSError:
            pass  # unwritten input
    process.wait()
