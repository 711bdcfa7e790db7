"""Rows of arrays: iterated, named, unpacked, measured."""
import numpy as np


def total(grid):
    s = 0.0
    for row in grid:
        for x in row:
            s += x
    return s


def scale(cube, factors):
    for k, plane in enumerate(cube):
        for row, f in zip(plane, factors):
            for i in range(len(row)):
                row[i] *= f + k
            row[-1] += row.shape[0]


def named(grid, out):
    n = len(grid)
    for i in range(1, n):
        row = grid[i]
        above = grid[i - 1]
        for j in range(len(row)):
            out[i, j] = row[j] - above[j]
        first = grid[0]
        last = grid[-1]
        out[i][0] = first[0] + last[0]


def planes(cube):
    s = 0
    for i in range(len(cube)):
        plane = cube[i]
        for j in range(len(plane)):
            row = plane[j]
            for v in row:
                s += v * j
    return s


def unpacked(points, sums):
    for i in range(len(points)):
        x, y = points[i]
        sums[i] = x + 2 * y
    for x, y in points:
        sums[0] += x - y
    for k, (x, y) in enumerate(points):
        points[k][0] = y
        sums[k] += x
    for p in points:
        a, b = p
        p[1] = a + b


def swap_items(points):
    for p in points:
        p[0], p[1] = p


def lengths(grid):
    n = 0
    for i in range(len(grid)):
        for j in range(len(grid[0])):
            n += len(grid[i]) + len(grid[-1])
    return n


def too_many_items(points):
    x = 0
    try:
        for x, y in points:
            x += y
    except ValueError as error:
        return str(error), x


def no_such_row(grid, n):
    s = 0
    try:
        for i in range(n):
            row = grid[i]
            for v in row:
                s += v
    except IndexError as error:
        return str(error), s


def no_rows_at_all(grid):
    n = 0
    try:
        for i in range(3):
            n += len(grid[0])
    except IndexError as error:
        return str(error), n


g = np.arange(12.0).reshape(3, 4)
r = [total(g)]
c = np.arange(24.0).reshape(2, 3, 4)
scale(c, np.array([1.0, 2.0, 3.0]))
o = np.zeros((3, 4))
named(g, o)
r += [planes(c)]
p = np.arange(10.0).reshape(5, 2)
s = np.zeros(5)
unpacked(p, s)
q = np.arange(6).reshape(3, 2)
swap_items(q)
r += [lengths(g), too_many_items(np.ones((2, 3))), no_such_row(g, 5), no_rows_at_all(np.zeros((0, 4)))]
