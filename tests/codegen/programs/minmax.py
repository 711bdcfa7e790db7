# flake8: noqa
import numpy as np
def f(a):
    m = a[0]; w = 0.0
    for i in range(len(a)):
        m = max(m, a[i])
        w = min(w, a[i])
    return m, w
res = []
for dt in ["int8", "uint64", "float32", "float64", "bool"]:
    for arr in (np.arange(10)[::-1].astype(dt), np.array([0, -0.0, 5, 3]).astype(dt)):
        r = f(arr); res.append((repr(r)))
res.append(repr(f(np.array([1.0, np.nan, 3.0])))); res.append(repr(f(np.array([0.0, -0.0])))); res.append(repr(f(np.array([-0.0, 0.0]))))
