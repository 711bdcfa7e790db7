# flake8: noqa
import numpy as np
def f(a, b, n):
    for i in range(1, n - 1):
        for j in range(n - 2, 0, -1):
            for k in range(1, n - 1):
                b[i, j, k] = (a[i - 1, j, k] + a[i, j + 1, k] - a[i, j, -k]) / 3
    return i, j, k
x = np.arange(1000.).reshape(10, 10, 10); r = []
for a, b in [(x, x.copy()), (x.transpose(2, 0, 1), x.copy()), (x.astype("f4"), x.copy()), (x.astype("i4"), x.astype("f4")), (x.astype(complex), x.astype("c8")), (x, x), (x[::-1, :, ::-1], np.asfortranarray(x))]:
    for q in range(2):
        r.append(f(a, b, 10)); r.append(b.tolist())
try: f(x, x.copy(), 2)
except Exception as e: err = repr(e)
try: f(x, x.copy(), 12)
except Exception as e: err2 = repr(e)
