"""Loops that are switched off, or that belong to another compiler."""


def own(n):
    s = 0
    for i in range(n):  # alpyna: off
        for j in range(n):
            s += j
    while s > 5:  #alpyna:off (too small)
        s -= 1
    for i in range(n):
        s += 1  # alpyna: off here means nothing
    return s


def taichi(f):
    return f


@taichi
def kernel(n):
    s = 0
    for i in range(n):
        s += i
    return s


a = own(4), kernel(3)
