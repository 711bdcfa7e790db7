# flake8: noqa
import numpy as np
def f(a, n, m, s):
    for i in range(0, 3, s):
        for j in range(m - 1, -1, -1):
            for k in range(m):
                a[i, j, k] = a[i, j, k] + i * 1.0 + j
a = np.zeros((3, 30, 30))
f(a, 3, 30, 1)
f(a, 3, 30, 2)
