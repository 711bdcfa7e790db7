"""The loops inside a rejected loop are sites of their own, at any depth."""
import numpy as np


def report(a, n):
    lines = []
    for step in range(n):
        for i in range(len(a)):
            a[i] += step
        lines.append(str(a[0]))
        if step % 2:
            with open("/dev/null"):
                for i in range(len(a)):
                    a[i] *= 2
        else:
            for i in range(len(a)):
                for j in range(2):
                    a[i] -= j
    return lines


def found(a, x):
    for i in range(len(a)):
        if a[i] == x:
            return i
    else:
        for i in range(3):
            a[i] = 0
    return -1


def factory(n):
    made = []
    for k in range(n):
        def f(m):
            t = 0
            for i in range(m):
                t += i
            return t
        made.append(f(k))
    return made


a = np.ones(3)
r = report(a, 3)
s = found(a, 100.0), found(a, 0.0)
t = factory(4)
