"""BLAS gemver: a rank-2 update of a, then x = beta * a.T @ y + z and w = alpha * a @ x."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 40, "default": 450, "medium": 450, "large": 3000}


def setup(n):
    i = np.arange(n)
    a = np.sin(np.arange(n * n, dtype=np.float64)).reshape(n, n)
    u1, u2 = i / n, (i + 1) / n / 2.0
    v1, v2 = (i + 1) / n / 4.0, (i + 1) / n / 6.0
    y, z = (i + 1) / n / 8.0, (i + 1) / n / 9.0
    return 1.5, 1.2, a, u1, v1, u2, v2, y, z, np.zeros(n), np.zeros(n)


def kernel(alpha, beta, a, u1, v1, u2, v2, y, z, x, w):
    n = len(x)
    for i in range(n):
        for j in range(n):
            a[i, j] = a[i, j] + u1[i] * v1[j] + u2[i] * v2[j]

    for i in range(n):
        for j in range(n):
            x[i] = x[i] + beta * a[j, i] * y[j]

    for i in range(n):
        x[i] = x[i] + z[i]

    for i in range(n):
        for j in range(n):
            w[i] = w[i] + alpha * a[i, j] * x[j]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    args = setup(n)
    kernel(*args)
    a, x, w = args[2], args[-2], args[-1]
    print("gemver", n)
    print(x[:3].tolist(), w[-3:].tolist())
    print(hashlib.sha256(a.tobytes() + x.tobytes() + w.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
