"""The host device: compilers, kernels, the cache, and everything that can go wrong on the way."""

from __future__ import annotations

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from alpyna_hook.devices import toolchain
from alpyna_hook.devices.base import CompileFailure, Kernel
from alpyna_hook.devices.fused import has_fused
from alpyna_hook.devices.host import HostDevice
from alpyna_hook.runtime.diskcache import DiskCache

HEAD = """#include <stdint.h>
#include <math.h>
typedef union { int64_t i; uint64_t u; double d; float f; void *p; } alp_slot;
"""
ADD = HEAD + "int32_t kernel(const alp_slot *in, alp_slot *out) { out[1].i = in[1].i + 1; return 0; }\n"
PARALLEL = HEAD + """int32_t kernel(const alp_slot *in, alp_slot *out)
{
    int64_t s = 0;
#pragma omp parallel for num_threads(2) reduction(+:s)
    for (int64_t i = 0; i < in[1].i; i++) s += i;
    out[1].i = s;
    return 0;
}
"""

needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> DiskCache:
    """Knows the compiler after the first test, so that the others do not probe it again."""
    return DiskCache(str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def cache(shared_cache: DiskCache) -> DiskCache:
    return DiskCache(shared_cache.folder)


def call(kernel: Kernel, *slots: int) -> tuple[int, int]:
    """(rc, out[1]) for int slots from in[1] on."""
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(kernel.address)
    given, got = (ctypes.c_int64 * 8)(1, *slots), (ctypes.c_int64 * 8)()
    return function(given, got), got[1]


def compiled(result: Kernel | CompileFailure) -> Kernel:
    assert isinstance(result, Kernel), result
    return result


def failed(result: Kernel | CompileFailure) -> CompileFailure:
    assert isinstance(result, CompileFailure), result
    return result


def script(path: pathlib.Path, text: str) -> str:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


# ---- compiling and caching ----


@needs_compiler
def test_a_kernel_is_compiled_once_and_then_found(cache: DiskCache) -> None:
    source = ADD + f"/* {time.time()} */"
    first = compiled(HostDevice(cache).compile(source, "seq"))
    again = compiled(HostDevice(DiskCache(cache.folder)).compile(source, "seq"))
    assert (first.cache, again.cache) == ("miss", "hit")
    assert call(first, 41) == call(again, 41) == (0, 42)
    assert 0 < again.compile_s < first.compile_s


@needs_compiler
def test_a_warm_start_runs_no_program_at_all(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(HostDevice(cache).compile(ADD, "seq"))

    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a program was run")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert compiled(HostDevice(DiskCache(cache.folder)).compile(ADD, "seq")).cache == "hit"


@needs_compiler
def test_source_flags_and_compiler_are_part_of_the_key(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    device = HostDevice(cache)
    wrapper = script(tmp_path / "cc2", 'exec cc "$@"')
    found = [
        compiled(device.compile_kernel(ADD, False)),
        compiled(device.compile_kernel(ADD + " ", False)),
        compiled(device.compile_kernel(ADD, False, precise_fp=True)),
        compiled(HostDevice(cache, wrapper).compile_kernel(ADD, False)),
    ]
    assert [k.cache for k in found[1:]] == ["miss"] * 3


@needs_compiler
def test_a_changed_compiler_is_examined_again(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    wrapper = pathlib.Path(script(tmp_path / "mycc", 'exec cc "$@"'))
    before = HostDevice(cache, str(wrapper)).tool
    script(wrapper, 'if [ "$1" = --version ]; then echo "mycc 2"; else exec cc "$@"; fi')
    after = HostDevice(DiskCache(cache.folder), str(wrapper)).tool
    assert isinstance(before, toolchain.Toolchain) and isinstance(after, toolchain.Toolchain)
    assert before.identity != after.identity and after.identity.endswith("mycc 2")


@needs_compiler
def test_a_damaged_library_is_compiled_again(cache: DiskCache) -> None:
    source = ADD + "/* damage */"
    first = compiled(HostDevice(cache).compile(source, "seq"))
    copy = pathlib.Path(first.path)
    content = copy.read_bytes()
    copy.unlink()  # the loaded one must not change under our feet
    copy.write_bytes(content[:4000])
    again = compiled(HostDevice(cache).compile(source, "seq"))
    assert again.cache == "miss" and call(again, 1) == (0, 2)


@needs_compiler
def test_without_a_cache_kernels_work_and_leave_nothing_behind(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    kernel = compiled(HostDevice().compile(ADD, "seq"))
    assert call(kernel, 1) == (0, 2) and list(tmp_path.iterdir()) == []


@needs_compiler
def test_two_processes_compiling_the_same_kernel_both_get_it(tmp_path: pathlib.Path) -> None:
    code = (
        "import sys; from alpyna_hook.devices.host import HostDevice\n"
        "from alpyna_hook.runtime.diskcache import DiskCache\n"
        "kernel = HostDevice(DiskCache(sys.argv[1])).compile(sys.argv[2], 'seq'); import ctypes\n"
        "f = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(kernel.address)\n"
        "a, b = (ctypes.c_int64 * 2)(1, 6), (ctypes.c_int64 * 2)(); f(a, b); print(b[1])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "cache"), ADD]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["7", "7"]
    assert compiled(HostDevice(DiskCache(str(tmp_path / "cache"))).compile(ADD, "seq")).cache == "hit"


# ---- what the flags must guarantee ----


@needs_compiler
def test_products_and_sums_are_not_fused_and_powers_not_folded(cache: DiskCache) -> None:
    import math
    import random

    body = """int32_t kernel(const alp_slot *in, alp_slot *out)
    {
        double x = in[1].d, y = in[2].d, z = in[3].d;
        out[1].d = x * y + z;
        out[2].d = pow(x, 2.0);
        return 0;
    }
    """
    kernel = compiled(HostDevice(cache).compile(HEAD + body, "seq"))
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(kernel.address)
    pick = random.Random(3)
    for _ in range(6000):
        x, y = pick.uniform(0.5, 2), pick.uniform(0.5, 2)
        z = -x * y * (1 + 1e-16)
        given, got = (ctypes.c_double * 4)(0, x, y, z), (ctypes.c_double * 3)()
        function(given, got)
        assert got[1] == x * y + z and got[2] == math.pow(x, 2.0) == x**2


@needs_compiler
def test_pairs_of_products_are_not_fused_by_the_vectoriser_either(cache: DiskCache) -> None:
    # gcc 12.0 to 12.2 do so in spite of -ffp-contract=off (GCC bug 107647)
    body = """int32_t kernel(const alp_slot *in, alp_slot *out)
    {
        const double *restrict x = in[1].p, *restrict y = in[2].p;
        double *restrict r = in[3].p;
        for (int64_t i = 0; i < in[4].i; i++) {
            const double a = x[2 * i], b = x[2 * i + 1], c = y[2 * i], d = y[2 * i + 1];
            r[2 * i] = a * c - b * d;
            r[2 * i + 1] = a * d + b * c;
        }
        return 0;
    }
    """
    kernel = compiled(HostDevice(cache).compile(HEAD + body, "seq"))
    x, y = ([1 / (k * i + 3) for i in range(64)] for k in (1, 2))
    a, b, r = (ctypes.c_double * 64)(*x), (ctypes.c_double * 64)(*y), (ctypes.c_double * 64)()
    given = (ctypes.c_int64 * 5)(0, ctypes.addressof(a), ctypes.addressof(b), ctypes.addressof(r), 32)
    ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(kernel.address)(given, (ctypes.c_int64 * 1)())
    for i in range(0, 64, 2):
        assert (r[i], r[i + 1]) == (x[i] * y[i] - x[i + 1] * y[i + 1], x[i] * y[i + 1] + x[i + 1] * y[i])


@pytest.mark.parametrize(
    "code, fused",
    [
        ("c4e2f599d1", True),  # vfmadd132sd xmm2, xmm1, xmm1
        ("c4c2d5b67c2408", True),  # vfmaddsub231pd
        ("62f2ed4898d1", True),  # vfmadd132pd zmm
        ("c5f558d1", False),  # vaddpd
        ("62f1ed4858d1", False),  # vaddpd zmm
        ("c4e27d18d1", False),  # vbroadcastss
    ],
)
def test_fused_instructions_are_seen_in_machine_code(code: str, fused: bool, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "code"
    path.write_bytes(b"\x90" * 9 + bytes.fromhex(code) + b"\xc3")
    assert has_fused(str(path)) == fused


@needs_compiler
def test_square_roots_are_instructions_not_calls(cache: DiskCache) -> None:
    source = HEAD + """int32_t kernel(const alp_slot *in, alp_slot *out)
{
    double *a = (double *)in[1].p;
    for (int64_t i = 0; i < in[2].i; i++) a[i] = sqrt(a[i]);
    return 0;
}
"""
    kernel = compiled(HostDevice(cache=cache).compile(source, "seq"))
    assert kernel.path and b"sqrt" not in pathlib.Path(kernel.path).read_bytes()


@needs_compiler
def test_signed_overflow_wraps(cache: DiskCache) -> None:
    body = "int32_t kernel(const alp_slot *in, alp_slot *out) { out[1].i = in[1].i + 1 > in[1].i; return 0; }"
    assert call(compiled(HostDevice(cache).compile(HEAD + body, "seq")), 2**63 - 1) == (0, 0)


# ---- OpenMP ----


def openmp_or_skip(device: HostDevice) -> None:
    if device.obstacle("omp"):
        pytest.skip(device.obstacle("omp"))


@needs_compiler
def test_openmp_kernels_run(cache: DiskCache) -> None:
    device = HostDevice(cache)
    openmp_or_skip(device)
    assert device.variants == ("seq", "omp")
    assert call(compiled(device.compile(PARALLEL, "omp")), 1000) == (0, 499500)


FORKING = """\
import ctypes, os, sys
from alpyna_hook.devices import forks, host
from alpyna_hook.runtime.diskcache import DiskCache

device = host.HostDevice(DiskCache(sys.argv[1]))
kernel = device.compile(sys.argv[2], "omp")
f = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(kernel.address)
a, b = (ctypes.c_int64 * 2)(1, 1000), (ctypes.c_int64 * 2)()

def run():
    status = f(a, b)
    return status, b[0], b[1]

first, before = run(), host.omp_unsafe()
if sys.argv[3] == "without":
    forks._pause = None
pid = os.fork()
if pid == 0:
    unsafe = host.omp_unsafe()
    os._exit(10 + unsafe + 2 * (device.variants == ("seq",)) + 4 * (not unsafe and run() == first))
print(before, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), host.omp_unsafe(), run() == first)
"""


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("dismissal, status", [("with", 14), ("without", 13)])
def test_a_forked_child_uses_openmp_if_its_parent_could_dismiss_the_team(
    cache: DiskCache, dismissal: str, status: int
) -> None:
    openmp_or_skip(HostDevice(cache))
    command = [sys.executable, "-W", "error", "-c", FORKING, cache.folder, PARALLEL, dismissal]
    if dismissal == "without":
        del command[1:3]  # CPython from 3.12 on then warns of the fork
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == ["False", str(status), "False", "True"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_of_a_parent_without_openmp_may_use_it() -> None:
    code = (
        "import os; from alpyna_hook.devices import host\n"
        "host.HostDevice(); pid = os.fork()\n"
        "if pid == 0: os._exit(10 + host.omp_unsafe())\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.strip() == "10"


@needs_compiler
def test_a_compiler_without_openmp_still_serves_sequential_kernels(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    wrapper = script(tmp_path / "plaincc", 'for a in "$@"; do [ "$a" = -fopenmp ] && exit 1; done; exec cc "$@"')
    device = HostDevice(cache, wrapper)
    assert device.variants == ("seq",)
    assert "OpenMP" in failed(device.compile(PARALLEL, "omp")).reason
    assert "OpenMP" in failed(device.compile_kernel(PARALLEL, True)).reason
    assert call(compiled(device.compile(ADD, "seq")), 1) == (0, 2)


# ---- finding a compiler ----


def test_no_compiler_at_all_is_a_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "_zig", lambda: None)
    device = HostDevice()
    assert device.variants == ()
    assert "no C compiler" in failed(device.compile(ADD, "seq")).reason
    assert "no C compiler" in failed(device.compile_kernel(ADD, True)).reason


def test_a_named_compiler_that_is_missing_is_not_replaced_silently() -> None:
    assert "'no-such-cc' was not found" in failed(HostDevice(cc="no-such-cc").compile(ADD, "seq")).reason


def test_a_named_compiler_that_does_not_work(tmp_path: pathlib.Path) -> None:
    broken = script(tmp_path / "broken", "exit 1")
    assert "does not work" in failed(HostDevice(cc=broken).compile(ADD, "seq")).reason


def test_a_hanging_compiler_is_given_up_after_one_time_out(tmp_path: pathlib.Path) -> None:
    asked = tmp_path / "asked"
    for answers_version in (True, False):
        test = '[ "$1" = --version ] && exit 0; ' if answers_version else ""
        hanging = script(tmp_path / f"hang{answers_version}", f'{test}echo x >> {asked}; sleep 100')
        reason = failed(HostDevice(cc=hanging, timeout=0.3).compile(ADD, "seq")).reason
        assert "did not finish a test program" in reason if answers_version else "no answer within 0.3 s" in reason
    assert len(asked.read_text().splitlines()) <= 3  # products and OpenMP; --version


def test_compilers_that_fuse_are_known_by_their_version() -> None:
    assert toolchain._known_to_fuse("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright")
    assert not toolchain._known_to_fuse("gcc (GCC) 12.3.0")
    assert not toolchain._known_to_fuse("Debian clang version 12.0.1")
    assert not toolchain._known_to_fuse("")


@needs_compiler
def test_the_search_goes_on_past_a_broken_gcc(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    script(tmp_path / "gcc", "echo gcc 99; [ $1 = --version ]")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    tool = toolchain.find(None, DiskCache(str(tmp_path / "cache")), 30)
    assert isinstance(tool, toolchain.Toolchain) and tool.command[0] != str(tmp_path / "gcc")


@needs_compiler
def test_a_named_compiler_may_have_arguments(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    wrapper = script(tmp_path / "cachecc", 'exec "$@"')
    tool = HostDevice(cache, f"{wrapper} cc").tool
    assert isinstance(tool, toolchain.Toolchain) and tool.command == (wrapper, "cc")


@needs_compiler
@pytest.mark.parametrize("unknown", ["-march=native", "-falign-loops=32"])
def test_a_compiler_that_does_not_know_a_flag_is_used_without(
    cache: DiskCache, tmp_path: pathlib.Path, unknown: str
) -> None:
    wrapper = script(tmp_path / "simplecc", f'for a in "$@"; do [ "$a" = {unknown} ] && exit 1; done; exec cc "$@"')
    tool = HostDevice(cache, wrapper).tool
    assert isinstance(tool, toolchain.Toolchain)
    assert set(toolchain.SPEED_FLAGS) - set(tool.flags) == {unknown}
    assert set(toolchain.SEMANTIC_FLAGS) <= set(tool.flags)


@needs_compiler
def test_a_compiler_that_may_fuse_is_not_used(tmp_path: pathlib.Path) -> None:
    wrapper = script(tmp_path / "cc3", 'for a in "$@"; do [ "$a" = -ffp-contract=off ] && exit 1; done; exec cc "$@"')
    assert isinstance(HostDevice(cc=wrapper).tool, str)


# ---- failures ----


def fake(tmp_path: pathlib.Path, on_kernel: str) -> str:
    """A compiler that works for probes and does `on_kernel` for sources that hold the word BOOM."""
    text = f"""case "$*" in *--version*) exec cc "$@";; esac
source=$(cat)
case "$source" in *BOOM*) {on_kernel};; esac
printf '%s\\n' "$source" | exec cc "$@" """
    return script(tmp_path / "fakecc", text)


BOOM = ADD + "/* BOOM */"


@needs_compiler
def test_a_source_that_does_not_compile_is_a_failure_with_the_compilers_words(cache: DiskCache) -> None:
    failure = failed(HostDevice(cache).compile("int32_t kernel(", "seq"))
    assert "refused" in failure.reason and "error" in failure.log


@needs_compiler
def test_a_library_without_the_kernel_is_a_failure(cache: DiskCache) -> None:
    assert "could not be loaded" in failed(HostDevice(cache).compile("int x;", "seq")).reason


@needs_compiler
def test_a_missing_function_is_found_when_loading(cache: DiskCache) -> None:
    source = "int missing(void); int kernel(void) { return missing(); }"
    assert "could not be loaded" in failed(HostDevice(cache).compile(source, "seq")).reason


@needs_compiler
def test_a_compiler_that_crashes(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    device = HostDevice(cache, fake(tmp_path, "kill -SEGV $$"))
    assert f"signal {signal.SIGSEGV.value}" in failed(device.compile(BOOM, "seq")).reason
    assert call(compiled(device.compile(ADD, "seq")), 1) == (0, 2)


@needs_compiler
def test_a_compiler_that_writes_nothing(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    assert "no output" in failed(HostDevice(cache, fake(tmp_path, "exit 0")).compile(BOOM, "seq")).reason


@needs_compiler
def test_a_compiler_that_hangs_is_killed_with_its_children(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    pids = tmp_path / "pids"
    compiler = fake(tmp_path, f"sleep 600 & echo $! $$ > {pids}; wait")
    device = HostDevice(cache, compiler, timeout=30.0)
    assert device.variants
    device = HostDevice(cache, compiler, timeout=0.7)
    start = time.monotonic()
    assert "within 0.7 s" in failed(device.compile(BOOM, "seq")).reason
    assert time.monotonic() - start < 20
    for pid in map(int, pids.read_text().split()):
        deadline = time.monotonic() + 10
        while _alive(pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not _alive(pid)


def _alive(pid: int) -> bool:
    """Whether it still runs (a zombie that nobody has waited for does not)."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@needs_compiler
def test_no_place_for_the_output_is_a_failure(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    device = HostDevice(cache)
    assert device.variants
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent/folder")
    assert "no place" in failed(device.compile(ADD + "/* new */", "seq")).reason


def test_an_unknown_variant_is_a_failure(cache: DiskCache) -> None:
    assert isinstance(HostDevice(cache).compile(ADD, "cuda"), CompileFailure)


def test_cpu_features_are_one_cpu(tmp_path: pathlib.Path) -> None:
    assert toolchain.cpu_features().count("model name") <= 1 and toolchain.cpu_features()


@needs_compiler
def test_a_library_that_lacks_a_function_is_linked_anew(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    text = 'case "$*" in *-DSPARSE*) ;; *) set -- -DWHOLE "$@";; esac; exec cc "$@"'
    device = HostDevice(cache, script(tmp_path / "sparsecc", text))
    tool = device.tool
    assert isinstance(tool, toolchain.Toolchain)
    device._tool = tool._replace(link=("-DSPARSE",))  # as zig does without its support library at first
    source = ADD.replace("in[1].i + 1", "more(in[1].i)").replace("int32_t kernel", """
#ifdef WHOLE
static int64_t more(int64_t x) { return x + 1; }
#else
int64_t more(int64_t x);
#endif
int32_t kernel""")
    assert call(compiled(device.compile(source, "seq")), 1) == (0, 2)


def test_a_compiler_is_examined_where_no_thread_can_be_started(
    cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while CPython 3.12 ends: a thread of the program, or one of its atexit functions, may still run loops."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert {"seq", "omp"} == set(HostDevice(cache).variants)


def test_a_compiler_that_cannot_be_started_any_more_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **rest: object) -> None:
        raise RuntimeError("can't fork at interpreter shutdown")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert toolchain.run(("gcc",), "", 1.0) == (None, "gcc did not start: can't fork at interpreter shutdown")
