# flake8: noqa
import numpy as np
n = 1000
a = (np.arange(n) * 7919) % 101; b = np.zeros(n)
w = -1
for i in range(n - 1, -1, -3):
    b[i] = a[i] * 0.5
    if a[i] > 90:
        w = i
        z = b[i]
for i in range(n):
    b[i] = a[i] * 0.5
    if a[i] > 1000:
        w2 = i
