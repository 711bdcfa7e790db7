import numpy as np


def remainders(a, r):
    for i in range(len(a)):
        r[i] = a[i] % 2147483648


def quotients(a, r):
    for i in range(len(a)):
        r[i] = a[i] // 65536


for dtype in (np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64):
    for work in (remainders, quotients):
        r = np.zeros(4, dtype=np.int64)
        try:
            work(np.arange(1, 5).astype(dtype), r)
        except OverflowError as error:
            print(error)
        print(r)
