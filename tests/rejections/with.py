"""Rejection with."""


def f(a, n, lock):
    for i in range(n):
        with lock:
            a[i] = 0
