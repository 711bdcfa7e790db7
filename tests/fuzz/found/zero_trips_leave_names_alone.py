"""Names that a loop of no trips would have bound stay as they were, or unbound."""


def work(n):
    i = 0.5
    s = 1.0
    for i in range(1, n):
        s *= i
    return i, s


r1 = work(0)
r2 = work(3)
for k in range(1, 1):
    p = 2
