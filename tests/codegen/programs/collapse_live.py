# flake8: noqa
import numpy as np
a = np.zeros((3, 30, 30))
for i in range(3):
    for j in range(30):
        for k in range(30):
            x = i * 1.5 + j * k
            a[i, j, k] = x
