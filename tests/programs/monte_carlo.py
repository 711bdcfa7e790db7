"""Pi by throwing darts with the random module, and a random walk into an array."""

import random

import numpy as np

random.seed(12345)
n = 20000
hits = 0
for _ in range(n):
    x = random.random()
    y = random.random()
    if x * x + y * y <= 1.0:
        hits += 1
print("pi is about", 4 * hits / n)

walk = np.zeros(1000)
for i in range(1, len(walk)):
    walk[i] = walk[i - 1] + random.choice((-1.0, 1.0))
print(walk[-1], walk.min(), walk.max(), i)

crossings = 0
for i in range(1, len(walk)):
    if walk[i] == 0.0 or walk[i] * walk[i - 1] < 0:
        crossings += 1
print("crossings", crossings, "next", random.random())
