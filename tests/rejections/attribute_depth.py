"""Rejection attribute-depth."""


def f(self, n):
    for i in range(n):
        n += self.model.grid.dx
