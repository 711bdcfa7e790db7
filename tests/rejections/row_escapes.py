"""Rejection row-escapes."""


def f(grid, n):
    for row in grid:
        n += row[0]
    return row


def g(grid, n):
    for i in range(len(grid)):
        row = grid[0]
        n += row[i]
        row = grid[1]


for line in measured:
    total += line[0]
