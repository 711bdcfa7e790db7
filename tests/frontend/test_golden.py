"""The printed IR of every program in tests/golden/frontend, and the rendered message of every rejected loop.

ALPYNA_GOLDEN=write writes the files anew; read the difference before you commit it.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import pytest

from alpyna_hook import frontend
from alpyna_hook.frontend.sites import Site, find_sites
from alpyna_hook.frontend.wording import UNSUPPORTED
from alpyna_hook.ir.pprint import pformat
from alpyna_hook.source import Source

TESTS = Path(__file__).parents[1]
PROGRAMS = sorted((TESTS / "golden" / "frontend").glob("*.py"))
REJECTED = sorted((TESTS / "rejections").glob("*.py"))


def sites_of(path: Path) -> tuple[tuple[Site, ...], Source]:
    text = path.read_text(encoding="utf-8")
    source = Source(path.name, path.stem, text)
    return find_sites(ast.parse(text), source), source


def check(golden: Path, text: str) -> None:
    if os.environ.get("ALPYNA_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert golden.exists(), f"{golden.name} is missing; ALPYNA_GOLDEN=write writes it"
    assert text == golden.read_text(encoding="utf-8")


def describe(site: Site, source: Source) -> str:
    bound = "" if site.bound else "  (roots may be unbound)"
    head = f"# site {site.index}, lines {site.line}-{site.end_line}, in {site.function}"
    if site.nest is not None:
        return f"{head}{bound}\n{pformat(site.nest)}"
    assert site.rejection is not None
    return f"{head}\n{site.rejection.render(source)}\n"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_programs_lower_to_the_golden_ir(path: Path) -> None:
    sites, source = sites_of(path)
    check(path.with_suffix(".ir"), "\n".join(describe(site, source) for site in sites))


@pytest.mark.parametrize("path", REJECTED, ids=lambda p: p.stem)
def test_rejections_read_as_the_golden_messages(path: Path) -> None:
    sites, source = sites_of(path)
    rejections = [site.rejection for site in sites if site.rejection is not None]
    assert {r.code for r in rejections} == {path.stem.replace("_", "-")}, "a file shows the code it is named after"
    check(path.with_suffix(".err"), "\n".join(f"{r.render(source)}\n" for r in rejections))


def test_every_reason_for_a_rejection_is_shown() -> None:
    fallbacks = {"statement", "expression"}  # syntax of Pythons to come
    folder = Path(frontend.__file__).parent
    calls = re.compile(r'(?:fail\(\s*ctx, [^"]*?|Rejection\()"([a-z0-9-]+)",\s')
    codes = {code for file in folder.glob("*.py") for code in calls.findall(file.read_text(encoding="utf-8"))}
    codes |= {words[0] for words in UNSUPPORTED.values()}
    assert codes - fallbacks == {path.stem.replace("_", "-") for path in REJECTED}
