"""The command line: options, usage errors, the report at exit, --require, and the smaller commands."""

from __future__ import annotations

import json
import os
import sys
import time

import pytest

from alpyna_hook import cli
from tests.conftest import Project

PARALLEL = """\
import numpy as np
def double(a, n):
    for i in range(n):
        a[i] = a[i] * 2.0
a = np.arange(1000.0)
double(a, 1000)
print(a.sum())
"""


def parse(*arguments: str) -> tuple[dict[str, object], tuple[str, str, list[str]]]:
    options, program = cli.parse_run(list(arguments))
    return options, (program.kind, program.name, program.arguments)


@pytest.mark.parametrize(("arguments", "options", "program"), [
    (("x.py", "--fp", "-m"), {}, ("path", "x.py", ["--fp", "-m"])),
    (("--fp", "relaxed", "x.py"), {"fp": "relaxed"}, ("path", "x.py", [])),
    (("--fp=relaxed", "--threads=3", "-m", "p.q", "-c"), {"fp": "relaxed", "threads": 3}, ("module", "p.q", ["-c"])),
    (("--variant", "seq", "-c", "1", "a"), {"variant": "seq"}, ("command", "1", ["a"])),
    (("-cprint(1)", "a"), {}, ("command", "print(1)", ["a"])),
    (("-mp", "a"), {}, ("module", "p", ["a"])),
    (("--modules", "a,b.*", "x.py"), {"modules": ("a", "b.*")}, ("path", "x.py", [])),
    (("--report", "x.py"), {"report": "-"}, ("path", "x.py", [])),
    (("--report", "out.json", "x.py"), {"report": "out.json"}, ("path", "x.py", [])),
    (("--report", "out.html", "-m", "p"), {"report": "out.html"}, ("module", "p", [])),
    (("--report=out.txt", "x.py"), {"report": "out.txt"}, ("path", "x.py", [])),
    (("--report", "--require", "x.py"), {"report": "-", "require": True}, ("path", "x.py", [])),
    (("--require", "--", "--fp"), {"require": True}, ("path", "--fp", [])),
    (("-", "a"), {}, ("path", "-", ["a"])),
])  # fmt: skip
def test_options_end_where_the_program_begins(
    arguments: tuple[str, ...], options: dict[str, object], program: tuple[str, str, list[str]]
) -> None:
    assert parse(*arguments) == (options, program)


@pytest.mark.parametrize(("arguments", "why"), [
    ((), "no program"), (("--fp", "strict"), "no program"), (("--fp",), "needs a value"), (("-m",), "needs a value"),
    (("--fp", "fast", "x.py"), "strict, relaxed"), (("--variant", "gpu", "x.py"), "auto, interp"),
    (("--threads", "0", "x.py"), "number"), (("--report=out.pdf", "x.py"), ".json"), (("--fast", "x.py"), "no option"),
    (("-x", "x.py"), "no option"),
])  # fmt: skip
def test_a_usage_error_says_what_is_wrong(
    arguments: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(list(arguments), command="python -m alpyna") == 2
    error = capsys.readouterr().err
    assert why in error.splitlines()[-1] and error.startswith("usage: python -m alpyna")


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fly"]) == 2
    assert "fly" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["-h", "--help", "--version"])
def test_help_and_version(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, command in (([option], "alpyna"), (["run", option], "alpyna"), ([option], "python -m alpyna")):
        assert cli.main(arguments, command=command) == 0
        assert "alpyna" in capsys.readouterr().out


def test_a_usage_error_in_a_process_has_status_2(project: Project) -> None:
    outcome = project.runner("--variant", "gpu", "script.py")
    assert (outcome.status, outcome.stdout) == (2, "") and "--variant gpu" in outcome.stderr


def test_a_bad_variable_is_one_line_and_the_program_runs(project: Project) -> None:
    project.write({"script.py": "for i in range(3): pass\nprint(i)\n"})
    outcome = project.runner("script.py", ALPYNA_VARIANT="gpu")
    assert (outcome.status, outcome.stdout) == (0, "2\n")
    assert outcome.stderr.count("\n") == 1 and "ALPYNA_VARIANT" in outcome.stderr


def test_alpyna_0_switches_everything_off(project: Project) -> None:
    show = "import sys\nprint([n for n in sys.modules if n.startswith('alpyna_hook.')])\n"
    project.write({"script.py": PARALLEL + show})
    outcome = project.runner("--report", "--variant", "seq", "script.py", ALPYNA="0")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "rewrite" not in outcome.stdout and "hook.hook" not in outcome.stdout


def test_the_name_of_a_command_is_not_taken_for_a_script_that_exists(project: Project) -> None:
    project.write({"doctor": "print('a script')\n"})
    assert project.runner("doctor").stdout == "a script\n"


# --- the report -----------------------------------------------------------------------------------------------------


def test_the_report_follows_the_programs_output(project: Project) -> None:
    project.write({"script.py": PARALLEL})
    outcome = project.runner("--report", "--variant", "seq", "script.py")
    assert outcome.stdout == project.plain("script.py").stdout
    assert "script.py:3" in outcome.stderr and "seq" in outcome.stderr


@pytest.mark.parametrize(("end", "status"), [
    ("1/0", 1), ("import sys; sys.exit(5)", 5), ("import sys; sys.exit()", 0), ("raise KeyboardInterrupt", -2),
    ("import os; os.chdir('/')", 0),
])  # fmt: skip
def test_the_report_is_written_however_the_program_ends(project: Project, end: str, status: int) -> None:
    project.write({"script.py": PARALLEL + end})
    assert project.runner("--report", "out.json", "--variant", "seq", "script.py").status == status
    report = json.loads((project.folder / "out.json").read_text())
    assert report["schema"] == 1
    assert [(site["id"], site["status"]) for site in report["sites"]] == [("__main__:3", "accelerated")]


def test_a_forked_child_writes_no_report(project: Project) -> None:
    text = PARALLEL + "import os, sys\nsys.stdout.flush()\nif os.fork() == 0: sys.exit()\nos.wait()\n"
    project.write({"script.py": text})
    assert project.runner("--report", "script.py").stderr.count("Alpyna") == 1


def test_a_report_that_cannot_be_written_is_one_line(project: Project) -> None:
    project.write({"script.py": "print('ran')\n"})
    outcome = project.runner("--report", "no/such/folder/out.json", "script.py")
    assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (0, "ran\n", 1)


# --- --require ------------------------------------------------------------------------------------------------------

REJECTED = "def f(names):\n    for name in names:\n        print(name)\n"


def test_require_is_content_with_accelerated_loops(project: Project) -> None:
    project.write({"script.py": PARALLEL})
    outcome = project.runner("--require", "--variant", "seq", "script.py")
    assert (outcome.status, outcome.stderr) == (0, "")


def test_require_names_loops_that_ran_and_are_not_supported(project: Project) -> None:
    project.write({"script.py": REJECTED + "f('ab')\n"})
    outcome = project.runner("--require", "script.py")
    assert (outcome.status, outcome.stdout) == (3, "a\nb\n")
    assert "script.py:3" in outcome.stderr and "print(name)" in outcome.stderr


def test_require_looks_closely_at_loops_with_little_work(project: Project) -> None:
    project.write({"script.py": "def f(a):\n    for i in range(2):\n        a[i] = i\nf({})\n"})
    for _ in range(2):  # the second time with all there is in the caches
        outcome = project.runner("--require", "script.py")
        assert outcome.status == 3 and "of type dict" in outcome.stderr


def test_require_passes_over_loops_that_did_not_run(project: Project) -> None:
    project.write({"script.py": REJECTED})
    assert project.runner("--require", "script.py").status == 0


def test_require_sees_imported_modules_cached_or_not(project: Project) -> None:
    project.write({"script.py": "import a\na.f('x')\n", "a.py": REJECTED})
    assert project.runner("script.py").status == 0
    assert [project.runner("--require", "script.py").status for _ in range(2)] == [3, 3]
    assert project.runner("script.py").status == 0


def test_require_passes_over_loops_switched_off_and_loops_around_accelerated_ones(project: Project) -> None:
    text = PARALLEL + "for name in 'ab':  # alpyna: off\n    pass\n"
    text += "for name in 'ab':\n    print(name)\n    for i in range(1000):\n        a[i] = a[i] + 1.0\n"
    project.write({"script.py": text})
    outcome = project.runner("--require", "--variant", "seq", "script.py")
    assert (outcome.status, outcome.stderr) == (0, "")


@pytest.mark.parametrize(("end", "status"), [("1/0", 1), ("raise SystemExit(7)", 7), ("raise SystemExit(0)", 3)])
def test_a_programs_own_failure_comes_before_require(project: Project, end: str, status: int) -> None:
    project.write({"script.py": REJECTED + f"f('ab')\n{end}\n"})
    assert project.runner("--require", "script.py").status == status


def test_require_waits_for_threads(project: Project) -> None:
    text = REJECTED + "import threading, time\ndef late():\n    time.sleep(0.2)\n    f('x')\n"
    text += "threading.Thread(target=late).start()\n"
    project.write({"script.py": text})
    assert project.runner("--require", "script.py").status == 3


def test_require_works_by_environment(project: Project) -> None:
    project.write({"script.py": REJECTED + "f('x')\n"})
    assert project.activated("script.py", ALPYNA_REQUIRE="1").status == 3


# --- start-up time and the smaller commands -------------------------------------------------------------------------


def test_an_empty_script_imports_nothing_heavy(project: Project) -> None:
    project.write({"script.py": "import sys\nprint(*sys.modules)\n"})
    # an editable install's own finder, which `site` loads in any process, imports some of these
    without = set(project.plain("script.py").stdout.split())
    loaded = set(project.runner("script.py").stdout.split()) - without
    heavy = {"numpy", "islpy", "astor", "subprocess", "dataclasses", "typing", "argparse", "ast", "re", "pickle"}
    assert loaded.isdisjoint(heavy), loaded & heavy


def test_a_script_with_loops_imports_neither_numpy_nor_islpy(project: Project) -> None:
    project.write({"script.py": "import sys\nfor i in range(3):\n    pass\nprint(*sys.modules)\n"})
    loaded = set(project.runner("script.py").stdout.split())
    heavy = {"numpy", "islpy", "astor", "subprocess", "argparse"}
    assert loaded.isdisjoint(heavy), loaded & heavy


def test_doctor_says_what_there_is(project: Project) -> None:
    outcome = project.runner("doctor")
    assert outcome.status == 0, outcome
    for word in ("python", "numpy", "compiler", "cache", "profile", sys.version.split()[0]):
        assert word in outcome.stdout
    assert max(map(len, outcome.stdout.splitlines())) < 250  # hundreds of flags are summed up


def test_doctor_says_what_is_missing(project: Project) -> None:
    outcome = project.runner("doctor", ALPYNA_CC="/no/such/compiler")
    assert outcome.status == 1 and "MISSING" in outcome.stdout and "/no/such/compiler" in outcome.stdout


def test_cache_is_shown_and_cleared(project: Project) -> None:
    project.environment["ALPYNA_CACHE_DIR"] = str(project.folder / "kept")
    project.write({"script.py": PARALLEL})
    project.runner("--variant", "seq", "script.py")
    assert " 0 entries" not in f" {project.runner('cache').stdout}"
    project.runner("cache", "clear")
    assert "\n0 entries" in project.runner("cache", "show").stdout
    assert project.runner("cache", "polish").status == 2


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.isdir("/proc"), reason="needs a place nobody can write to")
def test_a_cache_folder_that_cannot_be_made_is_no_error(project: Project) -> None:
    project.write({"script.py": PARALLEL})
    outcome = project.runner("--variant", "seq", "script.py", ALPYNA_CACHE_DIR="/proc/no/such")
    assert (outcome.status, outcome.stdout) == (0, project.plain("script.py").stdout)
    assert outcome.stderr.count("\n") <= 1


def test_explain_shows_loops_and_rejections(project: Project) -> None:
    project.write({"script.py": PARALLEL + REJECTED})
    outcome = project.runner("explain", "script.py")
    assert outcome.status == 0 and ":3" in outcome.stdout and "^" in outcome.stdout


def test_a_compiler_that_hangs_is_given_up_after_the_users_time(project: Project) -> None:
    """It answers every question about itself, and then never compiles."""
    project.write({
        "script.py": "import numpy as np\na = np.zeros(9)\nfor i in range(9): a[i] = i\nprint(a.sum())\n",
        "slow-cc": '#!/bin/sh\ncase "$*" in *--version*|*probe.so*|*fused.so*) exec gcc "$@" ;; esac\nsleep 300\n',
    })  # fmt: skip
    (project.folder / "slow-cc").chmod(0o755)
    started = time.monotonic()
    outcome = project.runner(
        "--variant", "seq", "--report", "report.txt", "script.py",
        ALPYNA_CC=str(project.folder / "slow-cc"), ALPYNA_CC_TIMEOUT="4",
    )  # fmt: skip
    assert (outcome.status, outcome.stdout) == (0, "36.0\n")
    assert time.monotonic() - started < 60
    assert "no answer within 4 s" in (project.folder / "report.txt").read_text()


def test_a_compiler_that_refuses_all_variants_of_a_loop_is_one_line(project: Project) -> None:
    project.write({
        "script.py": PARALLEL,
        "cc": '#!/bin/sh\ncase "$*" in *--version*|*probe.so*|*fused.so*) exec gcc "$@" ;; esac\nexit 1\n',
    })  # fmt: skip
    (project.folder / "cc").chmod(0o755)
    outcome = project.runner("--variant", "omp", "script.py", ALPYNA_CC=str(project.folder / "cc"))
    assert (outcome.status, outcome.stdout) == (0, project.plain("script.py").stdout)
    assert outcome.stderr.count("\n") == 1 and "__main__:" in outcome.stderr
