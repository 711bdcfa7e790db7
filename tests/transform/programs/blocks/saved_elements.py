# flake8: noqa
import numpy as np
def stencil(a, b, w, T):
    n, m = a.shape
    for t in range(T):
        for i in range(1, n - 1):
            for j in range(1, m - 1):
                s = 0.0
                for d in range(-1, 2):
                    s += w[d + 1] / float(a[i + d, j] - 3 * t)
                b[i - 1, j + 1 - 1] = b[i - 1, j] * 0.5 + s
        for i in range(n):
            for j in range(i, m):
                a[i, j] = a[i, j] + 1.0
def triangle(a, b):
    n = len(a)
    for i in range(n):
        for j in range(i, n):
            b[i, j] = b[i, j] + 1.0 / float(a[j, i])
def fixed(a, b, k):
    for i in range(len(a)):
        for j in range(len(a) - 1, -1, -2):
            b[i, k, j] = 1.0 / float(a[i, j])
def diagonal(a, b):
    for i in range(len(a)):
        for j in range(len(a)):
            b[i, j, j] = 1.0 / float(a[i, j])
def again(a, b):
    for i in range(len(a)):
        for k in range(3):
            for j in range(len(a)):
                b[i, j] = b[i, j] * 2 + 1.0 / float(a[i, j])
def half(a, b):
    for i in range(len(a)):
        for j in range(len(a)):
            if j == 2: continue
            b[i, j] = 1.0 / float(a[i, j])
def cube(a, b):
    n = len(a)
    s = 0.0
    for i in range(1, n):
        for j in range(n):
            for k in range(1, n):
                b[i - 1, k - 1, j] = 1.0 / float(a[i, k]) + s
        s += 1.0
    return s
def floats(a, b):
    for i in range(len(a)):
        for j in range(len(a)):
            b[i, j] = a[i, j] / a[j, i]
def column(a, b, k):
    s = 0.0
    for i in range(len(a)):
        s += 1.0 / float(a[i, k])
        b[i, k] = s
    return s
seen = []
def tell(f, *args):
    try: seen.append(f(*args))
    except Exception as e: seen.append((repr(e), e.__traceback__.tb_next.tb_lineno))
    for a in args:
        if isinstance(a, np.ndarray): seen.append(a.tolist())
for bad in ((0, 0), (2, 1), (5, 6), (7, 7)):
    a = np.arange(1.0, 65).reshape(8, 8) + 0.5
    a[bad] = 0
    for start in (0.0, 3.0):
        tell(stencil, np.where(a == 0, 2.0, a), np.full((8, 8), start), np.ones(3), 4)
        tell(triangle, a.copy(), np.full((8, 8), start)); tell(triangle, a.T.copy(), np.full((8, 8), start))
        tell(column, a, np.full((8, 8), start), bad[1])
        tell(fixed, a, np.full((8, 3, 8), start), 1); tell(fixed, a, np.full((8, 3, 8), start), -1)
        tell(diagonal, a, np.full((8, 8, 8), start)); tell(again, a, np.full((8, 8), start)); tell(half, a, np.full((8, 8), start))
        tell(cube, a, np.full((8, 8, 8), start))
        if bad == (5, 6): tell(floats, a, np.full((8, 8), start))
        if bad != (0, 0):
          with np.errstate(all="raise"): tell(floats, a, np.full((8, 8), start))
for s in seen: print(s)
