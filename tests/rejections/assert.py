"""Rejection assert."""


def f(a):
    for i in range(len(a)):
        assert a[i] > 0
