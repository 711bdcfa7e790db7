"""A complex constant keeps the sign of its zero (it was written as a sum, which has none)."""
import numpy as np

z = np.ones(400, complex)
w = np.ones(400, np.complex64)
a = np.arange(400.0)
for i in range(400):
    if a[i] > 1.0:
        z[i] = -0.0
    else:
        z[i] = -1j
for i in range(400):
    w[i] = complex(-0.0, 2.0)
