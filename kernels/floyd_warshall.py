"""All-pairs shortest paths."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 14, "default": 100, "medium": 100, "large": 800}


def setup(n):
    i = np.arange(n).reshape(n, 1)
    j = np.arange(n).reshape(1, n)
    d = (i * j % 7 + 1 + (i + 3 * j) % 11).astype(np.float64)
    d[((i + j) % 13 == 0) | ((i + j) % 7 == 0) | ((i + j) % 11 == 0)] = 999.0
    np.fill_diagonal(d, 0.0)
    return (d,)


def kernel(d):
    n = len(d)
    for k in range(n):
        for i in range(n):
            for j in range(n):
                if d[i, k] + d[k, j] < d[i, j]:
                    d[i, j] = d[i, k] + d[k, j]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    (d,) = setup(n)
    kernel(d)
    print("floyd_warshall", n)
    print(d[0, :5].tolist(), float(d.sum()))
    print(hashlib.sha256(d.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
