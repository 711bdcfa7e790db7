# flake8: noqa
import numpy as np
def f(a, b, n, m):
    for j in range(n):
        for k in range(m):
            a[k, j] = 1.0 / float(b[k])
a = np.zeros((8, 6)); b = np.ones(8); b[3] = 0
try: f(a, b, 6, 8)
except Exception as e: err = repr(e)
