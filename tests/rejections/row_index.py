"""Rejection row-index."""


def f(grid, order, n):
    for i in range(n):
        row = grid[order[i]]
        n += row[0]


def g(grid, n):
    for i in range(n, 0, -1):
        n += len(grid[i])


def h(grid, k, n):
    for i in range(n):
        n += len(grid[k])
