# flake8: noqa
import numpy as np
def f(a, b, c, T):
    for t in range(1, T, 2):
        for i in range(1, len(a) - 1):
            b[i] = 1.0 / (float(a[i - 1]) - t) + float(a[i + 1])
        for i in range(1, len(a) - 1):
            c[i] = c[i] + 1.0 / (float(b[i]))
        for k in range(len(a)):
            a[k] = a[k] + 1.0
a = np.arange(.5, 10.5); a[5] = -1.0; b = np.zeros(10); c = np.zeros(10)
try: f(a, b, c, 9)
except Exception as e: err = repr(e)
