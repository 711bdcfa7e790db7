"""NumPy's error state: compiled loops warn, raise, call and stay silent exactly where CPython does."""

from __future__ import annotations

import contextvars
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from alpyna_hook.runtime import errstate

LOOPS = """\
def product(a, b, c):
    for i in range(a.shape[0]):
        c[i] = a[i] * b[i]


def ratio(a, b, c):
    for i in range(a.shape[0]):
        c[i] = a[i] / b[i]


def chain(a, b, c):
    s = a[0]
    for i in range(1, a.shape[0]):
        s = s * (b[i] * b[i]) + a[i]
    c[0] = s


def waves(a, b, c):
    for t in range(3):
        for i in range(1, a.shape[0]):
            b[i] = a[i - 1] * 0.5
        for i in range(1, a.shape[0]):
            a[i] = b[i] * b[i - 1]
    c[:] = a
"""

# What each call does is printed: results, warnings with their lines, exceptions, calls of the handler.
COMMON = """\
import warnings
import numpy as np

N = 300
calls = []

def handler(kind, flag):
    calls.append((kind, flag))

def values(kind):
    a, b = np.linspace(1.0, 2.0, N), np.linspace(2.0, 1.0, N)
    if kind == "over":
        a[7] = b[7] = 1e300
    elif kind == "under":
        a[7] = b[7] = 1e-300
    elif kind == "divide":
        b[7] = 0.0
    elif kind == "invalid":
        a[7], b[7] = np.inf, 0.0
    return a, b, np.zeros(N)

def outcome(function, kind):
    a, b, c = values(kind)
    calls.clear()
    error = None
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            function(a, b, c)
        except FloatingPointError as exception:
            error = str(exception), exception.__traceback__.tb_next.tb_lineno
    told = [(w.category.__name__, str(w.message), w.lineno) for w in seen]
    print(function.__name__, kind, hash(a.tobytes() + c.tobytes()), told, error, calls)
"""


def same(project: Any, script: str, *options: str, **environment: str) -> list[dict[str, Any]]:
    """Runs `script` by CPython and under Alpyna, asserts that both do the same, and gives the sites of the report."""
    project.write({"common.py": COMMON, "loops.py": LOOPS, "main.py": script})
    environment["PYTHONHASHSEED"] = "0"
    expected = project.plain("main.py", **environment)
    assert expected.status == 0, expected.stderr
    found = project.runner("--variant", "seq", "--report", "report.json", *options, "main.py", **environment)
    assert (found.stdout, found.stderr, found.status) == (expected.stdout, expected.stderr, 0)
    report = json.loads((project.folder / "report.json").read_text())
    return [site for site in report["sites"] if site["file"].endswith("loops.py")]


def decisions(site: dict[str, Any]) -> list[dict[str, Any]]:
    return [d for s in site["specialisations"] for d in s["decisions"]]


def total(sites: list[dict[str, Any]], counter: str) -> int:
    return sum(d[counter] for site in sites for d in decisions(site) if d["variant"] == "seq")


ORDERS = """\
import importlib, itertools, pathlib, sys
import numpy as np
from common import handler, outcome

MODES = "ignore", "warn", "raise", "call"
text = pathlib.Path(__file__).with_name("loops.py").read_text()
for number, order in enumerate(itertools.permutations(MODES)):
    pathlib.Path(__file__).with_name(f"loops_{number}.py").write_text(text)  # the same kernels, new sites
    loops = importlib.import_module(f"loops_{number}")
    for mode in order:
        for function, kinds in (
            (loops.product, ("", "over", "under")), (loops.ratio, ("divide", "invalid")), (loops.waves, ("under",)),
        ):
            for kind in kinds:
                with np.errstate(all=mode, call=handler):
                    outcome(function, kind)
"""


@pytest.mark.parametrize("pure", ["0", "1"])
def test_all_orders_of_modes_give_what_cpython_gives(project: Any, pure: str) -> None:
    same(project, ORDERS, ALPYNA_PURE=pure)


def test_ignored_flags_are_no_faults_and_the_same_kernel_watches_them_later(project: Any) -> None:
    script = """\
import numpy as np
from common import outcome
from loops import chain, product, waves
for function in (product, chain, waves):
    for _ in range(20):
        outcome(function, "under")  # NumPy's default ignores underflow
    with np.errstate(under="warn"):
        outcome(function, "under")
    with np.errstate(all="raise"):
        outcome(function, "")
    outcome(function, "under")
"""
    sites = same(project, script)
    assert total(sites, "faults") == 3  # one warning each
    for site in sites:
        if decisions(site):
            assert [d["variant"] for d in decisions(site)] == ["seq"]  # one entry served all states
            assert decisions(site)[0]["calls"] == 23


def test_flags_that_keep_being_faults_cost_only_the_states_that_watch_them(project: Any) -> None:
    script = """\
import numpy as np
from common import outcome
from loops import ratio
for _ in range(10):
    outcome(ratio, "divide")
for _ in range(10):
    with np.errstate(divide="ignore"):
        outcome(ratio, "divide")
outcome(ratio, "divide")
"""
    (site,) = [s for s in same(project, script) if decisions(s)]
    assert total([site], "faults") == 3
    assert total([site], "calls") == 13


def test_seterr_and_states_changed_by_seterrcall_are_seen(project: Any) -> None:
    script = """\
import numpy as np
from common import handler, outcome
from loops import product, ratio
for settings in ({"over": "raise"}, {"over": "ignore"}, {"all": "ignore"}, {"divide": "call"}, {"under": "raise"}):
    np.seterr(**settings)
    np.seterrcall(handler)
    for kind in ("over", "under"):
        outcome(product, kind)
    outcome(ratio, "divide")
"""
    same(project, script)


def test_threads_have_their_own_states(project: Any) -> None:
    script = """\
import threading
import numpy as np
from loops import ratio

def work(mode, results):
    a, b = np.ones(500), np.zeros(500)
    for _ in range(50):
        with np.errstate(all=mode):
            try:
                ratio(a, b, c := np.zeros(500))
                results.append(c[0])
            except FloatingPointError as error:
                results.append(str(error))
    a[:] = 0

ratio(np.ones(500), np.ones(500), np.ones(500))
every = {mode: [] for mode in ("ignore", "raise")}
threads = [threading.Thread(target=work, args=item) for item in every.items()]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print({mode: (len(results), set(results)) for mode, results in every.items()})
"""
    same(project, script)


def test_numpy_keeps_its_state_where_it_is_looked_for() -> None:
    assert type(errstate._variable()) is contextvars.ContextVar


def test_a_numpy_that_keeps_its_state_elsewhere_is_asked_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sys.modules["numpy._core.umath"], "_extobj_contextvar")
    assert errstate._variable() is None
    stuck = contextvars.ContextVar("stuck", default=object())  # has nothing to do with the state
    monkeypatch.setattr(sys.modules["numpy._core.umath"], "_extobj_contextvar", stuck, raising=False)
    assert errstate._variable() is None


def test_the_mask_has_what_is_not_ignored() -> None:
    with np.errstate(all="ignore"):
        assert errstate.mask() == 0
    with np.errstate(all="raise", over="ignore"):
        assert errstate.mask() == sum(errstate.FLAGS.values()) - errstate.FLAGS["over"]


# --- the guard's part, in both implementations ---


@pytest.fixture
def states(guard: Any) -> Any:
    """A guard whose error state is a context variable of the test's; `asked` counts questions."""
    modes = {"over": "warn", "under": "ignore"}
    states = SimpleNamespace(variable=contextvars.ContextVar("state"), asked=0, modes=modes)

    def get() -> dict[str, str]:
        states.asked += 1
        return dict(states.modes)

    guard.set_error_state(states.variable, get, {"over": 8, "under": 16})
    states.get = get
    yield states
    guard.set_error_state(None, np.geterr, errstate.FLAGS)
    errstate.watch.cache_clear()


def mask_site(guard: Any, kernel: Any, **options: Any) -> Any:
    params = [(-1, (), ("const", 1)), (-1, (), ("fp_mask",))]
    site = guard.Site("m:1", lambda args: "slow")
    site.install(guard.Entry(params, kernel("echo"), outs=[(("int",), 1, -1, -1)], **options))
    return site


def test_a_state_object_is_asked_about_once(guard: Any, kernel: Any, states: Any) -> None:
    site = mask_site(guard, kernel)
    first, second = object(), object()
    for _ in range(3):
        states.variable.set(first)
        assert site() == (8,)
    states.modes["under"] = "raise"
    for _ in range(3):
        states.variable.set(second)
        assert site() == (24,)
        states.variable.set(first)
        assert site() == (8,)
    assert states.asked == 2


def test_a_new_object_at_each_call_is_asked_about_at_each(guard: Any, kernel: Any, states: Any) -> None:
    site = mask_site(guard, kernel)
    for k in range(40):
        states.modes["over"] = "ignore" if k % 2 else "call"
        states.variable.set(object())
        assert site() == (0 if k % 2 else 8,)


def test_without_a_variable_every_call_asks(guard: Any, kernel: Any, states: Any) -> None:
    guard.set_error_state(None, states.get, {"over": 8, "under": 16})
    site = mask_site(guard, kernel)
    assert site() == (8,)
    states.modes["over"] = "ignore"
    assert site() == (0,)


def test_a_state_that_cannot_be_told_watches_everything(guard: Any, kernel: Any, states: Any) -> None:
    site = mask_site(guard, kernel)
    states.modes.clear()  # KeyError
    states.variable.set(object())
    assert site() == (-1,)


def test_an_interrupt_while_asking_belongs_to_the_program(guard: Any, kernel: Any, states: Any) -> None:
    def interrupted() -> dict[str, str]:
        raise KeyboardInterrupt

    guard.set_error_state(None, interrupted, {"over": 8})
    with pytest.raises(KeyboardInterrupt):
        mask_site(guard, kernel)()


def test_an_entry_can_be_for_one_mask(guard: Any, kernel: Any, states: Any) -> None:
    site = mask_site(guard, kernel, values=[(2, 8)])
    states.variable.set(object())
    assert site() == (8,)
    states.modes["over"] = "ignore"
    states.variable.set(object())
    assert site() == "slow"


def test_no_variable_but_a_context_variable_will_do(guard: Any, states: Any) -> None:
    with pytest.raises(TypeError):
        guard.set_error_state(object(), states.get, {})


def test_the_check_needs_to_know_where_the_state_is() -> None:
    script = (
        "from alpyna_hook.runtime import guard\n"
        "try:\n    guard.Entry([(-1, (), ('fp_mask',))])\n"
        "except ValueError as error:\n    print(error)"
    )
    for pure in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", script], env={"ALPYNA_PURE": pure, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True, text=True,
        )  # fmt: skip
        assert "set_error_state has not been called" in done.stdout, done.stderr
