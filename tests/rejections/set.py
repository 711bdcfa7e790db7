"""Rejection set."""


def f(n):
    for i in range(n):
        x = {i}
