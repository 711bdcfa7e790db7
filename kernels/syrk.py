"""Symmetric rank-k update of the lower triangle: c = alpha * a @ a.T + beta * c."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 14, "default": 100, "medium": 100, "large": 800}


def setup(n):
    i = np.arange(n).reshape(n, 1)
    j = np.arange(n).reshape(1, n)
    a = (i * j % 7 + 1) / 7.0
    c = (i * j % 11 + 2) / 11.0
    return 1.5, 1.2, a, c


def kernel(alpha, beta, a, c):
    n, m = a.shape
    for i in range(n):
        for j in range(i + 1):
            c[i, j] *= beta
        for k in range(m):
            for j in range(i + 1):
                c[i, j] += alpha * a[i, k] * a[j, k]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    alpha, beta, a, c = setup(n)
    kernel(alpha, beta, a, c)
    print("syrk", n)
    print(c[0, :3].tolist(), c[-1, -3:].tolist())
    print(hashlib.sha256(c.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
