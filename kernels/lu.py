"""LU decomposition in place, no pivoting."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 16, "default": 110, "medium": 110, "large": 1000}


def setup(n):
    a = np.sin(np.arange(n * n, dtype=np.float64)).reshape(n, n)
    return (a + n * np.eye(n),)


def kernel(a):
    n = a.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                a[i, j] -= a[i, k] * a[k, j]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    (a,) = setup(n)
    kernel(a)
    print("lu", n)
    print(a[0, :3].tolist(), a[-1, -3:].tolist())
    print(hashlib.sha256(a.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
