"""Rejection attribute-of-local."""


def f(nodes, n):
    for i in range(n):
        node = nodes[i]
        n += node.next
