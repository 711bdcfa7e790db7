"""3 x 3 convolution of a single-precision image, borders left out."""

import hashlib
import sys

import numpy as np

SIZES = {"test": 24, "default": 300, "medium": 300, "large": 3000}


def setup(n):
    image = (np.arange(n * n) % 251).astype(np.float32).reshape(n, n)
    weights = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=np.float32) / np.float32(16)
    return image, weights, np.zeros((n - 2, n - 2), dtype=np.float32)


def kernel(image, weights, out):
    rows, cols = image.shape
    for i in range(1, rows - 1):
        for j in range(1, cols - 1):
            s = 0.0
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    s += image[i + di, j + dj] * weights[di + 1, dj + 1]
            out[i - 1, j - 1] = s


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    image, weights, out = setup(n)
    kernel(image, weights, out)
    print("conv2d", n)
    print(out[0, :3].tolist(), out[-1, -3:].tolist())
    print(hashlib.sha256(out.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
