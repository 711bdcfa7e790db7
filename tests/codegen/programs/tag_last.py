# flake8: noqa
import numpy as np
n = 1000
a = (np.arange(n) * 7919) % 101; b = np.zeros(n)
def f(a, b, n, w):
    for i in range(n):
        b[i] = a[i] * 0.5
        if a[i] > 90: w = i
        elif a[i] > 80: w = a[i] * 0.5
        elif a[i] > 70: w = float(a[i])
    return w
r1 = f(a, b, n, 0); r2 = f(a, b, 3, 0); r3 = f(a, b, 0, 0); r4 = f(a, b, 950, 0.5); r5 = f(a, b, n - 1, np.float32(3)); 
