# flake8: noqa
import numpy as np
def f(a, n, m, s):
    for i in range(3):
        for j in range(0, m, s):
            for k in range(m):
                a[i, j, k] = a[i, j, k] + i * 1.0 + j
a = np.zeros((3, 30, 30))
f(a, 3, 30, 2)
f(a, 3, 30, 3)
