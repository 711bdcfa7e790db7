"""Rejection index-type."""


def f(params, a, n):
    for i in range(n):
        a[i] = params["dx"]
    for i in range(n):
        a[True] = i
    for i in range(n):
        a[1.5] = i
    for i in range(n):
        a[None] = i
    for i in range(n):
        a[...] = i
