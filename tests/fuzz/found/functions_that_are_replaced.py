import builtins
import math

import numpy as np


def roots(n):
    t = 0
    for i in range(n):
        t += math.sqrt(i)
    return t


def sizes(a):
    t = 0
    for i in range(len(a)):
        t += abs(a[i])
    return t


def sines(a):
    for i in range(len(a)):
        a[i] = np.sin(a[i])
    return a


def whole(a):
    t = 0
    for i in range(len(a)):
        t += int(a[i])
    return t


values = np.arange(-3.0, 3.0)
first = roots(5), sizes(values), sines(values.copy()), whole(values)
kept = math.sqrt, builtins.abs, np.sin, builtins.int
math.sqrt = lambda x: x
builtins.abs = lambda x: 42
np.sin = np.cos
builtins.int = float
second = roots(5), sizes(values), sines(values.copy()), whole(values)
math.sqrt, builtins.abs, np.sin, builtins.int = kept
third = roots(5), sizes(values), sines(values.copy()), whole(values)


def early(n):
    t = 0
    for i in range(n):
        t += math.cos(i)
    return t


kept = math.cos
math.cos = lambda x: -x  # before any loop has met it
fourth = early(5)
math.cos = kept
fifth = early(5)
