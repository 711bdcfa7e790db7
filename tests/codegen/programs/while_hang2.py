# flake8: noqa
import numpy as np
def f(a, out, n):
    for i in range(n):
        q = 100 // int(a[i])
        x = 0.0
        while x < 10.0:
            x = x + q
        out[i] = x
a = np.array([3, 4, 0, 7]); out = np.zeros(4)
try: f(a, out, 4)
except Exception as e: err = repr(e)
