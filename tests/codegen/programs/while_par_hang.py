# flake8: noqa
import numpy as np
def f(v, w, idx, out, n, T):
    for t in range(T):
        d = v[idx[t]]
        for i in range(n):
            x = 1.0
            while x < 10.0:
                x = x + d * w[i]
            out[i] = out[i] + x
v = np.zeros(5); v[1:] = 1.0; idx = np.array([1, 2, 3, 7, 1, 2]); out = np.zeros(6); w = np.ones(6)
try: f(v, w, idx, out, 6, 6)
except Exception as e: err = repr(e)
def g(v, w, idx, out, n, T):
    for t in range(T):
        d = v[idx[t]]
        for i in range(n):
            x = 1.0
            while x < 10.0:
                x = x + d * w[idx[i] % 6]
            out[i] = out[i] + x
try: g(v, w, idx, out, 6, 6)
except Exception as e: err2 = repr(e)
