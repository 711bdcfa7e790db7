# flake8: noqa
import numpy as np
n = 50; m = 60
a = (np.arange(3000).reshape(50, 60) * 7919) % 101
first = np.full(n, -1)
for i in range(n):
    for j in range(m):
        if a[i, j] > 95:
            first[i] = j
            break
        if a[i, j] % 2: continue
        z = a[i, j]
