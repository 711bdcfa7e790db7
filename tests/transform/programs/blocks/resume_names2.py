# flake8: noqa
import numpy as np
a = np.full(20, 0.5); b = np.zeros(20); c = np.zeros(20); d = np.full(20, .5); d[7] = 2.0
try:
    for t in range(5):
        for i in range(20):
            b[i] = b[i] + 1.0 / (float(a[i]) - t)
        for k in range(20):
            c[k] = c[k] + 1.0 / (float(d[k]) - t)
except Exception as e: err = repr(e)
