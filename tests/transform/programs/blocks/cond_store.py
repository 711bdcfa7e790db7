# flake8: noqa
import numpy as np
def f(a, b, n, m):
    for i in range(n):
        if i < m:
            a[i] = 1.0 / float(b[i])
        else:
            x = 2.0 / float(b[i])
buf = np.arange(200.0); a = buf[:50]; b = np.ones(100); b[80] = 0
try: f(a, b, 100, 50)
except Exception as e: err = repr(e)
b2 = np.ones(100)
f(a, b2, 100, 50)
