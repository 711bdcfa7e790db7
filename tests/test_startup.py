"""ALPYNA=1: an interpreter that switches itself on."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from alpyna_hook import shadows, startup
from tests.conftest import ROOT, Project
from tests.test_cli import PARALLEL


def test_the_script_itself_is_accelerated(project: Project) -> None:
    project.write({"script.py": PARALLEL})
    outcome = project.activated("script.py", ALPYNA_REPORT="1", ALPYNA_VARIANT="seq")
    assert outcome.stdout == project.plain("script.py").stdout
    assert "script.py:3" in outcome.stderr and "seq" in outcome.stderr


def test_a_module_under_m_is_accelerated(project: Project) -> None:
    project.write({"package/__init__.py": "", "package/tool.py": PARALLEL})
    for option in (("-m", "package.tool"), ("-mpackage.tool",), ("-Bmpackage.tool", "x")):
        outcome = project.activated(*option, ALPYNA_REPORT="1", ALPYNA_VARIANT="seq")
        assert "tool.py:3" in outcome.stderr and "seq" in outcome.stderr


def test_modules_that_a_command_imports_are_accelerated(project: Project) -> None:
    project.write({"tool.py": PARALLEL})
    outcome = project.activated("-c", "import tool", ALPYNA_REPORT="1", ALPYNA_VARIANT="seq")
    assert "tool.py:3" in outcome.stderr and "seq" in outcome.stderr


@pytest.mark.parametrize("value", ["0", ""])
def test_nothing_happens_when_it_is_off(project: Project, value: str) -> None:
    project.write({"script.py": PARALLEL + "import sys\nprint('alpyna_hook' in sys.modules)\n"})
    assert project.run("script.py", ALPYNA=value).stdout.endswith("False\n")


def test_a_program_without_loops_gets_no_report(project: Project) -> None:
    project.write({"script.py": "print(1)\n"})
    assert project.activated("script.py", ALPYNA_REPORT="1").stderr == ""


def test_the_runner_is_not_run_by_the_runner(project: Project) -> None:
    project.write({"script.py": PARALLEL})
    outcome = project.activated("-m", "alpyna", "--report", "--variant", "seq", "script.py")
    assert outcome.stderr.count("Alpyna") == 1 and outcome.stdout == project.plain("script.py").stdout


def test_nothing_of_the_takeover_is_left(project: Project) -> None:
    show = "import sys\nprint(__spec__, sys.path[0], [h for h in sys.path_hooks if 'alpyna' in repr(h)])\n"
    project.write({"script.py": "for i in range(3): pass\n" + show})
    assert project.activated("script.py") == project.plain("script.py")


def test_a_bug_at_start_up_is_one_line(project: Project) -> None:
    project.write({"script.py": "print(1)\n", "broken/alpyna_hook/__init__.py": "",
                   "broken/alpyna_hook/settings.py": "", "broken/alpyna_hook/startup.py":
                   (ROOT / "alpyna_hook" / "startup.py").read_text()})  # fmt: skip
    (project.folder / "broken/alpyna_hook/settings.py").write_text(
        (ROOT / "alpyna_hook" / "settings.py").read_text().replace("def current()", "def away()")
    )
    path = os.pathsep.join((str(project.folder / "broken"), str(project.site)))
    outcome = project.activated("script.py", PYTHONPATH=path)
    assert (outcome.status, outcome.stdout, outcome.stderr.count("\n")) == (0, "1\n", 1)


# --- the line in site-packages --------------------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """The Python of a fresh virtual environment that has a path to this checkout."""
    options = ("--without-pip", "--system-site-packages")
    subprocess.run([sys.executable, "-m", "venv", *options, tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    (purelib,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (purelib / "a-checkout.pth").write_text(f"{ROOT}\n")
    return python


def call(*command: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ALPYNA", "PYTHON"))}
    words = [str(c) for c in command]
    return subprocess.run(words, env=kept | environment, capture_output=True, text=True, timeout=120)


def test_install_and_uninstall(environment: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("for i in range(3): pass\nimport sys\nprint('alpyna_hook.guarded' in sys.modules)\n")
    assert call(environment, script, ALPYNA="1").stdout == "False\n"
    installed = call(environment, "-m", "alpyna", "install")
    assert installed.returncode == 0 and startup.PTH_NAME in installed.stdout
    assert call(environment, script, ALPYNA="1").stdout == "True\n"
    assert call(environment, script).stdout == "False\n"
    assert call(environment, script, ALPYNA="0").stdout == "False\n"
    assert call(environment, "-m", "alpyna", "uninstall").returncode == 0
    assert call(environment, script, ALPYNA="1").stdout == "False\n"
    assert "nothing to remove" in call(environment, "-m", "alpyna", "uninstall").stdout


def test_the_line_is_harmless_when_alpyna_is_gone(environment: Path, tmp_path: Path) -> None:
    call(environment, "-m", "alpyna", "install")
    next((tmp_path / "venv" / "lib").glob("python*/site-packages/a-checkout.pth")).unlink()
    done = call(environment, "-c", "print(1)", ALPYNA="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_the_line_imports_nothing_when_it_is_off() -> None:
    show = f"import os, sys; before = set(sys.modules); exec({startup.PTH_LINE!r}); print(set(sys.modules) - before)"
    assert call(sys.executable, "-S", "-c", show).stdout == "set()\n"


# --- files that hide modules ------------------------------------------------------------------------------------------

HEAVY = """\
import sys
def total(n):
    t = 0.0
    for i in range(n):
        t += i * 0.5
    return t
print(total(2_000_000), "numpy" in sys.modules)
"""


@pytest.mark.parametrize("name", ["random.py", "copy/__init__.py", "numpy.py", "struct.py"])
def test_a_program_beside_a_file_that_hides_a_module_is_left_alone(name: str, project: Project) -> None:
    project.write({"script.py": HEAVY, name: "print('of the program')\n"})
    plain = project.plain("script.py")
    for _ in range(2):
        found = project.runner("script.py")
        assert (found.status, found.stdout) == (0, plain.stdout)
        assert found.stderr.count("\n") == 1 and "not active: " in found.stderr and name.split("/")[0] in found.stderr
    assert project.activated("script.py") == plain


IN_PLACES: dict[str, dict[str, str]] = {
    "on PYTHONPATH": {"script.py": HEAVY},
    "on PYTHONPATH, no NumPy": {"script.py": HEAVY, "lib/numpy.py": "print('of the program')\n"},
    "on a path that changes": {"script.py": "import sys\nsys.path.insert(0, 'lib')\n" + HEAVY},
    "in the folder that is run": {"app/__main__.py": HEAVY, "app/random.py": "print('of the program')\n"},
    "in the zip file that is run": {"outer.py": HEAVY},
}  # fmt: skip


@pytest.mark.parametrize("place", IN_PLACES)
def test_nor_is_one_run_that_hides_a_module_from_elsewhere(place: str, project: Project, tmp_path: Path) -> None:
    project.write({"lib/random.py": "print('of the program')\n", **IN_PLACES[place]})
    if "zip" in place:
        with zipfile.ZipFile(project.folder / "app", "w") as archive:
            archive.writestr("__main__.py", "import sys\nsys.path.append('.')\nimport outer\n")
            archive.writestr("random.py", "print('of the program')\n")
    if "PYTHONPATH" in place:
        project.environment["PYTHONPATH"] = f"{project.folder / 'lib'}{os.pathsep}{project.environment['PYTHONPATH']}"
    script = "script.py" if "script.py" in IN_PLACES[place] else "app"
    project.environment["ALPYNA_CACHE_DIR"] = str(tmp_path / "cold")
    plain = project.plain(script)
    found = project.runner(script)
    assert (found.status, found.stdout, found.stderr.count("not active: ")) == (
        0, plain.stdout, int("changes" not in place)
    )  # fmt: skip
    assert "error" not in found.stderr and project.activated(script) == plain


def test_what_lies_beside_a_zip_file_hides_nothing_and_packages_on_the_path_are_packages(project: Project) -> None:
    project.write({"random.py": "", "outer/tool.py": HEAVY, "lib/numpy/__init__.py": ""})
    with zipfile.ZipFile(project.folder / "app", "w") as archive:
        archive.writestr("__main__.py", "print('__main__')\n")
        archive.writestr("package/__init__.py", "")
    assert project.runner("app") == project.plain("app")
    assert shadows.on_path([str(project.folder / "lib"), os.path.dirname(os.__file__)]) == ""


def test_a_script_of_a_modules_name_runs_once(project: Project) -> None:
    project.write({"random.py": HEAVY})
    assert project.runner("random.py").stdout == project.plain("random.py").stdout


@pytest.mark.parametrize("name", ["os.py", "turtle.py", "random.txt", "random.cpython-22-other.so", "copy.d.py"])
def test_files_that_hide_nothing_that_is_needed_do_not_matter(name: str, project: Project) -> None:
    project.write({"script.py": HEAVY.replace('"numpy" in sys.modules', "1"), name: "1/0\n"})
    found = project.runner("--report", "script.py")
    assert found.stdout == project.plain("script.py").stdout and "script.py:4  total" in found.stderr
