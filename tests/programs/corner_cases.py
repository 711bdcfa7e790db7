# flake8: noqa
"""Corner cases of Python loops: names left behind, overflow, warnings, aliasing, exceptions and scopes."""
import numpy as np, math, warnings, sys
def show(*a): print(*[(repr(x), type(x).__name__) for x in a])

# loop vars after loops, zero-trip
def f1(n):
    s = 0
    for i in range(n):
        s += i
    try:
        return s, i
    except UnboundLocalError as e:
        return s, str(e)
show(*f1(0)); show(*f1(5)); show(*f1(np.int64(4)))
# neg step, neg index
a = np.arange(10.0)
for i in range(9, -1, -2):
    a[-i] = a[i] * 2
show(i, a)
# int overflow -> bigints
def fact(n):
    p = 1
    for k in range(1, n + 1):
        p *= k
    return p
show(fact(10), fact(20), fact(21), fact(30))
# int32 arrays wrap + warn
b = np.full(4, 2**31 - 1, dtype=np.int32)
for i in range(4):
    b[i] = b[i] + i if i < 1 else b[i]
show(b)
try:
    for i in range(4):
        b[i] += 1
except Exception as e:
    show(e)
show(b)
# uint8 arithmetic
u = np.array([250, 251, 252], dtype=np.uint8)
t = np.uint8(0)
for i in range(3):
    t = u[i] + u[i]
show(t)
# float32
x = np.linspace(0, 1, 7, dtype=np.float32)
s = 0.0
for v in x:
    s += v
show(s)
s = 0
for v in x:
    s = s + v * 2.5
show(s)
# complex
z = np.zeros(5, dtype=complex)
for k in range(5):
    z[k] = (k + 1j) ** 2 / (1 + k)
show(z.sum())
# bool
m = np.zeros(5, bool)
for k in range(5):
    m[k] = k % 2
show(m)
c = 0
for k in range(5):
    if m[k]:
        c += 1
show(c)
# max/min/abs, ternary, chained
hi = -math.inf
for k in range(10):
    w = math.sin(k) if 2 < k <= 7 else -abs(k)
    hi = max(hi, w)
show(hi, w, k)
# division by zero in numpy
q = np.zeros(3)
for k in range(3):
    q[k] = np.float64(1.0) / q[k]
show(q)
def g():
    q = np.array([1.0, 0.0, -1.0])
    for k in range(3):
        q[k] = math.sqrt(q[k])
    return q
try:
    g()
except ValueError as e:
    show(e)
    import traceback; traceback.print_exc(file=sys.stdout)
with np.errstate(all="ignore"):
    q = np.array([1.0, 0.0, -1.0])
    for k in range(3):
        q[k] = np.sqrt(q[k]) / q[1]
    show(q)
with warnings.catch_warnings(record=True) as ws:
    warnings.simplefilter("always")
    q = np.array([1.0, 0.0, -1.0])
    for k in range(3):
        q[k] = q[k] / q[1]
    show(q, len(ws), [str(w.message) for w in ws], [w.lineno for w in ws])
# aliasing
a = np.arange(6.0)
v1, v2 = a[1:], a[:-1]
for i in range(5):
    v1[i] = v2[i] + 1
show(a)
# list
l = [0] * 4
for i in range(4):
    l[i] = i * i
show(l)
# floor div & mod
r = []
tot = 0
for i in range(-7, 8, 3):
    tot += i // 4 + i % 4
    tot += int(i / 2)
show(tot)
f = 0.0
for i in range(1, 6):
    f += (-7.5) // i + (-7.5) % i + 7.5 % -i
show(f)
show(round(2.5))
rr = 0
for i in range(10):
    rr += round(i / 2)
show(rr)
# while with break / continue
n = 27; steps = 0
while True:
    if n == 1: break
    if n % 2: n = 3 * n + 1
    else: n //= 2
    steps += 1
    if steps > 1000: break
show(n, steps)
# enumerate/zip
p = np.arange(4.0); o = np.ones(4)
dot = 0.0
for i, (aa, bb) in enumerate(zip(p, o)):
    dot += aa * bb * i
show(dot, i, aa, bb)
# class-level loop
class K:
    tab = np.zeros(5)
    for i in range(5):
        tab[i] = i ** 2
show(K.tab, K.i)
# global n changes
N = 5
def h():
    global N
    for i in range(3):
        N += i
    return N
show(h())
# closures
def outer():
    cnt = 0
    def inner():
        nonlocal cnt
        for i in range(4):
            cnt += i
    inner(); inner()
    return cnt
show(outer())
# generators
def gen(a):
    for row in range(3):
        s = 0
        for i in range(len(a)):
            s += a[i] * row
        yield s
show(*gen(np.arange(4)))
# big index error in 2nd
e = np.zeros((3, 3))
try:
    for i in range(3):
        for j in range(4):
            e[i, j] = i + j
except IndexError as er:
    show(str(er), i, j); show(e)
# nan compare, int(nan)
try:
    for i in range(2):
        k = int(math.nan)
except ValueError as er: show(str(er))
# power
pw = 0
for i in range(5):
    pw += 2 ** i + i ** 2
show(pw)
pf = 0.0
for i in range(1, 5):
    pf += 2 ** -i + i ** 0.5 + (-8) ** 2
show(pf)
# str loop, dict
for ch in "ab": pass
show(ch)
# del i after
for i in range(3): pass
del i
try: i
except NameError as er: show(str(er))
print(sorted(k for k in globals() if not k.startswith("__")))
