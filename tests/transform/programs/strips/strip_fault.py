# flake8: noqa
import numpy as np
def f(a, out, n, m):
    for j in range(n):
        s = 1.0
        for k in range(m):
            s = s + float(a[k, j])
        out[j] = 1.0 / s
a = np.ones((50, 100)); out = np.zeros(100); a[0, 77] = -50
try: f(a, out, 100, 50)
except Exception as e: err = repr(e)
try: f(a, out, 100, 51)
except Exception as e: err = repr(e)
