"""Rejection import."""


def f(n):
    for i in range(n):
        import math
    for i in range(n):
        from math import sin
