# flake8: noqa
import numpy as np
def g(b, a, t):
    for t in range(t, 6):
        for i in range(8):
            b[i] = b[i] + 1.0 / (float(a[i]) - t)
    return t
a = np.arange(.5, 8.5); b = np.zeros(8); a[5] = 4.0
t = 2
try:
    for t in range(t, 6):
        for i in range(8):
            b[i] = b[i] + 1.0 / (float(a[i]) - t)
except Exception as e: err = repr(e)
b2 = np.zeros(8)
try:
   g(b2, a, 2)
except Exception as e: err = repr(e)
