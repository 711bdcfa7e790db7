# flake8: noqa
import numpy as np
def f(h, x, y, n):
    for i in range(n):
        h[x[i], y[i]] += 1
x = np.arange(100) % 5; y = (np.arange(100) * 7) % 3
for dt in ["int8", "int64", "uint8", "float64", "uint64", "int32"]:
    h = np.zeros((5, 3), dtype=dt); f(h, x, y, 100); 
    h2 = np.zeros((5, 3), dtype=dt, order="F"); f(h2, x, y, 100)
    h3 = np.zeros((10, 3), dtype=dt)[::-2]; f(h3, x, y, 100)
    globals()["h_" + dt] = (h.tolist(), h2.tolist(), h3.tolist())
x[50] = -6
try: f(h, x, y, 100)
except Exception as e: err = repr(e)
