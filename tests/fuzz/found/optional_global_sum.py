import numpy as np

n = 6
a = np.zeros(n)
total = 0


def work(a, n):
    global total
    for i in range(a.shape[0]):
        w = 0
        while w < 5:
            w += 1
            total += i % 2
    return total


r1 = work(a, n)
r2 = work(a, 0)
del total
try:
    work(a, n)
except NameError as error:
    r3 = str(error)
