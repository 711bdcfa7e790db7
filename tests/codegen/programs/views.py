# flake8: noqa
import numpy as np
def f(dst, src, n):
    for i in range(n):
        dst[i] = dst[i] * 0.5 + src[i] * 2.0
def g(dst, src, n, m):
    for i in range(n):
        for j in range(m):
            dst[i, j] = src[j, i] + 1.0
r = []
a = np.arange(40.0)
for d, s in [(a[1:], a[:-1]), (a[:-1], a[1:]), (a[::-1], a), (a[::2], a[1::2]), (a, a), (a[:20], a[20:]), (a[5:30], a[29:4:-1]), (a, np.broadcast_to(np.float64(3), (40,)))]:
    f(d, s, min(len(d), 20)); r.append(a.tolist())
b = np.arange(400.0).reshape(20, 20)
for d, s in [(b, b), (b, b.T), (b[::-1], b), (np.asfortranarray(b), b), (b[:10, :10], b[10:, 10:]), (b[:, ::-2], b[::2, :])]:
    g(d, s, min(d.shape[0], s.shape[1]), min(d.shape[1], s.shape[0])); r.append(b.tolist()); r.append(d.tolist())
ro = np.zeros(20); ro.flags.writeable = False
try: f(ro, a, 20)
except Exception as e: err = repr(e)
