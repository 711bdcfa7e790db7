"""Names that may have no value when a loop is reached: compiled where nothing can read them, else CPython's error."""

from __future__ import annotations

import json
from typing import Any

import pytest

# The classic: `k` is read after the inner loop, which as far as Python knows may be empty.
ESCAPE = """\
import numpy as np

def escape(steps, limit, n):
    for y in range(steps.shape[0]):
        for x in range(steps.shape[1]):
            z, c = 0j, complex(x / 20 - 2, y / 20 - 1)
            for k in range(limit):
                z = z * z + c
                if abs(z) > 2:
                    break
            steps[y, x] = k
    return n

def attempt(*args):
    try:
        print(escape(*args), args[0].sum())
    except NameError as error:
        print(repr(error), error.__traceback__.tb_next.tb_lineno, args[0].sum())

for limit in (30, 30, 0, 30, 40):
    attempt(np.zeros((40, 60), dtype=np.int64), limit, 0)
attempt(np.zeros((0, 60), dtype=np.int64), 0, 0)
"""

TRIANGLE = """\
import numpy as np

def triangle(a, n):
    for i in range(n):
        for j in range(i + 1):
            t = a[i] + a[j]
        a[i] = t * 0.5

def never_empty_backwards(a, n):
    for i in range(n):
        for j in range(n, i, -1):
            t = j
        a[i] = t

def conditional(a, n):
    for i in range(n):
        if i % 3 != 1:
            last = i
        a[i] = last

for f in triangle, never_empty_backwards, conditional:
    a = np.linspace(0.0, 1.0, 50)
    for _ in range(3):
        f(a, 50)
    print(a.sum(), a[7])
"""

MODULE = """\
import numpy as np
a = np.zeros(80)
for repeat in range(3):
    for text in ("a", "b"):
        pass
    print(repeat, sorted(name for name in globals() if "@" in name or name in ("i", "j", "t")))
    if repeat == 2:
        del j
    for i in range(80):
        for j in range(repeat * 5):
            t = a[i] + j
        if repeat:
            a[i] = t + j
print(a.sum(), i, j, t, type(t))
try:
    for i in range(80):
        a[i] = missing
except NameError as error:
    print(error)
"""

# A name that the class body does not have (yet) is looked up outside, and must not be left behind in the class.
CLASSES = """\
import numpy as np

class Namespace(dict):
    def __missing__(self, name):
        if name == "j":
            return 41
        raise KeyError(name)

class Meta(type):
    __prepare__ = classmethod(lambda cls, name, bases: Namespace())
    def __new__(cls, name, bases, namespace):
        return type.__new__(cls, name, bases, dict(namespace))

a, j, m = np.zeros(80), 5, 0

class OfAModule:
    for i in range(80):
        for j in range(m): pass
        a[i] = j

class MadeUp(metaclass=Meta):
    for i in range(80):
        for j in range(m): pass
        a[i] += j

class OfTheBuiltins:
    for i in range(80):
        for len in range(m): pass
        a[i] += i
        len = i

for cls in OfAModule, MadeUp, OfTheBuiltins:
    print(sorted(vars(cls)), a.sum())
"""


def sites(project: Any, script: str, *options: str, **environment: str) -> dict[str, dict[str, Any]]:
    """Function or line -> site of the report; the output must be CPython's."""
    project.write({"main.py": script})
    expected = project.plain("main.py")
    found = project.runner(*options, "--report", "report.json", "main.py", **environment)
    assert (found.stdout, found.stderr, found.status) == (expected.stdout, expected.stderr, expected.status)
    report = json.loads((project.folder / "report.json").read_text())
    return {s["function"] if s["function"] != "<module>" else str(s["line"]): s for s in report["sites"]}


@pytest.mark.parametrize("variant", ["seq", "omp"])
@pytest.mark.parametrize("pure", ["0", "1"])
def test_a_name_that_only_an_inner_loop_assigns_is_no_obstacle(project: Any, variant: str, pure: str) -> None:
    found = sites(project, ESCAPE, "--variant", variant, ALPYNA_PURE=pure)["escape"]
    assert found["status"] == "accelerated"
    assert [loop["parallel"] for loop in found["loops"]] == [True, True, False]
    (decision,) = [d for s in found["specialisations"] for d in s["decisions"] if d["variant"] == variant]
    assert decision["faults"] == 0


def test_inner_loops_that_are_never_empty_need_no_condition(project: Any) -> None:
    found = sites(project, TRIANGLE, "--variant", "seq")
    assert found["triangle"]["status"] == found["never_empty_backwards"]["status"] == "accelerated"
    assert found["conditional"]["status"] == "rejected"
    assert "[name-unbound]" in found["conditional"]["reason"]


def test_at_module_level_names_come_and_go(project: Any) -> None:
    found = sites(project, MODULE, "--variant", "seq")
    assert found["9"]["status"] == "accelerated"


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_names_of_outer_scopes_are_not_left_in_a_class(project: Any, variant: str) -> None:
    sites(project, CLASSES, "--variant", variant)


def test_a_loop_whose_names_are_missing_was_reached(project: Any) -> None:
    found = sites(project, MODULE, "--variant", "seq")
    (missing,) = [s for s in found.values() if s["reason"] and "missing" in s["reason"]]
    assert missing["status"] == "rejected"
    assert missing["reason"].startswith("`missing`, which the loop reads, has no value")


def test_a_loop_whose_names_are_always_missing_is_retired(project: Any) -> None:
    script = """\
def f(n):
    for i in range(n):
        if i > 5:
            j = missing

for _ in range(100):
    f(3)
import builtins
print([value for name, value in vars(builtins).items() if name.endswith(":0") and "main" in name])
"""
    project.write({"main.py": script})
    assert project.plain("main.py").stdout == "[]\n"
    found = project.runner("main.py")
    assert (found.stdout, found.stderr) == ("[None]\n", "")
