"""Rejection declaration."""


def f(n):
    for i in range(n):
        global shared
        shared = i


def g(n):
    x = 0

    def h():
        for i in range(n):
            nonlocal x
            x = i

    return h
