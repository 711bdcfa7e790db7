"""Five kernels for a GPU, written by hand with numba.cuda: a thread per element, copies there and back included.

Each takes the arguments that `setup` of the kernel of the same name returns.
"""

import math

from numba import cuda

GROUP = 256
TILE = (32, 8)


@cuda.jit(fastmath=False)
def _saxpy(a, x, y):
    i = cuda.grid(1)
    if i < x.size:
        y[i] = a * x[i] + y[i]


def saxpy(a, x, y):
    there = cuda.to_device(y)
    _saxpy[math.ceil(x.size / GROUP), GROUP](a, cuda.to_device(x), there)
    there.copy_to_host(y)


@cuda.jit(fastmath=False)
def _transpose(a, b):
    j, i = cuda.grid(2)
    if i < a.shape[0] and j < a.shape[1]:
        b[j, i] = a[i, j]


def _groups(rows, cols):
    return math.ceil(cols / TILE[0]), math.ceil(rows / TILE[1])


def transpose(a, b):
    there = cuda.device_array_like(b)
    _transpose[_groups(*a.shape), TILE](cuda.to_device(a), there)
    there.copy_to_host(b)


@cuda.jit(fastmath=False)
def _matmul(a, b, c):
    j, i = cuda.grid(2)
    if i < c.shape[0] and j < c.shape[1]:
        s = 0.0
        for k in range(a.shape[1]):
            s += a[i, k] * b[k, j]
        c[i, j] = s


def matmul(a, b, c):
    there = cuda.device_array_like(c)
    _matmul[_groups(*c.shape), TILE](cuda.to_device(a), cuda.to_device(b), there)
    there.copy_to_host(c)


@cuda.jit(fastmath=False)
def _relax(a, b):
    j, i = cuda.grid(2)
    if 0 < i < a.shape[0] - 1 and 0 < j < a.shape[1] - 1:
        b[i, j] = 0.2 * (a[i, j] + a[i, j - 1] + a[i, j + 1] + a[i + 1, j] + a[i - 1, j])


@cuda.jit(fastmath=False)
def _keep(a, b):
    j, i = cuda.grid(2)
    if 0 < i < a.shape[0] - 1 and 0 < j < a.shape[1] - 1:
        a[i, j] = b[i, j]


def jacobi_2d(steps, a, b):
    one, other = cuda.to_device(a), cuda.to_device(b)
    for _ in range(steps):
        _relax[_groups(*a.shape), TILE](one, other)
        _keep[_groups(*a.shape), TILE](one, other)
    one.copy_to_host(a)
    other.copy_to_host(b)


@cuda.jit(fastmath=False)
def _hilbert(h):
    j, i = cuda.grid(2)
    if i < h.shape[0] and j < h.shape[1]:
        h[i, j] = 1.0 / (i + j + 1)


def hilbert(n, h):
    there = cuda.device_array_like(h)
    _hilbert[_groups(*h.shape), TILE](there)
    there.copy_to_host(h)
