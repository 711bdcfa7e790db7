"""Rejection comparison."""


def f(a, b, n):
    for i in range(n):
        if b is None:
            a[i] = 0
    for i in range(n):
        if i in (1, n):
            a[i] = 0
    for i in range(n):
        if 0 < i in (1, 2):
            a[i] = 0
    for i in range(n):
        if i in b:
            a[i] = 0
