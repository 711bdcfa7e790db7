"""A Python float that a float32 sum never reached stays a float (was read back as a double)."""
import numpy as np

a = np.arange(5).astype(np.float32)
s = 1.0
for i in range(5):
    for j in range(1, 1):
        s += a[1]
