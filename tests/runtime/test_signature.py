"""What a call's values may be: signatures, and what is refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.sites import find_sites
from alpyna_hook.runtime import signature
from alpyna_hook.runtime.outline import head_of
from alpyna_hook.source import Source

COPY = """\
def copy(n, a, b):
    for i in range(n):
        b[i] = a[i] + 1
"""


def read(text: str, **values: Any) -> signature.Signature | Rejection:
    """The signature of the only loop in `text`, called with these values of its names."""
    import ast

    source = Source("f.py", "f", text)
    (site,) = find_sites(ast.parse(text), source)
    assert site.nest is not None
    return signature.read(head_of(site, source), tuple(values.get(root, range) for root in site.roots))


REFUSED = {
    "an array without dimensions": (np.full((), 1.0), np.zeros(3)),
    "of type ndarray (no elements)": (np.zeros(0), np.zeros(3)),
    "of type ndarray (byte order)": (np.zeros(3, ">f8"), np.zeros(3)),
    "of type ndarray (element type float16)": (np.zeros(3, np.float16), np.zeros(3)),
    "an array of numpy.longlong": (np.zeros(3, np.longlong), np.zeros(3)),
    "of type numpy.ulonglong": (np.ulonglong(1), np.zeros(3)),
    "of type list": ([1.0], np.zeros(3)),
    "of type numpy.float64": (np.float64(1), np.zeros(3)),
    "of type int": (1, np.zeros(3)),
    "several subscripts mean one element": (np.zeros(3), as_strided(np.zeros(1), (3,), (0,))),
    "read-only": (np.zeros(3), np.broadcast_to(np.zeros(1), 3)),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_handed_over_is_named(words: str) -> None:
    a, b = REFUSED[words]
    refused = read(COPY, n=3, a=a, b=b)
    assert isinstance(refused, Rejection)
    assert words in refused.title


class Elsewhere:
    """What CuPy's and PyTorch's arrays show of themselves; none of it is asked for."""

    @property
    def __cuda_array_interface__(self) -> Any:
        raise AssertionError

    def __getitem__(self, key: Any) -> Any:
        raise AssertionError


class Portable:
    def __dlpack__(self, **options: Any) -> Any:
        raise AssertionError


class Numpys(np.ndarray):
    pass


@pytest.mark.parametrize("module, advice", [
    ("cupy", "cupy.asnumpy(a)"), ("torch", "a.numpy(force=True)"), ("jaxlib.xla", "numpy.from_dlpack(a, device='cpu')"),
    ("numba.cuda.devicearray", "a.copy_to_host()"),
])  # fmt: skip
@pytest.mark.parametrize("base", [Elsewhere, Portable])
def test_arrays_on_devices_are_named_and_the_way_to_the_host_with_them(module: str, advice: str, base: type) -> None:
    kind = type("ndarray", (base,), {"__module__": module})
    refused = read(COPY, n=3, a=kind(), b=np.zeros(3))
    assert isinstance(refused, Rejection) and refused.code == "foreign-array"
    assert f"it is a {module.partition('.')[0]}.ndarray, which may lie in a device's memory" in refused.title
    assert advice in refused.help and ("autograd" in refused.title) is (module == "torch")


def test_subclasses_of_numpys_arrays_are_not_called_foreign() -> None:
    refused = read(COPY, n=3, a=np.zeros(3).view(Numpys), b=np.zeros(3))
    assert isinstance(refused, Rejection) and "of type Numpys" in refused.title


FOREIGN_PROGRAM = """\
import numpy as np

class ndarray:
    __module__ = "cupy"
    def __init__(self, n):
        self.inside = np.arange(float(n))
    __cuda_array_interface__ = property(lambda self: 1 / 0)
    def __getitem__(self, k):
        return self.inside[k]
    def __setitem__(self, k, value):
        self.inside[k] = value

def scale(n, a):
    for i in range(n):
        a[i] = a[i] * 3.0

a = ndarray(3000)
for _ in range(3):
    scale(3000, a)
print(a.inside.sum())
"""


@pytest.mark.parametrize("variant", ["seq", "cuda"])
def test_loops_over_arrays_of_other_libraries_run_as_they_are(project: Any, variant: str) -> None:
    project.write({"main.py": FOREIGN_PROGRAM})
    expected = project.plain("main.py")
    found = project.runner("--variant", variant, "--report", "report.txt", "main.py")
    assert (found.stdout, found.status) == (expected.stdout, 0)
    report = " ".join((project.folder / "report.txt").read_text().split())
    assert "it is a cupy.ndarray, which may lie in a device's memory" in report and "cupy.asnumpy(a)" in report


def test_an_array_that_overlaps_itself_may_be_read() -> None:
    found = read(COPY, n=3, a=as_strided(np.zeros(1), (3,), (0,)), b=np.zeros(3))
    assert isinstance(found, signature.Signature)


@pytest.mark.parametrize("ndim", [33, 64])
def test_arrays_may_have_many_dimensions(ndim: int) -> None:
    text = "for i in range(a.shape[0]):\n    b[i] = 1.0\n"
    found = read(text, a=np.zeros((1,) * ndim), b=np.zeros(3))
    assert isinstance(found, signature.Signature)


def test_whether_an_array_is_read_only_matters_only_where_it_is_stored_into() -> None:
    a, b = np.zeros(3), np.zeros(3)
    one = read(COPY, n=3, a=a, b=b)
    a.flags.writeable = False
    two = read(COPY, n=3, a=a, b=b)
    assert isinstance(one, signature.Signature) and isinstance(two, signature.Signature)
    assert one.key == two.key and one.checks == two.checks


def test_the_array_that_is_written_stands_for_read_only_views_of_it() -> None:
    b = np.zeros(3)
    view = b.view()
    view.flags.writeable = False
    found = read(COPY, n=3, a=view, b=b)
    assert isinstance(found, signature.Signature)
    assert found.same == {"a": "b"}
    assert not found.may_alias


STRANGE = """\
import numpy as np
from numpy.lib.stride_tricks import as_strided

def run(a, b):
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            a[i, j] = a[i, j] * 0.5 + b[i, j]

def total(n, a, b):
    for i in range(n):
        b[i] = a[i] + 1

def shapes(b, *arrays):
    p, q, r, s, t = arrays
    for i in range(b.shape[0]):
        b[i] = p.shape[0] + q.shape[0] + r.shape[0] + s.shape[0] + t.shape[0]

base, ones = np.arange(900.0), np.ones((200, 300))
run(np.zeros((200, 300)).T.copy().T, ones)
run(as_strided(base, (200, 300), (8, 16)), ones)
run(as_strided(base, (200, 300), (8, 0)), ones)
print(base.sum())
x = np.arange(900.0)
read_only = x.view()
read_only.flags.writeable = False
total(900, read_only, x)
total(900, as_strided(x, (900,), (0,)), np.zeros(900))
print(x.sum())
shapes(x, *(np.zeros((1,) * 60) for _ in range(5)))
print(x.sum())
"""


@pytest.mark.parametrize("variant", ["seq", "omp"])
def test_strange_arrays_give_what_cpython_gives(project: Any, variant: str) -> None:
    project.write({"main.py": STRANGE})
    expected = project.plain("main.py")
    found = project.runner("--variant", variant, "--report", "report.txt", "main.py")
    assert (found.stdout, found.stderr, found.status) == (expected.stdout, "", 0)
    report = " ".join((project.folder / "report.txt").read_text().split())
    assert "several subscripts mean one element" in report
    assert "[too-many-names]" in report
