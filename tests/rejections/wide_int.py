"""Rejection wide-int."""


def f(n):
    for i in range(n):
        n = 18446744073709551616
