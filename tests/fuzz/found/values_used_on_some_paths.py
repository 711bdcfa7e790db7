import numpy as np


def f(x, y, m, s):
    for i in range(len(x)):
        t = x[i] / y[i]
        if m[i]:
            s[i] = t


def g(x, y, flag):
    c = 0
    for i in range(len(x)):
        if x[i] / y[i] > 0.5 or flag:
            c += 1
    return c


def h(x, y, flag):
    c = 0.0
    for i in range(len(x)):
        t = x[i] / y[i]
        if flag:
            c += t
    return c


def k(x, y, m):
    c = 0.0
    for i in range(len(x)):
        t = np.sqrt(x[i]) * y[i]
        if m[i]:
            for j in range(3):
                c += t
    return c


def ll(x, y, m):
    c = 0.0
    for i in range(len(x)):
        t = x[i] / y[i]
        if m[i]:
            continue
        c += t
    return c


def q(x, y, n):
    c = 0.0
    for i in range(len(x)):
        t = x[i] / y[i]
        for j in range(n):
            c += t * x[j]
    return c


n = 8
x = np.ones(n)
y = np.ones(n)
y[3] = 0
m = np.ones(n, bool)
m[3] = False
print(f(x, y, m, np.zeros(n)))
print(g(x, y, True))
print(h(x, y, False))
print(k(-x, y, m))
print(k(np.full(n, 1e+200), np.full(n, 1e+300), np.zeros(n, bool)))
print(ll(x, y, ~m))
print(q(x, y, 0))


def a(x, y):
    for i in range(len(x)):
        t = x[i] / y[i]
    return t


def b(x, y, r):
    for i in range(len(x)):
        r[0] = x[i] / y[i]


def c(x, y, r):
    for i in range(len(x)):
        r[i] = x[i] / y[i]
        r[i] = 0


def d(x, y):
    c = 0
    for i in range(len(x)):
        if x[i] / y[i] > 1:
            k = 3  # noqa: F841
        c += 1
    return c


def e(x, y):
    for i in range(len(x)):
        w = 0
        while x[i] / y[i] > 2 and w < 3:
            w += 1
    return w


def g2(x, y):
    k = 0
    for i in range(len(x)):
        for j in range(len(x)):
            t = x[i] * y[j]
        k += t
    return k


n = 8
x = np.ones(n)
y = np.ones(n)
y[3] = 0
a(x, y)
b(x, y, np.zeros(n))
c(x, y, np.zeros(n))
d(x, y)
e(x, y)
g2(x * 1e+200, np.array([1e+200] * 7 + [1.0]))
