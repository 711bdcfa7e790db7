"""Rejection slice."""


def f(a, n):
    for i in range(n):
        a[i, :] = 0
    for i in range(n):
        x = a[1:n]
    for i in range(n):
        a[:] += 1
