# flake8: noqa
import numpy as np
def plain(x, y):
    s = 0.0
    for i in range(len(x)):
        s += x[i]
        y[i] = s
    return s, i
def python_float(x, y):
    s = 0.0
    for i in range(len(x)):
        s += float(x[i]) / float(x[i] - 7.0)
        y[i] = s
    return s
def either(x, y, t):
    s = 0
    last = None
    for i in range(len(x)):
        if x[i] > t:
            s += x[i]
        y[i] = s
    return s, type(s).__name__
def single(x, y):
    s = np.float32(0)
    for i in range(len(x)):
        s = s + x[i]
        y[i] = s
    return s
def several(x, y, k):
    a, b, c, flag = 1, 0.5, np.int8(1), False
    for i in range(len(x)):
        a, b = a + 1, b * 0.5 + x[i]
        c = k[i] + c
        flag = b > 3
        y[i] = b + c - a
    return a, b, c, flag
def rolling(x, y):
    before = x[0]
    for i in range(1, len(x)):
        now = x[i]
        y[i] = now / before
        before = now
    return y.sum()
def complexes(x, y, z):
    s = 0j
    for i in range(len(z)):
        s = s + z[i] * z[i]
        y[i] = s.real
    return s
seen = []
for bad in (0, 3, 9, 19):
    for value in (np.inf, np.nan, 7.0, 3e38, 0.0):
        x = np.arange(20.0) + 0.25
        x[bad] = value
        x[bad // 2] = -value if value == value else 1.0  # of two NaNs, either may come through an addition
        y = np.zeros(20)
        k = np.full(20, 10, np.int8)
        for f, more in ((plain, ()), (python_float, ()), (either, (4,)), (either, (40,)), (several, (k,)), (rolling, ())):
            with np.errstate(all=("warn", "ignore", "raise")[int(value) % 3 if value == value and abs(value) < 9 else 0]):
                try:
                    seen.append(f(x, y, *more))
                except Exception as e:
                    seen.append((repr(e), e.__traceback__.tb_next.tb_lineno))
            seen.append(y.tobytes().hex())
        y = np.zeros(20, np.float32)
        seen += [single(x.astype(np.float32), y), y.tobytes().hex(), complexes(x, y, x + 1e200j), y.tobytes().hex()]
for s in seen: print(s)
