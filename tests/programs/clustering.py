"""Edges, alignment, packing and clustering: loops that keep a best so far, starting from float("inf")."""

import numpy as np


def sobel(img):
    h, w = img.shape
    out = np.zeros_like(img)
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            gx = gy = 0
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    p = int(img[y + dy, x + dx])
                    gx += p * dx * (2 if dy == 0 else 1)
                    gy += p * dy * (2 if dx == 0 else 1)
            out[y, x] = min(255, int((gx * gx + gy * gy) ** 0.5))
    return out


def lcs(a, b):
    n, m = len(a), len(b)
    t = np.zeros((n + 1, m + 1), dtype=np.int64)
    for i in range(n):
        for j in range(m):
            if a[i] == b[j]:
                t[i + 1, j + 1] = t[i, j] + 1
            else:
                t[i + 1, j + 1] = max(t[i, j + 1], t[i + 1, j])
    return t[n, m]


def knapsack(wt, val, cap):
    best = np.zeros(cap + 1, dtype=np.int64)
    for i in range(len(wt)):
        for c in range(cap, wt[i] - 1, -1):
            best[c] = max(best[c], best[c - wt[i]] + val[i])
    return best[cap]


def kmeans(X, k, iters):
    n, d = X.shape
    cent = X[:k].copy()
    lab = np.zeros(n, dtype=int)
    for it in range(iters):
        for i in range(n):
            bd, bk = float("inf"), -1
            for c in range(k):
                s = 0.0
                for f in range(d):
                    diff = X[i, f] - cent[c, f]
                    s += diff * diff
                if s < bd:
                    bd, bk = s, c
            lab[i] = bk
        cnt = np.zeros(k)
        new = np.zeros((k, d))
        for i in range(n):
            cnt[lab[i]] += 1
            for f in range(d):
                new[lab[i], f] += X[i, f]
        for c in range(k):
            if cnt[c] > 0:
                for f in range(d):
                    cent[c, f] = new[c, f] / cnt[c]
    return cent, lab


rng = np.random.default_rng(0)
img = (rng.random((200, 220)) * 255).astype(np.uint8)
print(sobel(img).sum())
A = rng.integers(0, 4, 700)
B = rng.integers(0, 4, 800)
print(lcs(A, B))
w = rng.integers(1, 60, 200)
v = rng.integers(1, 100, 200)
print(knapsack(w, v, 3000))
centres, labels = kmeans(rng.random((4000, 3)), 5, 10)
print(centres.sum(), np.bincount(labels))
