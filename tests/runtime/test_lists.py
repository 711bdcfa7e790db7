"""Loops over lists, which no compiled code takes: they cost next to nothing."""

from __future__ import annotations

from typing import Any

SCRIPT = """\
def total(values):
    t = 0.0
    for x in values:
        t += x
    return t

assert total([1.5]) == 1.5
import sys
print([name for name in ("runtime.specials", "runtime.signature", "ir.nodes") if "alpyna_hook." + name in sys.modules])
for _ in range(100):
    total([0.5, 2])
import builtins
print([value for name, value in vars(builtins).items() if name.endswith(":0") and "main" in name])
"""


def test_a_short_loop_over_a_list_imports_nothing_and_is_soon_retired(project: Any) -> None:
    project.write({"main.py": SCRIPT})
    for imported in ("['ir.nodes']", "[]"):  # by the front end, which a warm start does without
        found = project.runner("main.py")
        assert (found.stdout, found.stderr) == (f"{imported}\n[None]\n", "")


LONG = """\
import sys
before = set(sys.modules)
def total(values):
    t = 0
    for i in range(len(values)):
        t += values[i]
    return t

def smallest(rows):
    least = rows[0][0]
    while least > 0:
        for i in range(len(rows)):
            for j in range(len(rows[i])):
                least = min(least, rows[i][j])
    return least

assert total(list(range(2_000_000))) == 1999999000000
assert smallest([[1, 2, 3]] * 100000 + [[0]]) == 0
print(*set(sys.modules))
"""


def test_long_loops_over_lists_are_declined_without_an_import(project: Any) -> None:
    project.write({"main.py": LONG})
    without = set(project.plain("main.py").stdout.split())
    project.runner("main.py")
    found = project.runner("main.py")
    own = {
        "alpyna_hook." + name
        for name in ("ir", "runtime.signature", "runtime.warm", "runtime.specials", "frontend.sites", "rewrite")
    }
    heavy = {"numpy", "islpy", "dataclasses", "typing", "inspect", "re", "tokenize", "ast", "pickle", "threading"}
    assert (found.status, found.stderr) == (0, "")
    assert not (set(found.stdout.split()) - without) & (own | heavy)


def test_the_report_still_says_why_lists_are_declined(project: Any) -> None:
    project.write({"main.py": LONG})
    report = project.runner("--report", "main.py").stderr
    assert "main.py:5: values cannot be handed to compiled code: it is of type list [live-in-type]" in report
    assert "main.py:12: rows cannot be handed to compiled code: it is of type list [live-in-type]" in report
    assert "for i in range(len(values)):\n" + " " * 21 + "^" * len("len(values)") + " here" in report
    assert "`values = np.array(values)` before the loop" in report
    assert project.runner("--require", "main.py").status == 3


def test_the_last_reason_is_told_whether_it_took_types_to_find_it_or_not(project: Any) -> None:
    text = """\
import numpy as np
def total(values, n):
    t = 0
    for i in range(n):
        t += values[i]
    return t
"""
    early, late = "total([1] * 500000, 500000)\n", "total(np.ones(500000, 'q'), 500000)\n"
    for calls, told in ((early + late, "an array of numpy.longlong"), (late + early, "of type list")):
        project.write({"main.py": text + calls})
        report = project.runner("--report", "main.py").stderr
        assert f"values cannot be handed to compiled code: it is {told}" in report


SHORT = """\
import sys
def gcd(a, b):
    while b:
        a, b = b, a % b
    return a

def steps(n):
    k = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        k += 1
    return k

assert sum(gcd(a, b) for a in range(1, 40) for b in range(1, 40)) == 3832
print(max([steps(n) for n in range(1, 100)]), "numpy" in sys.modules)
"""


def test_short_loops_without_a_bound_import_nothing(project: Any) -> None:
    project.write({"main.py": SHORT})
    for _ in range(2):
        assert project.runner("main.py").stdout == "118 False\n"


def test_a_long_loop_without_a_bound_is_compiled_at_its_only_call(project: Any) -> None:
    text = "def f(n):\n    k = t = 0\n    while k < n:\n        t += k & 3\n        k += 1\n    return t\n"
    project.write({"main.py": text + "print(f(20000000))\n"})
    found = project.runner("--report", "main.py")
    assert found.stdout == "30000000\n" and "1 accelerated" in found.stderr


def test_a_loop_without_a_bound_that_proves_long_is_compiled(project: Any) -> None:
    project.write({"main.py": SHORT.replace("range(1, 100)", "range(1, 60000)")})
    found = project.runner("--report", "main.py")
    assert "main.py:9  steps" in found.stderr and "seq" in found.stderr and "1 accelerated" in found.stderr
