# flake8: noqa
import numpy as np
def f(a, out, n):
    k = 0
    for j in range(n):
        s = 0.0
        for k in range(n):
            s = s + a[k, j]
        k = j * 2 + k
        out[j] = s + k
a = np.arange(400.).reshape(20, 20); out = np.zeros(20)
f(a, out, 20)
