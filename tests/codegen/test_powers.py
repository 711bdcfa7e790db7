"""Powers with constant exponents: libm's bits, without calling it for most values."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from alpyna_hook.devices import finding

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import check_powers  # noqa: E402


@pytest.mark.parametrize("foreign", [False, True])
def test_powers_are_those_of_libm(foreign: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if foreign:
        monkeypatch.setattr(finding, "libm_flags", lambda: ("-DALP_FOREIGN_LIBM",))
    try:
        found = check_powers.check(200_000, 7)
    except RuntimeError as error:
        pytest.skip(str(error))
    for exponent, result in found.items():
        assert result.wrong == 0, exponent
        assert result.worst_ulp < 0.5174, exponent
        if foreign or finding.libm_flags():
            assert result.quick == 0
        else:
            assert result.quick > 50_000, exponent


@pytest.mark.parametrize(
    ("libc", "preload", "known"),
    [
        ("glibc 2.28", "", True), ("glibc 2.41", "", True), ("glibc 3.0", "", True), ("glibc 2.27", "", False),
        ("glibc 2.36", "libm-of-somebody.so", False), ("musl 1.2.5", "", False), ("", "", False), (None, "", False),
    ],
)  # fmt: skip
def test_only_a_known_libm_is_spared_calls(
    libc: str | None, preload: str, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "confstr", lambda name: libc)
    monkeypatch.setenv("LD_PRELOAD", preload)
    finding.libm_flags.cache_clear()
    try:
        assert finding.libm_flags() == (() if known else ("-DALP_FOREIGN_LIBM",))
    finally:
        finding.libm_flags.cache_clear()
