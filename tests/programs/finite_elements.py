# flake8: noqa
"""1D FEM with assembly, Thomas solver, conjugate gradient, power iteration, QR by Gram-Schmidt."""
import numpy as np

class Mesh:
    def __init__(self, n):
        self.nodes = np.linspace(0.0, 1.0, n + 1)
        self.elements = np.array([[i, i + 1] for i in range(n)])
    @property
    def size(self):
        return len(self.nodes)

def assemble(mesh, f):
    K = np.zeros((mesh.size, mesh.size))
    F = np.zeros(mesh.size)
    for e in range(len(mesh.elements)):
        a, b = mesh.elements[e]
        h = mesh.nodes[b] - mesh.nodes[a]
        K[a, a] += 1 / h
        K[b, b] += 1 / h
        K[a, b] -= 1 / h
        K[b, a] -= 1 / h
        F[a] += h / 2 * f[a]
        F[b] += h / 2 * f[b]
    return K, F

def assemble2(nodes, elements, f):
    n = nodes.shape[0]
    K = np.zeros((n, n)); F = np.zeros(n)
    ne = elements.shape[0]
    for e in range(ne):
        a = elements[e, 0]
        b = elements[e, 1]
        h = nodes[b] - nodes[a]
        K[a, a] += 1 / h
        K[b, b] += 1 / h
        K[a, b] -= 1 / h
        K[b, a] -= 1 / h
        F[a] += h / 2 * f[a]
        F[b] += h / 2 * f[b]
    return K, F

def thomas(a, b, c, d):
    n = len(d)
    cp = np.zeros(n); dp = np.zeros(n); x = np.zeros(n)
    cp[0] = c[0] / b[0]; dp[0] = d[0] / b[0]
    for i in range(1, n):
        m = b[i] - a[i] * cp[i-1]
        cp[i] = c[i] / m
        dp[i] = (d[i] - a[i] * dp[i-1]) / m
    x[n-1] = dp[n-1]
    for i in range(n - 2, -1, -1):
        x[i] = dp[i] - cp[i] * x[i+1]
    return x

def cg(A, b, tol=1e-10, maxit=200):
    n = len(b)
    x = np.zeros(n); r = b.copy(); p = r.copy()
    rs = 0.0
    for i in range(n):
        rs += r[i] * r[i]
    it = 0
    Ap = np.zeros(n)
    while rs > tol and it < maxit:
        for i in range(n):
            s = 0.0
            for j in range(n):
                s += A[i, j] * p[j]
            Ap[i] = s
        pAp = 0.0
        for i in range(n):
            pAp += p[i] * Ap[i]
        alpha = rs / pAp
        for i in range(n):
            x[i] += alpha * p[i]
            r[i] -= alpha * Ap[i]
        new = 0.0
        for i in range(n):
            new += r[i] * r[i]
        beta = new / rs
        for i in range(n):
            p[i] = r[i] + beta * p[i]
        rs = new
        it += 1
    return x, it, rs

def gram_schmidt(A):
    m, n = A.shape
    Q = A.copy(); R = np.zeros((n, n))
    for k in range(n):
        s = 0.0
        for i in range(m):
            s += Q[i, k] ** 2
        R[k, k] = np.sqrt(s)
        for i in range(m):
            Q[i, k] /= R[k, k]
        for j in range(k + 1, n):
            t = 0.0
            for i in range(m):
                t += Q[i, k] * Q[i, j]
            R[k, j] = t
            for i in range(m):
                Q[i, j] -= t * Q[i, k]
    return Q, R

def power(A, iters=50):
    n = A.shape[0]
    v = np.ones(n)
    lam = 0.0
    for k in range(iters):
        w = A @ v
        norm = 0.0
        for i in range(n):
            norm += w[i] * w[i]
        norm = norm ** 0.5
        for i in range(n):
            v[i] = w[i] / norm
        lam = norm
    return lam

mesh = Mesh(60)
f = np.ones(mesh.size)
K, F = assemble(mesh, f)
K2, F2 = assemble2(mesh.nodes, mesh.elements, f)
print((K == K2).all(), (F == F2).all())
Ki, Fi = K[1:-1, 1:-1], F[1:-1]
x, it, rs = cg(Ki, Fi)
print(it, rs, x[:3])
x2 = thomas(np.r_[0, np.diag(Ki, -1)], np.diag(Ki), np.r_[np.diag(Ki, 1), 0], Fi)
print(np.abs(x - x2).max(), x2[10:13])
Q, R = gram_schmidt(np.random.default_rng(0).random((40, 20)))
print(np.abs(Q.T @ Q - np.eye(20)).max(), R[0, :3], R[5, 6])
print(power(K))
