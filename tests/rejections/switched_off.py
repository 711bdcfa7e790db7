"""Rejection switched-off."""


def f(a, n):
    for i in range(n):  # alpyna: off
        a[i] = 0

    while n:  # alpyna: off, it is too short to pay
        n -= 1

    for i in range(n):
        for j in range(n):  # alpyna: off
            a[j] = 0
