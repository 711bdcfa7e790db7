"""Copies to and from staging memory: the C extension and its twin do the same, for any layout, by any number of
threads."""

from __future__ import annotations

import itertools
import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from alpyna_hook.devices import copying, copying_py
from alpyna_hook.devices.memory import dtype_of
from alpyna_hook.ir.types import Rep

try:
    from alpyna_hook.devices import _copying
except ImportError:  # no compiler at install
    _copying = None  # type: ignore[assignment]

IMPLEMENTATIONS = [
    pytest.param(copying_py, id="python"),
    pytest.param(_copying, id="c", marks=pytest.mark.skipif(_copying is None, reason="the extension is not built")),
]


@pytest.fixture(params=IMPLEMENTATIONS)
def module(request: pytest.FixtureRequest) -> Any:
    return request.param


def views(rep: Rep) -> list[Any]:
    rng = np.random.default_rng(1)
    base = rng.integers(0, 2, (6, 20, 14)).astype(dtype_of(rep))
    return [
        base, base.T, base[:, ::2, ::-1], base[1:, 1:, 1:], base[::-1, 3], base[2, :, 5], base[:1], base[..., :1],
        base.transpose(1, 0, 2), base.transpose(0, 2, 1), base[::2, ::-3].transpose(2, 0, 1), base[0, 0, :1],
    ]  # fmt: skip


def packed(array: Any) -> Any:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)


@pytest.mark.parametrize("rep", list(Rep))
@pytest.mark.parametrize("threads", [1, 3])
def test_any_part_of_any_array_comes_and_goes(module: Any, rep: Rep, threads: int) -> None:
    rng = np.random.default_rng(2)
    for view, past_caches in itertools.product(views(rep), (False, True)):
        whole, item = packed(view), view.itemsize
        for _ in range(6):
            first, behind = sorted(int(n) * item for n in rng.integers(0, view.size + 1, 2))
            slot, shadow = np.empty(behind - first, np.uint8), np.empty(behind - first, np.uint8)
            module.fill(view, slot, shadow, first, threads, past_caches)
            assert np.array_equal(slot, whole[first:behind]) and np.array_equal(shadow, slot)
            around = view.base if view.base is not None else view
            target = np.zeros_like(around)
            there = np.ndarray(
                view.shape, view.dtype, target.reshape(-1).view(np.uint8).data,
                view.__array_interface__["data"][0] - around.__array_interface__["data"][0], view.strides,
            )  # fmt: skip
            module.spread(there, slot, None, first, threads, past_caches)
            expected = np.zeros_like(whole)
            expected[first:behind] = whole[first:behind]
            assert np.array_equal(packed(there), expected)
            assert np.count_nonzero(target) == np.count_nonzero(there)


@pytest.mark.parametrize("rep", list(Rep))
@pytest.mark.parametrize("piece", [64, 1000, 1 << 20])
@pytest.mark.parametrize("threads", [1, 3])
def test_what_differs_is_found_and_brought_up_to_date(module: Any, rep: Rep, piece: int, threads: int) -> None:
    rng = np.random.default_rng(1)
    for view in views(rep):
        slot, shadow = np.zeros(view.nbytes, np.uint8), packed(view).copy()
        assert module.differing(view, slot, shadow, 0, piece, threads, False) == []
        for _ in range(4):
            place = tuple(int(rng.integers(n)) for n in view.shape)
            view[place] = 1 - view[place] if rep is not Rep.BOOL else not view[place]
            spans = module.differing(view, slot, shadow, 0, piece, threads, False)
            assert len(spans) == 1 and 0 < spans[0][1] - spans[0][0] <= max(piece, view.itemsize)
            (first, behind), = spans
            assert np.array_equal(shadow, packed(view)) and np.array_equal(slot[first:behind], shadow[first:behind])
        assert module.differing(view, shadow, None, 0, piece, threads, False) == []
        shadow[:] += 1
        assert module.differing(view, shadow, None, 0, piece, threads, False) == [(0, view.nbytes)]
        assert np.array_equal(shadow, packed(view))


def test_bits_are_compared_and_not_values(module: Any) -> None:
    array, shadow = np.array([np.nan, 0.0, 1.0]), packed(np.array([np.nan, 0.0, 1.0])).copy()
    assert module.differing(array, shadow, None, 0, 8, 1, False) == []
    array[1] = -0.0
    assert module.differing(array, shadow, None, 0, 8, 1, False) == [(8, 16)]


@pytest.mark.skipif(_copying is None, reason="the extension is not built")
def test_arguments_that_do_not_fit_are_refused() -> None:
    array, slot = np.zeros(10), np.zeros(80, np.uint8)
    for bad in ((array, slot, None, 8), (array, slot[:3], None, 0), (array, slot[:8], None, 4),
                (array, slot[:8], slot[8:24], 0), (array, slot, None, -8)):  # fmt: skip
        with pytest.raises(ValueError):
            _copying.fill(*bad, 1, False)
    read_only = np.zeros(10)
    read_only.flags.writeable = False
    _copying.fill(read_only, slot, None, 0, 1, False)
    with pytest.raises(ValueError):
        _copying.spread(read_only, slot, None, 0, 1, False)


def test_large_arrays_by_many_threads_at_once(module: Any) -> None:
    """Several threads of the program copy at the same time: one has the helpers, the others do without."""

    def work(seed: int) -> bool:
        array = np.random.default_rng(seed).random((700, 900))
        view = array.T if seed % 2 else array[:, ::-1]
        slot, shadow, back = np.empty(view.nbytes, np.uint8), np.empty(view.nbytes, np.uint8), np.zeros_like(array)
        for _ in range(10):
            module.fill(view, slot, shadow, 0, 4, bool(seed & 2))
            module.spread(back.T if seed % 2 else back[:, ::-1], slot, None, 0, 4, bool(seed & 2))
            if not (np.array_equal(back, array) and np.array_equal(slot, shadow)):
                return False
            array += 1.0
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_fork_finds_no_threads_and_both_processes_go_on() -> None:
    def copy() -> bool:
        array, slot = np.random.default_rng(0).random(1 << 18), np.empty(1 << 21, np.uint8)
        copying.fill(array, slot, None, 0, 4, False)
        return bool(np.array_equal(slot, packed(array)))

    assert copy()
    stop = threading.Event()
    busy = threading.Thread(target=lambda: [copy() for _ in iter(stop.is_set, True)])
    for meanwhile in (False, True):  # in another thread
        if meanwhile:
            busy.start()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if meanwhile else "error")
            child = os.fork()
        if not child:
            os._exit(0 if copy() else 1)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    busy.join()
    assert copy()
