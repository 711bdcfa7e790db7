"""Counting by an indirect subscript: threads count into copies of their own, unchecked where only ones are added."""

import warnings

import numpy as np

warnings.simplefilter("always")


def count(index, counts):
    for i in range(len(index)):
        counts[index[i]] += 1


def count_and_weigh(index, counts):
    for i in range(len(index)):
        counts[index[i]] += 1
        counts[index[i] // 2] += 4611686018427387904


def attempt(what, *args):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            what(*args)
        except IndexError as error:
            print("IndexError", error)
    print([str(w.message) for w in caught][:3], len(caught), args[1].tolist())


rng = np.random.default_rng(3)
spread = rng.integers(0, 8, 40_000)
attempt(count, spread, np.zeros(8, dtype=np.int64))
attempt(count, spread - 8, np.zeros(8, dtype=np.int64))
attempt(count, rng.integers(-8, 8, 40_000), np.zeros(8, dtype=np.int64))
attempt(count, np.append(spread, 8), np.zeros(8, dtype=np.int64))
attempt(count, np.append(-9, spread), np.zeros(8, dtype=np.int64))
attempt(count, spread, np.full(8, 2**63 - 1 - 4990))
attempt(count, spread, np.full(8, 2**64 - 1 - 4990, dtype=np.uint64))
attempt(count, spread, np.full(8, 120, dtype=np.int8))
attempt(count_and_weigh, spread[:50], np.zeros(8, dtype=np.int64))
