"""Subscripts of all kinds."""
import numpy as np


def all_kinds(a, b, idx):
    n = len(idx)
    for i in range(n):
        a[-1, i] += 1
        a[i][0] += b[idx[i]]
        b[idx[idx[i]]] = a[i, -1 - i]
        a[0][i] = a[i, (i + 1) % n] * a[i % 2, 1]
    return a


def three(v):
    for i in range(2):
        for j in range(2):
            v[i][j, 1] = v[i, j][0] + v[i][j][1]


a = all_kinds(np.arange(9.0).reshape(3, 3), np.arange(3.0), np.array([2, 0, 1]))
v = np.arange(8.0).reshape(2, 2, 2)
three(v)
