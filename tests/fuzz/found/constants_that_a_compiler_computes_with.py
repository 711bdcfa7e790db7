"""What a C compiler computes raises no flag, so NumPy's warning was lost; and its NaNs have another sign."""
import math

import numpy as np


def equal(x, y):
    for i in range(len(x)):
        if x[i] == 2.0:
            y[i] = x[i] * 1.5e308


def assigned(y):
    for i in range(len(y)):
        t = np.float64(1e200)
        y[i] = t * 1e200


def on_one_path(x, y):
    for i in range(len(x)):
        t = np.float64(0.0)
        if x[i] > 1.0:
            t = x[i]
        y[i] = 1.0 / t


def remainder(k):
    s = 0.0
    for i in range(len(k)):
        s = np.floor(s % 3.0)
        if 2.75 / s:
            k[i] = 2


def unrolled(y):
    for i in range(len(y)):
        t = np.float64(3.0)
        for k in range(2):
            t = 1.0 / (t - 3.0)
        y[i] = t


def counted(y):
    for i in range(len(y)):
        for k in range(2):
            y[i] = np.float64(k) / k


def stored(y):
    for i in range(len(y)):
        y[i] = 0.0
        y[i] = 2.0 / y[i]


def picked(x, y):
    for i in range(len(x)):
        y[i] = 1.0 / (x[i] if x[i] > 1.0 else np.float64(0.0))


def infinite(y):
    s = 1.0
    for i in range(len(y)):
        s += math.inf // math.pi
        y[i] = s


def single(x, y):
    for i in range(len(x)):
        if x[i] == 2.0:
            y[i] = x[i] * np.float32(3e38)


x = np.array([1.0, 2.0, np.inf, -3.0])
results = []
for f in (equal, on_one_path, picked):
    results.append(np.zeros(4))
    f(x, results[-1])
for g in (assigned, unrolled, counted, stored, infinite):
    results.append(np.zeros(4))
    g(results[-1])
r, s, t, u, v, w, p, q = results
k = np.arange(3)
remainder(k)
z = np.zeros(4, np.float32)
single(x.astype(np.float32), z)
