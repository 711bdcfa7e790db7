"""Rejection comprehension."""


def f(a, n):
    for i in range(n):
        a[i] = [x for x in range(i)]
    for i in range(n):
        a[i] = max({x for x in range(i)}, 2)
    for i in range(n):
        a[i] = abs({x: 1 for x in range(i)})
    for i in range(n):
        a[i] = float(x for x in range(i))
