# flake8: noqa
import numpy as np
def f(a, b, c, d, T):
    n = len(a)
    i = 5
    for t in range(T):
        for i in range(n):
            b[i] = a[i] * 2
        for k in range(n):
            c[k] = c[k] + i / (float(d[k]) - t)
a = np.arange(1.,9.); b = np.zeros(8); c = np.zeros(8); d = np.full(8, .5); d[5] = 1
try: f(a, b, c, d, 3)
except Exception as e: err = repr(e)
