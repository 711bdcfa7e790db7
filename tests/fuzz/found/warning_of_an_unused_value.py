"""Arithmetic nobody reads still warns (the C compiler dropped it, and the status flag with it)."""
import numpy as np


def work(n):
    s = np.float64(0.0)
    for i in range(1, n):
        s /= s


def unread(a, b):
    for i in range(len(a)):
        t = a[i] / b[i]  # noqa: F841
        a[i] = i


work(5)
unread(np.ones(4), np.zeros(4))
