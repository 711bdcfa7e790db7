"""Rejection walrus."""


def f(a, n):
    for i in range(n):
        if (x := a[i]) > 0:
            n = x
