"""Tuple, multiple, augmented and annotated assignment; the order of evaluation."""
import numpy as np


def fibonacci(n):
    x, y = 0, 1
    for _ in range(n):
        x, y = y, x + y
    return x


def swap_ends(a):
    i, j = 0, len(a) - 1
    while i < j:
        a[i], a[j] = a[j], a[i]
        i, j = i + 1, j - 1
    return i, j


def targets_in_order(a):
    i = 0
    for k in range(4):
        i, a[i] = k, k + 10
    return i


def through_an_alias(a, b):
    for k in range(len(a) - 1):
        a[k], x = k, b[k] + 1
        b[k + 1] = x
    return x


def chained(a):
    for k in range(len(a)):
        p = a[k] = q = a[k] * 2 + k
        r = s = k
        (t, [u, v]) = (k, [p, q])
    return p, q, r, s, t, u, v


def updates(a):
    n = 3
    for k in range(len(a)):
        n <<= 1
        n |= k & 1
        n ^= 2
        n %= 1000
        a[k] //= 2
        a[k] **= 2
        a[a[k] % 2] += k
        m: int = n
        u: float
    return n, m


def digits(n, out):
    k = 0
    while n:
        n, out[k] = divmod(n, 10)
        k += 1
    return k


def shapes(a):
    for k in range(2):
        rows, cols = a.shape
        a[k, 0] = rows * 10 + cols + a.size + a.ndim + a.shape[-1]
    return rows


a = fibonacci(10)
b = np.arange(7)
c = swap_ends(b)
d = np.zeros(5)
e = targets_in_order(d)
f = np.arange(6.0)
g = through_an_alias(f, f)
h = chained(np.arange(4.0))
i = updates(np.array([5, 6, 7, 9]))
j = np.zeros((2, 3))
k = shapes(j)
m = np.zeros(5, dtype=int)
n = digits(60421, m)
