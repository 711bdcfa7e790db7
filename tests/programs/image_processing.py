# flake8: noqa
"""Image processing on uint8 arrays."""
import numpy as np
rng = np.random.default_rng(3)
img = rng.integers(0, 256, size=(64, 80)).astype(np.uint8)
def histogram(img):
    h = np.zeros(256, dtype=int)
    for row in range(img.shape[0]):
        for col in range(img.shape[1]):
            h[img[row, col]] += 1
    return h
def otsu(h):
    total = 0; sum_all = 0
    for i in range(256):
        total += h[i]; sum_all += i * h[i]
    best, thr = 0.0, 0
    w0 = 0; s0 = 0
    for t in range(256):
        w0 += h[t]
        if w0 == 0: continue
        w1 = total - w0
        if w1 == 0: break
        s0 += t * h[t]
        m0 = s0 / w0; m1 = (sum_all - s0) / w1
        var = w0 * w1 * (m0 - m1) ** 2
        if var > best:
            best = var; thr = t
    return thr, best
def threshold(img, t):
    out = np.zeros_like(img)
    for y in range(img.shape[0]):
        for x in range(img.shape[1]):
            if img[y, x] > t: out[y, x] = 255
    return out
def sobel(img):
    h, w = img.shape
    out = np.zeros((h, w))
    gx = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    gy = gx.T
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            sx = sy = 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    p = int(img[y + dy, x + dx])
                    sx += gx[dy + 1, dx + 1] * p
                    sy += gy[dy + 1, dx + 1] * p
            out[y, x] = np.sqrt(sx * sx + sy * sy)
    return out
def median3(img):
    h, w = img.shape
    out = img.copy()
    win = np.zeros(9, dtype=np.uint8)
    for y in range(1, h - 1):
        for x in range(1, w - 1):
            k = 0
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    win[k] = img[y + dy, x + dx]
                    k += 1
            for a in range(1, 9):
                v = win[a]; b = a - 1
                while b >= 0 and win[b] > v:
                    win[b + 1] = win[b]
                    b -= 1
                win[b + 1] = v
            out[y, x] = win[4]
    return out
def integral(img):
    h, w = img.shape
    s = np.zeros((h + 1, w + 1), dtype=np.int64)
    for y in range(h):
        for x in range(w):
            s[y + 1, x + 1] = img[y, x] + s[y, x + 1] + s[y + 1, x] - s[y, x]
    return s
def label(b):
    h, w = b.shape
    lab = np.zeros((h, w), dtype=np.int32); cur = 0
    for y in range(h):
        for x in range(w):
            if b[y, x] and lab[y, x] == 0:
                cur += 1
                stack = [(y, x)]
                while stack:
                    i, j = stack.pop()
                    if 0 <= i < h and 0 <= j < w and b[i, j] and not lab[i, j]:
                        lab[i, j] = cur
                        stack += [(i+1, j), (i-1, j), (i, j+1), (i, j-1)]
    return lab, cur
h = histogram(img); print(h[:5], h.sum())
t, var = otsu(h); print(t, var, type(t), type(var))
b = threshold(img, t); print(b.sum(), b.dtype)
print(sobel(img).sum()); print(median3(img).sum(), integral(img)[-1, -1])
print(label(b)[1])
acc = np.uint8(0)
for v in img[0]:
    acc ^= v
print(acc, type(acc))
ck = 0
for v in img.ravel():
    ck = (ck * 31 + int(v)) % 1000003
print(ck, type(ck))
mx = img[0, 0]
for v in img.flat:
    if v > mx: mx = v
print(mx, type(mx))
rev = img[::-1, ::2]
s = 0
for i in range(rev.shape[0]):
    for j in range(rev.shape[1]):
        s += rev[i, j]
print(s, type(s))
