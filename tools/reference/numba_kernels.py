"""The kernels under numba: `njit(parallel=True)` with `prange` placed by hand, one function per kernel.

Each takes the arguments that `setup` of the kernel of the same name returns. Compiled without fastmath.
"""

import math

import numpy as np
from numba import njit, prange

parallel = njit(parallel=True)


@parallel
def saxpy(a, x, y):
    for i in prange(len(x)):
        y[i] = a * x[i] + y[i]


@parallel
def hilbert(n, h):
    for i in prange(n):
        for j in range(n):
            h[i, j] = 1.0 / (i + j + 1)


@parallel
def transpose(a, b):
    rows, cols = a.shape
    for i in prange(rows):
        for j in range(cols):
            b[j, i] = a[i, j]


@parallel
def matmul(a, b, c):
    n, m = a.shape
    p = b.shape[1]
    for i in prange(n):
        for j in range(p):
            s = 0.0
            for k in range(m):
                s += a[i, k] * b[k, j]
            c[i, j] = s


@parallel
def syrk(alpha, beta, a, c):
    n, m = a.shape
    for i in prange(n):
        for j in range(i + 1):
            c[i, j] *= beta
        for k in range(m):
            for j in range(i + 1):
                c[i, j] += alpha * a[i, k] * a[j, k]


@parallel
def atax(a, x, y):
    n, m = a.shape
    t = np.empty(n)
    for i in prange(n):
        s = 0.0
        for j in range(m):
            s += a[i, j] * x[j]
        t[i] = s
    for j in prange(m):
        for i in range(n):
            y[j] = y[j] + a[i, j] * t[i]


@parallel
def bicg(a, r, p, s, q):
    n, m = a.shape
    for i in prange(n):
        t = 0.0
        for j in range(m):
            t += a[i, j] * p[j]
        q[i] = t
    for j in prange(m):
        for i in range(n):
            s[j] += r[i] * a[i, j]


@parallel
def gemver(alpha, beta, a, u1, v1, u2, v2, y, z, x, w):
    n = len(x)
    for i in prange(n):
        for j in range(n):
            a[i, j] = a[i, j] + u1[i] * v1[j] + u2[i] * v2[j]
    for i in prange(n):
        for j in range(n):
            x[i] = x[i] + beta * a[j, i] * y[j]
    for i in prange(n):
        x[i] = x[i] + z[i]
    for i in prange(n):
        for j in range(n):
            w[i] = w[i] + alpha * a[i, j] * x[j]


@parallel
def jacobi_2d(steps, a, b):
    n = a.shape[0]
    for t in range(steps):
        for i in prange(1, n - 1):
            for j in range(1, n - 1):
                b[i, j] = 0.2 * (a[i, j] + a[i, j - 1] + a[i, j + 1] + a[i + 1, j] + a[i - 1, j])
        for i in prange(1, n - 1):
            for j in range(1, n - 1):
                a[i, j] = b[i, j]


@parallel
def heat_3d(steps, a, b):
    n = len(a)
    for t in range(steps):
        for i in prange(1, n - 1):
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    b[i, j, k] = (
                        0.125 * (a[i + 1, j, k] - 2.0 * a[i, j, k] + a[i - 1, j, k])
                        + 0.125 * (a[i, j + 1, k] - 2.0 * a[i, j, k] + a[i, j - 1, k])
                        + 0.125 * (a[i, j, k + 1] - 2.0 * a[i, j, k] + a[i, j, k - 1])
                        + a[i, j, k]
                    )
        for i in prange(1, n - 1):
            for j in range(1, n - 1):
                for k in range(1, n - 1):
                    a[i, j, k] = (
                        0.125 * (b[i + 1, j, k] - 2.0 * b[i, j, k] + b[i - 1, j, k])
                        + 0.125 * (b[i, j + 1, k] - 2.0 * b[i, j, k] + b[i, j - 1, k])
                        + 0.125 * (b[i, j, k + 1] - 2.0 * b[i, j, k] + b[i, j, k - 1])
                        + b[i, j, k]
                    )


@parallel
def conv2d(image, weights, out):
    rows, cols = image.shape
    for i in prange(1, rows - 1):
        for j in range(1, cols - 1):
            s = np.float32(0.0)
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    s += image[i + di, j + dj] * weights[di + 1, dj + 1]
            out[i - 1, j - 1] = s


@parallel
def gaussian_blur(image, weights, tmp, out):
    rows, cols = image.shape
    radius = len(weights) // 2
    for i in prange(rows):
        for j in range(cols):
            s = 0.0
            for d in range(-radius, radius + 1):
                jj = min(max(j + d, 0), cols - 1)
                s += weights[d + radius] * image[i, jj]
            tmp[i, j] = s
    for i in prange(rows):
        for j in range(cols):
            s = 0.0
            for d in range(-radius, radius + 1):
                ii = min(max(i + d, 0), rows - 1)
                s += weights[d + radius] * tmp[ii, j]
            out[i, j] = int(s + 0.5)


@parallel
def mandelbrot(n, max_iter, counts):
    for i in prange(n):
        for j in range(n):
            cx = -2.0 + 3.0 * j / n
            cy = -1.5 + 3.0 * i / n
            x = 0.0
            y = 0.0
            k = 0
            while k < max_iter and x * x + y * y <= 4.0:
                x, y = x * x - y * y + cx, 2.0 * x * y + cy
                k += 1
            counts[i, j] = k


@parallel
def black_scholes(price, strike, years, rate, volatility, call, put):
    for i in prange(len(price)):
        s = price[i]
        k = strike[i]
        t = years[i]
        root = volatility * math.sqrt(t)
        d1 = (math.log(s / k) + (rate + 0.5 * volatility * volatility) * t) / root
        d2 = d1 - root
        n1 = 0.5 + 0.5 * math.erf(d1 / math.sqrt(2.0))
        n2 = 0.5 + 0.5 * math.erf(d2 / math.sqrt(2.0))
        discounted = k * math.exp(-rate * t)
        call[i] = s * n1 - discounted * n2
        put[i] = call[i] - s + discounted


@parallel
def nbody(position, velocity, mass, acc, dt):
    n = len(mass)
    for i in prange(n):
        ax = 0.0
        ay = 0.0
        az = 0.0
        for j in range(n):
            dx = position[j, 0] - position[i, 0]
            dy = position[j, 1] - position[i, 1]
            dz = position[j, 2] - position[i, 2]
            r2 = dx * dx + dy * dy + dz * dz + 1e-4
            f = mass[j] / (r2 * math.sqrt(r2))
            ax += f * dx
            ay += f * dy
            az += f * dz
        acc[i, 0] = ax
        acc[i, 1] = ay
        acc[i, 2] = az
    for i in prange(n):
        for d in range(3):
            velocity[i, d] += dt * acc[i, d]
            position[i, d] += dt * velocity[i, d]


@parallel
def floyd_warshall(d):
    n = len(d)
    for k in range(n):
        for i in prange(n):
            for j in range(n):
                if d[i, k] + d[k, j] < d[i, j]:
                    d[i, j] = d[i, k] + d[k, j]


@parallel
def lu(a):
    n = a.shape[0]
    for k in range(n):
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
        for i in prange(k + 1, n):
            for j in range(k + 1, n):
                a[i, j] -= a[i, k] * a[k, j]


@parallel
def arc_distance(lat1, lon1, lat2, lon2, distance):
    for i in prange(len(distance)):
        dlat = math.sin((lat2[i] - lat1[i]) / 2) ** 2
        dlon = math.sin((lon2[i] - lon1[i]) / 2) ** 2
        h = dlat + math.cos(lat1[i]) * math.cos(lat2[i]) * dlon
        distance[i] = 2 * math.atan2(math.sqrt(h), math.sqrt(1 - h))


@parallel
def histogram(index, counts):
    bins = len(counts)
    parts = 16  # numba has no array reduction: one private histogram per part
    private = np.zeros((parts, bins), dtype=np.int64)
    n = len(index)
    for t in prange(parts):
        for i in range(t * n // parts, (t + 1) * n // parts):
            private[t, index[i]] += 1
    for t in range(parts):
        for b in range(bins):
            counts[b] += private[t, b]


@njit
def prefix_sum(x, y):
    total = 0.0
    for i in range(len(x)):
        total += x[i]
        y[i] = total
    return total


@parallel
def collatz(n, steps):
    for start in prange(1, n):
        x = start
        count = 0
        while x != 1:
            if x % 2 == 0:
                x //= 2
            else:
                x = 3 * x + 1
            count += 1
        steps[start] = count


@parallel
def game_of_life(generations, grid, new):
    rows, cols = grid.shape
    for g in range(generations):
        for i in prange(rows):
            for j in range(cols):
                up, down = (i - 1) % rows, (i + 1) % rows
                left, right = (j - 1) % cols, (j + 1) % cols
                alive = (
                    grid[up, left] + grid[up, j] + grid[up, right]
                    + grid[i, left] + grid[i, right]
                    + grid[down, left] + grid[down, j] + grid[down, right]
                )
                if alive == 3 or (alive == 2 and grid[i, j] == 1):
                    new[i, j] = 1
                else:
                    new[i, j] = 0
        for i in prange(rows):
            for j in range(cols):
                grid[i, j] = new[i, j]
