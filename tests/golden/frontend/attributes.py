"""Attributes that the loop leaves alone, private ones included."""
import sys
import types

import numpy as np


class Grid:
    def __init__(self, n):
        self.n = n
        self.cells = np.arange(float(n * n)).reshape(n, n)
        self.cfg = types.SimpleNamespace(dx=0.5, weights=np.ones(n))
        self.__secret = 3.0

    def smooth(self):
        for i in range(1, self.n):
            for j in range(len(self.cells)):
                self.cells[i, j] += self.cells[i - 1][j] * self.cfg.dx + self.__secret
                self.cfg.weights[j] *= self.cells.shape[1]

    def norm(self):
        s = 0.0
        for row in range(self.n):
            s += self.cells[row, row]
        return s


def limit(xs):
    for i in range(len(xs)):
        xs[i] = min(xs[i], sys.maxsize)
    return xs


def of_argument(cfg, n):
    total = 0
    for i in range(n):
        total += cfg.dx * i
    return total


grid = Grid(4)
grid.smooth()
a = grid.norm()
cells = grid.cells
weights = grid.cfg.weights
b = limit(np.arange(3))
c = of_argument(grid.cfg, 4)
del grid
