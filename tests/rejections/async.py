"""Rejection async."""


async def f(a, source):
    for i in range(3):
        async for x in source:
            a[i] = x


async def g(lock):
    for i in range(3):
        async with lock:
            pass
