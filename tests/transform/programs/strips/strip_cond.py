# flake8: noqa
import numpy as np
n = 100; m = 100
a = np.arange(10000.).reshape(100, 100) % 7; out = np.zeros(100)
for j in range(n):
    s = 1.0
    for k in range(m):
        if a[k, j] > 3:
            w = a[k, j]
            s = s + w
    out[j] = s
