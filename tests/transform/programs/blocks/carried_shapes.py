# flake8: noqa
import numpy as np
def overlap(base, x):
    a, b = base[:-1], base[1:]
    s = 0.0
    for i in range(len(a)):
        s += 1.0 / float(x[i])
        a[i] = s
        b[i] = s + 1
    return s
def same(a, b, x):
    s = 0.0
    for i in range(len(a)):
        s += 1.0 / float(x[i])
        a[i] = a[i] + s
        b[i] = b[i] * s
    return s
def own_bound(y, x, i, n):
    s = 0.0
    for i in range(i, n):
        s += 1.0 / float(x[i])
        y[i] = s
        n = 3
    return s, i, n
def moving_bound(y, x, n):
    for i in range(n):
        n -= 1
        y[i] = n / float(x[i])
    return n
def moving_bound_unseen(y, x, n):
    for i in range(n):
        n = i
        y[i] = n / float(x[i])
def leaves(y, x):
    s = 0.0
    for i in range(len(x)):
        if x[i] > 100: break
        if x[i] > 50: continue
        s += 1.0 / float(x[i])
        y[i] = s
    return s
def skips(y, x):
    s = 0.0
    for i in range(len(x)):
        s += 1.0
        if x[i] > 9: continue
        s += 1.0 / float(x[i])
        y[i] = s
    return s
def values(y, x):
    s, i = 0.0, 0
    for i, v in enumerate(x):
        s += 1.0 / float(v)
        y[i] = s
    return s, i, v
def pairs(y, x):
    s = 0.0
    for a, (i, b) in zip(x, enumerate(x)):
        s += a / float(b)
        y[i] = s
    return s, a, i, b
def rows(y, x):
    s = 0.0
    for i in range(len(y)):
        r = y[i]
        for j in range(len(x)):
            s += 1.0 / float(x[j] - i)
            r[j] = s
    return s
def names(r, fp, resume, l, y_saved, s_kept, y):
    s = 0.0
    fault = 0.0
    for i in range(len(r)):
        s += fp[i] / resume + l
        r_n0 = s + y_saved
        fault += r_n0
        r[i] = s + s_kept + r_n0
        y[i] = fault
    return s, fault, r_n0
def earlier(y, x):
    s = 0.0
    for i in range(2, len(x)):
        s += 1.0 / float(x[i])
        y[i - 2] = s + y[i]
    return s
def waits(y, x):
    s = 0
    for i in range(len(x)):
        k = 0
        while k < 3:
            k += 1
            s += k
        y[i] = s / float(x[i])
    return s, k
seen = []
def tell(f, *args):
    try: seen.append(f(*args))
    except Exception as e: seen.append((repr(e), e.__traceback__.tb_next.tb_lineno))
    for a in args:
        if isinstance(a, np.ndarray): seen.append(a.tolist())
for bad in (0, 1, 6, 15):
    x = np.arange(1.0, 17.0); x[bad] = 0
    tell(overlap, np.zeros(17), x)
    a = np.ones(16)
    tell(same, a, a, x); tell(same, a, np.ones(16)[::-1], x); tell(same, a[:8], a[8:], x)
    tell(own_bound, np.zeros(16), x, 1, 16); tell(moving_bound, np.zeros(16), x, 16); tell(moving_bound_unseen, np.zeros(16), x, 16)
    tell(leaves, np.zeros(16), x); tell(skips, np.zeros(16), x); tell(values, np.zeros(16), x); tell(pairs, np.zeros(16), x)
    tell(rows, np.zeros((6, 16)), x + 0.5); tell(rows, np.zeros((6, 16)), x)
    tell(names, np.zeros(16), np.where(x == 0, np.inf, x) * (-1) ** np.arange(16), np.float64(2), 1.0, 2.0, 3.0, np.zeros(16))
    tell(earlier, np.ones(16), x); tell(waits, np.zeros(16), x)
for s in seen: print(s)
