"""Warm starts: what a process with warm caches imports, and that it does what a cold one does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpyna_hook.cost import machine, profiles
from tests.conftest import Outcome, Project

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")

SHOW = "import sys\nprint(sorted(m[12:] for m in sys.modules if m.startswith('alpyna_hook.')))\n"
HEAVY = ("cost", "frontend", "analysis", "transform", "codegen", "pipeline", "ir.nodes", "ir.types", "runtime.specials")
STEP = """\
import numpy as np

def step(a, b, n):
    for i in range(1, n):
        b[i] = a[i] * 2.0 + a[i - 1]
    return i

a, b = np.arange(100.0), np.zeros(100)
print(step(a, b, 100), b.sum())
"""


@pytest.fixture(params=["c", "python"])
def twin(request: pytest.FixtureRequest) -> dict[str, str]:
    """The environment that selects a guard."""
    return {"ALPYNA_PURE": "1"} if request.param == "python" else {}


class Runs:
    """A program that is run again and again with one cache of its own."""

    def __init__(self, project: Project, folder: Path, environment: dict[str, str]) -> None:
        self.project, self.cache = project, folder / "cache"
        self.environment = {**environment, "ALPYNA_CACHE_DIR": str(self.cache)}

    def __call__(self, *options: str, **environment: str) -> Outcome:
        return self.project.runner(*options, "main.py", **self.environment | environment)

    def is_warm(self, *options: str, **environment: str) -> bool:
        """Whether another run, of the program with SHOW at its end, gets by without the heavy modules."""
        text = self(*options, **environment).stdout.splitlines()[-1]
        loaded = text.replace("'", "").strip("[]").split(", ")
        assert "runtime.dispatch" in loaded
        return not any(name == heavy or name.startswith(f"{heavy}.") for name in loaded for heavy in HEAVY)

    def records(self) -> list[Path]:
        """The records of decisions: plain data, but for the code of the script."""
        return [path for path in self.cache.rglob("*.mar") if b"main.py" not in path.read_bytes()]

    def report(self, *options: str, **environment: str) -> tuple[Outcome, Any]:
        path = self.project.folder / "report.json"
        path.unlink(missing_ok=True)
        outcome = self("--report", str(path), *options, **environment)
        return outcome, json.loads(path.read_text())


@pytest.fixture
def runs(project: Project, tmp_path: Path, twin: dict[str, str]) -> Runs:
    return Runs(project, tmp_path, twin)


@pytest.fixture
def c_runs(project: Project, tmp_path: Path) -> Runs:
    return Runs(project, tmp_path, {})


# --- what is imported ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_a_warm_start_imports_nothing_that_analyses_prices_or_compiles(runs: Runs, variant: str) -> None:
    runs.project.write({"main.py": STEP + SHOW})
    expected = runs.project.plain("main.py").stdout.splitlines()[0]
    assert not runs.is_warm("--variant", variant)
    assert runs.is_warm("--variant", variant)
    assert runs("--variant", variant).stdout.splitlines()[0] == expected
    last = runs("--variant", variant).stdout
    assert "subprocess" not in last and "islpy" not in last


def test_modules_start_warm_as_scripts_do(runs: Runs) -> None:
    runs.project.write({"main.py": "import tool\n" + SHOW, "tool.py": STEP})
    assert not runs.is_warm("--variant", "seq")
    assert runs.is_warm("--variant", "seq")


WORK = """\
import numpy as np

def work(a, n):
    for i in range(n):
        for j in range(n):
            a[i, j] = a[i, j] * 0.5 + i

a = np.ones((1000, 1000))
work(a, 1000)
work(a[:300], 300)
print(a.sum())
"""


def test_the_oracle_is_not_asked_again_about_the_same_shapes(c_runs: Runs) -> None:
    c_runs.project.write({"main.py": WORK + SHOW})
    first = c_runs()
    assert c_runs.is_warm()
    assert c_runs().stdout.splitlines()[0] == first.stdout.splitlines()[0] == (
        c_runs.project.plain("main.py").stdout.splitlines()[0]
    )


def test_other_shapes_are_decided_anew(c_runs: Runs) -> None:
    c_runs.project.write({"main.py": WORK + SHOW})
    c_runs()
    assert c_runs.is_warm()
    c_runs.project.write({"main.py": WORK.replace("np.ones((1000, 1000))", "np.ones((5000, 400))").replace(
        "work(a, 1000)", "work(a, 400)") + SHOW})  # fmt: skip
    assert not c_runs.is_warm()


SIZES = """\
import os
import numpy as np

def work(a, n, m):
    for i in range(n):
        for j in range(m):
            a[i, j] += i * j

a, written, replace = np.zeros((2048, 2048)), [], os.replace
work(a, 2000, 2000)
os.replace = lambda *names: (written.append(names[1]), replace(*names))
for k in range(1, 9):
    for l in range(1, 9):
        work(a, 2**k - 1, 2**l - 1)
os.replace = replace
print(a.sum(), sum(name.endswith(".mar") for name in written) < 30)
"""


def test_sizes_that_change_at_each_call_do_not_cost_a_file_each(c_runs: Runs) -> None:
    """Records are written together, the last ones when the process ends."""
    c_runs.project.write({"main.py": SIZES + SHOW})
    assert c_runs().stdout.splitlines()[0].endswith(" True")
    last = SIZES.replace("work(a, 2000, 2000)", "").replace("range(1, ", "range(8, ")
    c_runs.project.write({"main.py": last + SHOW})
    assert "'runtime.specials'" not in c_runs().stdout


# --- records that do not fit ------------------------------------------------------------------------------------------


CHANGES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "fp": (("--fp", "relaxed"), {}),
    "threads": (("--threads", "1"), {}),
    "variant": (("--variant", "omp"), {}),
    "compiler": ((), {"ALPYNA_CC": "cc"}),
    "path": ((), {"PATH": "TOOLS:" + os.environ["PATH"]}),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_made_under_other_settings_is_not_used(c_runs: Runs, change: str, tmp_path: Path) -> None:
    options, environment = CHANGES[change]
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "gcc").write_text(f"#!/bin/sh\nexec {shutil.which('cc')} \"$@\"\n")
    (tools / "gcc").chmod(0o755)
    environment = {name: value.replace("TOOLS", str(tools)) for name, value in environment.items()}
    c_runs.project.write({"main.py": STEP + SHOW})
    c_runs("--variant", "seq")
    assert c_runs.is_warm("--variant", "seq")
    assert not c_runs.is_warm("--variant", "seq", *options, **environment)
    assert c_runs.is_warm("--variant", "seq", *options, **environment)
    assert c_runs.is_warm("--variant", "seq")


def test_a_changed_loop_is_compiled_anew(c_runs: Runs) -> None:
    for factor in ("2.0", "3.0"):
        c_runs.project.write({"main.py": STEP.replace("2.0", factor) + SHOW})
        assert not c_runs.is_warm("--variant", "seq")
        assert c_runs("--variant", "seq").stdout.splitlines()[0] == (
            c_runs.project.plain("main.py").stdout.splitlines()[0]
        )


def test_a_new_machine_profile_has_decisions_made_anew(c_runs: Runs) -> None:
    c_runs.project.write({"main.py": WORK + SHOW})
    c_runs()
    assert c_runs.is_warm()
    assert profiles.save(machine.default_profile(), c_runs.cache)
    assert not c_runs.is_warm()
    assert c_runs.is_warm()


def test_a_change_of_the_package_makes_records_stale(c_runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    from alpyna_hook.runtime import stamps

    before = stamps.package.__wrapped__()
    files = list(stamps._files(os.path.dirname(stamps.alpyna_hook.__file__)))
    monkeypatch.setattr(stamps, "_files", lambda folder: iter([*files[:-1], files[-1] + "0"]))
    assert stamps.package.__wrapped__() != before


def damages(path: Path) -> Iterator[bytes]:
    """Contents for a record: cut, foreign, and well-formed with a checksum but wrong inside."""
    import marshal

    from alpyna_hook.runtime import diskcache

    good = path.read_bytes()
    yield from (b"", b"foreign", good[:-7], good[:50])
    ((decision, recipe, kernel),) = marshal.loads(good[diskcache._HEAD :])
    for value in (
        7, (), ((),), ((1, 2, 3),), ((decision, recipe),), ((decision[:3], recipe, kernel),),
        ((decision, recipe[:4], kernel),), ((decision, recipe, ("none.so", "")),), ((decision, recipe, (3, 4)),),
        (((decision[0], decision[1], ((("dim", "zz", 0), 1, 2),), *decision[3:]), recipe, kernel),),
    ):  # fmt: skip
        data = marshal.dumps(value)
        yield diskcache._MAGIC + diskcache.sha256(data).digest() + data


def test_damaged_and_foreign_records_are_no_obstacle(c_runs: Runs) -> None:
    c_runs.project.write({"main.py": STEP})
    expected = c_runs("--variant", "seq")
    (record,) = c_runs.records()
    for content in damages(record):
        record.write_bytes(content)
        found = c_runs("--variant", "seq")
        assert (found.status, found.stdout) == (0, expected.stdout), content
        assert found.stderr.count("\n") <= 1, found.stderr


def test_a_kernel_that_is_gone_is_compiled_again(runs: Runs) -> None:
    runs.project.write({"main.py": STEP})
    expected = runs("--variant", "seq")
    (library,) = (path for path in runs.cache.rglob("*.so") if b"kernel" in path.read_bytes())
    library.unlink()
    outcome, report = runs.report("--variant", "seq")
    assert outcome == expected
    assert report["sites"][0]["specialisations"][0]["cache"] == {"seq": "miss"}


def test_two_processes_at_once_both_start(c_runs: Runs) -> None:
    c_runs.project.write({"main.py": WORK})
    expected = c_runs.project.plain("main.py").stdout
    environment = {**c_runs.project.environment, **c_runs.environment}
    for _ in range(2):  # cold, warm
        command = [sys.executable, "-m", "alpyna", "--variant", "seq", "main.py"]
        running = [
            subprocess.Popen(command, cwd=c_runs.project.folder, env=environment, stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        assert [process.communicate(timeout=100)[0] for process in running] == [expected] * 3


# --- what happens after a warm start ----------------------------------------------------------------------------------


FAULTS = """\
import numpy as np

def pick(a, k, out):
    for i in range(len(k)):
        out[i] = a[k[i]] * 2.0

def shifted(a, m, n):
    for i in range(n):
        a[i + m] = a[i] + 1.0

a, k, out = np.arange(50.0), np.arange(50) % 7, np.zeros(50)
pick(a, k, out)
print(out.sum())
for _ in range(6):
    k[30] = 50
    out[:] = -1.0
    try:
        pick(a, k, out)
    except IndexError as error:
        print(error, out.sum())
    k[30] = 3
    pick(a, k, out)
    print(out.sum())
shifted(a, 25, 25)
print(a.sum())
shifted(a, 1, 25)
print(a.sum())
shifted(a, 0, 50)
print(a.sum())
try:
    shifted(a, 40, 25)
except IndexError as error:
    print(error, a.sum())
"""


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_faults_and_failed_preconditions_are_as_after_a_cold_start(runs: Runs, variant: str) -> None:
    runs.project.write({"main.py": FAULTS})
    expected = runs.project.plain("main.py")
    for _ in range(3):
        assert runs("--variant", variant) == expected


def comparable(report: Any) -> Any:
    """A report without what differs from run to run."""
    for site in report["sites"]:
        for special in site["specialisations"]:
            special["compile_s"] = sorted(special["compile_s"])
            special["cache"] = sorted(special["cache"])
            for decision in special["decisions"]:
                del decision["total_s"]
    return report


PROGRAMS = {"step": STEP, "work": WORK, "faults": FAULTS, "nothing": STEP.replace("100", "2")}


@pytest.mark.parametrize(("program", "variant"), [
    ("step", "seq"), ("step", "interp"), ("work", "seq"), ("faults", "omp"), ("faults", "interp"), ("nothing", "seq"),
])  # fmt: skip
def test_the_report_of_a_warm_run_is_that_of_a_cold_one(c_runs: Runs, program: str, variant: str) -> None:
    c_runs.project.write({"main.py": PROGRAMS[program]})
    cold, first = c_runs.report("--variant", variant)
    warm, second = c_runs.report("--variant", variant)
    assert warm == cold == c_runs.project.plain("main.py")
    assert comparable(second) == comparable(first)


def test_the_report_on_paper_is_the_same_too(c_runs: Runs) -> None:
    c_runs.project.write({"main.py": STEP})
    pages = []
    for _ in range(2):
        c_runs("--variant", "seq", "--report", "report.html")
        pages.append((c_runs.project.folder / "report.html").read_text())
    assert all("kernel(const alp_slot" in page for page in pages), "the code is shown"


MANY = """\
import numpy as np

def add(a, n):
    for i in range(n):
        a[i] = a[i] + 1.0

a = np.zeros(200000)
for _ in range(400):
    add(a, 200000)
print(a.sum())
"""


def test_reviews_come_and_go(runs: Runs) -> None:
    """A decision is reviewed after its calls; the figures of the report are those of all calls."""
    runs.project.write({"main.py": MANY})
    expected = runs.project.plain("main.py")
    for _ in range(2):
        outcome, report = runs.report()
        assert outcome == expected
        decisions = [d for site in report["sites"] for s in site["specialisations"] for d in s["decisions"]]
        assert sum(decision["calls"] for decision in decisions) == 400


FORK = """\
import os
import numpy as np

def work(k):
    a = np.zeros((300, 300))
    for i in range(300):
        for j in range(300):
            a[i, j] = (i * j + k) % 7
    return float(a.sum())

print(work(0), work(1), flush=True)
child = os.fork()
if not child:
    print(work(2), flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), work(3))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_a_fork_after_a_warm_start(runs: Runs) -> None:
    runs.project.write({"main.py": FORK})
    expected = runs.project.plain("main.py")
    for _ in range(2):
        assert runs("--variant", "omp") == expected
