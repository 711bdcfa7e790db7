"""A parallel inner loop that makes no trip must leave its scalar alone (was garbage under omp)."""
import numpy as np


def work(a, b, n):
    s = 0.001
    for i in range(3):
        for j in range(n - 1):
            s = 5 + j - i
        s += np.float64(i) - a[i]
        b[i] = s
    return s


x, y = np.arange(3.0), np.zeros(3)
r1 = work(x, y, 1)
r2 = work(x, y, 4)
