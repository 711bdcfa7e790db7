"""Rejection attribute-store."""


class C:
    def f(self, a):
        for i in range(len(a)):
            self.total += a[i]

    def g(self, n):
        for self.i in range(n):
            pass

    def h(self, a):
        for i in range(len(a)):
            a[i], self.last.value = 1, 2
