"""Rejection starred."""


def f(a, b, n):
    for i in range(n):
        *y, x = i, n
    for i in range(n):
        x, *y = i, i
