"""Rejection matmul."""


def f(a, b, n):
    for i in range(n):
        c = a @ b
    for i in range(n):
        n @= 2
