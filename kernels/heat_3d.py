"""Explicit heat equation on a cube, two grids that alternate: python heat_3d.py [STEPS N]."""

import hashlib
import sys

import numpy as np

SIZES = {"test": (2, 10), "default": (5, 34), "medium": (10, 60), "large": (10, 200)}


def setup(size):
    steps, n = size
    i = np.arange(n, dtype=np.float64)
    a = (i.reshape(n, 1, 1) + i.reshape(1, n, 1) + (n - i)) * 10.0 / n
    return steps, a, a.copy()


def kernel(steps, a, b):
    n = len(a)
    for t in range(steps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    b[i, j, k] = (
                        0.125 * (a[i + 1, j, k] - 2.0 * a[i, j, k] + a[i - 1, j, k])
                        + 0.125 * (a[i, j + 1, k] - 2.0 * a[i, j, k] + a[i, j - 1, k])
                        + 0.125 * (a[i, j, k + 1] - 2.0 * a[i, j, k] + a[i, j, k - 1])
                        + a[i, j, k]
                    )
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    a[i, j, k] = (
                        0.125 * (b[i + 1, j, k] - 2.0 * b[i, j, k] + b[i - 1, j, k])
                        + 0.125 * (b[i, j + 1, k] - 2.0 * b[i, j, k] + b[i, j - 1, k])
                        + 0.125 * (b[i, j, k + 1] - 2.0 * b[i, j, k] + b[i, j, k - 1])
                        + b[i, j, k]
                    )


def main():
    size = tuple(map(int, sys.argv[1:])) or SIZES["default"]
    steps, a, b = setup(size)
    kernel(steps, a, b)
    print("heat_3d", *size)
    print(a[1, 1, :3].tolist(), a[-2, -2, -3:].tolist())
    print(hashlib.sha256(a.tobytes() + b.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
