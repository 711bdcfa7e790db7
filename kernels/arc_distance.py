"""Great-circle distance between pairs of points (radians on the unit sphere)."""

import hashlib
import math
import sys

import numpy as np

SIZES = {"test": 500, "default": 200000, "medium": 200000, "large": 2500000}


def setup(n):
    rng = np.random.default_rng(4)
    lat1, lat2 = rng.random(n) * 3.0 - 1.5, rng.random(n) * 3.0 - 1.5
    lon1, lon2 = rng.random(n) * 6.0 - 3.0, rng.random(n) * 6.0 - 3.0
    return lat1, lon1, lat2, lon2, np.zeros(n)


def kernel(lat1, lon1, lat2, lon2, distance):
    for i in range(len(distance)):
        dlat = math.sin((lat2[i] - lat1[i]) / 2) ** 2
        dlon = math.sin((lon2[i] - lon1[i]) / 2) ** 2
        h = dlat + math.cos(lat1[i]) * math.cos(lat2[i]) * dlon
        distance[i] = 2 * math.atan2(math.sqrt(h), math.sqrt(1 - h))


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else SIZES["default"]
    args = setup(n)
    kernel(*args)
    distance = args[-1]
    print("arc_distance", n)
    print(distance[:3].tolist(), distance[-3:].tolist())
    print(hashlib.sha256(distance.tobytes()).hexdigest())


if __name__ == "__main__":
    main()
