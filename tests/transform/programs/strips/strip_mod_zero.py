# flake8: noqa
import numpy as np
n = 100; m = 0
a = np.arange(10000.).reshape(100, 100); out = np.zeros(100)
for j in range(n):
    s = 1.0
    for k in range(m):
        s = s + a[k, j]
    out[j] = s
