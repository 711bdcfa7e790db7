"""Rejection array-rebound."""


def f(u, v, n):
    for t in range(n):
        u[0] = v[0]
        u, v = v, u


def g(u, n):
    for t in range(n):
        u = u + u[t]


def h(n):
    for u in range(n):
        u[0] = 1
