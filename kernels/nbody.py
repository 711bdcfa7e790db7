"""Gravitational accelerations by direct summation, and one step of the motion."""

import hashlib
import math
import sys

import numpy as np

SIZES = {"test": 30, "default": 700, "medium": 400, "large": 6000}


def setup(n):
    rng = np.random.default_rng(3)
    position = rng.random((n, 3))
    velocity = np.zeros((n, 3))
    mass = 0.5 + rng.random(n)
    return position, velocity, mass, np.zeros((n, 3)), 0.01


def accelerations(position, mass, acc):
    n = len(mass)
    for i in range(n):
        ax = 0.0
        ay = 0.0
        az = 0.0
        for j in range(n):
            dx = position[j, 0] - position[i, 0]
            dy = position[j, 1] - position[i, 1]
            dz = position[j, 2] - position[i, 2]
            r2 = dx * dx + dy * dy + dz * dz + 1e-4
            f = mass[j] / (r2 * math.sqrt(r2))
            ax += f * dx
            ay += f * dy
            az += f * dz
        acc[i, 0] = ax
        acc[i, 1] = ay
        acc[i, 2] = az


def kernel(position, velocity, mass, acc, dt):
    accelerations(position, mass, acc)
    for i in range(len(mass)):
        for d in range(3):
            velocity[i, d] += dt * acc[i, d]
            position[i, d] += dt * velocity[i, d]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    args = setup(n)
    kernel(*args)
    position, velocity = args[:2]
    print("nbody", n)
    print(position[0].tolist(), velocity[-1].tolist())
    print(hashlib.sha256(position.tobytes() + velocity.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
