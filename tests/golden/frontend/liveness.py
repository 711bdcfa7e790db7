"""Which names outlive their loop."""
import numpy as np


def dead(n):
    for i in range(n):
        t = i * 2
    for i in range(n):
        t = i * 3
    return 0


def read_later(n):
    t = 0
    for i in range(n):
        t = i * 2
        u = t
    if n > 2:
        u = 5
    return t + i + u


def loop_around(n, a):
    count = 0
    while count < 3:
        for i in range(n):
            a[i] += 1
            prev = i
        print(end="")
        count += prev
    return count


def left_by_break(n):
    for k in range(n):
        for i in range(3):
            d = i + k
        print(end="")
        if k == 1:
            break
        d = -1
    return d


def handler(n):
    x = 0
    try:
        for i in range(n):
            x = i
        print(end="")
        x = 7
    except ValueError:
        return x
    return 1


def final(n):
    try:
        for i in range(n):
            y = i
        return 0
    finally:
        del y


def captured(n):
    for i in range(n):
        c = i
    return (lambda: c)()


def generator(n):
    for i in range(n):
        c = i
    return list(c + k for k in range(2))


def inspected(n):
    for i in range(n):
        c = i
    return sorted(locals().items())


def outer(n):
    hidden = 0

    def inner():
        nonlocal hidden
        for i in range(n):
            hidden = i
            private = i

    inner()
    return hidden


def to_global(n):
    global shared
    for i in range(n):
        shared = i


def carried_over(a, n):
    for k in range(n):
        for i in range(3):
            if k:
                a[i] += last
        last = i
    return a


def zero_trips(n):
    i = "before"
    for i in range(n):
        j = i
    return i


def inner_counter(n, out):
    for k in range(1, n):
        for i in range(3):
            pass
        out[k] = i
        for i in range(k):
            out[k] += i
        i += 10
        out[k] += i


shared = None
results = [dead(3), read_later(3), loop_around(3, np.zeros(3)), handler(3), final(3), captured(3), generator(3)]
results += [inspected(3), outer(3), to_global(4), shared, zero_trips(0), zero_trips(2)]
results += [left_by_break(4)]
results += [carried_over(np.zeros(3), 4)]
array = np.zeros(5)
inner_counter(5, array)
