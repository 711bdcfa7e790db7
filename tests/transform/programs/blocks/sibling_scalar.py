# flake8: noqa
import numpy as np
def f(a, b, c, d, T):
    n = len(a)
    x = 0.0
    for t in range(T):
        for i in range(n):
            x = float(a[i] * 2)
            b[i] = x
        for k in range(n):
            c[k] = c[k] + x / (float(d[k]) - t)
a = np.arange(1.,9.); b = np.zeros(8); c = np.zeros(8); d = np.zeros(8); d[5] = 1; d += 0.5; d[5] = 1.0
try: f(a, b, c, d, 3)
except Exception as e: err = repr(e)
