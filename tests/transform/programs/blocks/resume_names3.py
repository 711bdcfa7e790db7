# flake8: noqa
import numpy as np
a = np.full(200000, 0.5); b = np.zeros(200000); a[::4096] = 1.0; a[0] = 2
try:
    for i in range(200000):
        x = float(a[i]) * 3
        b[i] = 1.0 / (x - 3.0)
except Exception as e: err = repr(e)
