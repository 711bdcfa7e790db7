"""Which loops are sites, where they are, and what the search for them costs."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from alpyna_hook.frontend.sites import Site, find_sites
from alpyna_hook.source import Source


def sites(text: str) -> tuple[Site, ...]:
    text = textwrap.dedent(text)
    return find_sites(ast.parse(text), Source("program.py", "program", text))


def only(text: str) -> Site:
    """The last site, where all others are rejected."""
    *rejected, site = sites(text)
    assert all(s.nest is None for s in rejected)
    return site


def test_sites_are_numbered_in_source_order_rejected_ones_included() -> None:
    found = sites("""
        def f(a):
            for i in range(3):
                print(i)
                for j in range(3):
                    a[j] = i
            while a[0] > 0:
                a[0] -= 1
        for k in range(3):
            pass
    """)
    assert [(s.index, s.line, s.end_line, s.nest is None) for s in found] == [
        (0, 3, 6, True), (1, 5, 6, False), (2, 7, 8, False), (3, 9, 10, False),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "print(1)\n", "x = [i for i in 'ab']\n", "def format(): pass\n", "forward = 1\n"])
def test_a_module_without_loops_has_no_sites(text: str) -> None:
    assert sites(text) == ()


@pytest.mark.parametrize("text", ["for i in range(3): pass", "if 1:\n\twhile x: x -= 1", "\ffor i in range(3): pass"])
def test_loops_are_found_however_they_are_laid_out(text: str) -> None:
    assert only(text).nest is not None


def test_functions_are_named_as_cpython_names_them() -> None:
    found = sites("""
        class C:
            for i in range(2): pass
            def m(self):
                for i in range(2): pass
                class D:
                    def n(self):
                        for i in range(2): pass
        def f():
            def g():
                global h
                def h():
                    for i in range(2): pass
        for i in range(2): pass
    """)
    assert [s.function for s in found] == ["C", "C.m", "C.m.<locals>.D.n", "h", "<module>"]


def test_roots_are_distinct_and_values_come_before_functions() -> None:
    site = only("""
        import math
        class C:
            def m(self, a):
                for i in range(self.n):
                    a[i] = math.exp(self.grid[i]) + self.cfg.dx + math.pi
    """)
    assert site.roots == ("self", "math.pi", "a", "range", "math.exp")


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("def f(n):\n    for i in range(n): pass", True),
        ("def f():\n    for i in range(n): pass", False),
        ("n = 3\nfor i in range(n): pass", True),
        ("if c: n = 3\nfor i in range(n): pass", False),
        ("if c: n = 3\nelse: n = 4\nfor i in range(n): pass", True),
        ("def f(n):\n    del n\n    for i in range(n): pass", False),
        ("try: n = 3\nexcept E: pass\nfor i in range(n): pass", False),
        ("try: n = 3\nexcept E: raise\nfor i in range(n): pass", True),
        ("with c as n:\n    for i in range(n): pass", True),
        ("with c: n = 3\nfor i in range(n): pass", False),
        ("while f(): n = 3\nfor i in range(n): pass", False),
        ("import math\nfor i in range(3): math.sin(i)", False),
        ("def f(s, a):\n    for i in range(3):\n        if i: a[i] = last\n        last = i", True),
    ],
)
def test_bound_means_that_reading_the_roots_cannot_fail(text: str, bound: bool) -> None:
    site = only(text)
    assert site.nest is not None and site.bound is bound


@pytest.mark.parametrize(
    ("text", "optional"),
    [
        ("def f(s, a):\n    for i in range(3):\n        if i: a[i] = last\n        last = i", {"last"}),
        ("def f(n, a):\n    for i in range(3):\n        for j in range(n): pass\n        a[i] = j", {"j"}),
        ("def f(n, a, j):\n    for i in range(3):\n        for j in range(n): pass\n        a[i] = j", set()),
        ("for i in range(3):\n    if i: a[i] = last\n    last = i", {"last"}),
        ("last = 1\nfor i in range(3):\n    if i: a[i] = last\n    last = i", set()),
        ("def f(a):\n    for i in range(3): a[i] = elsewhere", set()),
    ],
)
def test_optional_roots_may_have_no_value_and_are_assigned_in_the_loop(text: str, optional: set[str]) -> None:
    site = only(text)
    assert site.nest is not None
    assert site.optional == optional == {v.name for v in site.nest.live_ins if v.optional}


def test_an_optional_name_comes_back_only_if_it_was_assigned() -> None:
    site = only("""
        for i in range(3):
            for j in range(n): pass
            a[i] = j
    """)
    assert site.nest is not None
    assert [(out.name, out.definite) for out in site.nest.live_outs] == [("i", True), ("j", False)]


def test_spans_count_characters_not_bytes() -> None:
    rejection = only('for i in range(3):\n    "äöü€"; größe = print(i)\n').rejection
    assert rejection is not None
    assert (rejection.span.line, rejection.span.col, rejection.span.end_col) == (2, 20, 25)


def test_a_form_feed_does_not_shift_the_switch() -> None:
    (first, second) = sites("x = 1\n\f\nfor i in range(3):\n    pass\nfor i in range(3):  # alpyna: off\n    pass\n")
    assert first.rejection is None
    assert second.rejection is not None and second.rejection.code == "switched-off"


def test_private_attributes_are_followed_by_their_mangled_names() -> None:
    site = only("""
        class __Model:
            def m(self, a):
                for i in range(3):
                    a[i] = self.__rate + self.__dunder__ + self.cfg.__deep
    """)
    assert site.nest is not None
    assert [v.path for v in site.nest.live_ins if v.root == "self"] == [
        ("_Model__rate",), ("__dunder__",), ("cfg", "_Model__deep"),
    ]  # fmt: skip


def test_every_kernel_has_its_main_nests_accepted() -> None:
    folder = Path(__file__).parents[2] / "kernels"
    for path in folder.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        found = find_sites(ast.parse(text), Source(path.name, path.stem, text))
        assert found and all(site.nest for site in found), path.name


def test_the_loop_variable_of_an_inner_loop_is_private_when_nobody_reads_it_later() -> None:
    site = only("""
        def f(n, a):
            for i in range(n):
                for j in range(n):
                    a[i, j] = 0
    """)
    assert site.nest is not None and site.nest.live_outs == ()


@pytest.mark.parametrize(
    "text",
    [
        "def f(n):\n    for i in range(n): t = i\n    return locals()",
        "def f(n):\n    for i in range(n): t = i\n    return dict(v for v in locals().items())",
        "def f(n):\n    for i in range(n): t = i\n    return lambda: t + i",
        "def f(n):\n    global t, i\n    for i in range(n): t = i",
        "class C:\n    for i in range(3): t = i",
        "for i in range(3): t = i",
        "import sys\ndef f(n):\n    for i in range(n): t = i\n    return sys._getframe()",
        "def f(n):\n    for i in range(n): t = i\n    class D:\n        x = t + i",
    ],
)
def test_names_that_others_may_see_are_all_handed_back(text: str) -> None:
    site = only(text)
    assert site.nest is not None
    assert [(out.name, out.definite) for out in site.nest.live_outs] == [("i", True), ("t", True)]


def test_an_elif_ladder_of_a_thousand_rungs_is_rejected_not_an_error() -> None:
    rungs = "".join(f"        elif i == {k}: a[i] = {k}\n" for k in range(1000))
    before, ladder, after = sites(
        "for i in range(3): pass\ndef f(a, n):\n    for i in range(n):\n        if i < 0: a[i] = 0\n" + rungs
        + "for i in range(3): pass\n"
    )  # fmt: skip
    assert before.nest and after.nest
    assert ladder.rejection is not None and ladder.rejection.code == "too-deep"


def test_repeated_operands_do_not_grow_exponentially() -> None:
    text = "i"
    for _ in range(40):
        text = f"(0 < {text} < 9)"
    rejection = only(f"for i in range(3):\n    x = {text}\n").rejection
    assert rejection is not None and rejection.code == "long-operand"


def test_the_search_is_linear_in_the_size_of_the_source() -> None:
    nest = "        for j in range(n):\n            a[i, j] = 2 * a[i, j] + n\n"
    unit = "def f{0}(a, n):\n    for i in range(n):\n" + 3 * nest + "        print(i)\n"

    def seconds(count: int) -> float:
        text = "".join(unit.replace("{0}", str(k)) for k in range(count))
        tree, source = ast.parse(text), Source("program.py", "program", text)
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            assert len(find_sites(tree, source)) == 4 * count
            best = min(best, time.process_time() - start)
        return best

    assert seconds(200) < 10 * seconds(40)  # 5 times the text


def test_without_loops_nothing_heavy_is_imported() -> None:
    code = textwrap.dedent("""
        import ast, sys
        from alpyna_hook.frontend.sites import find_sites
        from alpyna_hook.source import Source
        find_sites(ast.parse("print(1)"), Source("x", "x", "print(1)"))
        assert "alpyna_hook.ir.nodes" not in sys.modules
        text = "for i in range(3): pass"
        assert find_sites(ast.parse(text), Source("x", "x", text))[0].nest
        assert not {"numpy", "islpy", "astor", "subprocess"} & set(sys.modules)
    """)
    subprocess.run([sys.executable, "-c", code], check=True)
