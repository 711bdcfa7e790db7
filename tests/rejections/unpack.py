"""Rejection unpack."""


def f(a, pts, n):
    for i in range(n):
        x, y = pts
    for i, x in range(n):
        pass
    for i in range(n):
        (x, y), z = 1, 2
    for i in range(n):
        p = x, y = 1
    for x in enumerate(a):
        pass
    for x, y in zip(a, a, a):
        pass
    for i in range(n):
        rows, cols = a.shape
