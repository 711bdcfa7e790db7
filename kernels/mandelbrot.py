"""Escape times of the Mandelbrot set."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 16, "default": 180, "medium": 200, "large": 1500}


def setup(n):
    return n, 200, np.zeros((n, n), dtype=np.int32)


def kernel(n, max_iter, counts):
    for i in range(n):
        for j in range(n):
            cx = -2.0 + 3.0 * j / n
            cy = -1.5 + 3.0 * i / n
            x = 0.0
            y = 0.0
            k = 0
            while k < max_iter and x * x + y * y <= 4.0:
                x, y = x * x - y * y + cx, 2.0 * x * y + cy
                k += 1
            counts[i, j] = k


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    n, max_iter, counts = setup(n)
    kernel(n, max_iter, counts)
    print("mandelbrot", n)
    print(counts[n // 2, :5].tolist(), int(counts.sum()))
    print(hashlib.sha256(counts.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
