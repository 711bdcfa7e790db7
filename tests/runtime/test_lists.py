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
