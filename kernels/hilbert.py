"""The Hilbert matrix h[i, j] = 1 / (i + j + 1), filled by a loop at module level."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 50, "default": 1000, "medium": 1500, "large": 3000}


def setup(n):
    return n, np.zeros((n, n))


def kernel(n, h):
    for i in range(n):
        for j in range(n):
            h[i, j] = 1.0 / (i + j + 1)


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    h = np.zeros((n, n))

    for i in range(n):
        for j in range(n):
            h[i, j] = 1.0 / (i + j + 1)

    print("hilbert", n, "last", i, j)
    print(h[0, :3].tolist(), h[-1, -3:].tolist())
    print(hashlib.sha256(h.tobytes()).hexdigest())
