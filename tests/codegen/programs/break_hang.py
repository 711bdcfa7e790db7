# flake8: noqa
import numpy as np
def f(v, idx, out, n):
    for i in range(n):
        d = v[idx[i]]
        x = 1.0
        for k in range(10**12):
            x = x + d
            if x > 10.0:
                break
        out[i] = x
v = np.zeros(5); v[1:] = 1.0; idx = np.array([1, 2, 3, 7, 1, 2]); out = np.zeros(6)
try: f(v, idx, out, 6)
except Exception as e: err = repr(e)
