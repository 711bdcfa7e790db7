"""Sites at module level, in a class body, in methods, nested functions and coroutines."""
import numpy as np

a = np.zeros(4)
for i in range(4):
    a[i] = i
    if i == 2:
        late = i

for i in range(0):
    never = i

while a[0] < 3:
    a[0] += 1

if True:
    try:
        for i, x in enumerate(a):
            a[i] = x / 2
    finally:
        for j in range(2):
            a[j] += 1


class C:
    squares = np.zeros(3)
    for k in range(3):
        squares[k] = k * k

    def method(self, n):
        def g():
            s = 0
            for i in range(n):
                s += i
            return s

        return g()

    class D:
        @staticmethod
        def deeper(n):
            for i in range(n):
                pass
            return i


async def coroutine(n):
    s = 0
    for i in range(n):
        s += i
    return s


def generator(n):
    s = 0
    for i in range(n):
        s += i
    yield s


b = C().method(4), C.D.deeper(3), list(generator(3)), C.k, C.squares
