"""b = transpose of a, out of place."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 50, "default": 1000, "medium": 1400, "large": 2500}


def setup(n):
    a = np.arange(n * n, dtype=np.float64).reshape(n, n) / 3.0
    b = np.zeros((n, n))
    return a, b


def kernel(a, b):
    rows, cols = a.shape
    for i in range(rows):
        for j in range(cols):
            b[j, i] = a[i, j]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    a, b = setup(n)
    kernel(a, b)
    print("transpose", n)
    print(b[0, :3].tolist(), b[-1, -3:].tolist())
    print(hashlib.sha256(b.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
