"""Rejection constant."""


def f(a, n):
    for i in range(n):
        s = "text"
    for i in range(n):
        s = b"bytes"
    for i in range(n):
        best = None
    for i in range(n):
        x = ...
    for i in range(n):
        s = f"{i}"
    for s in ("a", "b"):
        pass


def modes(a, names, mode):
    for i in range(3):
        if mode == "wrap":
            a[i] = 0
    for i in range(3):
        if names[i] != "x":
            a[i] = 0
