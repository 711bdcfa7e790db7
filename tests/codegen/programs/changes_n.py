# flake8: noqa
import numpy as np
a = np.zeros(50); n = 10
for i in range(n):
    n = n + 1
    a[i] = n
for n in range(n): a[n] += 2
k = 3
for i in range(k, 12, k):
    k = k - 1
    a[i] += k
