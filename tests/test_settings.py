"""Settings: what the environment says, and that a bad value never stops a program."""

from __future__ import annotations

import os
from typing import Any

import pytest

from alpyna_hook import settings
from alpyna_hook.settings import Settings, from_environment


def test_defaults() -> None:
    found, problems = from_environment({"HOME": "/home/x"})
    assert problems == ()
    assert found == Settings(threads=settings.available_cpus(), cache_dir=found.cache_dir)
    assert (found.variant, found.fp, found.report) == ("auto", "strict", None)
    assert (found.require, found.enabled) == (False, True)


@pytest.mark.parametrize(("variable", "text", "field", "value"), [
    ("ALPYNA_MODULES", " a.*, b ,", "modules", ("a.*", "b")),
    ("ALPYNA_VARIANT", "OMP", "variant", "omp"),
    ("ALPYNA_FP", "relaxed", "fp", "relaxed"),
    ("ALPYNA_THREADS", "3", "threads", 3),
    ("ALPYNA_REPORT", "1", "report", "-"),
    ("ALPYNA_REPORT", "-", "report", "-"),
    ("ALPYNA_REPORT", "0", "report", None),
    ("ALPYNA_REPORT", "/x/out.JSON", "report", "/x/out.JSON"),
    ("ALPYNA_REQUIRE", "yes", "require", True),
    ("ALPYNA_CACHE_DIR", "/tmp/../x", "cache_dir", "/x"),
    ("ALPYNA_CC", " clang-19 ", "cc", "clang-19"),
    ("ALPYNA_CC_TIMEOUT", " 2.5 ", "cc_timeout", 2.5),
    ("ALPYNA_LOG", "debug", "log", "debug"),
    ("ALPYNA", "0", "enabled", False),
    ("ALPYNA", "off", "enabled", False),
    ("ALPYNA", "", "enabled", False),
    ("ALPYNA", "1", "enabled", True),
    ("OMP_NUM_THREADS", "5", "threads", 5),
    ("OMP_NUM_THREADS", "6,2", "threads", 6),
])  # fmt: skip
def test_a_variable_sets_its_field(variable: str, text: str, field: str, value: Any) -> None:
    found, problems = from_environment({variable: text})
    assert problems == () and getattr(found, field) == value


def test_alpynas_thread_count_comes_before_openmps() -> None:
    assert from_environment({"ALPYNA_THREADS": "2", "OMP_NUM_THREADS": "7"})[0].threads == 2


@pytest.mark.parametrize(("variable", "text"), [
    ("ALPYNA_VARIANT", "gpu"), ("ALPYNA_FP", "fast"), ("ALPYNA_THREADS", "0"), ("ALPYNA_THREADS", "many"),
    ("ALPYNA_THREADS", "-1"), ("ALPYNA_THREADS", "²"), ("ALPYNA_THREADS", "99999"), ("ALPYNA_REPORT", "out.pdf"),
    ("ALPYNA_REQUIRE", "perhaps"), ("ALPYNA_LOG", "loud"), ("ALPYNA", "2"),
    ("ALPYNA_CC_TIMEOUT", "0"), ("ALPYNA_CC_TIMEOUT", "soon"), ("ALPYNA_CC_TIMEOUT", "nan"),
    ("ALPYNA_CC_TIMEOUT", "inf"),
])  # fmt: skip
def test_a_bad_value_is_one_line_that_names_the_variable_and_the_default_holds(variable: str, text: str) -> None:
    found, problems = from_environment({variable: text})
    assert found == from_environment({})[0]
    (line,) = problems
    assert line.startswith(f"{variable}={text!r}") and "\n" not in line


@pytest.mark.parametrize("text", ["", "0", "x", "-3", "1000000"])
def test_a_bad_openmp_thread_count_is_passed_over(text: str) -> None:
    assert from_environment({"OMP_NUM_THREADS": text}) == from_environment({})


def test_an_empty_variable_counts_as_unset() -> None:
    names = [variable for variable, _ in settings.ENVIRONMENT.values() if variable != "ALPYNA"]
    assert from_environment(dict.fromkeys(names, " ")) == from_environment({})


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Settings().fp = "relaxed"


def test_replace_gives_a_changed_copy() -> None:
    first = Settings()
    second = first.replace(fp="relaxed")
    assert (first.fp, second.fp) == ("strict", "relaxed")
    assert second.replace(fp="strict") == first and hash(second.replace(fp="strict")) == hash(first)


@pytest.mark.skipif(os.name != "posix", reason="XDG is about Unix")
def test_the_cache_folder_follows_xdg() -> None:
    assert settings.default_cache_dir({"XDG_CACHE_HOME": "/c"}) == "/c/alpyna"
    home = settings.default_cache_dir({"HOME": "/home/x"})
    assert home.startswith("/home/x/") and home.endswith("/alpyna")
    assert settings.default_cache_dir({"HOME": "/home/x", "XDG_CACHE_HOME": "relative"}) == home


def test_the_affinity_mask_gives_the_default_thread_count() -> None:
    if hasattr(os, "sched_getaffinity"):
        assert settings.available_cpus() == len(os.sched_getaffinity(0))
