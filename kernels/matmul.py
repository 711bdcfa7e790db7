"""c = a @ b with a scalar accumulator."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 14, "default": 90, "medium": 90, "large": 1024}


def setup(n):
    rng = np.random.default_rng(1)
    return rng.random((n, n)), rng.random((n, n)), np.zeros((n, n))


def kernel(a, b, c):
    n, m = a.shape
    p = b.shape[1]
    for i in range(n):
        for j in range(p):
            s = 0.0
            for k in range(m):
                s += a[i, k] * b[k, j]
            c[i, j] = s


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    a, b, c = setup(n)
    kernel(a, b, c)
    print("matmul", n)
    print(c[0, :3].tolist(), c[-1, -3:].tolist())
    print(hashlib.sha256(c.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
