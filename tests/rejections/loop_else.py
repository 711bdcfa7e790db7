"""Rejection loop-else."""


def f(a, n):
    for i in range(n):
        a[i] = 0
    else:
        n = 0
    while n:
        n -= 1
    else:
        n = 3
