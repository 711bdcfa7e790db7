"""Rejection shape-axis."""


def f(a, n):
    for i in range(n):
        n = a.shape[i]
    for i in range(n):
        n = a.shape[-1]
    for i in range(n):
        n = a.shape[1:]
