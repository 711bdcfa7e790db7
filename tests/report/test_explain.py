"""`explain` on files good and bad; its output against a golden file; the types it assumes."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from alpyna_hook.cost import machine
from alpyna_hook.frontend.sites import find_sites
from alpyna_hook.ir.types import FLOAT, INT, ArrayType, ObjectType, Rep
from alpyna_hook.report import explain
from alpyna_hook.report.assume import Assumed, assume
from alpyna_hook.report.predicates import pretty_predicate
from alpyna_hook.ir.affine import PAll, PAny, PCompare, PFinite, QBinary, QConst, QDim, QParam
from alpyna_hook.source import Source

from .samples import TEXT
from .test_report import check_golden

ROOT = Path(__file__).parents[2]
VALID = TEXT[: TEXT.index("    while s")]


@pytest.fixture()
def heat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file to explain, in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "heat.py").write_text(VALID)
    return "heat.py"


def test_explain_golden(heat: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main([heat]) == 0
    check_golden("explain.txt", capsys.readouterr().out)


def test_line_selects_the_sites_that_include_it(heat: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main([heat, "--line", "15"]) == 0
    out = capsys.readouterr().out
    assert "heat.py:14-15 in total" in out
    assert "relax" not in out
    assert explain.main([heat, "--line", "2"]) == 0
    assert capsys.readouterr().out == "heat.py, line 2: no loops\n"


def test_source_prints_python_and_c(heat: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main([heat, "--source", "--line", "14"]) == 0
    out = capsys.readouterr().out
    assert "      for k in range(3):\n          s += u[k, k]\n" in out
    assert "C (seq):" in out
    assert "kernel(const alp_slot *in, alp_slot *out)" in out


def test_fp_relaxed_makes_a_float_sum_parallel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "total.py"
    path.write_text("def total(a):\n    s = 0.0\n    for i in range(len(a)):\n        s += a[i]\n    return s\n")
    verdicts = []
    for fp in ("strict", "relaxed"):
        assert explain.main([str(path), "--fp", fp]) == 0
        verdicts += [line.split()[3] for line in capsys.readouterr().out.splitlines() if "line 3" in line]
    assert verdicts == ["sequential:", "parallel:"]


def test_missing_file_is_status_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain.main(["/no/such/file.py"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "alpyna: can't open file '/no/such/file.py': [Errno 2] No such file or directory\n"


@pytest.mark.parametrize(
    "content", [b"for i in range(3)\n    pass\n", b"x = '\xff\xfe'\n", b"# coding: nonsense\n", b"a\0b\n", b"x = (\n"]
)
def test_what_python_cannot_compile_is_status_1(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.py"
    path.write_bytes(content)
    assert explain.main([str(path)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "Error: " in err
    assert "Traceback" not in err


def test_file_without_loops(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.py"
    path.write_text("x = 1\n")
    assert explain.main([str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: no loops\n"


def test_closed_pipe_is_no_traceback(heat: str) -> None:
    code = "import sys; from alpyna_hook.report.explain import main; sys.exit(main(sys.argv[1:]))"
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run(
            [sys.executable, "-c", code, str(Path(heat).absolute())], stdout=out, stderr=subprocess.PIPE, cwd=ROOT
        )
    assert done.stderr == b""


@pytest.mark.skipif(sys.version_info < (3, 10), reason="match")
def test_nest_text_of_syntax_that_astor_cannot_print() -> None:
    code = "for i in range(3):\n    match i:\n        case 1:\n            x = 2"
    assert explain.nest_text(ast.parse(code).body[0]) == code + "\n"


def _assumed(code: str) -> Assumed:
    source = Source("t.py", "t", code)
    (site,) = find_sites(ast.parse(code), source)
    assert site.nest is not None
    return assume(site.nest)


def test_names_in_subscripts_and_ranges_are_ints_and_others_floats() -> None:
    found = _assumed("def f(a, idx, n, k, x):\n    for i in range(n):\n        a[idx[i] + k] = x\n").types
    assert found["idx"] == ArrayType(Rep.I64, 1, "C", False)
    assert found["a"] == ArrayType(Rep.F64, 1, "C", True)
    assert (found["n"], found["k"], found["x"]) == (INT, INT, FLOAT)


def test_what_is_compared_with_an_int_or_counted_is_an_int() -> None:
    code = """
def f(count, limit, out, n, m):
    for i in range(n):
        c = 0
        while c < limit:
            c += 1
        out[i, i, 0] = c
"""
    found = _assumed(code).types
    assert found["limit"] == INT
    assert found["out"] == ArrayType(Rep.I64, 3, "C", True)


def test_a_copy_of_an_array_into_itself_says_nothing_of_its_type() -> None:
    found = _assumed("def f(a, k):\n    for i in range(9):\n        a[i] = a[i + k]\n").types
    assert found["a"] == ArrayType(Rep.F64, 1, "C", True)
    assert found["k"] == INT


def test_functions_are_objects_and_all_dimensions_have_a_value() -> None:
    found = _assumed("import math\ndef f(a):\n    for i in range(a.shape[1]):\n        a[0, i] = math.exp(a[0, i])\n")
    assert isinstance(found.types["math.exp"], ObjectType)
    assert found.entry[QDim("a", 1)] > 0


def test_preconditions_read_like_python() -> None:
    n, dim = QParam("n"), QDim("a", 0)
    small = PCompare("<=", QBinary("+", n, QConst(1)), dim)
    assert pretty_predicate(small) == "n + 1 <= a.shape[0]"
    assert pretty_predicate(PAll((small, PAny((PCompare(">", n, QConst(0)), PFinite("x", True)))))) == (
        "n + 1 <= a.shape[0] and (n > 0 or x is finite and not 0)"
    )
    product = QBinary("*", QBinary("+", n, QConst(1)), QBinary("-", n, QConst(1)))
    assert pretty_predicate(PCompare("==", product, dim)) == "(n + 1) * (n - 1) == a.shape[0]"


def test_sizes_price_a_loop(heat: str, capsys: pytest.CaptureFixture[str]) -> None:
    prices = []
    for n in (10, 3000):
        assert explain.main([heat, "--line", "14", "--sizes", f"u={n}x{n},n={n}"]) == 0
        (line,) = [x for x in capsys.readouterr().out.splitlines() if x.startswith("    predicted")]
        prices.append(line)
    assert all("interp" in line and "the choice:" in line for line in prices)


def test_calibrated_devices_are_priced_too(
    heat: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = machine.default_profile(2)
    figures = machine.DeviceFigures(
        "PoCL", "rows", True, 8e-6, 2e-6, 5e-6, 1e12, 5e-6, 1e12, 5e10, {"f64": 5e9, "f32": 5e9, "int": 7e9}, 8, 0.05,
    )  # fmt: skip
    monkeypatch.setattr(explain, "_profile", lambda: replace(profile, devices={"opencl": figures}))
    assert explain.main([heat, "--line", "4", "--sizes", "u=300x300,v=300x300,steps=9"]) == 0
    assert re.search(r"predicted .*opencl [0-9.]+ ", capsys.readouterr().out)


def test_sizes_that_cannot_be_read_are_a_usage_error(heat: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        explain.main([heat, "--sizes", "n=big"])
    assert stop.value.code == 2 and "n=500,a=500x300" in capsys.readouterr().err
