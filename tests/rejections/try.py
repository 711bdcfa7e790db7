"""Rejection try."""


def f(a, n):
    for i in range(n):
        try:
            a[i] = 1 / i
        except ZeroDivisionError:
            a[i] = 0
