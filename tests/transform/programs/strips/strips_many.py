# flake8: noqa
import numpy as np
def mm(c, a, b, n, m, p):
    for i in range(n):
        for j in range(m):
            s = c[i, j]
            for k in range(p):
                s += a[i, k] * b[k, j]
            c[i, j] = s
    return s
r = []
for dt in ["f8", "f4", "c16", "i8", "i4", "u1", "bool"]:
    for n, m, p in [(7, 5, 9), (130, 65, 20), (3, 64, 64), (4, 200, 0), (0, 5, 5), (40, 0, 5)]:
        a = (np.arange(n * p).reshape(n, p) % 3).astype(dt); b = (np.arange(p * m).reshape(p, m) % 2).astype(dt); c = np.ones((n, m), dt)
        for o in ("C", "F"):
            try: s = mm(np.asarray(c, order=o), a, np.asarray(b, order=o), n, m, p); r.append((repr(s), type(s).__name__))
            except Exception as e: r.append(repr(e))
        r.append(float(abs(c.sum())))
