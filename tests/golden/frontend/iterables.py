"""Loops over arrays, enumerate, zip and short literals."""
import numpy as np


def total(xs):
    s = 0.0
    for x in xs:
        s += x
    return s, x


def feed_forward(xs):
    for x in xs:
        xs[-1] = xs[-1] + x
    return xs


def numbered(xs, out):
    for i, x in enumerate(xs):
        out[i] = i * x
    for i, x in enumerate(xs, 1):
        out[-i] += x
    for i, x in enumerate(xs, start=len(out)):
        out[0] += i * x


def pairs(xs, ys):
    dot = 0.0
    for x, y in zip(xs, ys):
        dot += x * y
    for i, (x, y) in enumerate(zip(xs, ys)):
        dot -= i * x / y
    for k, x in zip(range(3, 9), xs):
        dot += k * x
    return dot


def stencil(g, out):
    for i in range(1, g.shape[0] - 1):
        for j in range(1, g.shape[1] - 1):
            for di in (-1, 0, 1):
                for dj in [1, -1]:
                    out[i, j] += g[i + di, j + dj]


def neighbours(g, out):
    for i in range(1, g.shape[0] - 1):
        for j in range(1, g.shape[1] - 1):
            for di, dj in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                if g[i + di, j + dj] in (3, 5):
                    continue
                out[i, j] += g[i + di, j + dj]
            for w in [1, 2, 4, 8.5]:
                out[i, j] += w
            for sign, scale in ((1, 0.5), (-1, 2.0)):
                out[i, j] += sign * scale
    odd = 0
    for k in range(9):
        odd += k not in (0, 2, 4)
        found = k in {8}
    return odd, found


def last_of_each(xs):
    for x in xs:
        pass
    return x


a = total(np.arange(5.0))
b = feed_forward(np.array([1.0, 2.0, 3.0, 4.0]))
c = np.zeros(5)
numbered(np.arange(1.0, 6.0), c)
d = pairs(np.arange(1.0, 6.0), np.arange(2.0, 5.0))
e = np.zeros((5, 5))
stencil(np.arange(25.0).reshape(5, 5), e)
g = np.zeros((5, 5))
h = neighbours(np.arange(25.0).reshape(5, 5), g)
f = last_of_each(np.array([3, 1, 2], dtype=np.int16))
