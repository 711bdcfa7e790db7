# flake8: noqa
import numpy as np
def f(a, b, n):
    for i in range(n):
        if i >= 3:
            a[i-3] = 1.0 / float(b[i])
buf = np.arange(200.0); a = buf[100:150]; b = np.ones(50); b[20] = 0
try: f(a, b, 50)
except Exception as e: err = repr(e)
