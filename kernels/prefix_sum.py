"""Running totals: every iteration needs the one before."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 2000, "default": 1000000, "medium": 1000000, "large": 10000000}


def setup(n):
    x = np.arange(n) % 1009 * 0.1 - 50.0
    return x, np.zeros(n)


def kernel(x, y):
    total = 0.0
    for i in range(len(x)):
        total += x[i]
        y[i] = total
    return total


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    x, y = setup(n)
    total = kernel(x, y)
    print("prefix_sum", n, repr(total))
    print(y[:3].tolist(), y[-3:].tolist())
    print(hashlib.sha256(y.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
