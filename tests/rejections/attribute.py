"""Rejection attribute."""


def f(a, n):
    for i in range(n):
        n += a[i].size
