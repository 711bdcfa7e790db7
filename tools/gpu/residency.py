"""Calls loops whose arrays stay on the device, and prints what each call copied and how long it took.

    python -m alpyna --variant VARIANT tools/gpu/residency.py VARIANT ELEMENTS

Each row: the call, bytes `sent` and `fetched`, the bytes that were `expected` to be sent, whether the results are
`right`, seconds.
"""

import json
import sys
import time

import numpy as np


def axpy(a, x, y):
    for i in range(len(x)):
        y[i] = a * x[i] + y[i]


def other(x, y):
    for i in range(len(x)):
        y[i] = x[i] - y[i]


def counted(device):
    """Counts bytes in the copies of `device`: [sent, fetched]."""
    totals = [0, 0]

    def count(name, which, position):
        plain = getattr(device, name)

        def copy(*args):
            totals[which] += args[position].nbytes
            return plain(*args)

        setattr(device, name, copy)

    for name, which, position in (("upload", 0, 1), ("send", 0, 2), ("download", 1, 0), ("fetch", 1, 0)):
        count(name, which, position)
    return totals


def called(totals, rows, what, expected, loop, wanted, *args):
    """One call; `wanted`: what the last argument holds afterwards."""
    totals[:] = [0, 0]
    start = time.perf_counter()
    loop(*args)
    seconds = time.perf_counter() - start
    right = args[-1].tobytes() == wanted.tobytes()
    rows.append({"what": what, "sent": totals[0], "fetched": totals[1], "expected": expected, "right": right,
                 "seconds": seconds})  # fmt: skip


def measure(variant, n):
    from alpyna_hook.devices import opened, staging

    small = np.ones(1000), np.ones(1000)  # compiles, and opens the device
    axpy(2.0, *small)
    other(*small)
    found = opened.get(variant, None)
    if isinstance(found, str):
        sys.exit(found)
    totals, rows = counted(found.device), []
    rng = np.random.default_rng(0)
    x, y, wide = rng.random(n), rng.random(n), rng.random((n, 2))
    piece = min(staging.PIECE, 8 * n)
    called(totals, rows, "first call", 16 * n, axpy, 2.0 * x + y, 2.0, x, y)
    called(totals, rows, "second call", 0, axpy, 3.0 * x + y, 3.0, x, y)
    called(totals, rows, "another loop", 0, other, x - y, x, y)
    x[n // 2] = 0.5
    called(totals, rows, "one element written", piece, axpy, 2.0 * x + y, 2.0, x, y)
    x[:] = rng.random(n)
    called(totals, rows, "one array written", 8 * n, axpy, 2.0 * x + y, 2.0, x, y)
    column = wide[:, 1]
    called(totals, rows, "strided view", 8 * n, axpy, 2.0 * column + y, 2.0, column, y)
    called(totals, rows, "strided view again", 0, axpy, 2.0 * column + y, 2.0, column, y)
    return rows


print(json.dumps(measure(sys.argv[1], int(sys.argv[2]))))
