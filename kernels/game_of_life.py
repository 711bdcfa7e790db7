"""Conway's game of life on a torus: python game_of_life.py [GENERATIONS N], at module level."""

import hashlib
import sys

import numpy as np

SIZES = {"test": (2, 20), "default": (5, 140), "medium": (10, 200), "large": (10, 2000)}


def setup(size):
    generations, n = size
    grid = (np.arange(n * n).reshape(n, n) * 2654435761 % 4294967296 % 3 == 0).astype(np.uint8)
    return generations, grid, np.zeros_like(grid)


def kernel(generations, grid, new):
    rows, cols = grid.shape
    for g in range(generations):
        for i in range(rows):
            for j in range(cols):
                up, down = (i - 1) % rows, (i + 1) % rows
                left, right = (j - 1) % cols, (j + 1) % cols
                alive = (
                    grid[up, left] + grid[up, j] + grid[up, right]
                    + grid[i, left] + grid[i, right]
                    + grid[down, left] + grid[down, j] + grid[down, right]
                )
                if alive == 3 or (alive == 2 and grid[i, j] == 1):
                    new[i, j] = 1
                else:
                    new[i, j] = 0
        for i in range(rows):
            for j in range(cols):
                grid[i, j] = new[i, j]


if __name__ == "__main__":
    size = tuple(map(int, sys.argv[1:])) or SIZES["default"]
    generations, grid, new = setup(size)
    rows, cols = grid.shape
    alive_total = 0

    for g in range(generations):
        for i in range(rows):
            for j in range(cols):
                up, down = (i - 1) % rows, (i + 1) % rows
                left, right = (j - 1) % cols, (j + 1) % cols
                alive = (
                    grid[up, left] + grid[up, j] + grid[up, right]
                    + grid[i, left] + grid[i, right]
                    + grid[down, left] + grid[down, j] + grid[down, right]
                )
                if alive == 3 or (alive == 2 and grid[i, j] == 1):
                    new[i, j] = 1
                else:
                    new[i, j] = 0
        for i in range(rows):
            for j in range(cols):
                grid[i, j] = new[i, j]

    for i in range(rows):
        for j in range(cols):
            alive_total += int(grid[i, j])

    print("game_of_life", *size, "alive", alive_total)
    print("".join(".#"[v] for v in grid[0, :60]))
    print(hashlib.sha256(grid.tobytes()).hexdigest())
