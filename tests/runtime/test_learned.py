"""What one process measured, the next one begins with; pins in pyproject.toml decide."""

from __future__ import annotations

import json

import pytest

from alpyna_hook.cost.learn import Ratio
from alpyna_hook.runtime import learned
from alpyna_hook.runtime.diskcache import DiskCache
from tests.conftest import Project


@pytest.fixture
def disk(tmp_path, monkeypatch) -> DiskCache:
    monkeypatch.setattr(learned, "_histories", {})
    return DiskCache(str(tmp_path / "cache"))


def test_half_of_what_was_learned_is_believed_by_the_next_process(disk):
    history = learned.recall("key", disk)
    history.calls = 40
    history.measured("omp", 1e-3, 10, 40e-3)
    learned.keep(disk, __import__("os").getpid())
    again = learned.recall("key", disk)
    (((variant, _), ratio),) = again.ratios.items()
    assert variant == "omp" and ratio.log == pytest.approx(history.ratios["omp", -3].log / 2)
    assert not learned.recall("another", disk).ratios


def test_what_was_only_recalled_is_not_stored_again(disk):
    learned.recall("key", disk).ratios["omp", -3] = Ratio([2.0])
    learned.keep(disk, __import__("os").getpid())
    assert not learned.recall("key", disk).ratios


def test_a_forked_child_stores_nothing(disk):
    history = learned.recall("key", disk)
    history.calls = 40
    history.measured("omp", 1e-3, 10, 40e-3)
    learned.keep(disk, -1)
    assert not learned.recall("key", disk).ratios


LOOP = """\
import numpy as np
def fill(a):
    for i in range(len(a)):
        a[i] = a[i] * 2.0 + 1.0
fill(np.ones(400000))
"""


@pytest.mark.parametrize("form", ['pin = {"__main__:3" = "%s"}', '[tool.alpyna.pin]\n"__main__:3" = "%s"'])
@pytest.mark.parametrize("variant", ["interp", "seq"])
def test_a_site_is_pinned_to_a_variant(project: Project, form: str, variant: str):
    project.write({"pyproject.toml": "[tool.alpyna]\n" + form % variant, "script.py": LOOP})
    done = project.runner("--report", "out.json", "script.py")
    assert done.status == 0, done.stderr
    (site,) = json.loads((project.folder / "out.json").read_text())["sites"]
    ((decision,),) = [s["decisions"] for s in site["specialisations"]]
    assert decision["variant"] == variant and decision["calls"] == 1


def test_a_pin_that_is_no_variant_is_one_line(project: Project):
    project.write({"pyproject.toml": '[tool.alpyna]\npin = {"__main__:3" = "warp"}\n', "script.py": LOOP})
    done = project.runner("script.py")
    assert done.status == 0 and done.stderr.count("\n") == 1 and "__main__:3" in done.stderr


PRODUCTS = """\
import numpy as np
def product(a, b, c):
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            s = 0.0
            for k in range(a.shape[1]):
                s += a[i, k] * b[k, j]
            c[i, j] = s
for rows in (3, 60, 3):
    product(np.ones((rows, 200)), np.ones((200, 200)), np.zeros((rows, 200)))
"""


@pytest.mark.parametrize("variant", ["auto", "omp"])
def test_loops_shared_as_one_for_want_of_rows_are_planned_anew_when_there_are_many(project: Project, variant: str):
    source = PRODUCTS.replace("s = ", f"{variant} = ").replace("s +", f"{variant} +").replace("= s", f"= {variant}")
    project.write({"script.py": source})  # nothing is known of it yet: the cache outlives a test
    for process in (1, 2):  # what the first one leaves on disk is right for both sizes
        done = project.runner("--variant", variant, "--threads", "2", "--report", "out.json", "script.py")
        assert done.status == 0, done.stderr
        (site,) = [s for s in json.loads((project.folder / "out.json").read_text())["sites"] if s["line"] == 3]
        chosen = [d for s in site["specialisations"] for d in s["decisions"] if "omp" in d["predicted_s"]]
        assert sum(d["calls"] for d in chosen) == 3
        if variant == "auto" or process == 1:  # else the plan that is there serves all sizes, by one decision
            large = max((d["predicted_s"] for d in chosen), key=lambda predicted: predicted["interp"])
            assert large["omp"] < 0.8 * large["seq"]
