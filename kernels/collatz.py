"""Steps of the Collatz sequence for every start below n, at module level."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 60, "default": 15000, "medium": 30000, "large": 1000000}


def setup(n):
    return n, np.zeros(n, dtype=np.int32)


def kernel(n, steps):
    for start in range(1, n):
        x = start
        count = 0
        while x != 1:
            if x % 2 == 0:
                x //= 2
            else:
                x = 3 * x + 1
            count += 1
        steps[start] = count


if __name__ == "__main__":
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    steps = np.zeros(n, dtype=np.int32)

    for start in range(1, n):
        x = start
        count = 0
        while x != 1:
            if x % 2 == 0:
                x //= 2
            else:
                x = 3 * x + 1
            count += 1
        steps[start] = count

    longest, best = 0, 1
    for start in range(1, n):
        if steps[start] > longest:
            longest = steps[start]
            best = start

    print("collatz", n, "longest", longest, "at", best)
    print(steps[:8].tolist(), int(steps.sum()))
    print(hashlib.sha256(steps.tobytes()).hexdigest())
