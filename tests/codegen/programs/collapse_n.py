# flake8: noqa
import numpy as np
a = np.zeros((3, 30, 30)); n = 30
for i in range(3):
    for j in range(n):
        for k in range(j, n):
            a[i, j, k] = i * 1.5 + j * k
            x = a[i, j, k]
