# flake8: noqa
import numpy as np
a = np.full((20, 30), 0.5); b = np.zeros((20, 30)); a[13, 7] = 2.0
try:
    for t in range(5):
        for i in range(20):
            for j in range(30):
                b[i, j] = b[i, j] + 1.0 / (float(a[i, j]) - t)
except Exception as e: err = repr(e)
