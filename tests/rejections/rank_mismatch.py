"""Rejection rank-mismatch."""


def f(a, n):
    for i in range(n):
        a[i, 0] = 1
        value = a[i]
    for i in range(n):
        a[i] = a[i, 0, 1]
