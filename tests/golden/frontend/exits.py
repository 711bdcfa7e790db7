"""`return` and `raise` in loops, and `else` branches of inner and outermost loops."""
import numpy as np


def smallest_factor(n):
    d = 2
    while d * d <= n:
        if n % d == 0:
            return d
        d += 1
    return n


def primes(n):
    count = 0
    for k in range(2, n):
        for d in range(2, k):
            if k % d == 0:
                break
        else:
            count += 1
            last = k
    return count, last


def position(m, x):
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            if m[i, j] == x:
                return {"row": i, "col": j, "value": m[i, j]}
    return None


def deep(n, limit):
    s = 0
    for i in range(n):
        for j in range(n):
            k = 0
            while True:
                k += 1
                s += i * j
                if s > limit:
                    return f"{i} {j} {k}", s
                if k > j:
                    break
            else:
                s = -1
        else:
            s += 1
    else:
        return "ran out", i, s


def checked(a):
    for i in range(len(a)):
        v = a[i] * 2
        if v < 0:
            raise ValueError(f"a[{i}] is negative: {v}")
        if v > 100:
            break
    else:
        i = -1
    return i


def empty(n, x):
    for i in range(n):
        x += i
        if i == 3:
            return
    else:
        x = "nothing"
    return x


def first(a):
    for v in a:
        return v
    return None


def no_break(n):
    total = 0
    for i in range(n):
        for j in range(i):
            if j == 5:
                continue
            total += j
        else:
            total += 100
            continue
        total = -1
    return total


def attempt(a):
    try:
        return checked(a)
    except ValueError as error:
        return str(error)


a = np.arange(12.0)
r1 = [smallest_factor(n) for n in (91, 97, 1, 4)]
r2 = primes(60)
m = a.reshape(3, 4)
r3 = position(m, 7.0), position(m, 70.0)
r4 = deep(4, 20), deep(4, 10**9), deep(3, 2)
r5 = attempt(a), attempt(-a), attempt(a * 20), attempt(a[:0])
r6 = empty(0, 1), empty(3, 1), empty(9, 1)
r7 = first(a), first(a[:0])
r8 = no_break(9)
