"""Loops to leave alone: switched off, or in functions that another compiler owns."""

from __future__ import annotations

import ast

import pytest

from alpyna_hook.frontend.leave_out import left_out
from alpyna_hook.source import Source


def lines(text: str) -> list[int]:
    """Lines of the loops that are left out."""
    found = left_out(ast.parse(text), Source("m.py", "m", text))
    return sorted(node.lineno for node in found if isinstance(node, ast.stmt))


LOOP = "def f(n):\n    for i in range(n):\n        for j in range(n):\n            pass\n"


@pytest.mark.parametrize("decorated", [
    "import numba\n@numba.njit\n", "import numba as nb\n@nb.njit(parallel=True)\n",
    "from numba import njit as fast\n@fast\n", "from numba import cuda\n@cuda.jit('void()')\n",
    "import jax, functools\n@functools.partial(jax.jit, static_argnums=0)\n", "import taichi as ti\n@ti.kernel\n",
    "import triton\n@triton.jit\n", "import dace\n@dace.program\n", "import cython\n@cython.cfunc\n",
    "from mine import njit\n@njit\n", "import tools\n@tools.jit(1)\n",
])  # fmt: skip
def test_functions_of_other_compilers_are_left_alone(decorated: str) -> None:
    first = decorated.count("\n") + 2
    assert lines(decorated + LOOP) == [first, first + 1]


@pytest.mark.parametrize("after", ["g = numba.njit(f)\n", "g = numba.jit(nopython=True)(f)\n"])
def test_functions_handed_to_another_compiler_are_left_alone(after: str) -> None:
    assert lines("import numba\n" + LOOP + after) == [3, 4]


@pytest.mark.parametrize("decorated", [
    "", "import functools\n@functools.lru_cache\n", "import numba\n@property\n", "import numpy as np\n@np.vectorize\n",
])  # fmt: skip
def test_other_functions_are_ours(decorated: str) -> None:
    assert lines(decorated + LOOP) == []


def test_the_comment_leaves_out_its_loop_and_those_inside() -> None:
    assert lines("for i in x:  # alpyna: off\n    for j in x:\n        pass\nfor k in x:\n    pass\n") == [1, 2]


def test_the_comment_may_stand_on_any_line_of_a_loops_head() -> None:
    text = "for i in range(  # alpyna:off\n    3,\n):\n    pass\n"
    assert lines(text + "while (a or\n       b):  # alpyna: off, too slow\n    pass\n") == [1, 5]


def test_an_inner_loop_may_be_left_out_alone() -> None:
    assert lines("for i in x:\n    for j in x:  # alpyna: off\n        pass\n") == [2]


@pytest.mark.parametrize("comment", ["# alpyna: offset", "# alpyna off", "# on alpyna:on"])
def test_other_comments_mean_nothing(comment: str) -> None:
    assert lines(f"for i in x:  {comment}\n    pass\n") == []
