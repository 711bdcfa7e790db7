"""Rejection raise."""
import numpy as np

a = np.zeros(3)
for i in range(3):
    if a[i] < 0:
        raise ValueError(i)
