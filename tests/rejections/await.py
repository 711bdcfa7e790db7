"""Rejection await."""


async def f(a, get):
    for i in range(3):
        a[i] = await get


async def g(get):
    for i in range(3):
        await get
