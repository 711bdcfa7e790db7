"""Rejection definition."""


def f(n):
    for i in range(n):
        def g():
            return i

    for i in range(n):
        class C:
            pass

    for i in range(n):
        async def h():
            pass
