"""y = a*x + y, one element at a time."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 2000, "default": 1000000, "medium": 1000000, "large": 6000000}


def setup(n):
    x = np.arange(n) * 0.25 - 7.0
    y = np.cos(np.arange(n) * 0.001)
    return 2.5, x, y


def kernel(a, x, y):
    for i in range(len(x)):
        y[i] = a * x[i] + y[i]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    a, x, y = setup(n)
    kernel(a, x, y)
    print("saxpy", n)
    print(y[:3].tolist(), y[-3:].tolist())
    print(hashlib.sha256(y.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
