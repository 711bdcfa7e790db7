"""Rejection tuple."""


def f(n):
    for i in range(n):
        p = i, n
    for i in range(n):
        p = q = (i, n)
