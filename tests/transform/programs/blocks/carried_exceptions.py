# flake8: noqa
import numpy as np
def lookup(x, idx, y):
    s = 0.0
    n = -1
    for i in range(len(idx)):
        n = idx[i]
        s += x[n]
        y[i] = s
    return s
def count(k, y):
    total = 2**62
    for i in range(len(k)):
        total += int(k[i]) * 2**58
        y[i] = i
    return total
def nested(x, y, m):
    s = t = 0.0
    for i in range(len(y)):
        row = 0.0
        for j in range(m):
            row += 1.0 / float(x[i, j])
        s += row
        for j in range(m):
            t = row * j
            y[i, j] = s / float(x[i, m - 1 - j])
    return s, t, i, j
seen = []
def tell(f, y, *args):
    try:
        seen.append(f(*args))
    except Exception as e:
        frame = e.__traceback__.tb_next
        seen.append((repr(e), frame.tb_lineno, sorted((k, repr(v)) for k, v in frame.tb_frame.f_locals.items() if not isinstance(v, np.ndarray))))
    seen.append(y.tolist())
for bad in (0, 1, 7, 11):
    idx = np.arange(12); idx[bad] = 99
    y = np.zeros(12)
    tell(lookup, y, np.arange(12.0), idx, y)
    k = np.ones(12, np.int64); k[bad] = 30
    y = np.zeros(12)
    tell(count, y, k, y)
    x = np.full((12, 5), 2.0); x[bad, 3] = 0
    y = np.zeros((12, 5))
    tell(nested, y, x, y, 5)
    x = np.full(12, 1e308); x[bad] = 1
    y = np.zeros(12)
    with np.errstate(all="raise"):
        tell(lookup, y, x, np.arange(12), y)
tell(lookup, y, x, np.arange(0), y)
tell(nested, y, np.zeros((0, 3)), np.zeros((0, 3)), 3)

for s in seen: print(s)
