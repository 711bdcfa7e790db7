# flake8: noqa
import numpy as np
def f(a, out, n):
    for j in range(n):
        s = 0.0
        for k in range(20):
            s = s + a[k, j]
        out[j] = s + k
a = np.arange(400.).reshape(20, 20); out = np.zeros(20)
f(a, out, 20)
