"""Rejection array-rebound."""


def f(u, v, n):
    for t in range(n):
        u[0] = v[0]
        u, v = v, u


def g(u, n):
    for t in range(n):
        u = u + u[t]


def row_used_before_it_is_named(grid, n):
    for i in range(n):
        if i > 2:
            row = grid[0]
        n += row[i]


def h(n):
    for u in range(n):
        u[0] = 1
