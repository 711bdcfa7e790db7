"""Rejection array-attribute."""


def f(a):
    for i in range(3):
        a[i] = a.T[i, 0] + a.max


def g(a, n):
    for i in range(n):
        n = a.shape
