# flake8: noqa
import numpy as np
n = 150
a = (np.arange(n * n, dtype=float).reshape(n, n) * 17) % 13; x = np.zeros(n); y = np.zeros(n)
for j in range(n):
    s = 0.0
    p = 1.0
    for i in range(n):
        s = s + a[i, j]
        last = a[i, j] * 2
        for q in range(3):
            p = p + last
    x[j] = s
    y[j] = p + i + q
for j in range(5, n - 3):
    x[j] = 0.0
    for i in range(n):
        x[j] = x[j] + a[i, j] * y[i]
for i in range(n):
    for j in range(n):
        x[i] += a[j, i] * y[j]
