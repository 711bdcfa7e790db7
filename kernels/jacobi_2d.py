"""Five-point Jacobi relaxation on a square grid: python jacobi_2d.py [STEPS N]."""

import hashlib
import sys

import numpy as np

SIZES = {"test": (2, 24), "default": (10, 180), "medium": (10, 180), "large": (10, 3000)}


def setup(size):
    steps, n = size
    a = np.arange(n * n, dtype=np.float64).reshape(n, n) % 97 / 97.0
    b = a.copy()
    return steps, a, b


def kernel(steps, a, b):
    n = a.shape[0]
    for t in range(steps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                b[i, j] = 0.2 * (a[i, j] + a[i, j - 1] + a[i, j + 1] + a[i + 1, j] + a[i - 1, j])
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                a[i, j] = b[i, j]


def main():
    size = tuple(map(int, sys.argv[1:])) or SIZES["default"]
    steps, a, b = setup(size)
    kernel(steps, a, b)
    print("jacobi_2d", *size)
    print(a[1, :3].tolist(), a[-2, -3:].tolist())
    print(hashlib.sha256(a.tobytes() + b.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
