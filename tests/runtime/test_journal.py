"""What saving costs, and that saving and restoring is exact."""

from __future__ import annotations

import numpy as np
import pytest

from alpyna_hook.runtime import journal

BASE = np.arange(60.0).reshape(5, 12)
VIEWS = {
    "C": BASE,
    "F": BASE.T,
    "columns": BASE[:, ::2],
    "backwards": BASE[::-1, ::-3],
    "0-d": BASE[2, 3:4].reshape(()),
    "one row": BASE[1],
}


@pytest.mark.parametrize("name", VIEWS)
def test_bytes_to_save_are_those_of_the_elements(name: str) -> None:
    view = VIEWS[name]
    assert journal.bytes_to_save([view]) == view.size * 8
    assert journal.bytes_to_save([view, view]) == view.size * 16


def test_a_broadcast_axis_counts_once() -> None:
    assert journal.bytes_to_save([np.broadcast_to(np.zeros(4), (1000, 4))]) == 32
    assert journal.bytes_to_save([]) == 0


@pytest.mark.parametrize("name", VIEWS)
def test_restore_puts_back_every_bit_and_touches_nothing_else(name: str) -> None:
    owner = np.arange(60.0).reshape(5, 12)
    owner[0, 0], owner[1, 1] = np.nan, -0.0
    view = np.lib.stride_tricks.as_strided(owner, VIEWS[name].shape, VIEWS[name].strides)
    if name == "backwards":
        view = owner[::-1, ::-3]
    before = owner.tobytes()
    saved = journal.save([view])
    view[...] = 7.0
    journal.restore([view], saved)
    assert owner.tobytes() == before


def test_the_saved_state_is_a_copy() -> None:
    array = np.zeros(3)
    saved = journal.save([array])
    array += 1
    assert not np.shares_memory(saved[0], array) and (saved[0] == 0).all()
