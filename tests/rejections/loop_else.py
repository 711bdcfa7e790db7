"""Rejection loop-else."""
import numpy as np

a = np.zeros(3)
for i in range(3):
    a[i] = 0
else:
    n = 0


def f(a, n):
    while n:
        n -= 1
    else:
        n = [k for k in a]
