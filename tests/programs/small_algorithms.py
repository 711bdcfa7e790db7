# flake8: noqa
"""Small textbook algorithms: signals, searches, sums, number theory."""
import numpy as np
from math import sqrt, pi, exp

# --- signal
def moving_average(x, w):
    out = np.empty(len(x) - w + 1)
    for i in range(len(out)):
        s = 0.0
        for k in range(w):
            s += x[i + k]
        out[i] = s / w
    return out

def dft(x):
    n = len(x)
    re = np.zeros(n)
    im = np.zeros(n)
    for k in range(n):
        for t in range(n):
            ang = 2 * pi * t * k / n
            re[k] += x[t] * np.cos(ang)
            im[k] -= x[t] * np.sin(ang)
    return re, im

def find_peaks(x, thr):
    peaks = []
    for i in range(1, len(x) - 1):
        if x[i] > x[i-1] and x[i] > x[i+1] and x[i] > thr:
            peaks.append(i)
    return peaks

def argmax(x):
    best, where = x[0], 0
    for i, v in enumerate(x):
        if v > best:
            best = v
            where = i
    return where, best

def bubble(a):
    n = len(a)
    for i in range(n):
        for j in range(0, n - i - 1):
            if a[j] > a[j + 1]:
                a[j], a[j + 1] = a[j + 1], a[j]

def newton(x, tol=1e-12):
    g = x
    it = 0
    while abs(g * g - x) > tol and it < 100:
        g = 0.5 * (g + x / g)
        it += 1
    return g, it

def trapz(f, a, b, n):
    h = (b - a) / n
    s = 0.5 * (f(a) + f(b))
    for i in range(1, n):
        s += f(a + i * h)
    return s * h

def gauss_quad(a, b, n):
    h = (b - a) / n
    s = 0.5 * (exp(-a * a) + exp(-b * b))
    for i in range(1, n):
        x = a + i * h
        s += exp(-x * x)
    return s * h

def bisect(arr, v):
    lo, hi = 0, len(arr)
    while lo < hi:
        mid = (lo + hi) // 2
        if arr[mid] < v:
            lo = mid + 1
        else:
            hi = mid
    return lo

def matvec(m, v):
    r = [0.0] * len(m)
    for i in range(len(m)):
        for j in range(len(v)):
            r[i] += m[i][j] * v[j]
    return r

def fib(n):
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a

def rgb_to_grey(img):
    h, w, _ = img.shape
    g = np.zeros((h, w), dtype=np.uint8)
    for y in range(h):
        for x in range(w):
            r, gr, b = img[y, x]
            g[y, x] = int(0.299 * r + 0.587 * gr + 0.114 * b)
    return g

def rgb2(img):
    h, w = img.shape[:2]
    g = np.zeros((h, w), dtype=np.uint8)
    for y in range(h):
        for x in range(w):
            g[y, x] = 0.299 * img[y, x, 0] + 0.587 * img[y, x, 1] + 0.114 * img[y, x, 2]
    return g

t = np.linspace(0, 1, 256, endpoint=False)
x = np.sin(2 * pi * 5 * t) + 0.5 * np.sin(2 * pi * 20 * t)
print(moving_average(x, 5)[:3])
re, im = dft(x)
power = np.sqrt(re**2 + im**2)
print(find_peaks(power, 10), argmax(power))
a = np.random.default_rng(0).random(300)
bubble(a)
print(a[:3], a[-1], bisect(a, 0.5))
print(newton(2.0), newton(np.float64(3.0)))
print(trapz(lambda x: x * x, 0, 1, 1000), gauss_quad(0, 3, 20000), gauss_quad(0.0, 3.0, 20000))
print(matvec([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]))
print(fib(50), fib(100), fib(300))
img = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
print(rgb_to_grey(img).sum(), rgb2(img).sum())
total = 0
for i in range(100000):
    total += i * i
print(total, type(total))
for i in range(3):
    print(i, end=" ")
print()
d = {}
for k in range(10):
    d[k % 3] = d.get(k % 3, 0) + k
print(d)
try:
    for i in range(400):
        a[i] = a[i] * 2
except IndexError as e:
    print("caught", e, i, a[299])
z = np.zeros(3)
for i in range(3):
    z[i] = 1.0 / (i - 1) if i != 1 else float("inf")
print(z)
try:
    y = 1.0
    for i in range(5):
        y = y / (3 - i)
except ZeroDivisionError as e:
    print("caught", e, i, y)
v = np.arange(4.0)
for i in range(4):
    v[i] = v[i] / v[0]
print(v)
