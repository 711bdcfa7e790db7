"""Rejection mixed-use."""


def f(a, n):
    for i in range(n):
        n = a + len(a)
