"""Rejection dict."""


def f(n):
    for i in range(n):
        d = {i: 1}
