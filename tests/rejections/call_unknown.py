"""Rejection call-unknown."""
import math
import numpy as np
import random
import time


def helper(x):
    return x


def f(a, rows, math2, n):
    for i in range(n):
        print(a[i])
    for i in range(n):
        a[i] = helper(i)
    for i in range(n):
        a[i] = sum(rows)
    for i in range(n):
        rows.append(i)
    for i in range(n):
        a[i] = np.dot(a, a)
    for i in range(n):
        a[i] = random.random()
    for i in range(n):
        a[i] = math2.sqrt(i)
    for i in range(n):
        a[i] = a[i].item()
    for i in range(n):
        a[i], x = helper(i)
    for i in range(n):
        a[i] = math.dist(a, a)
    for i in range(n):
        a[i] = rows[0](i)
    for i in range(n):
        input()


def shadowed(abs, a, n):
    for i in range(n):
        a[i] = abs(i)


def library(a, b, rng, t):
    for i in range(3):
        a[i] = rng.normal()
    for i in range(3):
        t[i] = time.perf_counter()
    for i in range(3):
        b = a.copy()
