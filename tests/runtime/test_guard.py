"""The site guard, C extension and pure-Python twin against the same cases."""

from __future__ import annotations

import _thread
import ctypes
import gc
import math
import operator
import random
import signal
import subprocess
import sys
import threading
import tracemalloc
import weakref
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from alpyna_hook.ir.abi import RESUME_SLOTS
from alpyna_hook.runtime.guard import MAX_OUT

F64, I64 = np.dtype("d").num, np.dtype("l").num
MISS = "slow"


def site_of(guard: Any, *entries: Any) -> Any:
    """A site whose slow path answers MISS; the first entry is the first tried."""
    site = guard.Site("m:1", lambda args: MISS)
    for entry in reversed(entries):
        site.install(entry)
    return site


def echo_site(guard: Any, kernel: Any, params: list[Any], kinds: list[str], **options: Any) -> Any:
    """A site that returns its input slots from slot 2 on, read as `kinds` (slot 1 is their number)."""
    outs = [((kind,), 1 + k, -1, -1) for k, kind in enumerate(kinds)]
    count = (-1, (), ("const", len(kinds)))
    return site_of(guard, guard.Entry([count, *params], kernel("echo"), outs=outs, **options))


# ---- what matches, and what the kernel then sees ----

SCALARS = [
    (("int",), 5, "int"),
    (("int",), -(2**63), "int"),
    (("int",), 2**63 - 1, "int"),
    (("float",), -0.0, "float"),
    (("float",), math.inf, "float"),
    (("bool",), True, "bool"),
    (("bool",), False, "bool"),
    (("np", np.dtype(np.bool_).num), np.True_, f"np:{np.dtype(np.bool_).num}"),
    *(
        (("np", np.dtype(cls).num), cls(-3), f"np:{np.dtype(cls).num}")
        for cls in (np.byte, np.short, np.intc, np.long, np.longlong, np.single, np.double)
    ),
    *(
        (("np", np.dtype(cls).num), cls(np.iinfo(cls).max), f"np:{np.dtype(cls).num}")
        for cls in (np.ubyte, np.ushort, np.uintc, np.ulong, np.ulonglong)
    ),
]  # fmt: skip


@pytest.mark.parametrize(("check", "value", "kind"), SCALARS)
def test_a_scalar_goes_in_and_comes_back_with_its_class(
    guard: Any, kernel: Any, check: Any, value: Any, kind: str
) -> None:
    (result,) = echo_site(guard, kernel, [(0, (), check)], [kind])(value)
    assert type(result) is type(value)
    assert result == value and math.copysign(1, result) == math.copysign(1, value)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (("complex",), 1.5 - 2j),
        (("np", np.dtype(np.cdouble).num), np.cdouble(1.5 - 2j)),
        (("np", np.dtype(np.csingle).num), np.csingle(1.5 - 2j)),
    ],
)
def test_complex_takes_two_slots(guard: Any, kernel: Any, check: Any, value: Any) -> None:
    kind = "complex" if check == ("complex",) else f"np:{check[1]}"
    after = [(1, (), ("int",))]
    outs = [((kind,), 1, -1, -1), (("int",), 3, -1, -1)]
    entry = guard.Entry([(-1, (), ("const", 3)), (0, (), check), *after], kernel("echo"), outs=outs)
    result, last = site_of(guard, entry)(value, 77)
    assert type(result) is type(value) and result == value and last == 77


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (("int",), True),
        (("int",), 2**63),
        (("int",), -(2**63) - 1),
        (("int",), 1.0),
        (("int",), np.int64(1)),
        (("int",), type("I", (int,), {})(3)),
        (("float",), 1),
        (("float",), np.float64(1)),
        (("float",), type("F", (float,), {})(3)),
        (("bool",), 1),
        (("bool",), np.True_),
        (("complex",), 1.0),
        (("complex",), np.complex128(1)),
        (("np", F64), 1.0),
        (("np", F64), np.float32(1)),
        (("np", np.dtype("l").num), np.longlong(1)),
        (("np", F64), np.zeros(())),
        (("is", math.exp), math.sin),
    ],
)
def test_another_class_is_left_to_the_slow_path(guard: Any, kernel: Any, check: Any, value: Any) -> None:
    entry = guard.Entry([(0, (), check)], kernel("threads"))
    assert site_of(guard, entry)(value) == MISS
    assert entry.calls == 0


def test_identity_takes_no_slot(guard: Any, kernel: Any) -> None:
    site = echo_site(guard, kernel, [(0, (), ("is", math.exp)), (1, (), ("int",))], ["int"])
    assert site(math.exp, 4) == (4,)


def test_constants_up_to_unsigned_64_bits(guard: Any, kernel: Any) -> None:
    params = [(-1, (), ("const", -1)), (-1, (), ("const", 2**64 - 1)), (-1, (), ("const", -(2**63)))]
    site = echo_site(guard, kernel, params, ["int", f"np:{np.dtype(np.ulong).num}", "int"])
    assert site() == (-1, 2**64 - 1, -(2**63))


def test_too_few_arguments_do_not_match(guard: Any, kernel: Any) -> None:
    assert site_of(guard, guard.Entry([(1, (), ("int",))], kernel("threads")))(3) == MISS


def grid(*shape: int, dtype: Any = np.float64) -> Any:
    return np.arange(math.prod(shape)).astype(dtype).reshape(shape)


ARRAYS = [
    (("array", F64, 1, "C", True), grid(7), (7,), (1,)),
    (("array", F64, 2, "C", True), grid(3, 4), (3, 4), (4, 1)),
    (("array", F64, 2, "F", True), np.asfortranarray(grid(3, 4)), (3, 4), (1, 3)),
    (("array", F64, 2, "S", True), grid(3, 4), (3, 4), (4, 1)),
    (("array", F64, 2, "S", True), grid(6, 8)[::2, ::-1], (3, 8), (16, -1)),
    (("array", F64, 2, "S", True), grid(3, 4).T, (4, 3), (1, 4)),
    (("array", F64, 0, "C", True), np.full((), 2.0), (), ()),
    (("array", F64, 3, "C", False), grid(2, 1, 3), (2, 1, 3), (3, 3, 1)),
    (("array", F64, 2, "C", True), as_strided(grid(4), (1, 4), (24, 8)), (1, 4), (4, 1)),
    (("array", F64, 2, "S", False), np.broadcast_to(grid(4), (3, 4)), (3, 4), (0, 1)),
    (("array", np.dtype(np.csingle).num, 1, "S", True), grid(8, dtype=np.csingle)[1::3], (3,), (3,)),
    (("array", np.dtype(np.bool_).num, 1, "C", True), grid(3, dtype=np.bool_), (3,), (1,)),
]


@pytest.mark.parametrize(("check", "array", "dims", "strides"), ARRAYS)
def test_array_slots_are_pointer_dims_and_strides_in_elements(
    guard: Any, kernel: Any, check: Any, array: Any, dims: Any, strides: Any
) -> None:
    site = echo_site(guard, kernel, [(0, (), check)], ["int"] * (1 + 2 * check[2]))
    assert site(array) == (array.ctypes.data, *dims, *strides)


UNSUITABLE = {
    "a subclass": grid(3, 4).view(type("A", (np.ndarray,), {})),
    "swapped bytes": grid(3, 4).astype(">f8"),
    "misaligned": np.zeros(97, np.uint8)[1:].view(np.float64).reshape(3, 4),
    "another dtype": grid(3, 4, dtype=np.float32),
    "another ndim": grid(12),
    "no elements": np.zeros((3, 0)),
    "Fortran order": np.asfortranarray(grid(3, 4)),
    "strided": grid(6, 8)[::2, ::2],
    "a list": [[1.0]],
    "None": None,
}


@pytest.mark.parametrize("name", UNSUITABLE)
def test_an_unsuitable_array_is_left_to_the_slow_path(guard: Any, kernel: Any, name: str) -> None:
    entry = guard.Entry([(0, (), ("array", F64, 2, "C", True))], kernel("threads"))
    assert site_of(guard, entry)(UNSUITABLE[name]) == MISS


def test_a_strided_param_refuses_strides_that_split_elements(guard: Any, kernel: Any) -> None:
    column = np.zeros(4, np.dtype([("z", "c16"), ("x", "f8")]))["z"]
    assert column.flags.aligned and column.strides == (24,)
    entry = guard.Entry([(0, (), ("array", column.dtype.num, 1, "S", True))], kernel("threads"))
    assert site_of(guard, entry)(column) == MISS
    assert guard.describe(column) == ("other", "ndarray (strides)")


def test_a_c_contiguous_array_is_no_fortran_array(guard: Any, kernel: Any) -> None:
    entry = guard.Entry([(0, (), ("array", F64, 1, "F", True))], kernel("threads"))
    assert site_of(guard, entry)(grid(3)) == MISS


def test_a_read_only_array_matches_only_where_it_is_read(guard: Any, kernel: Any) -> None:
    array = grid(3)
    array.flags.writeable = False
    for writeable, expected in ((True, MISS), (False, ())):
        entry = guard.Entry([(0, (), ("array", F64, 1, "C", writeable))], kernel("threads"))
        assert site_of(guard, entry)(array) == expected


BASE = grid(12, 12)
DISTINCT = {
    "contiguous": BASE,
    "every other": BASE[::2, ::-3],
    "transposed block": BASE[2:5, 3:9].T,
    "one row of a broadcast": as_strided(grid(4), (1, 4), (0, 8)),
    "interleaved axes": as_strided(grid(40), (3, 4), (8, 24)),
    "no elements": as_strided(grid(4), (0, 4), (0, 0)),
    "no axes": np.full((), 1.0),
}
SELF_OVERLAPPING = {
    "stride 0": as_strided(grid(4), (3, 4), (0, 8)),
    "one element": as_strided(grid(1), (5, 5), (0, 0)),
    "windows": as_strided(grid(10), (7, 4), (8, 8)),
    "windows backwards": as_strided(grid(10)[::-1], (4, 4), (-16, -8)),
    "windows of columns": as_strided(grid(40), (3, 5), (8, 16)),
}


@pytest.mark.parametrize("name", DISTINCT)
def test_subscripts_of_ordinary_views_are_distinct_elements(guard: Any, kernel: Any, name: str) -> None:
    array = DISTINCT[name]
    assert guard.distinct(array) is True
    entry = guard.Entry([(0, (), ("array", F64, array.ndim, "S", True))], kernel("threads"))
    assert site_of(guard, entry)(array) == (() if array.size else MISS)


@pytest.mark.parametrize("name", SELF_OVERLAPPING)
def test_an_array_that_overlaps_itself_matches_only_where_it_is_read(guard: Any, kernel: Any, name: str) -> None:
    array = SELF_OVERLAPPING[name]
    assert guard.distinct(array) is False
    for writeable, expected in ((True, MISS), (False, ())):
        entry = guard.Entry([(0, (), ("array", F64, 2, "S", writeable))], kernel("threads"))
        assert site_of(guard, entry)(array) == expected


def test_distinct_is_never_claimed_of_an_array_that_overlaps_itself(guard: Any) -> None:
    pick = random.Random(3)
    base = np.arange(400, dtype=np.int16)
    claimed = 0
    for _ in range(500):
        shape = [pick.choice([1, 2, 3, 4]) for _ in range(pick.randrange(1, 4))]
        view = as_strided(base[200:], shape, [2 * pick.choice([0, 1, 2, 3, 4, 8, 12, -1, -4, -12]) for _ in shape])
        claim = guard.distinct(view)
        claimed += claim
        assert not claim or np.unique(view).size == view.size, (view.shape, view.strides)
    assert 100 < claimed < 450


@pytest.mark.parametrize("value", [None, [1.0], BASE.view(type("A", (np.ndarray,), {}))])
def test_distinct_takes_arrays(guard: Any, value: Any) -> None:
    with pytest.raises(TypeError):
        guard.distinct(value)


def test_thread_count_is_the_first_slot_and_can_be_changed(guard: Any, kernel: Any) -> None:
    entry = guard.Entry([], kernel("threads"), threads=6, outs=[(("int",), 1, -1, -1)])
    site = site_of(guard, entry)
    assert site() == (6,)
    entry.threads = 2
    assert site() == (2,)


# ---- ranges, values, aliases ----


def test_ranges_include_both_ends(guard: Any, kernel: Any) -> None:
    site = site_of(guard, guard.Entry([(0, (), ("int",))], kernel("threads"), ranges=[(1, 10, 20)]))
    assert [site(n) == () for n in (9, 10, 20, 21)] == [False, True, True, False]


def test_a_range_can_be_on_a_dim(guard: Any, kernel: Any) -> None:
    entry = guard.Entry([(0, (), ("array", F64, 2, "C", True))], kernel("threads"), ranges=[(3, 4, 4)])
    assert site_of(guard, entry)(grid(3, 4)) == ()
    assert site_of(guard, entry)(grid(4, 3)) == MISS


def test_a_value_must_be_equal(guard: Any, kernel: Any) -> None:
    site = site_of(guard, guard.Entry([(0, (), ("int",))], kernel("threads"), values=[(1, 3)]))
    assert site(3) == () and site(4) == MISS


SEPARATE = {
    "other memory": (grid(4, 4), grid(4, 4)),
    "rows": (BASE[:5], BASE[5:]),
    "odd and even": (BASE[0::2, :], BASE[1::2, :]),
    "interleaved columns": (BASE[:, 0::2], BASE[:, 1::2]),
    "interleaved backwards": (BASE[:, 0::2], BASE[::-1, ::-2]),
    "blocks of columns": (BASE[:, :5], BASE[:, 5:]),
    "blocks of rows and columns": (BASE[2:9, :5], BASE[1:12, 5:11]),
    "one column and another": (BASE[:, 3:4], BASE[:, 4:5]),
    "steps 2 and 4": (BASE[:, 0::2], BASE[:, 1::4]),
}
SHARED = {
    "shifted by one": (BASE[:-1], BASE[1:]),
    "row and block": (BASE[3:4], BASE[:, 2:]),
    "reversed": (BASE[:, 1:], BASE[:, :0:-1][::-1]),
    "column in block": (BASE[:, 4:5], BASE[:, 2:6]),
    "steps 2 and 3": (BASE[:, 0::2], BASE[:, 1::3]),
}


@pytest.mark.parametrize("name", SEPARATE)
def test_views_that_share_nothing_are_proved_disjoint(guard: Any, kernel: Any, name: str) -> None:
    a, b = SEPARATE[name]
    assert not np.shares_memory(a, b)
    assert guard.overlap(a, b) == guard.overlap(b, a) == "disjoint"
    params = [(k, (), ("array", F64, 2, "S", True)) for k in range(2)]
    entry = guard.Entry(params, kernel("threads"), disjoint=[(0, 1)])
    assert site_of(guard, entry)(a, b) == site_of(guard, entry)(b, a) == ()
    other = guard.Entry(params, kernel("threads"), overlapping=[(0, 1)])
    assert site_of(guard, other)(a, b) == site_of(guard, other)(b, a) == MISS


@pytest.mark.parametrize("name", SHARED)
def test_views_that_share_an_element_do_not_match(guard: Any, kernel: Any, name: str) -> None:
    a, b = SHARED[name]
    assert np.shares_memory(a, b)
    assert guard.overlap(a, b) == guard.overlap(b, a) == "overlap"
    params = [(k, (), ("array", F64, 2, "S", True)) for k in range(2)]
    entry = guard.Entry(params, kernel("threads"), disjoint=[(0, 1)])
    assert site_of(guard, entry)(a, b) == site_of(guard, entry)(b, a) == MISS
    other = guard.Entry(params, kernel("threads"), overlapping=[(0, 1)])
    assert site_of(guard, other)(a, b) == site_of(guard, other)(b, a) == ()


def random_view(pick: random.Random, base: Any) -> Any:
    view = base
    for axis in range(base.ndim):
        step = pick.choice([1, 1, 2, 3, -1, -2])
        lo = pick.randrange(base.shape[axis])
        hi = pick.randrange(lo, base.shape[axis]) + 1
        index: list[Any] = [slice(None)] * base.ndim
        index[axis] = slice(lo, hi)
        view = view[tuple(index)]
        index[axis] = slice(None, None, step)
        view = view[tuple(index)]
    return view.transpose(pick.sample(range(base.ndim), base.ndim))


def test_disjoint_is_never_claimed_of_views_that_share_memory(guard: Any) -> None:
    pick = random.Random(7)
    base = grid(7, 6, 5, dtype=np.int16)
    proved = 0
    for _ in range(1500):
        a, b = random_view(pick, base), random_view(pick, base)
        shared = np.shares_memory(a, b)
        answer = guard.overlap(a, b)
        proved += answer == "disjoint"
        assert not (shared and answer == "disjoint"), (a.__array_interface__, b.__array_interface__)
        if answer == "same":
            assert a.shape == b.shape and shared
    assert proved > 300


def test_overlap_knows_the_same_memory(guard: Any) -> None:
    array = grid(3, 4)
    assert guard.overlap(array, array[:]) == "same"
    assert guard.overlap(array, array.view(np.int64)) == "same"
    assert guard.overlap(array, array.T) == "overlap"
    assert guard.overlap(array, array.view(np.float32)) == "overlap"
    assert guard.overlap(array, array[:0]) == "disjoint"


def test_the_same_array_twice_does_not_overlap_unless_types_differ(guard: Any, kernel: Any) -> None:
    array = grid(3, 4)
    params = [(k, (), ("array", F64, 2, "S", True)) for k in range(2)]
    entry = guard.Entry(params, kernel("threads"), overlapping=[(0, 1)])
    assert site_of(guard, entry)(array, array) == site_of(guard, entry)(array, array[:]) == MISS
    assert site_of(guard, entry)(array, array[1:]) == ()
    params[1] = (1, (), ("array", np.dtype(np.int64).num, 2, "S", True))
    entry = guard.Entry(params, kernel("threads"), overlapping=[(0, 1)])
    assert site_of(guard, entry)(array, array.view(np.int64)) == ()


def test_same_needs_pointer_dims_and_strides(guard: Any, kernel: Any) -> None:
    params = [(k, (), ("array", F64, 1, "S", True)) for k in range(2)]
    site = site_of(guard, guard.Entry(params, kernel("threads"), same=[(0, 1)]))
    array = grid(8)
    assert site(array, array) == site(array, array[:]) == ()
    assert site(array, array[:7]) == site(array, array[1:]) == site(array[:4], array[::2]) == MISS


# ---- faults and the journal ----

CHECK = ("array", I64, 2, "S", True)
JOURNALED = {
    "C": grid(5, 6, dtype=np.int64),
    "F": np.asfortranarray(grid(5, 6, dtype=np.int64)),
    "columns": grid(5, 12, dtype=np.int64)[:, ::2],
    "rows": grid(10, 6, dtype=np.int64)[::2],
    "backwards": grid(10, 12, dtype=np.int64)[::-2, ::-1],
    "block": grid(9, 9, dtype=np.int64)[2:7, 3:9],
    "one element": grid(1, 1, dtype=np.int64),
}


@pytest.mark.parametrize("name", JOURNALED)
def test_a_fault_restores_the_journaled_array_and_only_that(guard: Any, kernel: Any, name: str) -> None:
    array = JOURNALED[name]
    owner = array if array.base is None else array.base
    owner_before, before = owner.copy(), array.copy()
    params = [(0, (), ("int",)), (-1, (), ("const", 5)), (1, (), CHECK)]
    entry = guard.Entry(params, kernel("spoil"), journal=[2])
    site = site_of(guard, entry)
    assert site(2, array) is None
    assert np.array_equal(array, before) and np.array_equal(owner, owner_before)
    assert entry.faults == 1 and entry.calls == 1
    assert site(0, array) == ()
    assert (array == -1).all() and np.count_nonzero(owner == -1) == array.size
    array[...] = before


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "c16"])
def test_a_block_of_three_axes_is_restored_element_by_element(guard: Any, kernel: Any, dtype: str) -> None:
    owner = grid(6, 6, 8, dtype=dtype)
    before = owner.copy()
    block = owner[1::2, ::-2, 1:7:3]
    params = [(-1, (), ("const", 2)), (-1, (), ("const", 0)), (0, (), CHECK)]
    params.append((1, (), ("array", block.dtype.num, 3, "S", True)))
    everything = owner.view(np.int64).reshape(6, -1)
    assert site_of(guard, guard.Entry(params, kernel("spoil"), journal=[3]))(everything, block) is None
    spoiled = np.full_like(everything, -1).view(dtype).reshape(owner.shape)
    spoiled[1::2, ::-2, 1:7:3] = before[1::2, ::-2, 1:7:3]
    assert owner.tobytes() == spoiled.tobytes()


def test_two_journaled_arrays_and_a_larger_one_later(guard: Any, kernel: Any) -> None:
    params = [(-1, (), ("const", 2)), (-1, (), ("const", 0)), (0, (), CHECK), (1, (), CHECK)]
    site = site_of(guard, guard.Entry(params, kernel("spoil"), journal=[3, 2]))
    for size in (2, 40, 3, 400):
        a, b = grid(size, 3, dtype=np.int64), grid(3, size, dtype=np.int64)[:, ::-1]
        before = a.copy(), b.copy()
        assert site(a, b) is None
        assert np.array_equal(a, before[0]) and np.array_equal(b, before[1])


def test_failed_is_told_rc_detail_and_arguments_and_gives_the_result(guard: Any, kernel: Any) -> None:
    seen = []

    def failed(*told: Any) -> Any:
        seen.append(told)
        return ("retried",)

    params = [(0, (), ("int",)), (1, (), ("int",)), (2, (), CHECK)]
    entry = guard.Entry(params, kernel("spoil"), journal=[2], failed=failed)
    array = grid(2, 2, dtype=np.int64)
    assert site_of(guard, entry)(2, -9, array) == ("retried",)
    assert site_of(guard, entry)(1, 4, array) == ("retried",)
    assert [(rc, detail, outs) for rc, detail, _, outs in seen] == [(2, -9, None), (1, 4, None)]
    assert seen[0][2][2] is array
    assert (entry.faults, entry.declines) == (1, 1)


def test_failed_gets_the_live_outs_of_a_kernel_that_stopped_half_way(guard: Any, kernel: Any) -> None:
    told = []
    outs = [(("int",), 1, -1, -1), (("float", "int"), 2, 1, -1), (("int",), 1, -1, 3)]
    params = [(k, (), ("int",)) for k in range(5)]
    failed = lambda *args: told.append(args)  # noqa: E731
    entry = guard.Entry(params, kernel("stop"), outs=outs, failed=failed)
    assert site_of(guard, entry)(3, 77, 1, 5, 0) is None
    assert site_of(guard, entry)(2, 77, 1, 5, 0) is None
    assert told == [(3, 77, (3, 77, 1, 5, 0), ((1, 5, guard.UNSET), ())), (2, 77, (2, 77, 1, 5, 0), None)]
    assert entry.faults == 2


def test_failed_gets_the_resume_record_of_a_kernel_that_stopped_half_way(guard: Any, kernel: Any) -> None:
    told = []
    params = [(k, (), ("int",)) for k in range(5)]
    failed = lambda *args: told.append(args[3])  # noqa: E731
    for slot in (1, 2, MAX_OUT - RESUME_SLOTS):
        entry = guard.Entry(params, kernel("stop"), outs=[(("int",), 1, -1, -1)], record=slot, failed=failed)
        assert entry.record == slot and site_of(guard, entry)(3, 77, -6, 5, 2**62) is None
    zeros = (0,) * RESUME_SLOTS
    assert told == [((-6,), (-6, 5, 2**62, *zeros[3:])), ((-6,), (5, 2**62, *zeros[2:])), ((-6,), zeros)]


def test_a_half_way_kernel_whose_live_outs_make_no_sense_is_not_run_again(guard: Any, kernel: Any) -> None:
    entry = guard.Entry([(k, (), ("int",)) for k in range(5)], kernel("stop"), outs=[(("int", "float"), 2, 1, -1)],
                        failed=lambda *_: None)  # fmt: skip
    with pytest.raises(SystemError, match="class tag 9"):
        site_of(guard, entry)(3, 0, 9, 5, 0)


def test_failed_sees_the_restored_array(guard: Any, kernel: Any) -> None:
    array = grid(2, 2, dtype=np.int64)
    seen = []
    params = [(-1, (), ("const", 2)), (-1, (), ("const", 0)), (0, (), CHECK)]
    note = lambda rc, detail, args, outs: seen.append(args[0].sum())  # noqa: E731
    entry = guard.Entry(params, kernel("spoil"), journal=[2], failed=note)
    assert site_of(guard, entry)(array) is None
    assert seen == [6]


# ---- live-outs ----


@pytest.mark.parametrize(
    ("bits", "kinds", "tag", "expected"),
    [
        (7, ("int",), None, 7),
        (0x4004000000000000, ("float",), None, 2.5),
        (0x4008000000000000, ("int_from_double",), None, 3),
        (0, ("bool",), None, False),
        (0x4004000000000000, ("float", f"np:{F64}"), 0, 2.5),
        (0x4004000000000000, ("float", f"np:{F64}"), 1, np.float64(2.5)),
        (0x4008000000000000, ("int_from_double", "float"), 0, 3),
        (-1, (f"np:{np.dtype(np.uintc).num}",), None, np.uintc(2**32 - 1)),
        (-1, (f"np:{np.dtype(np.byte).num}",), None, np.byte(-1)),
    ],
)
def test_live_outs_have_value_and_class(
    guard: Any, kernel: Any, bits: int, kinds: Any, tag: int | None, expected: Any
) -> None:
    constants = [(-1, (), ("const", value)) for value in (bits, tag or 0, 1)]
    out = (kinds, 1, -1 if tag is None else 2, 3)
    (value,) = site_of(guard, guard.Entry(constants, kernel("give"), outs=[out]))()
    assert type(value) is type(expected) and value == expected


def test_a_name_never_assigned_is_unset(guard: Any, kernel: Any) -> None:
    constants = [(-1, (), ("const", value)) for value in (5, 9, 0)]
    entry = guard.Entry(constants, kernel("give"), outs=[(("int",), 1, -1, 3), (("int",), 1, -1, -1)])
    first, second = site_of(guard, entry)()
    assert first is guard.UNSET and second == 5


def test_a_class_tag_out_of_range_is_an_error_not_a_guess(guard: Any, kernel: Any) -> None:
    constants = [(-1, (), ("const", value)) for value in (5, 9, 0)]
    entry = guard.Entry(constants, kernel("give"), outs=[(("int", "bool"), 1, 2, -1)])
    with pytest.raises(SystemError):
        site_of(guard, entry)()


# ---- attributes ----


class Plain:
    constant = 11

    def __init__(self, n: Any) -> None:
        self.n = n


class Slotted:
    __slots__ = ("n", "never")

    def __init__(self, n: Any) -> None:
        self.n = n


class WithProperty(Plain):
    @property
    def double(self) -> Any:
        return self.n * 2

    def method(self) -> None: ...


class WithGetattr(Plain):
    def __getattr__(self, name: str) -> Any:
        return 1


class WithGetattribute(Plain):
    def __getattribute__(self, name: str) -> Any:
        return object.__getattribute__(self, name)


class Descriptor:
    def __get__(self, instance: Any, owner: Any) -> int:
        return 3


class WithDescriptor(Plain):
    plain = Descriptor()


class WithMeta(Plain, metaclass=type("Meta", (type,), {})):
    pass


@pytest.mark.parametrize(
    ("value", "path", "expected"),
    [
        (Plain(5), ("n",), 5),
        (Plain(5), ("constant",), 11),
        (Slotted(5), ("n",), 5),
        (WithMeta(5), ("n",), 5),
        (Plain(Slotted(Plain(8))), ("n", "n", "n"), 8),
        (Plain(5), (), None),
    ],
)
def test_plain_attributes_are_followed(guard: Any, kernel: Any, value: Any, path: Any, expected: Any) -> None:
    if not path:
        assert guard.follow(value, path) is value
        return
    assert guard.follow(value, path) == expected
    assert echo_site(guard, kernel, [(0, path, ("int",))], ["int"])(value) == (expected,)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Plain(5), ("missing",)),
        (Plain(5), ("n", "real")),
        (Slotted(5), ("never",)),
        (WithProperty(5), ("double",)),
        (WithProperty(5), ("method",)),
        (WithGetattr(5), ("n",)),
        (WithGetattribute(5), ("n",)),
        (WithDescriptor(5), ("plain",)),
        (grid(3), ("size",)),
        (Plain, ("constant",)),
        (math, ("pi",)),
    ],
)
def test_attributes_that_may_run_code_are_not_followed(guard: Any, kernel: Any, value: Any, path: Any) -> None:
    assert guard.follow(value, path) is guard.UNSET
    assert site_of(guard, guard.Entry([(0, path, ("int",))], kernel("threads")))(value) == MISS


def test_a_class_that_gains_a_property_stops_matching(guard: Any, kernel: Any) -> None:
    cls = type("Late", (Plain,), {})
    site = echo_site(guard, kernel, [(0, ("n",), ("int",))], ["int"])
    value = cls(4)
    assert site(value) == (4,)
    cls.n = property(lambda self: 9)  # type: ignore[attr-defined]
    assert site(value) == MISS


def test_an_array_behind_an_attribute_is_restored_too(guard: Any, kernel: Any) -> None:
    holder = Plain(grid(2, 3, dtype=np.int64))
    before = holder.n.copy()
    params = [(-1, (), ("const", 2)), (-1, (), ("const", 0)), (0, ("n",), CHECK)]
    assert site_of(guard, guard.Entry(params, kernel("spoil"), journal=[2]))(holder) is None
    assert np.array_equal(holder.n, before)


# ---- decisions, order, callbacks ----


def test_the_interpreter_decision_counts_and_asks_again(guard: Any) -> None:
    entry = guard.Entry([(0, (), ("int",))], calls_left=3)
    site = site_of(guard, entry)
    assert [site(1) for _ in range(5)] == [None, None, None, MISS, MISS]
    assert (entry.calls, entry.calls_left) == (3, 0)
    entry.calls_left = -1
    assert [site(1) for _ in range(3)] == [None] * 3
    assert entry.calls_left == -1


def test_a_compiled_decision_asks_again_after_its_calls(guard: Any, kernel: Any) -> None:
    entry = guard.Entry([], kernel("threads"), calls_left=2)
    site = site_of(guard, entry)
    assert [site() for _ in range(4)] == [(), (), MISS, MISS]
    assert (entry.calls, entry.calls_left) == (2, 0)


def test_the_entry_matched_last_is_tried_first(guard: Any) -> None:
    entries = [guard.Entry([(0, (), ("int",))], values=[(1, k)]) for k in range(4)]
    site = site_of(guard, *entries)
    assert site(2) is None
    assert [e.values for e in site.entries()] == [((1, 2),), ((1, 0),), ((1, 1),), ((1, 3),)]


def test_the_least_recently_matched_entry_makes_room(guard: Any) -> None:
    site = site_of(guard)
    entries = [guard.Entry([(0, (), ("int",))], values=[(1, k)]) for k in range(33)]
    for entry in entries:
        site.install(entry)
        site(0)
    assert len(site.entries()) == 32
    assert entries[0] in site.entries() and entries[1] not in site.entries()


def test_entries_can_be_removed_and_cleared(guard: Any) -> None:
    one, two = guard.Entry([]), guard.Entry([])
    site = site_of(guard, one, two)
    assert site.remove(one) is True and site.remove(one) is False
    assert site.entries() == (two,)
    site.clear()
    assert site.entries() == () and site() == MISS
    with pytest.raises(TypeError):
        site.install("no entry")


def test_an_entry_installed_by_the_slow_path_serves_the_next_call(guard: Any, kernel: Any) -> None:
    seen = []

    def slow(args: Any) -> Any:
        seen.append(args)
        site.install(guard.Entry([(0, (), ("int",))], kernel("threads")))
        return None

    site = guard.Site("m:1", slow)
    assert site(3) is None and site(4) == () and seen == [(3,)]


def test_callbacks_may_change_the_site_they_are_called_from(guard: Any, kernel: Any) -> None:
    def failed(rc: int, detail: int, args: Any, live_outs: Any) -> Any:
        site.clear()
        entry.failed = None
        gc.collect()
        return site(*args)

    params = [(0, (), ("int",)), (1, (), ("int",)), (2, (), CHECK)]
    entry = guard.Entry(params, kernel("spoil"), journal=[2], failed=failed)
    site = site_of(guard, guard.Entry([(0, (), ("float",))]), entry)
    assert site(2, 0, grid(2, 2, dtype=np.int64)) == MISS

    def slow(args: Any) -> Any:
        site.slow = None
        site.clear()
        gc.collect()
        return "done"

    site.slow = slow
    assert site(1.5) == "done"


@pytest.fixture
def errors(guard: Any) -> Any:
    found: list[Any] = []
    guard.set_on_error(lambda key, error: found.append((key, type(error))))
    yield found
    guard.set_on_error(None)


def raiser(error: type[BaseException]) -> Any:
    def callback(*args: Any) -> Any:
        raise error("ours")

    return callback


def test_exceptions_of_callbacks_are_reported_and_the_loop_runs(guard: Any, kernel: Any, errors: Any) -> None:
    site = guard.Site("m:9", raiser(ValueError))
    assert site(1) is None
    params = [(0, (), ("int",)), (1, (), ("int",)), (2, (), CHECK)]
    site.install(guard.Entry(params, kernel("spoil"), failed=raiser(KeyError)))
    assert site(2, 0, grid(2, 2, dtype=np.int64)) is None
    assert errors == [("m:9", ValueError), ("m:9", KeyError)]


def test_an_error_callback_that_raises_changes_nothing(guard: Any) -> None:
    guard.set_on_error(raiser(RuntimeError))
    try:
        assert guard.Site("m:9", raiser(ValueError))(1) is None
    finally:
        guard.set_on_error(None)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupts_belong_to_the_program(guard: Any, errors: Any, error: Any) -> None:
    with pytest.raises(error):
        guard.Site("m:9", raiser(error))(1)
    assert errors == []


@pytest.mark.parametrize("install", [sys.settrace, sys.setprofile])
def test_a_tracer_or_profiler_sees_the_loop_run(guard: Any, install: Any) -> None:
    site = site_of(guard)
    old = sys.gettrace() if install is sys.settrace else sys.getprofile()
    install(lambda *event: None)
    try:
        result = site(1)
    finally:
        install(old)
    assert result is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring is new in 3.12")
def test_a_monitoring_tool_sees_the_loop_run(guard: Any) -> None:
    monitoring = sys.monitoring  # type: ignore[attr-defined]
    site = site_of(guard)
    tool = 3
    monitoring.use_tool_id(tool, "test")
    try:
        monitoring.register_callback(tool, monitoring.events.LINE, lambda *event: None)
        assert site(1) is None
        monitoring.register_callback(tool, monitoring.events.LINE, None)
    finally:
        monitoring.free_tool_id(tool)
    assert site(1) == MISS


def test_keywords_are_refused(guard: Any) -> None:
    with pytest.raises(TypeError):
        site_of(guard)(a=1)


# ---- counters, threads, memory ----


def test_time_is_sampled_or_always_taken(guard: Any, kernel: Any) -> None:
    always = guard.Entry([], kernel("threads"), time_always=True)
    sampled = guard.Entry([], kernel("threads"))
    for entry in (always, sampled):
        site = site_of(guard, entry)
        site()
        first = entry.total_ns
        assert first > 0
        site()
        assert (entry.total_ns > first) == (entry is always)
        for _ in range(40):
            site()
        assert entry.calls == 42 and entry.total_ns > first


def test_the_gil_is_released_only_on_request(guard: Any, kernel: Any) -> None:
    params, outs = [(0, (), ("array", I64, 1, "C", True))], [(("int",), 1, -1, -1)]
    entry = guard.Entry(params, kernel("wait"), release_gil=True, outs=outs)
    flag = np.zeros(1, np.int64)
    results: list[Any] = []
    site = site_of(guard, entry)
    thread = threading.Thread(target=lambda: results.append(site(flag)))
    thread.start()
    flag[0] = 1
    thread.join(10)
    assert results == [(1,)]


def test_an_entry_that_took_long_releases_the_gil_from_then_on(guard: Any, kernel: Any) -> None:
    entry = guard.Entry([(0, (), ("int",))], kernel("take"), time_always=True)
    site = site_of(guard, entry)
    assert not entry.release_gil
    for milliseconds in (8, 0):
        assert site(milliseconds) == () and entry.release_gil
    ticks, done = [], threading.Event()
    thread = threading.Thread(target=lambda: [ticks.append(site) for _ in iter(lambda: done.wait(0.01), True)])
    thread.start()
    start = len(ticks)
    site(300)
    during = len(ticks) - start
    done.set()
    thread.join()
    assert during > 0


def test_a_device_is_called_as_a_function_of_the_slots_addresses(guard: Any) -> None:
    def device(inputs: int, outputs: int) -> int:
        slots = (ctypes.c_int64 * 2).from_address(inputs)
        (ctypes.c_int64 * 2).from_address(outputs)[:] = (-7, slots[1] + 1)
        return rc

    told: list[Any] = []
    entry = guard.Entry(
        [(0, (), ("int",))], 1, device=device, outs=[(("int",), 1, -1, -1)],
        failed=lambda *details: told.append(details),
    )  # fmt: skip
    site = site_of(guard, entry)
    rc = 0
    assert site(41) == (42,) and not told
    rc = 1
    assert site(41) is None and told == [(1, -7, (41,), None)]
    assert entry.device is device and (entry.calls, entry.declines) == (2, 1)


def test_an_exception_on_the_way_into_a_device_is_the_programs_or_declines(guard: Any, errors: Any) -> None:
    def device(inputs: int, outputs: int) -> int:
        raise error

    site = site_of(guard, guard.Entry([], 1, device=device))
    error: BaseException = RecursionError("too deep")
    assert site() is None and errors == [("m:1", RecursionError)]
    guard.set_on_error(lambda key, given: True)
    error = TimeoutError("of the program")
    with pytest.raises(TimeoutError):
        site()
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        site()


def test_a_signal_just_before_a_device_is_called_is_not_lost(guard: Any) -> None:
    entered: list[int] = []

    def device(inputs: int, outputs: int) -> int:
        entered.append(1)
        return 0

    site = site_of(guard, guard.Entry([], 1, device=device))
    call = operator.methodcaller("__call__")
    with pytest.raises(KeyboardInterrupt):  # no bytecode in between, at which Python would look for signals
        list(map(call, (_thread.interrupt_main, site)))
    assert not entered


def test_calls_leak_nothing(guard: Any, kernel: Any, errors: Any) -> None:
    array = grid(4, 4, dtype=np.int64)
    holder = Plain(array)
    params = [(0, (), ("int",)), (-1, (), ("const", 0)), (1, ("n",), CHECK)]
    outs = [(("float",), 4, -1, -1)]
    failed = lambda *told: ("x", told)  # noqa: E731
    entry = guard.Entry(params, kernel("spoil"), journal=[2], failed=failed, outs=outs)
    other = guard.Entry(params, ranges=[(4, 9, 9)], data=holder)
    site = site_of(guard, other, entry)
    broken = guard.Site("m:2", raiser(ValueError))
    watched = (array, holder, failed, entry, other, site, site.slow, broken, broken.slow, broken.key)

    def work() -> None:
        for _ in range(300):
            site(0, holder)
            site(2, holder)
            site(1.5, holder)
            site.install(other)
            site.remove(other)
            site.install(other)
            broken(array)
            guard.describe(array)
            guard.overlap(array, array[1:])
            guard.follow(holder, ("n",))
            try:
                guard.Entry([(0, ("a",), ("is", array)), (0, (), ("bad",))])
            except ValueError:
                pass
            guard.Entry(params, outs=[(("int",), 1, -1, -1)], data=holder)
        errors.clear()

    gc.collect()  # what other tests left behind would count below
    tracemalloc.start()
    work()
    references = [sys.getrefcount(value) for value in watched]
    nones = sys.getrefcount(None)
    growth = []
    for _ in range(6):
        before = tracemalloc.get_traced_memory()[0]
        work()
        gc.collect()
        growth.append(tracemalloc.get_traced_memory()[0] - before)
    tracemalloc.stop()
    assert min(growth) < 4000  # one leaked object a call would be 4800 bytes or more; tables grow once
    assert references == [sys.getrefcount(value) for value in watched]
    assert abs(sys.getrefcount(None) - nones) < 300


def test_cycles_through_a_site_are_collected(guard: Any) -> None:
    class Dispatcher:
        def __init__(self) -> None:
            self.site = guard.Site("m:1", self.slow)
            self.site.install(guard.Entry([(0, (), ("is", self))], failed=self.slow, data=self))

        def slow(self, *args: Any) -> None: ...

    dispatcher = Dispatcher()
    dead = weakref.ref(dispatcher)
    del dispatcher
    gc.collect()
    assert dead() is None


# ---- construction, description ----


@pytest.mark.parametrize(
    "arguments",
    [
        {"params": [(0, (), ("float", 1))]},
        {"params": [(0, (), ("array", 17, 1, "C", True))]},
        {"params": [(0, (), ("array", F64, 1, "X", True))]},
        {"params": [(0, (), ("array", F64, -1, "C", True))]},
        {"params": [(0, (), ("np", np.dtype(np.half).num))]},
        {"params": [(-1, (), ("int",))]},
        {"params": [(-1, (), ("const", 2**64))]},
        {"params": [(0, ("a",) * 9, ("int",))]},
        {"params": [(0, (), ("int",))] * 97},
        {"params": [(0, (), ("array", F64, 30, "C", True))] * 9},
        {"params": [(0, (), ("int",))], "ranges": [(2, 0, 1)]},
        {"params": [(0, (), ("int",))], "disjoint": [(0, 0)]},
        {"params": [(0, (), ("int",))], "overlapping": [(0, 0)]},
        {"params": [(0, (), ("int",))], "journal": [0]},
        {"params": [(0, (), ("array", F64, 1, "C", False))], "journal": [0]},
        {"params": [(0, (), ("array", F64, 1, "C", True))], "same": [(0, 1)]},
        {"params": [], "outs": [(("real",), 1, -1, -1)]},
        {"params": [], "outs": [(("np:17",), 1, -1, -1)]},
        {"params": [], "outs": [(("int",), 0, -1, -1)]},
        {"params": [], "outs": [(("int",), MAX_OUT, -1, -1)]},
        {"params": [], "outs": [(("complex",), MAX_OUT - 1, -1, -1)]},
        {"params": [], "record": 0},
        {"params": [], "record": MAX_OUT - RESUME_SLOTS + 1},
        {"params": [], "outs": [(("int", "float"), 1, -1, -1)]},
        {"params": [], "outs": [((), 1, -1, -1)]},
    ],
)
def test_a_malformed_entry_is_refused(guard: Any, arguments: Any) -> None:
    with pytest.raises(ValueError):
        guard.Entry(**arguments)


def test_an_entry_shows_what_it_was_made_of(guard: Any) -> None:
    params = [(0, (), ("array", F64, 1, "C", True)), (1, (), ("array", F64, 1, "C", True))]
    entry = guard.Entry(
        params, 4096, threads=2, ranges=[(2, 0, 9)], values=[(3, 1)], disjoint=[(0, 1)], same=[(1, 1)], journal=[0],
        overlapping=[(1, 0)], outs=[(("int",), 1, -1, -1)], calls_left=7, time_always=True, release_gil=True,
        device=print, data="note",
    )  # fmt: skip
    shown = (entry.params, entry.kernel, entry.threads, entry.ranges, entry.values, entry.disjoint, entry.same)
    assert shown == (tuple(params), 4096, 2, ((2, 0, 9),), ((3, 1),), ((0, 1),), ((1, 1),))
    assert (entry.journal, entry.outs, entry.failed) == ((0,), ((("int",), 1, -1, -1),), None)
    assert (entry.calls_left, entry.time_always, entry.release_gil, entry.data) == (7, True, True, "note")
    assert entry.device is print and entry.overlapping == ((1, 0),)
    assert (entry.calls, entry.faults, entry.declines, entry.total_ns) == (0, 0, 0, 0)
    site = guard.Site("m:5", print)
    assert site.key == "m:5" and site.slow is print


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, ("int",)),
        (True, ("bool",)),
        (1.5, ("float",)),
        (1j, ("complex",)),
        (2**63, ("other", "int (beyond 64 bits)")),
        (np.float64(1), ("np", F64)),
        (np.True_, ("np", np.dtype(np.bool_).num)),
        (np.longlong(1), ("np", np.dtype(np.longlong).num)),
        (np.half(1), ("other", "float16")),
        (grid(3, 4), ("array", F64, 2, "C", True)),
        (grid(3, 4).T, ("array", F64, 2, "F", True)),
        (grid(6, 4)[::2], ("array", F64, 2, "S", True)),
        (np.broadcast_to(grid(3), (2, 3)), ("array", F64, 2, "S", False)),
        (grid(3)[:0], ("other", "ndarray (no elements)")),
        (grid(3).astype(">f8"), ("other", "ndarray (byte order)")),
        (grid(3).astype(np.half), ("other", "ndarray (element type float16)")),
        (np.zeros(17, np.uint8)[1:].view(np.float64), ("other", "ndarray (alignment)")),
        (None, ("other", "NoneType")),
        ([1], ("other", "list")),
        (Plain(1), ("other", "Plain")),
    ],
)
def test_describe_gives_the_check_that_a_value_meets(guard: Any, kernel: Any, value: Any, expected: Any) -> None:
    assert guard.describe(value) == expected
    if expected[0] != "other":
        entry = guard.Entry([(0, (), expected)], kernel("threads"))
        assert site_of(guard, entry)(value) == ()


def run_python(code: str, **environment: str) -> str:
    import os

    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return result.stdout.strip()


def test_numpy_is_not_imported_before_an_array_matters(guard: Any) -> None:
    code = (
        f"import sys; from {guard.__name__} import Site, Entry, describe\n"
        "site = Site('k', lambda args: None); site.install(Entry([(0, (), ('int',))])); site(1); describe(site)\n"
        "print('numpy' in sys.modules)"
    )
    assert run_python(code) == "False"


def test_the_twin_can_be_selected() -> None:
    code = "from alpyna_hook.runtime import guard; print(guard.IMPLEMENTATION)"
    assert run_python(code, ALPYNA_PURE="1") == "python"


@pytest.mark.parametrize("release_gil", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_a_kernel_stops_for_a_handler_that_raises(guard: Any, kernel: Any, named: bool, release_gil: bool) -> None:
    if not guard.__name__.endswith("._guard"):
        pytest.skip("the twin's kernels look for no signals")

    def failed(rc: int, detail: int, args: tuple[Any, ...], stopped: Any) -> bool:
        told.append((rc, detail, args, stopped))
        return False

    told: list[Any] = []
    outs = [(("int",), 1, -1, -1)] if named else []
    entry = guard.Entry([(-1, (), ("poll",))], kernel("ask"), outs=outs, failed=failed, release_gil=release_gil)
    site = site_of(guard, entry)
    before = signal.signal(signal.SIGALRM, raiser(TimeoutError))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        if named:
            assert site(7) is False
            ((rc, detail, args, ((ran,), record)),) = told
            assert (rc, detail, args, record) == (4, 0, (7,), ()) and ran < 900
            with pytest.raises(TimeoutError):
                guard.raise_held()
        else:
            with pytest.raises(TimeoutError):
                site(7)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert guard.raise_held() is None and entry.faults == 0


@pytest.mark.parametrize("rc", [3, 4])
def test_a_handler_that_raises_once_more_waits_for_the_names(guard: Any, kernel: Any, rc: int) -> None:
    """While `failed` notes where the loop stands: a second signal must not take that away."""
    if not guard.__name__.endswith("._guard"):
        pytest.skip("the twin's kernels look for no signals")
    told: list[Any] = []

    def failed(rc: int, detail: int, args: tuple[Any, ...], stopped: Any) -> bool:
        told.append((rc, stopped[0]))
        if len(told) == 1:
            signal.raise_signal(signal.SIGUSR1)
        return False

    outs = [(("int",), 1, -1, -1)]
    params = [(k, (), ("int",)) for k in range(5)]
    half_way = guard.Entry(params, kernel("stop"), outs=outs, failed=failed)
    asking = guard.Entry([(-1, (), ("poll",))], kernel("ask"), outs=outs, failed=failed)
    site = site_of(guard, half_way if rc == 3 else asking)
    both = ((signal.SIGALRM, TimeoutError), (signal.SIGUSR1, KeyError))
    before = [signal.signal(number, raiser(error)) for number, error in both]
    try:
        if rc == 4:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert site(3, 77, 1, 5, 0) is False
        with pytest.raises(KeyError) as raised:
            guard.raise_held()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for (number, _), handler in zip(both, before):
            signal.signal(number, handler)
    assert isinstance(raised.value.__context__, TimeoutError if rc == 4 else type(None))
    assert len(told) == 2 and told[0] == told[1] and told[0][0] == rc and guard.raise_held() is None


def test_of_two_signals_at_once_the_handler_called_last_raises_in_the_context_of_the_first(
    guard: Any, kernel: Any
) -> None:
    if not guard.__name__.endswith("._guard"):
        pytest.skip("the twin's kernels look for no signals")
    site = site_of(guard, guard.Entry([(-1, (), ("poll",))], kernel("ask"), release_gil=True))
    both = ((signal.SIGUSR1, KeyError), (signal.SIGALRM, TimeoutError))  # CPython calls handlers by number
    before = [signal.signal(number, raiser(error)) for number, error in both]
    main = threading.get_ident()
    timer = threading.Timer(0.1, lambda: [signal.pthread_kill(main, number) for number, _ in both])
    try:
        timer.start()
        with pytest.raises(TimeoutError) as raised:
            site()
    finally:
        timer.join()
        for (number, _), handler in zip(both, before):
            signal.signal(number, handler)
    assert isinstance(raised.value.__context__, KeyError)


def test_a_kernel_goes_on_after_a_handler_and_not_in_it(guard: Any, kernel: Any) -> None:
    if not guard.__name__.endswith("._guard"):
        pytest.skip("the twin's kernels look for no signals")
    entry = guard.Entry([(-1, (), ("poll",))], kernel("ask"), outs=[(("int",), 1, -1, -1)])
    site = site_of(guard, entry)
    met: list[Any] = []
    before = signal.signal(signal.SIGALRM, lambda *args: met.append(site()))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert site() == (1000,)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert met == [None] and entry.calls == 1


def test_kernels_of_other_threads_ask_nobody(guard: Any, kernel: Any) -> None:
    site = site_of(guard, guard.Entry([(-1, (), ("poll",))], kernel("ask"), outs=[(("int",), 1, -1, -1)]))
    results: list[Any] = []
    worker = threading.Thread(target=lambda: results.append(site()))
    worker.start()
    worker.join()
    assert results == [(1,)]
