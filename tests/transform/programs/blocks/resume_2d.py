# flake8: noqa
import numpy as np
def f(a, b, T):
    n, m = a.shape
    for t in range(T):
        for i in range(n):
            for j in range(m):
                b[i, j] = b[i, j] + 1.0 / (float(a[i, j]) - t)
a = np.full((20, 20), 0.5); a[13, 7] = 2.0; b = np.zeros((20, 20))
try: f(a, b, 5)
except Exception as e: err = repr(e)
a = np.asfortranarray(a); b = np.zeros((20, 20), order="F")
try: f(a, b, 5)
except Exception as e: err = repr(e)
a = np.full((40, 40), .5)[::2, ::-2]; a[13, 7] = 2.0; b2 = np.zeros((40, 20)); b3 = b2[::-2]
try: f(a, b3, 5)
except Exception as e: err = repr(e)
v = b2[:, 3].copy()
