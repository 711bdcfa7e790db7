"""The two products of BiCG: s = a.T @ r and q = a @ p in one sweep over a."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 40, "default": 600, "medium": 600, "large": 4000}


def setup(n):
    a = np.cos(np.arange(n * n, dtype=np.float64)).reshape(n, n)
    r = np.arange(n) % 13 / 13.0
    p = np.arange(n) % 17 / 17.0
    return a, r, p, np.zeros(n), np.zeros(n)


def kernel(a, r, p, s, q):
    n, m = a.shape
    for i in range(n):
        q[i] = 0.0
        for j in range(m):
            s[j] += r[i] * a[i, j]
            q[i] += a[i, j] * p[j]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    a, r, p, s, q = setup(n)
    kernel(a, r, p, s, q)
    print("bicg", n)
    print(s[:3].tolist(), q[-3:].tolist())
    print(hashlib.sha256(s.tobytes() + q.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
