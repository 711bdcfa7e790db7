"""Rejection foreign-compiler."""
import numba as nb
from jax import jit
from numba import njit as fast


@nb.njit(parallel=True)
def f(a):
    for i in nb.prange(len(a)):
        a[i] = 0


@jit
def g(a, n):
    for i in range(n):
        a[i] = 0

    def inner():
        for i in range(n):
            a[i] = 0


def h(a, n):
    for i in range(n):
        a[i] = 0


hh = fast(h)
