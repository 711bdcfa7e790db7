"""Rejection long-operand."""


def f(a, n):
    for i in range(n):
        x = a[i] + a[i + 1] * a[i + 2] - a[i + 3] / a[i + 4] + a[i + 5] + a[i + 6] or 1
