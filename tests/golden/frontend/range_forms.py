"""All forms of range, with bounds of every kind."""
import numpy as np

k = np.int64(4)


def forms(a, n, step):
    for i in range(n):
        a[i] += 1
    for i in range(2, n):
        a[i] += 10
    for i in range(n - 1, -1, -1):
        a[i] *= 2
    for i in range(0, n, step):
        a[i] -= 3
    for i in range(len(a)):
        a[i] += i
    for i in range(a.shape[0] - 1, 0, -2):
        a[i] += a[i - 1]
    for i in range(0):
        a[99] = 1
    for i in range(k):
        a[i] += k
    return a


def triangular(b):
    n = b.shape[0]
    for i in range(n):
        for j in range(i):
            b[i, j] = b[j, i]
        for j in range(i + 1, n):
            b[i, j] = -b[i, j]


def bounds_change_inside(n):
    trips = 0
    for i in range(n):
        n = 2
        trips += 1
    return trips, n, i


def backwards(a):
    s = 0
    for i in reversed(range(1, len(a))):
        s = 2 * s + i
    for i in reversed(range(len(a))):
        s = 3 * s + i
    return s


a = forms(np.zeros(7), 7, 3)
b = np.arange(16.0).reshape(4, 4)
triangular(b)
c = bounds_change_inside(5)
d = backwards(a)
