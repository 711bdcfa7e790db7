"""break, continue and while."""
import numpy as np


def first_negative(x):
    where = -1
    for i in range(len(x)):
        if x[i] < 0:
            where = i
            break
    return where, i


def skip(x):
    s = 0.0
    for i in range(len(x)):
        if x[i] > 2:
            continue
        s += x[i]
        last = i
    return s, last


def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return n, steps


def newton(targets, roots):
    for i in range(len(targets)):
        x = targets[i]
        while True:
            d = (x * x - targets[i]) / (2 * x)
            x -= d
            if abs(d) < 1e-9:
                break
        roots[i] = x
    return d


def nested(n, hits):
    for i in range(n):
        j = 0
        while j < n:
            j += 1
            if j == 3:
                continue
            if i * j > 8:
                break
            hits[i, j - 1] += 1
        else_ = j
    return else_


def behind(x):
    for i in range(len(x)):
        x[i] = 1
        continue
        x[i] = 2
    return x


a = first_negative(np.array([1.0, -2, 3])), first_negative(np.array([1.0, 2]))
b = skip(np.array([1.0, 3, 2, 5]))
c = collatz(27)
d = np.zeros(3)
e = newton(np.array([2.0, 9, 16]), d)
f = np.zeros((5, 5), dtype=int)
g = nested(5, f)
h = behind(np.zeros(3))
