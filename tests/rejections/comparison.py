"""Rejection comparison."""


def f(a, b, n):
    for i in range(n):
        if b is None:
            a[i] = 0
    for i in range(n):
        if i in b:
            a[i] = 0
