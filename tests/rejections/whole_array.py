"""Rejection whole-array."""


def f(self, a, n):
    for i in range(n):
        a[i] = a * 2
    for x in a:
        n = a + 1
    for i in range(n):
        self.a[i] = abs(self.a)
