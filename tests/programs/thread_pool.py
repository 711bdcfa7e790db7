# flake8: noqa
"""Loops run by several threads at once."""
import threading, numpy as np
from concurrent.futures import ThreadPoolExecutor
def work(k):
    a = np.zeros((200, 200))
    for i in range(200):
        for j in range(200):
            a[i, j] = (i * j + k) % 7
    s = 0.0
    for i in range(200):
        s += a[i, i]
    return float(s)
with ThreadPoolExecutor(4) as ex:
    print(list(ex.map(work, range(20))))
