"""Arrays stay on the device between calls, and only there where that is proved: on a pretended CUDA driver with memory
of its own, which counts what is copied and refuses freed memory."""

from __future__ import annotations

import itertools
import signal
from collections.abc import Iterator
from typing import Any

import numpy as np
import pretend
import pytest
from fake_pycuda import FakeCuda
from pretend import DISJOINT, DRIVER, FUNCTIONS, SIMPLE_DRIVER, TYPES, FailingDevice, call
from test_program import MemoryCache, arrays

from alpyna_hook import settings
from alpyna_hook.devices import cuda, cudacc, opened, program, resident, staging
from alpyna_hook.devices.base import Kernel
from alpyna_hook.devices.memory import Pool
from alpyna_hook.devices.resident import Residents


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(cudacc, "compile_text", lambda text, capability: b"machine code")
    before = settings.current()
    settings.use(before.replace(log="off", threads=2))
    yield
    settings.use(before)


class Machine:
    """A pretended GPU, and kernels on it that share its memory as those of one process do."""

    def __init__(self, budget: int = 1 << 24, room: int = 1 << 30) -> None:
        self.fake = FakeCuda(FUNCTIONS, room)
        self.fake.init()
        self.device: Any = cuda.CudaDevice(self.fake, 0, MemoryCache())
        self.pool = Pool(self.device.allocate, self.device.release)
        self.residents = Residents(self.device, self.pool, budget)

    def load(self, driver: str = SIMPLE_DRIVER, device: Any = None, **options: Any) -> Kernel:
        source = pretend.source(driver, **options)
        kernel = program.load("m:1", source, TYPES, DISJOINT, device or self.device, self.pool, self.residents)
        assert isinstance(kernel, Kernel)
        return kernel

    def sent(self) -> list[int]:
        """Bytes of each copy to the device since the last time."""
        found, self.fake.sent = self.fake.sent, []
        return found

    def saxpy(self, kernel: Kernel, a: float, x: Any, y: Any, z: Any) -> list[int]:
        """Calls the kernel, which must give what NumPy gives; what was sent."""
        self.sent()
        expected = a * x + y
        assert call(kernel, a, x, y, z)[0] == 0
        assert y.tobytes() == expected.tobytes()
        return self.sent()


def test_a_second_call_sends_nothing_and_one_of_another_loop_neither() -> None:
    machine = Machine()
    one, other = machine.load(), machine.load()
    x, y, z = arrays()
    assert machine.saxpy(one, 2.0, x, y, z) == [8000, 8000]
    assert machine.saxpy(one, 3.0, x, y, z) == []
    assert machine.saxpy(other, 4.0, x, y, z) == []
    assert machine.saxpy(other, 4.0, z, y, x) == [8000]  # which loops have not seen yet


def test_after_a_write_of_one_element_one_piece_is_sent() -> None:
    machine = Machine()
    kernel = machine.load()
    n = 37 * staging.PIECE // 16  # eighteen pieces and a half
    x, y, z = arrays(n)
    assert sum(machine.saxpy(kernel, 2.0, x, y, z)) == 16 * n
    x[n // 2] = 7.0
    assert machine.saxpy(kernel, 2.0, x, y, z) == [staging.PIECE]
    y[-1] = 7.0
    assert machine.saxpy(kernel, 2.0, x, y, z) == [staging.PIECE // 2]
    x[:] = 1.0
    assert machine.saxpy(kernel, 2.0, x, y, z) == [b - a for a, b in staging.pieces(8 * n)]  # neighbours go together


@pytest.mark.parametrize("step", [1, -1, 3])
def test_bits_are_compared_and_not_values(step: int) -> None:
    machine = Machine()
    kernel = machine.load()
    x, y, z = arrays(step=step)
    x[:] = np.nan
    y[:] = 0.0
    assert machine.saxpy(kernel, 1.0, x, y, z) == [8000, 8000]
    assert machine.saxpy(kernel, 1.0, x, y, z) == []  # the same NaNs
    x[:] = 0.0
    y[:] = -0.0
    machine.saxpy(kernel, 1.0, x, y, z)
    x[:] = -0.0
    y[:] = -0.0
    assert machine.saxpy(kernel, 1.0, x, y, z) == [8000, 8000]  # equal values, other bits
    assert np.signbit(y).all()


def test_writes_through_other_views_and_new_arrays_in_old_memory_are_seen() -> None:
    machine = Machine()
    kernel = machine.load()
    memory = np.random.default_rng(0).random(4000)
    y, z = np.ones(1000), np.zeros(1000)
    machine.saxpy(kernel, 2.0, memory[:1000], y, z)
    memory[::-1][3500] = 5.0
    assert machine.saxpy(kernel, 2.0, memory[:1000], y, z) == [8000]
    assert machine.saxpy(kernel, 2.0, memory[:2000:2], y, z) == [8000]  # another layout of the same memory
    machine.saxpy(kernel, 2.0, y, memory[:2000:2], z)  # writes through that layout
    assert machine.saxpy(kernel, 2.0, memory[:1000], y, z) == [8000]
    other = memory[:1000].view(np.int64).view(np.float64)
    assert machine.saxpy(kernel, 2.0, other, y, z) == []


def test_any_order_of_calls_writes_views_and_faults_gives_the_right_results() -> None:
    rng = np.random.default_rng(5)
    machine = Machine(budget=40_000)
    simple, checked = machine.load(), machine.load(DRIVER)
    memory = [rng.random(1200) for _ in range(3)]
    for _ in range(400):
        step = int(rng.choice([1, 2, -1, -3]))
        n, start = int(rng.integers(1, 300)), int(rng.integers(0, 10))
        x, y, z = (memory[k][start:][: n * abs(step)][::step][:n] for k in rng.permutation(3))
        if rng.random() < 0.5:
            memory[rng.integers(3)][rng.integers(0, 300)] = rng.random()
        if rng.random() < 0.3:
            x[rng.integers(0, n)] = -1.0
        before, expected = [m.copy() for m in memory], 0.5 * x + y
        kernel = simple if rng.random() < 0.5 else checked
        rc, _out = call(kernel, 0.5, x, y, z)
        if kernel is checked and (x < 0).any():
            assert rc == 2 and all(np.array_equal(a, b) for a, b in zip(memory, before))
        else:
            assert rc == 0 and np.array_equal(y, expected)
            assert kernel is simple or np.array_equal(z, x)
        for m in memory:
            np.abs(m, out=m)


@pytest.mark.parametrize(
    "operation", ["send", "fetch", "upload", "download", "launch", "finish", "allocate", "locked"]
)  # fmt: skip
@pytest.mark.parametrize("error", [None, KeyboardInterrupt()])
def test_after_a_failure_nothing_is_believed_to_be_there(
    operation: str, error: BaseException | None, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    if operation in ("send", "fetch", "locked"):
        monkeypatch.setattr(staging, "STAGED", 1 << 10)
        monkeypatch.setattr(staging, "LEAST", 1 << 8)
    for nth, after in itertools.product((1, 2, 3), (False, True)):
        machine = Machine()
        failing = FailingDevice(machine.device, operation, nth, error=error, for_good=False, after=after)
        machine.pool._allocate = failing.allocate
        machine.residents._device = machine.residents.staging._device = failing
        kernel = machine.load(device=failing)
        x, y, z = arrays(300)
        for _ in range(4):
            before, expected = y.copy(), 2.0 * x + y
            rc, _out = call(kernel, 2.0, x, y, z)
            pending, kernel.keep.pending = kernel.keep.pending, None  # as if it had come behind the loop
            after_it = pending is not None and np.array_equal(y, expected)
            assert after_it or np.array_equal(y, expected if rc == 0 else before)
            assert rc == 0 or not machine.residents._kept
            assert all(one.spare is None for one in machine.residents._kept.values())
            x[7] += 1.0


def test_a_fault_leaves_a_copy_that_is_not_used() -> None:
    machine = Machine()
    kernel = machine.load(DRIVER)
    x, y, z = arrays()
    assert call(kernel, 2.0, x, y, z)[0] == 0
    x[3] = -1.0
    before = y.copy()
    assert call(kernel, 2.0, x, y, z)[0] == 2 and np.array_equal(y, before)
    x[3] = 1.0
    machine.sent()
    expected = 2.0 * x + y
    assert call(kernel, 2.0, x, y, z)[0] == 0
    assert np.array_equal(y, expected) and np.array_equal(z, x)
    assert machine.sent() == [8000, 8000]  # x, of which an element has changed; y, which the kernels wrote


def test_copies_keep_within_their_budget_and_the_oldest_goes_first() -> None:
    machine = Machine(budget=5 * 8000)
    kernel = machine.load()
    y, z, *xs = (np.random.default_rng(k).random(1000) for k in range(7))
    for x in xs:
        machine.saxpy(kernel, 1.0, x, y, z)
        assert sum(one.size for one in machine.residents._kept.values()) <= 5 * 8000
    assert machine.saxpy(kernel, 1.0, xs[4], y, z) == []
    assert machine.saxpy(kernel, 1.0, xs[0], y, z) == [8000]
    big = arrays(10_000)
    for _ in range(2):
        assert machine.saxpy(kernel, 1.0, *big) == [80_000, 80_000]  # no budget would do


def test_the_copies_of_one_run_keep_within_the_budget_together() -> None:
    machine = Machine(budget=12_000)
    kernel = machine.load()
    x, y, z = arrays()
    machine.saxpy(kernel, 1.0, x, y, z)
    assert [one.size for one in machine.residents._kept.values()] == [8000]
    assert sum(machine.saxpy(kernel, 1.0, x, y, z)) == 8000


def test_copies_too_large_for_the_pool_make_room_on_the_device() -> None:
    machine = Machine(room=150_000)
    machine.pool._kept = 20_000
    kernel = machine.load()
    for seed in range(3):
        machine.saxpy(kernel, 1.0, *arrays(7000, seed=seed))
    assert kernel.keep.failure == ""


def test_a_signal_while_copies_are_given_up_reaches_the_program() -> None:
    machine = Machine()
    machine.saxpy(machine.load(), 1.0, *arrays())
    machine.residents._device = pretend.Signalling(machine.device, "finish", after=True)
    before = signal.signal(signal.SIGALRM, pretend.time_is_up)
    try:
        with machine.device.current(), pytest.raises(TimeoutError):
            machine.residents.forget()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert not machine.residents._kept


def test_arrays_that_come_and_go_do_not_pin_more_and_more_memory() -> None:
    machine = Machine(budget=8 << 20)
    kernel = machine.load()
    alive = []
    for k in range(12):
        alive.append(arrays(1 << 17, seed=k))
        machine.saxpy(kernel, 1.0, *alive[-1])
    assert machine.fake.locked == [staging.MOST] * staging.SLOTS
    assert machine.residents._shadows._free_bytes <= 8 << 20


def test_copies_that_nobody_used_for_long_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    kernel = machine.load()
    now = [1000.0]
    monkeypatch.setattr(resident.time, "monotonic", lambda: now[0])
    x, y, z = arrays()
    machine.saxpy(kernel, 2.0, x, y, z)
    for _ in range(40):  # in use, however long
        now[0] += 1.0
        assert machine.saxpy(kernel, 2.0, x, y, z) == []
    now[0] += 100.0
    assert machine.saxpy(kernel, 2.0, x, y, z) == [8000]  # y; x was claimed before anything was given up
    large = 16 << 20  # bytes, which stay for longer
    a, b, _ = arrays(large // 8)
    machine.residents._budget = 1 << 30
    machine.saxpy(kernel, 2.0, a, b, b)
    assert len(machine.residents._kept) == 4
    now[0] += resident.IDLE_S + 0.5 * resident.SHARE * large / resident.SEND_RATE
    other, more, _ = arrays(500)
    machine.saxpy(kernel, 2.0, other, more, z)
    assert {one.size for one in machine.residents._kept.values()} == {4000, large}
    now[0] += resident.IDLE_S + resident.SHARE * large / resident.SEND_RATE
    machine.saxpy(kernel, 2.0, other, more, z)
    assert {one.size for one in machine.residents._kept.values()} == {4000}
    assert machine.fake.allocations  # the pool's, to be used again


def test_an_array_in_the_memory_of_one_that_is_gone_is_not_taken_for_it() -> None:
    machine = Machine()
    kernel = machine.load()
    seen: dict[int, int] = {}
    y, z = np.zeros(1 << 15), np.zeros(1 << 15)
    for k in range(20):
        x = np.full(1 << 15, float(k))
        x[k] = -1.0
        seen[x.ctypes.data] = seen.get(x.ctypes.data, 0) + 1
        y[:] = 0.0
        machine.saxpy(kernel, 2.0, x, y, z)  # which looks at the results
        assert y[k] == -2.0 and y[k - 1] == 2.0 * k
        del x
    assert max(seen.values()) > 1, "the allocator gave no memory twice"


def test_arrays_on_the_device_can_be_resized_by_the_program() -> None:
    """NumPy refuses that if anything refers to them."""
    machine = Machine()
    kernel = machine.load()
    x, y, z = (np.ones(1000) for _ in range(3))
    machine.saxpy(kernel, 2.0, x, y, z)
    x.resize(1200, refcheck=False)
    assert x[:1000].sum() == 1000.0 and x[1000:].sum() == 0.0
    machine.saxpy(kernel, 2.0, x, np.zeros(1200), np.zeros(1200))


def test_a_full_device_gives_up_copies_before_it_gives_up_the_call() -> None:
    machine = Machine(room=100_000)
    kernel = machine.load()
    first, second = arrays(4000, seed=1), arrays(4500, seed=2)
    machine.saxpy(kernel, 1.0, *first)
    machine.saxpy(kernel, 1.0, *second)
    assert kernel.keep.failure == ""
    assert machine.saxpy(kernel, 1.0, *second) == []
    assert sum(machine.saxpy(kernel, 1.0, *first)) == 64_000


def test_two_names_of_one_array_that_is_only_read_share_a_copy() -> None:
    machine = Machine()
    kernel = machine.load()
    kernel.keep._program = program.DeviceProgram(
        *(getattr(kernel.keep._program, f) for f in ("style", "kernels", "driver", "inputs")), ("x", "z"), ("y",)
    )
    x, y, _ = arrays()
    assert machine.saxpy(kernel, 1.0, x, y, x) == [8000, 8000]


@pytest.mark.parametrize("operation", ["send", "fetch", "launch", "finish"])
@pytest.mark.parametrize("step", [1, -2])
def test_arrays_without_shadows_come_and_go_or_are_as_before(
    operation: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(staging, "STAGED", 1 << 10)
    monkeypatch.setattr(staging, "LEAST", 1 << 8)
    for driver, nth, after in itertools.product((SIMPLE_DRIVER, DRIVER), range(1, 40), (False, True)):
        machine = Machine(budget=0)
        failing = FailingDevice(machine.device, operation, nth, for_good=False, after=after)
        machine.residents._device = machine.residents.staging._device = failing
        kernel = machine.load(driver, device=failing)
        x, y, z = arrays(700, step=step)
        before, expected = y.copy(), 2.0 * x + y
        rc, _out = call(kernel, 2.0, x, y, z)
        assert np.array_equal(y, expected if rc == 0 else before) and not machine.residents._kept
        assert rc != 0 or driver is SIMPLE_DRIVER or np.array_equal(z, x)
        if not failing.failed:
            break
        assert call(kernel, 2.0, x, y, z)[0] == 0
    assert nth > 1 and rc == 0


def test_large_shadows_are_not_of_the_memory_that_arrays_come_from() -> None:
    """The array of the next turn of a loop is to lie where that of this one was."""
    machine = Machine()
    kernel = machine.load()
    x, y, z = arrays(staging.STAGED // 8)
    machine.saxpy(kernel, 1.0, x, y, z)
    for one in machine.residents._kept.values():
        assert one.shadow[1].base is not None and one.before.nbytes == staging.STAGED


def test_results_arrive_beside_the_shadow_that_is_the_way_back() -> None:
    machine = Machine()
    kernel = machine.load()
    x, y, z = arrays()
    machine.saxpy(kernel, 2.0, x, y, z)
    one = next(r for r in machine.residents._kept.values() if r.key[0] == y.ctypes.data)
    first = one.shadow
    machine.saxpy(kernel, 2.0, x, y, z)
    assert one.shadow is not first and one.spare is None and one.sound
    assert one.before.tobytes() == y.tobytes()


def test_all_is_given_back_in_the_end() -> None:
    machine = Machine()
    kernel = machine.load(DRIVER)
    before = dict(opened._opened)
    try:
        opened._opened["cuda"] = opened.Opened(machine.device, machine.pool, machine.residents)
        x, y, z = arrays()
        assert call(kernel, 1.0, x, y, z)[0] == 0 and machine.fake.allocations
        opened.close()
        assert machine.fake.allocations == {} and machine.fake.retained == 0
    finally:
        opened._opened.clear()
        opened._opened.update(before)


def test_a_lost_device_is_left_alone_at_the_end() -> None:
    machine = Machine()
    kernel = machine.load()
    before = dict(opened._opened)
    try:
        opened._opened["cuda"] = opened.Opened(machine.device, machine.pool, machine.residents)
        x, y, z = arrays()
        assert call(kernel, 1.0, x, y, z)[0] == 0
        machine.device.failure = "lost"
        kept = dict(machine.fake.allocations)
        opened.close()
        assert machine.fake.allocations == kept
    finally:
        opened._opened.clear()
        opened._opened.update(before)


def test_budgets_are_shares_of_both_memories() -> None:
    machine = Machine(room=1 << 20)
    assert resident.budget_of(machine.device) == 1 << 18
    assert 1 << 28 < resident.host_memory() < 1 << 50


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no such signal on this platform")
def test_a_pool_does_not_take_what_a_signal_handler_raises_for_a_lack_of_memory() -> None:
    def late(number: int, frame: Any) -> None:
        raise TimeoutError

    sizes: list[int] = []

    def allocate(size: int) -> object:
        sizes.append(size)
        if len(sizes) == 2:
            signal.raise_signal(signal.SIGALRM)
        return object()

    pool = Pool(allocate, lambda buffer: None)
    pool.give(pool.take(1000))
    before = signal.signal(signal.SIGALRM, late)
    try:
        with pytest.raises(TimeoutError):
            pool.take(5000)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert len(sizes) == 2
