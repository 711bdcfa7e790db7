"""Rejection lambda."""


def f(n):
    for i in range(n):
        g = lambda: i
