"""y = a.T @ (a @ x)."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 40, "default": 600, "medium": 600, "large": 4000}


def setup(n):
    a = np.sin(np.arange(n * n, dtype=np.float64)).reshape(n, n)
    x = 1.0 + np.arange(n) / n
    return a, x, np.zeros(n)


def kernel(a, x, y):
    n, m = a.shape
    for i in range(n):
        t = 0.0
        for j in range(m):
            t += a[i, j] * x[j]
        for j in range(m):
            y[j] = y[j] + a[i, j] * t


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    a, x, y = setup(n)
    kernel(a, x, y)
    print("atax", n)
    print(y[:3].tolist(), y[-3:].tolist())
    print(hashlib.sha256(y.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
