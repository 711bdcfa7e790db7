"""Rejection raise."""


def f(a, n):
    for i in range(n):
        if a[i] < 0:
            raise ValueError(i)
