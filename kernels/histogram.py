"""Counts per bin: an indirect subscript."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 3000, "default": 1200000, "medium": 1200000, "large": 10000000}


def setup(n):
    bins = 256
    index = np.arange(n, dtype=np.int64) * 2654435761 % 4294967296 % bins
    return index, np.zeros(bins, dtype=np.int64)


def kernel(index, counts):
    for i in range(len(index)):
        counts[index[i]] += 1


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    index, counts = setup(n)
    kernel(index, counts)
    print("histogram", n)
    print(counts[:5].tolist(), int(counts.sum()))
    print(hashlib.sha256(counts.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
