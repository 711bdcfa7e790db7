"""Rejection return."""


def f(a, n):
    for i in range(n):
        if a[i] < 0:
            return [a[k] for k in range(i)]
