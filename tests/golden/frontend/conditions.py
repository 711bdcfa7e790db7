"""if, elif, conditional expressions, chained comparisons, and, or, not."""
import numpy as np


def classify(x, out):
    for i in range(len(x)):
        if x[i] < 0:
            out[i] = -1
        elif 0 <= x[i] < 2 <= 3:
            out[i] = 1
        elif not x[i] > 4 and (x[i] != 3 or i % 2):
            out[i] = 2
        else:
            out[i] = 3


def values(x, out):
    flag = 0
    for i in range(len(x)):
        v = x[i] if x[i] > 0 else -x[i] if i else 7
        w = i or 5
        z = i and v
        inside = 0 < i < 3
        both = i > 1 and v > 1
        never = not v
        if i and v and inside:
            flag += 1
        out[i] = v + w + z + inside + both + never
    return w, z, inside, both, never, flag


def nothing(n):
    for i in range(n):
        if i == 3:
            pass
        elif i == 4:
            ...
        else:
            "a string that documents nothing"
    return i


a = np.zeros(8)
classify(np.array([-1.0, 0, 1, 2, 3, 4, 5, np.nan]), a)
b = np.zeros(6)
c = values(np.array([3.0, -1, 0, 4, 5, -2]), b)
d = nothing(6)
