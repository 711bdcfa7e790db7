"""Which OpenCL device is taken, and what is expected of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alpyna_hook.devices import opencl, opened
from alpyna_hook.devices.base import NoCache

CPU, GPU = 2, 4


class Error(Exception):
    pass


def device(name: str, kind: int, units: int, double: int = 63, single: int = 191) -> Any:
    return SimpleNamespace(
        name=name, type=kind, max_compute_units=units, double_fp_config=double, single_fp_config=single, available=True,
        compiler_available=True, extensions="cl_khr_fp64 cl_khr_int64_base_atomics" if double else "cl_khr_icd",
        platform=SimpleNamespace(name="Platform of " + name),
    )  # fmt: skip


def package(*devices: Any) -> Any:
    def none() -> Any:
        raise Error("DEVICE_NOT_FOUND")

    empty = SimpleNamespace(get_devices=none)
    platforms = [empty, *(SimpleNamespace(get_devices=lambda d=d: [d]) for d in devices)]
    return SimpleNamespace(
        get_platforms=lambda: platforms, Error=Error, device_type=SimpleNamespace(CPU=CPU, GPU=GPU),
        device_fp_config=SimpleNamespace(DENORM=1, CORRECTLY_ROUNDED_DIVIDE_SQRT=128),
    )  # fmt: skip


HOST, BIG, SMALL = device("host", CPU, 64), device("big gpu", GPU, 80), device("small gpu", GPU, 8)
SINGLE = device("graphics", GPU, 100, double=0, single=6)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(opencl.CHOICE, raising=False)
    monkeypatch.delenv("PYOPENCL_CTX", raising=False)


@pytest.mark.parametrize(
    "devices, best", [((HOST, SMALL, BIG), BIG), ((HOST, SINGLE), HOST), ((SINGLE,), SINGLE), ((HOST,), HOST)]
)
def test_a_gpu_with_double_precision_comes_first(devices: tuple[Any, ...], best: Any) -> None:
    assert opencl._choose(package(*devices)) is best


@pytest.mark.parametrize("wanted, chosen", [("0", HOST), ("2", BIG), ("SMALL", SMALL), ("platform of host", HOST)])
def test_the_user_can_name_one_of_two(monkeypatch: pytest.MonkeyPatch, wanted: str, chosen: Any) -> None:
    monkeypatch.setenv(opencl.CHOICE, wanted)
    assert opencl._choose(package(HOST, SMALL, BIG)) is chosen


def test_a_name_that_fits_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(opencl.CHOICE, "nothing")
    assert opencl._choose(package(HOST, BIG)) == "ALPYNA_OPENCL_DEVICE='nothing' fits none of 0: host, 1: big gpu"


def test_pyopencls_own_variable_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOPENCL_CTX", "1")
    found = package(HOST, BIG)
    found.create_some_context = lambda interactive: SimpleNamespace(devices=[HOST])
    assert opencl._choose(found) is HOST


def test_pyopencls_own_variable_is_named_if_it_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOPENCL_CTX", "5")
    found = package(HOST)

    def fail(interactive: bool) -> None:
        raise RuntimeError("input did not match any platform")

    found.create_some_context = fail
    assert opencl._choose(found) == "PYOPENCL_CTX='5' names no device (input did not match any platform)"


def test_without_devices_or_without_pyopencl_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opencl._choose(package()) == "there is no OpenCL device"
    monkeypatch.setitem(sys.modules, "pyopencl", None)
    assert "PyOpenCL cannot be imported" in str(opencl.open_device(NoCache()))


OPENS = """\
import signal
for number in (signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda *given: print("handled"))
from alpyna_hook.devices import opencl
from alpyna_hook.devices.base import NoCache
device = opencl.open_device(NoCache())
for number in (signal.SIGUSR1, signal.SIGUSR2):
    signal.raise_signal(number)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signal on this platform")
def test_opening_a_device_leaves_the_programs_signal_handlers_alone() -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", OPENS], cwd=root, capture_output=True, text=True, timeout=100)
    assert (done.stdout.count("handled"), done.stderr) == (2, "")


def test_what_a_device_lacks_is_said() -> None:
    assert opencl._abilities(package(), HOST) == {"fp64", "denorm32", "div32", "atomics64"}
    assert opencl._abilities(package(), SINGLE) == frozenset()
    single = SimpleNamespace(abilities=opencl._abilities(package(), SINGLE))
    found = opened.Opened(single, None)  # type: ignore[arg-type]
    assert opened.unmet(found, ()) == ""
    assert opened.unmet(found, ("fp64",)) == "it has no double precision"


@pytest.mark.skipif(find_spec("pyopencl") is None, reason="PyOpenCL is not installed")
def test_importing_pyopencl_leaves_the_environment_alone() -> None:
    code = "import os; from alpyna_hook.devices import opencl; opencl._import(); print('PYOPENCL_HOME' in os.environ)"
    environ = {k: v for k, v in os.environ.items() if k != "PYOPENCL_HOME"}
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environ, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_launches_beside_each_other_wait_for_copies_that_are_on_their_way() -> None:
    pytest.importorskip("pyopencl")
    import numpy as np

    from alpyna_hook.ir.plan import DeviceKernel

    device = opencl.open_device(NoCache())
    if isinstance(device, str) or device._unordered is None:
        pytest.skip("no OpenCL device with a queue that keeps no order")
    head = "__kernel void add(__global const double *a, __global double *b)"
    text = head + " { size_t i = get_global_id(0); b[i] = a[i] + 1.0; }"
    ((add,), _) = device.build(text, (DeviceKernel("add", ("buffer", "buffer"), 1, ()),))
    n = 1 << 22
    given, taken = np.arange(float(n)), np.zeros(n)
    source, target = device.allocate(8 * n), device.allocate(8 * n)
    for _ in range(5):
        device.upload(source, np.zeros(n))
        device.finish()
        arrived = device.send(source, 0, given)
        device.launch(add, (n // 64,), (64,), (source, target), after=[])
        device.finish()
        arrived()
        device.download(taken, target)
        assert (taken == given + 1.0).all()
    device.release(source)
    device.release(target)
    device.close()
