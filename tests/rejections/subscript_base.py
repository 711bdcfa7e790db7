"""Rejection subscript-base."""


def f(a, n):
    for i in range(n):
        x = a[i].flat[0]
    for i in range(n):
        x = (a + a)[i]
    for i in range(n):
        x = "abc"[i]
