# flake8: noqa
import numpy as np
n = 20
a = np.arange(400.).reshape(20, 20); out = np.zeros(20)
for j in range(n):
    s = 0.0
    for k in range(n):
        s = s + a[k, j]
        z = s * 2
    out[j] = s + k
