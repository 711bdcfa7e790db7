"""Periodic boundaries: remainders of what is known to be near, and of what is not."""
import numpy as np


def f(a, b, n, k, d):
    for i in range(n):
        b[i] = a[(i + 1) % n] + a[(i - 1) % n] * 2 + a[(i + k) % n] - a[(d - i) % n]
    for i in range(n - 1, -1, -1):
        b[i] += a[(2 * i) % n] + a[(i - n) % n]


def g(idx, n, m):
    s = 0
    for i in range(n):
        j = idx[i]
        s += (j % m) * 3 + ((j + 1) % m) - ((i - m) % m)
        if -m <= j < m:
            s += j % m
    return s


def h(x, lo, hi, m, out):
    for i in range(lo, hi):
        out[i - lo] = i % m + x[(i + m) % m]


for n in (1, 2, 3, 5000):
    for k in (0, 1, -1, n, -n, n - 1, n + 1, 2 * n, -2 * n, 7 * n + 3):
        a, b = np.arange(n) * 1.5, np.zeros(n)
        try:
            f(a, b, n, k, k // 2)
        except Exception as e:
            print(type(e), e)
        print(n, k, b.sum(), b[:4])
rng = np.random.default_rng(0)
for m in (1, 2, 5, 1000):
    for dt in (np.int64, np.int32, np.int8, np.uint8, np.uint64):
        idx = rng.integers(0 if dt in (np.uint8, np.uint64) else -100, 100, 3000).astype(dt)
        try:
            r = g(idx, 3000, m)
            print(m, dt.__name__, r, type(r))
        except OverflowError as e:
            print(e)
RANGES = (
    (0, 10, 5), (-5, 5, 5), (-5, 10, 5), (-6, 5, 5), (0, 11, 5), (3, 4000, 2001), (5, 5, 3), (0, 3, 0), (0, 3, -4),
)  # fmt: skip
for lo, hi, m in RANGES:
    out, x = np.zeros(max(hi - lo, 0)), np.arange(max(m, 1)) * 0.5
    try:
        h(x, lo, hi, m, out)
    except Exception as e:
        print(type(e), e)
    print(lo, hi, m, out.sum(), out[:5])
