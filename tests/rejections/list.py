"""Rejection list."""


def f(n):
    for i in range(n):
        x = [i]
