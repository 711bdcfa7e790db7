"""Rejection iterable."""


def f(a, lines, n):
    for x in lines.split():
        pass
    for x in a[1:]:
        pass
    for x, y in ((1, 2), 3):
        pass
    for x, y in ((1, 2), (n, 3)):
        n = x
    for x in ():
        pass
    for x in reversed(range(0, n, 3)):
        pass
    for i, x in enumerate(range(0, n, 2)):
        pass
    for i, x in zip(range(n, 9), a):
        n += 1


def shadowed(range, a):
    for i in range(3):
        for j in range(4):
            a[i] = j
