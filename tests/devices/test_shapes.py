"""Sizes of launches and of buffers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from alpyna_hook.devices import memory
from alpyna_hook.devices.base import Limits
from alpyna_hook.devices.shapes import grid, rows

LIMITS = Limits(48, 1024, (2**31 - 1, 65535, 65535))
extents = st.lists(st.integers(1, 2**40), min_size=1, max_size=3).map(tuple)


@given(extents, st.sampled_from([0, 1, 1000, 100_000]), st.integers(1, 1024))
def test_a_grid_is_within_the_limits_of_the_device(shape: tuple[int, ...], lanes: int, most: int) -> None:
    groups, group = grid(shape, LIMITS, most, lanes)
    assert len(groups) == len(group) == len(shape)
    assert all(1 <= n <= top for n, top in zip(groups, LIMITS.axes)) and all(n >= 1 for n in group)
    assert math.prod(group) <= min(256, most)
    if lanes:
        assert math.prod(groups) * math.prod(group) <= max(lanes, math.prod(group))


@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=3).map(tuple))
def test_a_grid_within_the_limits_has_an_item_for_each_iteration(shape: tuple[int, ...]) -> None:
    groups, group = grid(shape, LIMITS, 1024)
    assert all(n * width >= extent for n, width, extent in zip(groups, group, shape))
    assert all((n - 1) * width < extent for n, width, extent in zip(groups, group, shape))


def test_groups_are_wide_along_x() -> None:
    assert grid((1000,), LIMITS, 1024)[1] == (256,)
    assert grid((1000, 1000), LIMITS, 1024)[1] == (32, 8)
    assert grid((1000, 1000, 1000), LIMITS, 1024)[1] == (32, 4, 2)
    assert grid((3, 1000), LIMITS, 1024)[1] == (4, 64)
    assert grid((1, 1), LIMITS, 1024) == ((1, 1), (1, 1))


@given(extents)
def test_rows_are_as_many_as_there_are_lanes(shape: tuple[int, ...]) -> None:
    found = rows(shape, LIMITS)
    assert all(1 <= n <= extent for n, extent in zip(found, shape)) and math.prod(found) <= LIMITS.lanes
    if shape[-1] >= LIMITS.lanes:
        assert found == (*(1,) * (len(shape) - 1), LIMITS.lanes)


@given(st.integers(1, 2**45))
def test_a_size_class_wastes_an_eighth_at_most(size: int) -> None:
    found = memory.size_class(size)
    assert size <= found <= max(256, size * 9 // 8)
    assert memory.size_class(found) == found


@pytest.mark.parametrize("index", [np.s_[:], np.s_[::2, 1:], np.s_[::-1], np.s_[1:5, ::-2], np.s_[3], np.s_[:, 2]])
def test_a_view_by_address_is_the_array(index: object) -> None:
    array = np.arange(80.0).reshape(8, 10)[index]  # type: ignore[index]
    strides = tuple(s // 8 for s in array.strides)
    found = memory.view(array.ctypes.data, array.shape, strides, memory.Rep.F64)
    assert np.array_equal(found, array) and found.strides == array.strides
    found[...] += 1
    assert np.array_equal(found, array)


def test_a_pool_keeps_buffers_and_frees_them_when_memory_is_short() -> None:
    freed: list[object] = []
    room = [2]

    def allocate(size: int) -> object:
        if room[0] == 0:
            raise MemoryError
        room[0] -= 1
        return [size]

    def release(buffer: object) -> None:
        freed.append(buffer)
        room[0] += 1

    pool = memory.Pool(allocate, release)
    a, b = pool.take(1000), pool.take(5000)
    pool.give(a)
    assert pool.take(1001)[1] is a[1]  # of the same size class
    pool.give(a)
    with pytest.raises(MemoryError):
        pool.take(1)
        pool.take(2)
    assert freed == [a[1]]
    pool.give(b)
    pool.drain()
    assert freed[-1] is b[1]
