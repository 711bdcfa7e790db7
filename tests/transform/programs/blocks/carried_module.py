# flake8: noqa
import numpy as np
x = np.arange(30.0); y = np.zeros(30); x[17] = np.inf; x[23] = -np.inf
s = 0.0
for i in range(len(x)):
    s += x[i]
    half = s / 2
    if i % 5 == 4:
        fifth = half
    if i > 1000:
        never = half
    y[i] = half
total, big = 0, 0
k = np.arange(40); d = np.ones(40); d[29] = 0
try:
    for i in range(40):
        square = k[i] * k[i]
        total += int(square)
        if square > 700: big += 1
        y[i % 30] = 0
except ZeroDivisionError: pass
z = np.zeros(40)
try:
    for i in range(40):
        total += i
        q = 1.0 / float(d[i])
        z[i] = q
except ZeroDivisionError as e: err = repr(e)
w = np.zeros((40, 6), np.int64)
count = 0
try:
    for i in range(40):
        for j in range(6):
            count += 1
            w[i, j] = i * j // int(d[i])
except ZeroDivisionError as e: err2 = repr(e)
for _ in range(6):
    z[_] = 1 / float(d[_ + 20])
class C:
    n = 40
    acc = 1.5
    out = np.zeros(40)
    try:
        for i in range(n):
            acc += 1.0 / float(d[i])
            out[i] = acc
    except ZeroDivisionError as e: err = repr(e)
left = {k: v for k, v in vars(C).items() if k in ("acc", "i", "err")}
print(left, sorted(vars(C)))
