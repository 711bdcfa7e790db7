"""Loops that are left by return and raise, and loops with else: searches, primes, escape times, validation."""
import sys

import numpy as np


def is_prime(n):
    d = 2
    while d * d <= n:
        if n % d == 0:
            return False
        d += 1
    return n > 1


def count_primes(n):
    count = 0
    for k in range(2, n):
        for d in range(2, int(k ** 0.5) + 1):
            if k % d == 0:
                break
        else:
            count += 1
    return count


def escape(c, limit):
    z = 0j
    for n in range(limit):
        if abs(z) > 2:
            return n, z
        z = z * z + c
    return limit, z


def position(m, x):
    for r in range(m.shape[0]):
        for c in range(m.shape[1]):
            if m[r, c] == x:
                return {"row": r, "column": c, "value": m[r, c]}
    raise KeyError(x)


def triple(total):
    for a in range(1, total):
        for b in range(a, total):
            c = total - a - b
            if c > 0 and a * a + b * b == c * c:
                return a, b, c
    else:
        return "none up to", a


def settle(u, eps):
    for step in range(1000):
        worst = 0.0
        for i in range(1, len(u) - 1):
            new = 0.5 * (u[i - 1] + u[i + 1])
            worst = max(worst, abs(new - u[i]))
            u[i] = new
        if worst < eps:
            break
        if worst != worst:
            raise ArithmeticError(f"not a number in step {step}")
    else:
        print("does not settle", worst)
        step = None
    return step


def check(a, low):
    for i in range(len(a)):
        scaled = a[i] * 2
        if scaled < low:
            raise ValueError(f"item {i} is {scaled}")
    return "fine"


def quotients(a, b):
    out = np.zeros(len(a))
    for i in range(len(a)):
        out[i] = a[i] / b[i]
    else:
        done = "all", i
    return out[::20000], done


def picked(a, where):
    n = 0
    try:
        for i in range(len(where)):
            v = a[where[i]]
            n += 1
            if v < 0:
                return "negative", i, v, n
        else:
            return "none", n
    except IndexError as error:
        return str(error), i, n
    finally:
        print("finally", n)


def unset(a, x):
    for i in range(len(a)):
        if a[i] > x:
            return z  # noqa: F821
        if i == 100:
            z = a[i]  # noqa: F841
    return "no"


def again(a):
    try:
        1 // 0
    except ZeroDivisionError:
        for i in range(len(a)):
            if a[i] > 10:
                raise


def types(a, x):
    t = 0
    for i in range(len(a)):
        if i > 10:
            t += a[i]
        if a[i] >= x:
            return type(t).__name__, t, sorted(locals())
    return type(t).__name__, t


def runs(a):
    for r in range(3):
        for i in range(len(a)):
            if a[i] > 1000 * (r + 1):
                break
        else:
            yield "else", r
            continue
        yield r, i
    for i in range(len(a)):
        if a[i] == 77:
            return i


def drained(g):
    found = []
    while True:
        try:
            found.append(next(g))
        except StopIteration as stop:
            return found, stop.value


print([is_prime(n) for n in (1, 2, 91, 2**31 - 1, 1000003**2)], count_primes(20000))
print(escape(0.1 + 0.2j, 20000), escape(1 + 1j, 20000), escape(2 + 0j, 1), escape(0j, 0))
m = np.arange(90000).reshape(300, 300)
print(position(m, 88001), triple(1000), triple(1001))
u = np.zeros(200)
u[0] = 1.0
print(settle(u, 1e-4), settle(np.linspace(0, 1, 50), 1e-9), u.sum())
print(settle(u, -1.0))
u[7] = np.nan
try:
    settle(u, 1e-9)
except ArithmeticError as error:
    print(error)
print(check(m[0], 0), end="\n", file=sys.stderr)
try:
    position(m, -1)
except KeyError as error:
    print("no", error)
a = np.arange(50000.0)
b = a.copy()
b[30000] = 0.0
print(quotients(a, b))
w = np.arange(50000)
print(picked(a, w), picked(a - 50000 * (a > 45000), w))
w[40000] = -50001
print(picked(a, w), unset(a, 5000))
for f in (lambda: unset(a, 50), lambda: again(a)):
    try:
        f()
    except (UnboundLocalError, ZeroDivisionError) as error:
        print(type(error).__name__, error, error.__traceback__.tb_next.tb_next.tb_lineno)
print(types(a, 5), types(a, 20), types(a, 1e9), types(a.astype(int), 400), types(a[:0], 1))
print(drained(runs(a[:2500])), drained(runs(a)))
check(np.arange(50000.0) - 1.5, -1.0)
