"""Rejection not-a-number."""
import math
import numpy as np


def f(n):
    for i in range(n):
        g = math.sin
    for i in range(n):
        t = int
    for i in range(n):
        t = np
    for i in range(n):
        r = range(i)
    for i in range(n):
        z = zip(i, i)
    for i in range(n):
        z = divmod(i, 2)
