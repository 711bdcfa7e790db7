"""What compilers know of libm's functions must not replace what the library gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from alpyna_hook.codegen.libm import declarations

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import math
import numpy as np

def single(y, x):
    for i in range(len(x)):
        y[i] = x[i] ** 2 + x[i] ** -1

def constants(y):
    for i in range(len(y)):
        y[i] = 0.0
{terms}

x = (np.random.default_rng(1).random(3000) + 0.5).astype(np.float32)
y = np.zeros_like(x)
single(y, x)
print(y.tobytes().hex())
y = np.zeros(2)
constants(y)
print(y.tobytes().hex())
"""


def test_powers_of_single_precision_and_functions_of_constants_are_the_librarys() -> None:
    names = ("acosh", "asinh", "cosh", "exp", "expm1", "log", "log2", "sin", "tan", "tanh")
    terms = [f"        y[i] += math.{name}({1 + k / 97!r}) * {1 + k / 7!r}" for name in names for k in range(60)]
    program = PROGRAM.replace("{terms}", "\n".join(terms))
    plain, compiled = (
        subprocess.run(
            [sys.executable, *runner, "-c", program], cwd=ROOT, text=True, capture_output=True, check=True,
            env={**os.environ, "ALPYNA_VARIANT": "seq", "PYTHONPATH": str(ROOT)},
        )
        for runner in ((), ("-m", "alpyna"))
    )  # fmt: skip
    assert compiled.stdout == plain.stdout
    assert compiled.stderr == plain.stderr


@pytest.mark.parametrize(
    ("kernel", "declared"),
    [
        ("y = sin(x) + pow(x, 2.5);", ["double pow(double, double)", "double sin(double)"]),
        ("y = powf(x, 2.0f);", ["float powf(float, float)"]),
        ("y = sqrt(x) + alp_exp(x); /* np.cos(x) */", []),
    ],
)
def test_what_a_kernel_calls_is_declared(kernel: str, declared: list[str]) -> None:
    assert declarations(kernel).splitlines() == [f"{head} __attribute__((const));" for head in declared]
