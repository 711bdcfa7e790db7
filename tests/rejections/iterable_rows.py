"""Rejection iterable-rows."""


def f(grid, n):
    for row in grid:
        n += grid[0, 0]
