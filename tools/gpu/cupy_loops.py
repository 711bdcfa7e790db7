"""Loops over CuPy arrays: what they compute, what is copied for it, and how long it takes.

    python tools/gpu/cupy_loops.py                                   as CPython and CuPy run them
    python -m alpyna --variant cuda tools/gpu/cupy_loops.py          as Alpyna does

Prints JSON rows: the loop, a digest of its arrays, seconds of its second call, and the bytes that this call `sent` to
the device and `fetched` beside those `expected` in either direction (a fault flag and its like not counted).
"""

import hashlib
import json
import math
import sys
import time

import cupy
import numpy as np

ELEMENTS = 3000
SMALL = 64  # bytes of a copy that carries no array


def axpy(n, s, x, y):
    for i in range(n):
        y[i] = s * x[i] + y[i]


def quotients(n, x, y, z):
    for i in range(n):
        z[i] = x[i] / y[i] - 1


def singles(n, x, y):
    for i in range(n):
        y[i] = max(-x[i] * 0.5, 0.0) + abs(y[i]) / 3


def wholes(n, k, m):
    for i in range(n):
        m[i] = k[i] * 3 - m[i]


def wrapped(n, k, m):
    for i in range(n):
        m[i] = k[i] * k[i] + m[i]


def matmul(a, b, c):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            acc = 0.0
            for k in range(a.shape[1]):
                acc += a[i, k] * b[k, j]
            c[i, j] = acc


def smooth(n, x, y):
    for t in range(3):
        for i in range(1, n - 1):
            y[i] = 0.25 * (x[i - 1] + 2 * x[i] + x[i + 1])
        for i in range(1, n - 1):
            x[i] = y[i]


def branches(n, f, x, y):
    hits = 0
    for i in range(n):
        if f[i] and x[i] > y[i]:
            hits += 1
    return hits


def beside(n, x, h, g):
    for i in range(n):
        x[i] = x[i] * h[i]
    for i in range(n):
        g[i] = math.sqrt(x[i]) if x[i] > 0 else float(x[i])


def outside(n, index, x, y):
    try:
        for i in range(n):
            y[i] = x[index[i]] + y[i]
    except IndexError:
        return "IndexError"


def fill(n, s, x):
    for i in range(n):
        x[i] = s


def cases(n):
    """Name, loop, its arguments, bytes of NumPy's arrays sent and fetched in a second call with the same ones."""
    rng = np.random.default_rng(0)
    x, y, z = (cupy.asarray(rng.normal(size=n)) for _ in range(3))
    u, v = (cupy.asarray(rng.normal(size=n).astype("f4")) for _ in range(2))
    x[3] = y[3] = y[4] = 0.0
    y[5] = -0.0
    x[6] = float("inf")
    k, m = (cupy.asarray(rng.integers(-50, 50, n).astype("i4")) for _ in range(2))
    f = cupy.asarray(rng.integers(0, 2, n).astype(bool))
    a, b, c = (cupy.asarray(rng.normal(size=(24, 24))) for _ in range(3))
    h, g, index = rng.normal(size=n), np.zeros(n), np.arange(n)
    index[n // 2] = n
    wide = cupy.asarray(rng.normal(size=2 * n))
    yield "axpy", axpy, (n, 0.5, x, z), 0
    yield "axpy, strided", axpy, (n, 0.5, wide[::2], z), 0
    yield "axpy, one array", axpy, (n, 0.5, z, z), 0
    yield "quotients", quotients, (n, x, y, z), 0
    yield "singles", singles, (n, u, v), 0
    yield "wholes", wholes, (n, k, m), 0
    yield "wrapped", wrapped, (n, k.astype("i1"), m.astype("i1")), None
    yield "matmul", matmul, (a, b, c), 0
    yield "matmul, transposed", matmul, (a.T, b, c), 0
    yield "smooth", smooth, (n, z, cupy.zeros(n)), 0
    yield "branches", branches, (n, f, z, y), None  # work items' parts of the sum are fetched
    yield "beside", beside, (n, cupy.asarray(rng.normal(size=n)), h, g), 8 * n
    yield "outside", outside, (n, index, x, z), None
    yield "fill with -0.0", fill, (n, -0.0, z), 0


def counted(totals):
    """Counts the bytes of arrays in the copies of Alpyna's device, if it has opened one."""
    opened = sys.modules.get("alpyna_hook.devices.opened")
    found = opened.get("cuda", None) if opened is not None else "plain Python"
    if isinstance(found, str) or totals:
        return
    totals += [0, 0]
    for name, which, position in (("upload", 0, 1), ("send", 0, 2), ("download", 1, 0), ("fetch", 1, 0)):
        setattr(found.device, name, counting(getattr(found.device, name), which, position, totals))


def counting(plain, which, position, totals):
    def copy(*args):
        totals[which] += args[position].nbytes if args[position].nbytes > SMALL else 0
        return plain(*args)

    return copy


def digest(found, args):
    """Of a result and of all arrays; NaNs are all one."""
    hasher = hashlib.sha256(repr(found).encode())
    for array in args:
        if hasattr(array, "shape"):
            array = np.array(cupy.asnumpy(array) if isinstance(array, cupy.ndarray) else array)
            if array.dtype.kind == "f":
                array[np.isnan(array)] = np.nan
            hasher.update(array.tobytes())
    return hasher.hexdigest()[:16]


def measure(n):
    totals, rows = [], []
    for what, loop, args, expected in cases(n):
        loop(*args)  # compiles
        counted(totals)
        totals[:] = [0] * len(totals)
        start = time.perf_counter()
        found = loop(*args)
        cupy.cuda.get_current_stream().synchronize()
        seconds = time.perf_counter() - start
        rows.append({"what": what, "digest": digest(found, args), "seconds": seconds})
        if totals:
            rows[-1] |= {"sent": totals[0], "fetched": totals[1], "expected": expected}
    return [*rows, late(n)]


def late(n):
    """A loop comes after what CuPy's stream still has to do, and before what it is given next."""
    with cupy.cuda.Stream(non_blocking=True):
        x, y = cupy.ones(n), cupy.zeros(n)
        busy = cupy.ones((1000, 1000))
        for _ in range(10):
            busy = busy @ busy / 1000.0
        x *= busy[0, 0] * 0 + 3
        axpy(n, 2.0, x, y)
        y += x
        return {"what": "another stream", "digest": digest(None, (x, y)), "seconds": 0.0}


if __name__ == "__main__":
    print(json.dumps(measure(ELEMENTS)))
