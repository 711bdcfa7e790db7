"""Rejection del."""


def f(a, n):
    for i in range(n):
        x = a[i]
        del x
