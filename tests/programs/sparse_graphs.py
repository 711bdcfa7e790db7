"""Sparse graphs in CSR: BFS, PageRank, Bellman-Ford, triangles, union find; several dtypes, and errors at the end."""
import numpy as np
INF = np.iinfo(np.int64).max


class Graph:
    def __init__(self, n, src, dst, w):
        self.n = n
        deg = np.zeros(n + 1, dtype=np.int32)
        for e in range(len(src)):
            deg[src[e] + 1] += 1
        for v in range(n):
            deg[v + 1] += deg[v]
        self.ptr = deg.copy()
        self.adj = np.zeros(len(src), dtype=np.int32)
        self.w = np.zeros(len(src), dtype=np.float32)
        pos = deg[:-1].copy()
        for e in range(len(src)):
            u = src[e]
            self.adj[pos[u]] = dst[e]
            self.w[pos[u]] = w[e]
            pos[u] += 1

    def bfs(self, root):
        level = np.full(self.n, -1, dtype=np.int16)
        queue = np.zeros(self.n, dtype=np.int64)
        head, tail = 0, 1
        queue[0] = root
        level[root] = 0
        while head < tail:
            u = queue[head]
            head += 1
            for e in range(self.ptr[u], self.ptr[u + 1]):
                v = self.adj[e]
                if level[v] < 0:
                    level[v] = level[u] + 1
                    queue[tail] = v
                    tail += 1
        return level, head

    def pagerank(self, d=0.85, tol=1e-10, limit=100):
        x = np.full(self.n, 1.0 / self.n)
        for it in range(limit):
            y = np.zeros(self.n)
            lost = 0.0
            for u in range(self.n):
                k = self.ptr[u + 1] - self.ptr[u]
                if k == 0:
                    lost += x[u]
                    continue
                share = x[u] / k
                for e in range(self.ptr[u], self.ptr[u + 1]):
                    y[self.adj[e]] += share
            diff = 0.0
            for u in range(self.n):
                y[u] = (1 - d) / self.n + d * (y[u] + lost / self.n)
                diff += abs(y[u] - x[u])
            x = y
            if diff < tol:
                break
        return x, it, diff

    def bellman_ford(self, s):
        dist = np.full(self.n, np.inf, dtype=np.float32)
        dist[s] = 0
        rounds = 0
        changed = True
        while changed:
            changed = False
            for u in range(self.n):
                if dist[u] == np.inf:
                    continue
                for e in range(self.ptr[u], self.ptr[u + 1]):
                    c = dist[u] + self.w[e]
                    if c < dist[self.adj[e]]:
                        dist[self.adj[e]] = c
                        changed = True
            rounds += 1
            if rounds > self.n:
                raise ValueError("negative cycle")
        return dist, rounds

    def triangles(self):
        mark = np.zeros(self.n, dtype=bool)
        t = 0
        for u in range(self.n):
            for e in range(self.ptr[u], self.ptr[u + 1]):
                mark[self.adj[e]] = True
            for e in range(self.ptr[u], self.ptr[u + 1]):
                v = self.adj[e]
                for f in range(self.ptr[v], self.ptr[v + 1]):
                    if mark[self.adj[f]]:
                        t += 1
            for e in range(self.ptr[u], self.ptr[u + 1]):
                mark[self.adj[e]] = False
        return t


def components(n, src, dst):
    parent = np.arange(n)
    for e in range(len(src)):
        a = src[e]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        b = dst[e]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a != b:
            parent[max(a, b)] = min(a, b)
    roots = 0
    for v in range(n):
        if parent[v] == v:
            roots += 1
    return roots, parent


rng = np.random.default_rng(11)
n, m = 200, 700
src = rng.integers(0, n, m).astype(np.uint16)
dst = rng.integers(0, n, m)
g = Graph(n, src, dst, rng.random(m) * 10)
lv, reach = g.bfs(3)
print(lv.tolist(), reach, type(reach))
x, it, diff = g.pagerank()
print([v.hex() for v in x[:5].tolist()], it, repr(diff))
d, r = g.bellman_ford(np.int8(5))
print(d.tolist()[:9], r)
print(g.triangles())
print(components(n, src, dst)[0])
g.w[0] = -500
try: g.bellman_ford(0)
except ValueError as e: print(e)
try: Graph(n, np.array([0, 500]), dst, g.w)
except IndexError as e: print(e, e.__traceback__.tb_next.tb_lineno)
try: g.bfs(1000)
except IndexError as e: print(e)
print(g.bfs(-1)[0].tolist()[:10])
far = 0
for v in range(n):
    if lv[v] > lv[far]: far = v
print(far, type(far), INF)
g.bfs(2.0)
