# flake8: noqa
import numpy as np
def f(a, b, s, lo, hi):
    for i in range(lo, hi, s):
        a[i] = b[i] * 2
    return i
a = np.zeros(30); b = np.arange(30.)
r = []
for args in [(2, 0, 30), (-3, 29, -1), (1, 5, 7), (-1, 3, -4), (3, -20, 10)]:
    r.append(f(a, b, *args)); r.append(a.tolist())
for args in [(0, 1, 3), (1, 5, 5), (1, 0, 31), (-1, 31, 2)]:
    try: f(a, b, *args)
    except Exception as e: r.append(repr(e))
