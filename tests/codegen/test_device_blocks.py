"""Grids launched block by block on a device that works in the arrays: after a fault, a failure or an interrupt these
hold what the loop has written up to some iteration, and the caller knows which."""

from __future__ import annotations

import ctypes
import re
import signal
import struct
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_device import nest_of, specialised_site

sys.path.append(str(Path(__file__).resolve().parents[1] / "devices"))

from pretend import FailingDevice, Signalling, time_is_up  # noqa: E402

pytest.importorskip("pyopencl")

from alpyna_hook.devices import opencl, program  # noqa: E402
from alpyna_hook.devices.base import Kernel, NoCache  # noqa: E402
from alpyna_hook.devices.memory import Pool  # noqa: E402
from alpyna_hook.devices.run import ResultsLost  # noqa: E402
from alpyna_hook.ir.abi import DEVICE_FAILED  # noqa: E402
from alpyna_hook.specialisation import Specialisation  # noqa: E402
from alpyna_hook.transform import device as transform  # noqa: E402

ITEM_BYTES = 64  # blocks of 256 elements for 32 work items

DIVIDE = """\
for i in range(2, n):
    b[i - 1] = a[i] // c[i] + b[i - 1]
"""
ROWS = """\
for i in range(n):
    for j in range(m):
        if a[i, j] > 0.25:
            b[i + 1, j] = b[i + 1, j] + a[i, j] * c[i]
"""
NARROW = """\
for i in range(n):
    b[i] = a[i] * c[i]
    d[i, 0] = d[i, 1] + c[i]
"""
INTERIOR = """\
for i in range(1, n - 1):
    for j in range(2, m - 1):
        b[i - 1, j - 1] = a[i - 1, j] + a[i + 1, j] * c[i]
"""
DEEP = """\
for i in range(n):
    for j in range(m):
        for k in range(1, 3):
            b[i, j, k - 1] = b[i, j, k - 1] * c[i]
"""
GAPS = """\
for i in range(n):
    for j in range(0, m, 2):
        b[i, j] = b[i, j] * c[i]
"""
COLUMN = """\
for i in range(n):
    b[i, m - 1] = c[i] * b[i, 0]
"""
TRIANGLE = """\
for i in range(n):
    for j in range(i % m + 1):
        b[i, j] = b[i, j] - c[i]
"""
TEXTS = (DIVIDE, ROWS, NARROW, INTERIOR, DEEP, GAPS, COLUMN, TRIANGLE)
BOUNDS = {DIVIDE: "2, n", INTERIOR: "1, n - 1"}
BY_ELEMENT = {DIVIDE: "b", NARROW: "bd", INTERIOR: "b", DEEP: "b", COLUMN: "b"}  # arrays that are not saved by rows


@pytest.fixture(scope="module")
def cpu() -> Any:
    device = opencl.open_device(NoCache())
    if isinstance(device, str) or not device.shares_memory:
        pytest.skip("no OpenCL device that is a CPU")
    return device


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transform, "ITEM_BYTES", ITEM_BYTES)


def values(text: str, bad: int | None = None) -> dict[str, Any]:
    """Live-ins of one of the texts; iteration `bad` faults."""
    rng = np.random.default_rng(1)
    if text is DIVIDE:
        given = {"n": 5000, "a": rng.integers(0, 99, 5000), "b": rng.integers(0, 99, 5000), "c": np.full(5000, 3)}
    elif text is ROWS:
        given = {"n": 700, "m": 31, "a": rng.random((700, 31)), "b": rng.random((702, 31)), "c": rng.random(700)}
        given["a"][:, 3] = 0.5
    elif text is DEEP:
        given = {"n": 900, "m": 7, "b": rng.random((900, 7, 4)), "c": rng.random(900)}
    elif text in (INTERIOR, GAPS, COLUMN, TRIANGLE):
        given = {"n": 800, "m": 31, "a": rng.random((800, 31)), "b": rng.random((800, 33)), "c": rng.random(800)}
        if text is not INTERIOR:
            del given["a"]
    else:
        given = {"n": 4000, **{name: rng.random(4000) for name in "abc"}, "d": rng.random((4000, 2))}
    if bad is not None:
        given["c"][bad] = 0 if text is DIVIDE else np.inf
    return given


def after(text: str, given: dict[str, Any], trips: int) -> dict[str, Any]:
    """The arrays as CPython has them after so many iterations of the outermost loop."""
    names = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in given.items()}
    rest = text.partition("\n")[2]
    exec(f"for i in range({BOUNDS.get(text, 'n')})[:{trips}]:\n{rest}", names)
    return {n: names[n] for n in given if isinstance(given[n], np.ndarray)}


def load(text: str, given: dict[str, Any], device: Any) -> tuple[Kernel, Specialisation]:
    if "for j" in text:  # in a function, where nobody asks for j afterwards
        text = "def f(a, b, c, n, m):\n" + textwrap.indent(text, "    ")
    spec = specialised_site(nest_of(text), "opencl:rows", given, tuple(text.splitlines()), restartable=True)
    assert isinstance(spec, Specialisation) and "opencl" in spec.sources, spec
    types = {x.name: dict(spec.nest.types)[x.name] for x in spec.nest.live_ins}
    pool = Pool(device.allocate, device.release)
    kernel = program.load("m:1", spec.sources["opencl"], types, spec.disjoint, device, pool)
    assert isinstance(kernel, Kernel), kernel
    return kernel, spec


def call(kernel: Kernel, spec: Specialisation, given: dict[str, Any]) -> tuple[int, int, int]:
    """(return code, its detail, trips that the resume record says), as the guard would call it."""
    slots = struct.pack("=q", 2)
    for param in spec.sources["opencl"].params:
        value = given.get(param.name)
        if param.kind == "fp_mask":
            slots += struct.pack("=q", 13)
        elif isinstance(value, np.ndarray):
            strides = [stride // value.itemsize for stride in value.strides]
            slots += struct.pack(f"=Q{2 * value.ndim}q", value.ctypes.data, *value.shape, *strides)
        elif value is not None:
            slots += struct.pack("=q", value)
    source = spec.sources["opencl"]
    out = ctypes.create_string_buffer(b"\xff" * 8 * source.out_slots)
    buffer = ctypes.create_string_buffer(slots, len(slots))
    assert kernel.device is not None
    code = kernel.device(ctypes.addressof(buffer), ctypes.addressof(out))
    detail, done = (struct.unpack_from("=q", out, 8 * slot)[0] for slot in (0, source.record + 1))
    return code, detail, done


def assert_same(given: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, array in expected.items():
        assert given[name].tobytes() == array.tobytes(), name


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("where", [None, 0, 0.1, 0.5, 1.0])
def test_the_arrays_hold_what_is_done(cpu: Any, text: str, where: float | None) -> None:
    first, trips = {DIVIDE: (2, 4998), INTERIOR: (1, 798)}.get(text, (0, values(text)["n"]))
    bad = None if where is None else min(int(where * trips), trips - 1)
    given = values(text, None if bad is None else first + bad)
    before = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in given.items()}
    kernel, spec = load(text, given, cpu)
    assert spec.sources["opencl"].resume
    by_rows = re.findall(r"(\w)_saved\[alp_e", spec.sources["opencl"].text)
    assert set(re.findall(r"(\w)_saved\[", spec.sources["opencl"].text)) - set(by_rows) == set(BY_ELEMENT.get(text, ""))
    code, _, done = call(kernel, spec, given)
    if bad is None:
        assert code == 0
        assert_same(given, after(text, before, trips))
    elif code == 2:
        assert bad < 300
        assert_same(given, after(text, before, 0))
    else:
        assert code == 3 and 0 < done <= bad < done + 300
        assert_same(given, after(text, before, done))


def test_of_arrays_that_lie_backwards_and_others_none_is_written_half_way(cpu: Any) -> None:
    given = {"n": 4000, "a": np.ones(4000), "b": np.zeros(4000), "c": np.ones(4000), "d": np.zeros((4000, 2))[:, ::-1]}
    given["c"][3000] = np.inf
    before = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in given.items()}
    kernel, spec = load(NARROW, given, cpu)
    assert call(kernel, spec, given)[0] == 2
    assert_same(given, after(NARROW, before, 0))


def test_arrays_that_lie_backwards_are_written_when_all_is_done(cpu: Any) -> None:
    for bad in (None, 2500):
        given = values(DIVIDE, bad)
        given["b"] = given["b"][::-1]
        before = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in given.items()}
        kernel, spec = load(DIVIDE, given, cpu)
        assert call(kernel, spec, given)[0] == (0 if bad is None else 2)
        assert_same(given, after(DIVIDE, before, 4998 if bad is None else 0))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("operation", ["wrap", "launch", "finish", "unwrap", "release", "download"])
@pytest.mark.parametrize("nth", [1, 2, 5])
def test_a_device_that_fails_leaves_a_state_that_is_known(cpu: Any, operation: str, nth: int, backwards: bool) -> None:
    given = values(DIVIDE, 3000)
    given["b"] = given["b"][::-1] if backwards else given["b"]
    before = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in given.items()}
    kernel, spec = load(DIVIDE, given, FailingDevice(cpu, operation, nth))
    code, detail, done = call(kernel, spec, given)
    if code == 1 and isinstance(kernel.keep.pending, ResultsLost):
        assert operation in ("finish", "unwrap")
    elif code == 1:
        assert detail == DEVICE_FAILED and kernel.keep.failure
        assert_same(given, after(DIVIDE, before, 0))
    else:
        assert code == (2 if backwards else 3)
        assert_same(given, after(DIVIDE, before, done if code == 3 else 0))
        assert bool(kernel.keep.failure) == (operation == "launch" and 0 <= done < 2900)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no such signal on this platform")
@pytest.mark.parametrize("operation", ["wrap", "launch", "finish", "unwrap", "release"])
@pytest.mark.parametrize("nth", [1, 3, 7])
def test_an_interrupted_loop_has_done_whole_blocks(cpu: Any, operation: str, nth: int) -> None:
    before = signal.signal(signal.SIGALRM, time_is_up)
    try:
        given = values(DIVIDE)
        held = {n: v.copy() if isinstance(v, np.ndarray) else v for n, v in given.items()}
        kernel, spec = load(DIVIDE, given, Signalling(cpu, operation, nth, for_good=False))
        code, detail, _ = call(kernel, spec, given)
    finally:
        signal.signal(signal.SIGALRM, before)
    if code == 1:
        assert detail == DEVICE_FAILED and isinstance(kernel.keep.pending, TimeoutError) and not kernel.keep.failure
        states = [after(DIVIDE, held, done)["b"].tobytes() for done in (*range(0, 4998, 256), 4998)]
        assert given["b"].tobytes() in states
    else:
        assert code == 0
        assert_same(given, after(DIVIDE, held, 4998))
