"""Rejection yield."""


def f(a, n):
    for i in range(n):
        yield a[i]


def g(a, n):
    for i in range(n):
        x = yield from a
