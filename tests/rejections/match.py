"""Rejection match."""


def f(n):
    for i in range(n):
        match i:
            case 1:
                n = 2
