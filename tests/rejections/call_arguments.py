"""Rejection call-arguments."""
import numpy as np


def f(a, n, xs):
    for i in range(n):
        a[i] = max(xs)
    for i in range(n):
        a[i] = np.exp(a[i], where=True)
    for i in range(n):
        a[i] = pow(i, 2, 5)
    for i in range(n):
        a[i] = int(*xs)
    for i in range(n):
        a[i] = complex()
    for i in range(*xs):
        a[i] = 0
    for i, x in enumerate(xs, 1, 2):
        a[i] = 0
    for x in zip(a, xs, strict=True):
        a[0] = 0
