"""Loops run in blocks: which are chosen, and what an exception in the middle of one leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from fuzzing import batch  # noqa: E402
from nests import nest_of  # noqa: E402

from alpyna_hook.transform.blocks import restartable, resumable  # noqa: E402

PROGRAMS = {p.stem: p.read_text() for p in sorted((Path(__file__).parent / "programs/blocks").glob("*.py"))}


@pytest.fixture(scope="module")
def expected() -> dict[str, batch.Seen]:
    return batch.observe({f"fz_{name}": text for name, text in PROGRAMS.items()}, "cpython")


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_the_program_does_as_under_cpython(expected: dict[str, batch.Seen], variant: str) -> None:
    seen = batch.observe({f"fz_{name}": text for name, text in PROGRAMS.items()}, variant)
    differences = batch.compare(expected, seen, variant)
    assert not differences, "\n".join(map(batch.explain, differences))


SWEEPS = """
    def f(a, b, c, T, n):
        x = 0.0
        for t in {outer}:
            for i in range(n):
                {first}
                b[i] = a[i] * x
            for k in {inner}:
                c[k] = b[k] / {last}
"""


@pytest.mark.parametrize(
    "case",
    [
        ("two sweeps", {}, True),
        ("own scalar", {"first": "x = a[i] * 2"}, True),
        ("scalar of the sweep before", {"first": "x = a[i] * 2", "last": "x"}, False),
        ("variable of the sweep before", {"last": "i"}, False),
        ("variable of the loop around", {"last": "t"}, True),
        ("bounds of the loop around move", {"outer": "range(t0, T)"}, True),
        ("bounds that the nest writes", {"inner": "range(int(b[0]))"}, False),
        ("bounds from a scalar of the sweep before", {"first": "m = i", "inner": "range(m)"}, False),
    ],
    ids=lambda case: case[0],
)
def test_a_nest_restarts_only_where_nothing_but_arrays_is_handed_on(case: tuple[str, dict[str, str], bool]) -> None:
    _, parts, wanted = case
    text = SWEEPS.format(**{"outer": "range(T)", "first": "pass", "inner": "range(n)", "last": "2.0", **parts})
    assert restartable(nest_of(text)) is wanted


CARRIED = """
    def f(a, b, n, m):
        s = t = 0.0
        for i in {bounds}:
            {update}
            b[{row}] = s
"""


@pytest.mark.parametrize(
    "case",
    [
        ("a running sum", {}, {"s"}),
        ("several scalars", {"update": "s, t = t, s + a[i]"}, {"s", "t"}),
        ("a scalar of its own", {"update": "s = a[i]"}, set()),
        ("a row behind", {"row": "i - 1"}, {"s"}),
        ("two rows", {"update": "b[i] = a[i]", "row": "i - 1"}, None),
        ("a row by value", {"row": "m"}, None),
        ("an end of its own", {"update": "if a[i] > s: break"}, None),
        ("the next trip", {"update": "if a[i] > s: s += 1; continue"}, {"s"}),
        ("a bound that moves", {"bounds": "range(n)", "update": "n -= 1; s = n"}, None),
        ("a bound that the loop writes", {"bounds": "range(int(b[0]))"}, None),
        ("two steps", {"bounds": "range(0, n, 2)"}, None),
    ],
    ids=lambda case: case[0],
)
def test_scalars_that_the_outermost_loop_hands_on_become_live_outs(case: tuple[str, dict[str, str], set[str]]) -> None:
    _, parts, wanted = case
    text = CARRIED.format(**{"bounds": "range(1, n)", "update": "s += a[i]", "row": "i", **parts})
    nest = nest_of(text)
    carrying = resumable(nest)
    assert ({out.name for out in carrying.live_outs} if carrying else None) == wanted
    assert restartable(nest) is (carrying == nest)


# Blocks of one row; the first bad value is in trip 3, a second one later.
WITNESS = """
import sys, warnings
import numpy as np
if "alpyna_hook" in sys.modules:
    from alpyna_hook.runtime import resume
    from alpyna_hook.transform import blocks
    blocks.BLOCK_BYTES = 8
    note = resume.note
    def told(skip, live_outs):
        print(list(skip.values()), live_outs, file=sys.stderr)
        note(skip, live_outs)
    resume.note = told
def total(a, b):
    s = 0.0
    for i in range(len(a)):
        s += a[i]
        b[i] = s
    return s, type(s).__name__
warnings.simplefilter("ignore")
for value in (np.inf, 1.0):
    a, b = np.ones(9), np.zeros(9)
    a[3], a[5] = -value, value
    print(total(a, b), b.tolist())
def squares(b, n):
    m = 1
    for i in range(n):
        m *= 9
        b[i] = i
    return m
print(squares(b, 9), squares(np.zeros(30), 30), b.tolist())
"""


@pytest.mark.parametrize("pure", ["0", "1"])
def test_the_interpreter_goes_on_from_the_block_with_the_fault(pure: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(WITNESS)

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "ALPYNA_PURE": pure}
        command = [sys.executable, *options, str(script)]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)

    ours = run("-m", "alpyna", "--variant", "seq")
    assert ours.stdout == run().stdout
    assert ours.stderr.splitlines() == ["[5] (np.float64(-inf),)", f"[19] ({9**19},)"]


SHORT_OF_MEMORY = """
import ctypes
import numpy as np
def two(a, b, c, n):
    for t in range(2):
        for i in range(n):
            b[i] = b[i] + 1.0 / float(a[i])
        for i in range(n):
            for j in range(4):
                c[i, j] = c[i, j] + b[i] / float(a[i])
a, b, c = np.ones(6), np.zeros(6), np.zeros((6, 4))
two(a, b, c, 6)
print(b.tolist(), c.tolist())
"""


def test_a_second_loop_without_memory_for_its_rows_is_left_to_the_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SHORT_OF_MEMORY)
    lie = """
import sys
from alpyna_hook.codegen import helpers
text = helpers._TEMPLATES["scratch"]
lie = "static int asked; if (asked++ == 1) return NULL; return keep"
helpers._TEMPLATES["scratch"] = text.replace("return keep", lie)
assert helpers._TEMPLATES["scratch"] != text
sys.argv = ["alpyna", "--variant", "seq", "--report", sys.argv[2], sys.argv[1]]
from alpyna_hook import cli
sys.exit(cli.main(command="python -m alpyna"))
"""
    env = {**os.environ, "ALPYNA_CACHE_DIR": str(tmp_path / "cache")}
    report = tmp_path / "report.json"
    ours = subprocess.run([sys.executable, "-c", lie, str(script), str(report)], cwd=ROOT, env=env, capture_output=True,
                          text=True)  # fmt: skip
    assert ours.stderr == "" and '"faults": 1' in report.read_text()
    assert ours.stdout == subprocess.run([sys.executable, script], capture_output=True, text=True).stdout
