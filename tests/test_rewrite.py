"""Guarded loops: what runs when a site accepts, declines or is retired, and what a program can see of the guard."""

from __future__ import annotations

import ast
import builtins
import itertools
import marshal
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from alpyna_hook import guarded, rewrite
from alpyna_hook.runtime import resume, restore
from alpyna_hook.runtime.guard import UNSET
from alpyna_hook.source import Source, site_key

Answer = Callable[..., Any]
_numbers = itertools.count()


class Module:
    """A guarded module whose sites answer as the test says, in source order."""

    def __init__(self, text: str, *answers: Answer | None) -> None:
        name = f"guarded_{next(_numbers)}"
        self.source = Source(f"{name}.py", name, text)
        compiled = rewrite.compile_module(self.source)
        assert compiled is not None
        self.compiled = compiled
        guarded.activate(compiled)
        accepted = [site for site in compiled.sites if site.nest is not None]
        self.keys = [site_key(self.source, site.index) for site in accepted]
        assert len(answers) in (0, len(self.keys)), [site.rejection for site in compiled.sites]
        for key, answer in zip(self.keys, answers):
            vars(builtins)[key] = answer
        self.module = types.ModuleType(name)
        sys.modules[name] = self.module

    def run(self) -> dict[str, Any]:
        exec(self.compiled.code, vars(self.module))
        return vars(self.module)

    @property
    def original(self) -> types.CodeType:
        return compile(self.source.text, self.source.filename, "exec", dont_inherit=True)


@pytest.fixture(autouse=True)
def clean_up() -> Iterator[None]:
    before = set(vars(builtins))
    yield
    for name in set(vars(builtins)) - before:
        if name not in (guarded.LEAVE, guarded.UNSET, guarded.ERRORS, guarded.VALUE, guarded.UNBOUND):
            del vars(builtins)[name]
    for name in [name for name in sys.modules if name.startswith("guarded_")]:
        del sys.modules[name]


def decline(*roots: Any) -> None:
    return None


def names(namespace: dict[str, Any]) -> set[str]:
    return {name for name in namespace if "@" in name}


COUNT = """\
def count(n):
    s = 0
    for i in range(n):
        s += i
    return s, i
"""

NESTED = """\
def last(n, m):
    i = j = 'before'
    for i in range(n):
        for j in range(m):
            x = i + j
    return i, j
"""


def test_a_site_that_declines_leaves_the_loop_to_the_interpreter() -> None:
    module = Module(COUNT, decline)
    assert module.run()["count"](4) == (6, 3)


@pytest.mark.parametrize("text", [
    COUNT, NESTED, "def last(n, m):\n    for i in range(n):\n        pass\n    return i, m\n",
])  # fmt: skip
def test_code_of_a_function_runs_where_its_sites_are_not(text: str) -> None:
    """In another process, where cloudpickle made the function anew; over other builtins."""
    module = Module(text, lambda *roots: None)
    (function,) = (value for value in module.run().values() if isinstance(value, types.FunctionType))
    original: dict[str, Any] = {}
    exec(module.original, original)
    args = (3, 2)[: function.__code__.co_argcount]
    code = marshal.loads(marshal.dumps(function.__code__))
    for key in (*module.keys, guarded.LEAVE, guarded.UNSET, guarded.ERRORS, guarded.UNBOUND):
        vars(builtins).pop(key, None)
    expected = original[function.__name__](*args)
    assert types.FunctionType(code, {})(*args) == expected
    assert types.FunctionType(code, {"__builtins__": {"range": range}})(*args) == expected


def test_loops_nested_as_deep_as_python_takes_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [nested(depth) for depth in range(15, 30)]
    texts = [text for text in texts if compiles(text)]
    assert rewrite.compile_module(Source("m.py", "m", texts[0])) is not None
    assert rewrite.compile_module(Source("m.py", "m", texts[-1])) is None
    assert capsys.readouterr().err == ""


def nested(depth: int) -> str:
    return "".join("  " * k + f"for i{k} in range(1):\n" for k in range(depth)) + "  " * depth + "x = 1\n"


def compiles(text: str) -> bool:
    try:
        compile(text, "m.py", "exec")
    except SyntaxError:
        return False
    return True


def test_a_site_that_accepts_replaces_the_loop_and_its_live_outs_are_assigned() -> None:
    module = Module(COUNT, lambda *roots: ("i", "s"))
    outs = [out.name for out in module.compiled.sites[0].nest.live_outs]  # type: ignore[union-attr]
    assert module.run()["count"](4) == tuple("is"[outs.index(name)] for name in ("s", "i"))


def test_a_retired_site_is_not_called() -> None:
    module = Module(COUNT, None)
    assert module.run()["count"](4) == (6, 3)


def test_a_live_out_that_was_not_assigned_keeps_its_old_value() -> None:
    module = Module(NESTED, lambda *roots: (7, UNSET))
    assert module.run()["last"](1, 0) == (7, "before")


def test_a_live_out_that_may_be_unassigned_is_assigned_when_it_was() -> None:
    module = Module(NESTED, lambda *roots: (7, 8))
    assert module.run()["last"](1, 1) == (7, 8)


def test_temporaries_are_gone_after_the_guard() -> None:
    text = NESTED.replace("return i, j", "return sorted(locals())")
    seen = []
    for answer in (decline, None, lambda *roots: tuple(range(len(outs)))):
        module = Module(text, answer)
        outs = module.compiled.sites[0].nest.live_outs  # type: ignore[union-attr]
        seen.append(set(module.run()["last"](1, 1)) - {"x"})
    assert seen == [{"i", "j", "m", "n"}] * 3


def test_locals_seen_inside_a_loop_are_the_programs_own() -> None:
    module = Module("def f(n):\n    for i in range(n):\n        seen = sorted(locals())\n    return seen\n")
    assert module.run()["f"](1) == ["i", "n"]


@pytest.mark.parametrize("answer", [None, decline, lambda *roots: (5, 6)])
def test_a_loop_at_module_level_leaves_its_names_and_no_others(answer: Answer | None) -> None:
    module = Module("for i in range(2):\n    for j in range(3):\n        pass\n", answer)
    namespace = module.run()
    assert (namespace["i"], namespace["j"]) == ((5, 6) if answer and answer() else (1, 2))
    assert names(namespace) == set()


def test_an_unassigned_live_out_at_module_level_stays_undefined() -> None:
    module = Module("for i in range(2):\n    for j in range(0):\n        pass\n", lambda *roots: (1, UNSET))
    namespace = module.run()
    assert namespace["i"] == 1 and "j" not in namespace


def test_a_loop_in_a_class_body_assigns_class_attributes() -> None:
    text = "class C:\n    n = 3\n    for i in range(n):\n        for j in range(n):\n            pass\n"
    module = Module(text, lambda *roots: ("i", "j"))
    found = vars(module.run()["C"])
    assert (found["i"], found["j"]) == ("i", "j") and names(found) == set()


def test_an_enum_body_with_a_loop_gets_no_members_from_the_guard() -> None:
    text = "import enum\nclass E(enum.Enum):\n    _ignore_ = ['i', 'j']\n    for i in range(2):\n"
    text += "        for j in range(2):\n            pass\n    A = 1\n"
    module = Module(text, lambda *roots: (1, 1))
    assert [member.name for member in module.run()["E"]] == ["A"]


@pytest.mark.parametrize("assigned", ["global x", "nonlocal x"])
def test_names_of_other_scopes_are_assigned_there(assigned: str) -> None:
    text = f"x = 0\ndef outer(n):\n    {'x = 0' if 'nonlocal' in assigned else 'pass'}\n    def inner():\n"
    text += f"        {assigned}\n        for i in range(n):\n            x = i\n    inner()\n    return x\n"
    module = Module(text, lambda *roots: (42,))
    assert module.run()["outer"](3) == 42


def test_an_underscore_is_a_name_like_any_other() -> None:
    module = Module("def f(n):\n    for _ in range(n):\n        pass\n    return _\n", lambda *roots: (9,))
    assert module.run()["f"](3) == 9


def test_generators_and_coroutines_are_guarded() -> None:
    text = "def g(n):\n    yield 1\n    for i in range(n):\n        s = i\n    yield s\n"
    text += "async def c(n):\n    for i in range(n):\n        s = i\n    return s\n"
    module = Module(text, lambda *roots: (10,), lambda *roots: (11,))
    namespace = module.run()
    assert list(namespace["g"](3)) == [1, 10]
    with pytest.raises(StopIteration) as stop:
        namespace["c"](3).send(None)
    assert stop.value.value == 11


def test_a_root_that_is_not_bound_leaves_the_error_to_the_loop() -> None:
    module = Module("def f(n):\n    for i in range(n):\n        a[i] = missing\n", lambda *roots: ())
    with pytest.raises(NameError, match="missing") as error:
        module.run()["f"](1)
    assert error.traceback[-1].lineno + 1 == 3
    assert error.value.__context__ is None


def test_an_unbound_local_leaves_the_error_to_the_loop() -> None:
    module = Module("def f(n):\n    for i in range(n):\n        b = s\n    s = 1\n", lambda *roots: ())
    with pytest.raises(UnboundLocalError):
        module.run()["f"](1)


OPTIONAL = """\
for i in range(n):
    for j in range(m):
        pass
    a[i] = j
"""


@pytest.mark.parametrize("missing", [False, True])  # `m`: a global name, so that the guard needs a `try`
@pytest.mark.parametrize("before", ["", "j = 7\n"])
@pytest.mark.parametrize("scope", ["function", "module", "class"])
def test_an_optional_name_is_handed_over_as_it_is_or_unset(scope: str, before: str, missing: bool) -> None:
    seen: list[dict[str, Any]] = []

    def answer(**roots: Any) -> tuple[Any, ...]:
        seen.append(roots)
        return "i", "j"

    start = before and f"if n: {before}"
    text = "a, n = [0], 1\n" + ("" if missing else "m = 2\n")
    if scope == "module":
        text += start + OPTIONAL
    elif scope == "class":
        text += "class C:\n" + indented(start + OPTIONAL)
    else:
        text += "def f():\n" + indented(start + OPTIONAL) + "    return sorted(locals())\n"
    module = Module(text)
    (site,) = [site for site in module.compiled.sites if site.nest is not None]
    assert site.optional == {"j"}
    vars(builtins)[module.keys[0]] = lambda *roots: answer(**dict(zip(site.roots, roots)))
    if missing:
        with pytest.raises(NameError, match="'m'") as error:
            namespace = module.run()
            namespace["f"]()
        assert error.value.__context__ is None
        assert not seen
        return
    namespace = module.run()
    if scope == "function":
        assert namespace["f"]() == ["i", "j"]
    else:
        assert names(namespace) == set()
        assert (namespace if scope == "module" else vars(namespace["C"]))["j"] == "j"
    assert [roots["j"] for roots in seen] == [7 if before else UNSET]


def indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())


def test_a_declined_loop_with_an_optional_name_sees_no_temporaries() -> None:
    text = "def f(n, m, a):\n" + indented(OPTIONAL) + "    return sorted(locals())\n"
    assert Module(text, decline).run()["f"](2, 2, [0, 0]) == ["a", "i", "j", "m", "n"]
    with pytest.raises(UnboundLocalError):
        Module(text, decline).run()["f"](2, 0, [0, 0])


def test_an_interrupt_in_a_site_leaves_no_temporaries() -> None:
    def interrupt(*roots: Any) -> None:
        raise KeyboardInterrupt

    text = "def f(n, m, a):\n    try:\n" + indented(indented(OPTIONAL))
    text += "    except KeyboardInterrupt:\n        return sorted(locals())\n"
    assert Module(text, interrupt).run()["f"](2, 2, [0, 0]) == ["a", "m", "n"]


def test_a_builtin_that_the_loop_shadows_is_not_taken_for_no_value() -> None:
    seen: list[Any] = []
    text = "n, a = 2, [0, 0]\nfor i in range(n):\n    if i:\n        a[i] = max\n    max = i\n"
    module = Module(text, lambda *roots: seen.extend(roots))
    module.run()
    assert not {id(max), id(UNSET)} & set(map(id, seen))


def test_private_names_in_methods_are_mangled_alike() -> None:
    text = "class C:\n    def f(self, __n):\n        for __i in range(__n):\n            pass\n        return __i\n"
    assert Module(text, lambda *roots: ("last",)).run()["C"]().f(3) == "last"
    assert Module(text, decline).run()["C"]().f(3) == 2


def test_a_loop_in_the_last_branch_of_an_outer_loop_leaves_only_itself() -> None:
    text = "def f(n):\n    out = []\n    for k in [1, 2]:\n        for i in range(n):\n            pass\n"
    module = Module(text + "        out.append(i)\n    return out\n", lambda *roots: (77,))
    assert module.run()["f"](3) == [77, 77]


def test_the_guard_adds_no_lines() -> None:
    text = COUNT + "\n\n" + NESTED + "for k in range(3):\n    pass\n"
    module = Module(text)
    assert lines(module.compiled.code) == lines(module.original)


def lines(code: types.CodeType) -> set[tuple[str, int | None]]:
    """None apart: what leaves an exception handler has no line."""
    inner = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return {(code.co_name, line) for _, _, line in code.co_lines() if line}.union(*map(lines, inner))


def test_a_module_without_loops_is_left_alone() -> None:
    assert rewrite.compile_module(Source("m.py", "m", "x = [i for i in range(3)]\n")) is None


def test_a_module_with_a_syntax_error_is_left_alone() -> None:
    assert rewrite.compile_module(Source("m.py", "m", "for i in range(3): pass\nx = (\n")) is None


def test_a_loop_at_the_limit_of_nested_blocks_falls_back_to_the_original(capsys: pytest.CaptureFixture[str]) -> None:
    depth = 19
    text = "".join(f"{' ' * d}while True:\n" for d in range(depth)) + f"{' ' * depth}for i in range(n): pass\n"
    compile(text, "m.py", "exec")
    rewrite.compile_module(Source("m.py", "m", text))  # None or guarded, but no exception


def test_docstrings_and_future_statements_survive() -> None:
    module = Module("'doc'\nfrom __future__ import annotations\nfor i in range(3):\n    pass\nx: undefined = 1\n")
    namespace = module.run()
    assert namespace["__doc__"] == "doc" and namespace["__annotations__"] == {"x": "undefined"}


# --- putting the original code back ---------------------------------------------------------------------------------


def function_code(code: types.CodeType, *path: str) -> types.CodeType:
    for name in path:
        code = next(c for c in code.co_consts if isinstance(c, types.CodeType) and c.co_name == name)
    return code


def test_retiring_the_only_site_of_a_function_restores_its_code() -> None:
    module = Module(COUNT, decline)
    count = module.run()["count"]
    assert count.__code__ != function_code(module.original, "count")
    guarded.retire(module.keys[0])
    assert count.__code__ == function_code(module.original, "count")
    assert count(4) == (6, 3)


def test_a_function_keeps_its_guards_while_a_site_is_active() -> None:
    text = "def f(n):\n    for i in range(n):\n        pass\n    print\n    for j in range(n):\n        pass\n"
    text += "    return i, j\n"
    module = Module(text, decline, lambda *roots: (5,))
    function = module.run()["f"]
    guarded.retire(module.keys[0])
    assert function(3) == (2, 5)
    guarded.retire(module.keys[1])
    assert function(3) == (2, 2)
    assert function.__code__ == function_code(module.original, "f")


def test_methods_and_decorated_functions_are_restored() -> None:
    body = "        for i in range(n):\n            pass\n        return i\n"
    text = "import functools\ndef deco(f):\n    @functools.wraps(f)\n    def w(*a):\n        return f(*a)\n"
    text += "    return w\nclass C:\n"
    kinds = {"m": "", "s": "@staticmethod", "c": "@classmethod", "d": "@deco", "p": "@property"}
    for name, decorator in kinds.items():
        text += f"    {decorator}\n    def {name}({'n' if name == 's' else 'self, n=3'}):\n{body}"
    module = Module(text, *[decline] * 5)
    kind = vars(module.run()["C"])
    functions = [kind["m"], kind["s"].__func__, kind["c"].__func__, kind["d"].__wrapped__, kind["p"].fget]
    for key in module.keys:
        guarded.retire(key)
    for function in functions:
        assert function.__code__ == function_code(module.original, "C", function.__name__)


CLOSURE = """\
def make(k):
    def inner(n):
        for i in range(n):
            s = i * k
        return s
    return inner
"""


def test_living_closures_are_found_in_the_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "_next_search", 0.0)
    module = Module(CLOSURE, decline)
    make = module.run()["make"]
    inner = make(2)
    guarded.retire(module.keys[0])
    plain = function_code(module.original, "make", "inner")
    assert inner.__code__ == plain and inner(3) == 4
    assert make(3).__code__ == plain, "closures made from now on are plain, too"


def test_an_outer_function_with_an_active_site_makes_restored_closures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore, "_next_search", 0.0)
    text = CLOSURE.replace("    def inner", "    for j in range(k):\n        pass\n    def inner")
    text = text.replace("    return inner", "    return inner, j")
    module = Module(text, lambda *roots: ("outer",), decline)
    make = module.run()["make"]
    guarded.retire(module.keys[1])
    inner, j = make(2)
    assert j == "outer" and inner(3) == 4
    assert inner.__code__ == function_code(module.original, "make", "inner")


def test_a_function_that_is_running_is_restored_for_the_next_call() -> None:
    module = Module(COUNT)

    def answer(*roots: Any) -> None:
        guarded.retire(module.keys[0])

    vars(builtins)[module.keys[0]] = answer
    count = module.run()["count"]
    assert count(4) == (6, 3) and count(4) == (6, 3)
    assert count.__code__ == function_code(module.original, "count")


def test_registering_the_same_text_again_does_not_revive_retired_sites() -> None:
    module = Module(COUNT, decline)
    guarded.retire(module.keys[0])
    guarded.activate(module.compiled)
    assert vars(builtins)[module.keys[0]] is None


def test_a_changed_module_of_the_same_name_has_sites_of_its_own() -> None:
    first = rewrite.compile_module(Source("m.py", "m", COUNT))
    second = rewrite.compile_module(Source("m.py", "m", COUNT.replace("+=", "-=")))
    assert first is not None and second is not None
    assert site_key(first.source, 0) != site_key(second.source, 0)


def test_rewritten_trees_hold_positions_only_of_the_original() -> None:
    tree = ast.parse(COUNT)
    last = len(COUNT.splitlines())
    rewritten = rewrite.rewrite_module(tree, Source("m.py", "m", COUNT)).tree
    assert all(1 <= node.lineno <= last for node in ast.walk(rewritten) if hasattr(node, "lineno"))


# --- loops that stop half-way ---------------------------------------------------------------------------------------

def half_way_module(text: str, done: int, live_outs: tuple[Any, ...] | None = None) -> Module:
    """A module whose only site runs `done` trips by itself, and then stops."""
    module = Module(text)
    (site,) = module.compiled.sites
    (column,) = (n.col_offset for n in ast.walk(ast.parse(text)) if getattr(n, "lineno", 0) == site.line
                 and isinstance(n, (ast.For, ast.While)))  # fmt: skip

    def answer(*roots: Any) -> Any:
        array = roots[site.roots.index("a")]
        array[:done] = 100.0
        vars(module.module).pop("missing", None)
        resume.note({(site.line, column): done}, live_outs)
        return False

    vars(builtins)[module.keys[0]] = answer
    return module


def function_of(text: str, parameters: str) -> str:
    return f"def f({parameters}):\n" + "".join(f"    {line}\n" for line in text.splitlines()) + "    return i\n"


BODY = "for i in range(n):\n    a[i] = a[i] + {value}\n"


@pytest.mark.parametrize("value", ["1.0", "x"])  # x: a global name, so that the guard needs a `try`
def test_a_function_goes_on_where_its_site_stopped(value: str) -> None:
    module = half_way_module("x = 1.0\n" + function_of(BODY.format(value=value), "a, n"), 2)
    a = np.zeros(5)
    assert module.run()["f"](a, 5) == 4
    assert a.tolist() == [100, 100, 1, 1, 1]


def test_a_module_goes_on_where_its_site_stopped() -> None:
    module = half_way_module("import numpy as np\nn = 5\na = np.zeros(5)\n" + BODY.format(value="1.0"), 2)
    namespace = module.run()
    assert namespace["i"] == 4 and namespace["a"].tolist() == [100, 100, 1, 1, 1] and names(namespace) == set()


@pytest.mark.parametrize("scope", ["function", "module"])
def test_a_name_error_in_the_rest_of_a_loop_is_the_programs(scope: str) -> None:
    body = BODY.format(value="(1.0 if i < 3 else missing)")
    text = "import numpy as np\na, n, missing = np.zeros(5), 5, 1.0\n"
    module = half_way_module(text + (body if scope == "module" else function_of(body, "a, n") + "f(a, n)\n"), 2)
    with pytest.raises(NameError, match="missing") as error:
        module.run()
    assert error.value.__context__ is None
    assert vars(module.module)["a"].tolist() == [100, 100, 1, 0, 0]
    assert names(vars(module.module)) == set()


def test_locals_are_clean_while_the_rest_runs() -> None:
    text = "x = 1.0\n" + function_of(BODY.format(value="x"), "a, n").replace("return i", "return sorted(locals())")
    assert half_way_module(text, 2).run()["f"](np.zeros(5), 5) == ["a", "i", "n"]


@pytest.mark.parametrize("scope", ["function", "module"])
def test_a_loop_with_an_optional_name_goes_on_where_its_site_stopped(scope: str) -> None:
    text = "import numpy as np\nn, m = 5, 2\na = np.zeros(5)\n"
    body = "for i in range(n):\n    for j in range(m):\n        pass\n    a[i] = j\n    j = i\n"
    text += body if scope == "module" else f"{function_of(body, '')}f()\n"
    module = half_way_module(text, 2)
    (site,) = module.compiled.sites
    assert site.optional == {"j"}
    assert module.run()["a"].tolist() == [100, 100, 1, 1, 1]
    assert names(vars(module.module)) == set()


SUM = "for i in range(n):\n    s = s + a[i]\n    if i == 90: t = s\n    a[i] = s\n"


@pytest.mark.parametrize("zero", ["0.0", "zero"])  # zero: a global name, so that the guard needs a `try`
def test_a_function_goes_on_with_the_names_as_they_were_there(zero: str) -> None:
    text = "zero = 0.0\n" + function_of(SUM.replace("a[i]\n", f"a[i] + {zero}\n", 1), "a, n, s, t")
    module = half_way_module(text.replace("return i", "return i, s, t, sorted(locals())"), 2, (1, 1000.0, UNSET))
    a = np.ones(5)
    assert module.run()["f"](a, 5, 0.0, 7.0) == (4, 1003.0, 7.0, ["a", "i", "n", "s", "t"])
    assert a.tolist() == [100, 100, 1001, 1002, 1003]


def test_a_name_handed_from_trip_to_trip_comes_back_though_nobody_reads_it_after_the_loop() -> None:
    text = function_of("s = 0.0\nfor i in range(n):\n    s = s + 1.0\n    a[i] = s\n", "a, n")
    (site,) = Module(text).compiled.sites
    assert site.nest is not None and [out.name for out in site.nest.live_outs] == ["i", "s"]


def test_a_module_goes_on_with_the_names_as_they_were_there() -> None:
    text = "import numpy as np\nn = 5\na = np.ones(5)\ns = t = 0.0\n" + SUM
    module = half_way_module(text, 2, (1, 1000.0, UNSET))
    namespace = module.run()
    assert (namespace["i"], namespace["s"], namespace["t"]) == (4, 1003.0, 0.0)
    assert namespace["a"].tolist() == [100, 100, 1001, 1002, 1003] and names(namespace) == set()


EXITS = """\
def find(a, x):
    for i in range(len(a)):
        t = a[i]
        if t == x:
            return i, sorted(locals()), missing if i == 2 else t
        if t > x:
            raise ValueError(t)
    else:
        seen = sorted(locals())
        return seen
"""


def _exit(number: object) -> Answer:
    """A site that leaves `find` by its exit of this number, with i = 2."""

    def answer(*roots: Any) -> tuple[Any, ...]:
        return tuple(number if name == "%exit" else {"i": 2, "t": 5.0}[name] for name in _outs)

    compiled = rewrite.compile_module(Source("exits.py", "exits", EXITS))
    assert compiled is not None and compiled.sites[0].nest is not None
    _outs = [out.name for out in compiled.sites[0].nest.live_outs]
    return answer


def test_a_loop_is_left_by_the_very_statement() -> None:
    module = Module(EXITS, _exit(1))
    find = module.run()["find"]
    with pytest.raises(NameError, match="missing") as error:  # not taken for an unbound root of the site
        find(np.zeros(3), 1.0)
    assert error.tb.tb_next is not None and error.tb.tb_next.tb_lineno == 5
    module.module.missing = 7  # type: ignore[attr-defined]
    assert find(np.zeros(3), 1.0) == (2, ["a", "i", "t", "x"], 7)


def test_a_raise_in_a_loop_has_its_own_line_and_names() -> None:
    with pytest.raises(ValueError, match="5.0") as error:
        Module(EXITS, _exit(2)).run()["find"](np.zeros(3), 1.0)
    assert error.tb.tb_next is not None and error.tb.tb_next.tb_lineno == 7
    assert set(error.tb.tb_next.tb_frame.f_locals) == {"a", "x", "i", "t"}


@pytest.mark.parametrize("answer", [_exit(UNSET), None, decline])
def test_the_else_branch_follows_a_loop_that_has_run_out(answer: Answer | None) -> None:
    a = np.zeros(3) - 1
    assert Module(EXITS, answer).run()["find"](a, 1.0) == ["a", "i", "t", "x"]
