"""`while` loops that can end by what they compute are nests; tests/rejections/endless.py has the others."""

from __future__ import annotations

import ast
import textwrap

import pytest

from alpyna_hook.frontend.sites import find_sites
from alpyna_hook.source import Source

BREAK_ON_ELEMENT = """
while True:
    a[0] += 1.0
    if a[0] > 5:
        break
"""
ANOTHER_NAME_OF_THE_ARRAY = """
while a[0] > 0:
    b[0] -= 1
"""
FLAG = """
while not found:
    n += 1
    if n % 7 == 0:
        found = True
"""
LAST_OF_AN_INNER_LOOP = """
while True:
    n += 1
    for k in range(n):
        last = k
    if last > 10:
        break
"""
ONE_TRIP = """
while once:
    n += 1
    break
"""
ONE_TRIP_ON_ALL_PATHS = """
while once:
    if n > 3:
        n += 1
        break
    else:
        break
"""
INNER_WHILE = """
while once:
    while n < 5:
        n += 1
    if n > 4:
        break
"""
CONTINUE_DECIDES = """
while True:
    n += 1
    if n < 10:
        continue
    break
"""
LOOPS = {name: text for name, text in globals().items() if name.isupper()}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_that_can_end_is_a_nest(name: str) -> None:
    text = "def f(a, b, n, once, found, last):\n" + textwrap.indent(LOOPS[name], "    ")
    text += "    return a, b, n, once, found, last\n"
    sites = find_sites(ast.parse(text), Source("m.py", "m", text))
    assert sites and all(site.rejection is None for site in sites), sites[0].rejection
