"""Imports under the hook: which modules are marked, and that a guarded module is a module like any other."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from alpyna_hook import marks, project as pyproject
from tests.conftest import Project

LOOP = "def f(n):\n    s = 0\n    for i in range(n):\n        s += i\n    return s\n"
# Prints which modules have guarded loops.
SHOW = """\
import sys
ours = lambda module: type(getattr(module, "__loader__", None)).__module__.startswith("alpyna")
print(sorted(name for name, module in list(sys.modules.items()) if ours(module)))
"""


def guarded(project: Project, *command: str, **environment: str) -> list[str]:
    """Names of the guarded modules that the program, which ends in SHOW, imported."""
    outcome = project.runner(*command, **environment)
    assert (outcome.status, outcome.stderr) == (0, "")
    return list(json.loads(outcome.stdout.splitlines()[-1].replace("'", '"')))


def test_modules_under_the_scripts_folder_are_marked(project: Project) -> None:
    project.write({"script.py": "import a, p.b\n" + SHOW, "a.py": LOOP, "p/__init__.py": LOOP, "p/b.py": LOOP})
    assert guarded(project, "script.py") == ["a", "p", "p.b"]


def test_modules_without_loops_keep_their_own_loader(project: Project) -> None:
    project.write({"script.py": "import a, b\n" + SHOW, "a.py": "x = [i for i in range(3)]\n", "b.py": "'for'\n"})
    assert guarded(project, "script.py") == []


def test_the_standard_library_is_not_marked(project: Project) -> None:
    project.write({"script.py": "import statistics, json\n" + SHOW})
    assert guarded(project, "script.py") == []


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_site_packages_under_the_scripts_folder_are_not_marked(project: Project, folder: str) -> None:
    project.write({f"lib/{folder}/installed.py": LOOP, "script.py": f"import sys\nsys.path.append('lib/{folder}')\n"
                   f"import installed\n{SHOW}"})  # fmt: skip
    assert guarded(project, "script.py") == []


def test_patterns_mark_modules_anywhere(project: Project) -> None:
    project.write({"lib/site-packages/pkg/__init__.py": "", "lib/site-packages/pkg/part.py": LOOP,
                   "lib/site-packages/pkg/other.py": LOOP,
                   "script.py":
                       "import sys\nsys.path.append('lib/site-packages')\nimport pkg.part, pkg.other\n" + SHOW})
    assert guarded(project, "--modules", "x, pkg.p*", "script.py") == ["pkg.part"]
    assert guarded(project, "script.py", ALPYNA_MODULES="pkg.*") == ["pkg.other", "pkg.part"]


def test_a_module_says_that_it_is_or_is_not_marked(project: Project) -> None:
    project.write({"main/script.py": "import sys\nsys.path.append('elsewhere')\nimport yes, plain, no\n" + SHOW,
                   "elsewhere/yes.py": "__alpyna__ = True\n" + LOOP, "elsewhere/plain.py": LOOP,
                   "main/no.py": "'doc'\n__alpyna__: bool = False\n" + LOOP})  # fmt: skip
    assert guarded(project, "main/script.py") == ["yes"]


def test_the_script_itself_may_say_no(project: Project) -> None:
    project.write({"script.py": "__alpyna__ = False\nfor i in range(3):\n    pass\n"})
    outcome = project.runner("--report", "script.py")
    assert "script.py:2" not in outcome.stderr


def test_the_nearest_pyproject_marks_modules(project: Project) -> None:
    toml = "[tool.other]\nmodules = 1\n\n[tool.alpyna]\nmodules = [\n  'e*',  # these\n]\n[x]\n"
    project.write({"pyproject.toml": toml,
                   "src/script.py": "import sys\nsys.path.append('lib')\nimport extra, other\n" + SHOW,
                   "lib/extra.py": LOOP, "lib/other.py": LOOP})  # fmt: skip
    assert guarded(project, "src/script.py") == ["extra"]


@pytest.mark.parametrize("text", [
    "[tool.alpyna\n", "[tool.alpyna]\nmodules = 3\n", "[tool]\nalpyna = 3\n", "tool = 'alpyna'\n",
    "[tool.alpyna]\nmodule = ['x']\n", "alpyna = " + "[" * 5000,
])  # fmt: skip
def test_a_bad_pyproject_is_one_line_and_the_program_runs(project: Project, text: str) -> None:
    project.write({"pyproject.toml": text, "script.py": "print('ran')\n"})
    outcome = project.runner("script.py")
    assert (outcome.status, outcome.stdout) == (0, "ran\n")
    if sys.version_info >= (3, 11):
        assert outcome.stderr.count("\n") == 1 and "pyproject.toml" in outcome.stderr


@pytest.mark.parametrize(("text", "modules"), [
    ("[tool.alpyna]\nmodules = ['a', \"b.*\"]\n", ("a", "b.*")),
    ("[tool.alpyna] # ours\nother = 1\nmodules = [\n  'a', # first\n  'b',\n]\n[tool.x]\nmodules = ['c']\n",
     ("a", "b")),
    ("[tool.x]\nmodules = ['c']\n# alpyna\n", ()),
])  # fmt: skip
def test_toml_by_hand_reads_what_tomllib_reads(text: str, modules: tuple[str, ...]) -> None:
    assert tuple(pyproject._table_by_hand(text).get("modules", ())) == modules  # type: ignore[arg-type]


def test_alpyna_itself_is_never_marked() -> None:
    assert marks.Marks("/", ("*",)).by_name("alpyna_hook.hook") is False


def test_all_modules_may_be_marked(project: Project) -> None:
    """What Alpyna imports to look at a module must not be looked at meanwhile."""
    project.write({"script.py": "import statistics\nfor i in range(3): pass\nprint(i, statistics.mean([1, 2, 3]))\n"})
    assert project.runner("--modules", "*", "script.py") == project.plain("script.py")


# --- a guarded module is a module like any other --------------------------------------------------------------------

INTROSPECTION = """\
import importlib, importlib.resources, importlib.util, inspect, linecache, pkgutil, os
import package, package.module as module, space.inner
f = module.f
print(inspect.getsource(f), inspect.getsource(module) == open(module.__file__).read(), inspect.getfile(f))
spec = module.__spec__
print(spec.name, spec.origin, spec.cached, spec.parent, spec.has_location, spec.submodule_search_locations)
print(module.__file__, module.__cached__, module.__package__, module.__name__, module.__doc__)
print(package.__path__, package.__spec__.submodule_search_locations, space.__path__)
print(isinstance(spec.loader, importlib.machinery.SourceFileLoader), spec.loader.get_filename("package.module"))
print(spec.loader.is_package("package.module"), package.__spec__.loader.is_package("package"))
print(spec.loader.get_source("package.module")[:20], spec.loader.path_stats(module.__file__)["size"])
print(importlib.resources.files("package").joinpath("data.txt").read_text(), pkgutil.get_data("package", "data.txt"))
print([m.name for m in pkgutil.iter_modules(package.__path__)], f(4), module.C.method.__qualname__)
print(importlib.reload(module) is module, module.f is f, module.f(4), f.__globals__ is vars(module))
print(f.__code__.co_filename, f.__code__.co_name, f.__code__.co_firstlineno, f.__code__.co_varnames[:3])
try:
    spec.loader.get_code("another")
except ImportError as error:
    print(error)
"""
PACKAGE = {
    "package/__init__.py": LOOP, "package/data.txt": "data", "space/inner.py": LOOP,
    "package/module.py":
        '"""Doc."""\n' + LOOP + "class C:\n    def method(self, n):\n        for i in range(n): pass\n",
    "script.py": INTROSPECTION,
}  # fmt: skip


def test_what_a_module_says_of_itself_is_unchanged(project: Project) -> None:
    project.write(PACKAGE)
    assert project.runner("script.py") == project.plain("script.py")


def test_importing_from_a_zip_file_works(project: Project) -> None:
    import zipfile

    with zipfile.ZipFile(project.folder / "lib.zip", "w") as archive:
        archive.writestr("zipped.py", LOOP)
    project.write({"script.py": "import sys\nsys.path.insert(0, 'lib.zip')\nimport zipped\n"
                   "print(zipped.f(4), type(zipped.__loader__), zipped.__file__)\n"})  # fmt: skip
    assert project.runner("script.py") == project.plain("script.py")


def test_a_circular_import_works(project: Project) -> None:
    project.write({"script.py": "import a\nprint(a.f(3), a.b.f(4))\n", "a.py": LOOP + "import b\n",
                   "b.py": "import a\n" + LOOP})  # fmt: skip
    assert project.runner("script.py") == project.plain("script.py")


def test_a_reloaded_module_runs_its_new_text(project: Project) -> None:
    text = """\
import importlib, os, a
old = a.f
print(a.f(4))
with open("a.py", "a") as file:
    file.write("\\ndef f(n):\\n    for i in range(n):\\n        s = i\\n    return s\\n")
importlib.invalidate_caches()
print(importlib.reload(a).f(4), old(4))
"""
    project.write({"script.py": text, "a.py": LOOP})
    assert project.runner("script.py").stdout == "6\n3 6\n"


# --- the bytecode cache ---------------------------------------------------------------------------------------------


def cached(project: Project) -> list[Path]:
    return sorted((project.folder / "__pycache__").glob("*.alpyna-*.pyc"))


def test_guarded_code_is_cached_under_a_tag_of_its_own(project: Project) -> None:
    project.write({"script.py": "import a\nprint(a.f(4))\n", "a.py": LOOP})
    project.runner("script.py")
    (ours,) = cached(project)
    assert ours.name.startswith(f"a.{sys.implementation.cache_tag}.alpyna-")
    plain = project.folder / "__pycache__" / f"a.{sys.implementation.cache_tag}.pyc"
    assert not plain.exists()
    assert project.plain("script.py").stdout == "6\n"
    assert plain.exists() and b"@alpyna" in ours.read_bytes() and b"@alpyna" not in plain.read_bytes()


def test_a_cached_module_behaves_as_a_fresh_one(project: Project) -> None:
    project.write(PACKAGE)
    fresh = project.runner("script.py")
    before = cached(project), [p.stat().st_mtime_ns for p in cached(project)]
    assert project.runner("script.py") == fresh == project.plain("script.py")
    assert before == (cached(project), [p.stat().st_mtime_ns for p in cached(project)])


def test_a_changed_source_is_compiled_anew(project: Project) -> None:
    project.write({"script.py": "import a\nprint(a.f(4))\n", "a.py": LOOP})
    assert project.runner("script.py").stdout == "6\n"
    project.write({"a.py": LOOP.replace("s = 0", "s = 9")})
    os.utime(project.folder / "a.py", ns=(1, 1))
    assert project.runner("script.py").stdout == "15\n"


@pytest.mark.parametrize("damage", [b"", b"alpyna\r\n", b"alpyna\r\n\xff", b"something else", None])
def test_a_damaged_cache_file_is_written_anew(project: Project, damage: bytes | None) -> None:
    project.write({"script.py": "import a\nprint(a.f(4))\n", "a.py": LOOP})
    project.runner("script.py")
    (path,) = cached(project)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    outcome = project.runner("script.py")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "6\n", "")
    assert path.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_no_error(project: Project) -> None:
    project.write({"script.py": "import a\nprint(a.f(4))\n", "a.py": LOOP, "__pycache__": "in the way"})
    outcome = project.runner("script.py")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, "6\n", "")


def test_the_code_of_a_script_is_kept_in_the_cache_folder(project: Project, tmp_path: Path) -> None:
    show = "import sys\nprint('ast' in sys.modules, 'alpyna_hook.frontend' in sys.modules)\n"
    project.write({"main.py": "total = 0\nfor i in range(5):\n    total += i\nprint(total)\n" + show})
    cache = str(tmp_path / "scripts")
    first, second = (project.runner("main.py", ALPYNA_CACHE_DIR=cache) for _ in range(2))
    assert (first.stdout.split()[0], first.stdout.split()[2]) == ("10", "True")
    assert (second.stdout.split()[0], second.stdout.split()[2]) == ("10", "False")
    (entry,) = (tmp_path / "scripts").rglob("*.mar")
    for damage in (b"", b"garbage", entry.read_bytes()[:-5]):
        entry.write_bytes(damage)
        assert project.runner("main.py", ALPYNA_CACHE_DIR=cache).stdout == first.stdout


def test_a_changed_script_runs_as_changed(project: Project) -> None:
    for end in (5, 6):
        project.write({"main.py": f"total = 0\nfor i in range({end}):\n    total += i\nprint(total, i)\n"})
        assert project.runner("main.py") == project.plain("main.py")


def test_rejections_come_back_from_the_cache_as_they_were(project: Project) -> None:
    project.write({"main.py": "for i in range(3):\n    print(i)\n"})
    first, second = (project.runner("--report", "main.py") for _ in range(2))
    assert first == second and "print" in first.stderr


def test_no_bytecode_is_written_when_python_is_told_so(project: Project) -> None:
    project.write({"script.py": "import a\nprint(a.f(4))\n", "a.py": LOOP})
    assert project.runner("script.py", flags=("-B",)).stdout == "6\n"
    assert not (project.folder / "__pycache__").exists()


def test_the_pycache_prefix_is_respected(project: Project) -> None:
    project.write({"script.py": "import a\nprint(a.f(4))\n", "a.py": LOOP})
    project.runner("script.py", flags=("-X", "pycache_prefix=kept"))
    assert list((project.folder / "kept").rglob("a.*.alpyna-*.pyc")) and not cached(project)


def test_cache_files_can_be_read_by_those_who_can_read_the_source(project: Project) -> None:
    project.write({"script.py": "import a\n", "a.py": LOOP})
    (project.folder / "a.py").chmod(0o604)
    project.runner("script.py")
    assert stat.S_IMODE(cached(project)[0].stat().st_mode) & 0o077 == 0o004


def test_optimised_code_is_kept_apart(project: Project) -> None:
    project.write({"script.py": "import a\n", "a.py": LOOP + "assert f(3) == 99\n"})
    assert project.runner("script.py", flags=("-O",)).status == 0
    assert project.runner("script.py").status == 1
    assert len(cached(project)) == 2


def test_a_marked_module_that_another_finder_owns_is_left_to_it(project: Project) -> None:
    text = """\
import sys, importlib.util, importlib.machinery
class Loader(importlib.machinery.SourceFileLoader):
    def get_data(self, path):
        return super().get_data(path).replace(b"s = 0", b"s = 100")
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "a":
            return importlib.util.spec_from_loader(name, Loader(name, "a.py"))
sys.meta_path.insert(0, Finder())
import a
print(a.f(4))
"""
    project.write({"script.py": text, "a.py": LOOP})
    assert project.runner("script.py").stdout == "106\n"
