# flake8: noqa
import numpy as np
b = np.zeros(40, dtype=np.int64); b[0] = 20; d = np.ones(40); d[15] = 0.0
def f(b, d):
    for i in range(b[0]):
        b[i] = int(3.0 / float(d[i]))
try: f(b, d)
except Exception as e: err = repr(e)
