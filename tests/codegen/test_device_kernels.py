"""Every kernel's loops on a device: those that a device can reproduce give CPython's bits, and CUDA's compiler takes
the text of all."""

from __future__ import annotations

import ast
import copy
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from on_device import nvcc, run, specialised_site

from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.sites import Site, find_sites
from alpyna_hook.source import Source

FOLDER = Path(__file__).resolve().parents[2] / "kernels"
KERNELS = sorted(p.stem for p in FOLDER.glob("*.py"))
# Kernels with loops that stay off devices under fp=strict, and what the report says of them.
REASONS = {
    "arc_distance": "a floating-point power is not bit-reproducible on a device: --fp relaxed allows it",
    "black_scholes": "math.log is not bit-reproducible on a device: --fp relaxed allows it",
    "histogram": "updates of counts would have to be atomic, which does not pay on a CPU",
    "prefix_sum": "no loop is parallel",
}


def sites(kernel: str) -> Iterator[tuple[Site, ast.stmt, dict[str, Any], tuple[str, ...]]]:
    """The loops of the kernel's functions with the names that they are reached with, one after the other as the
    program runs them, and the source lines."""
    path = FOLDER / f"{kernel}.py"
    text = path.read_text()
    tree = ast.parse(text)
    spec = importlib.util.spec_from_file_location(kernel, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found = {(s.line, s.function): s for s in find_sites(ast.parse(text), Source(str(path), kernel, text))}
    function = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "kernel")
    given = dict(zip([a.arg for a in function.args.args], module.setup(module.SIZES["test"])))
    scope = {**vars(module), **given}
    for stmt in function.body:
        if isinstance(stmt, ast.Return):
            break
        site = found.get((stmt.lineno, "kernel"))
        if site is not None:
            yield site, stmt, scope, tuple(text.splitlines())
        exec(compile(ast.Module([stmt], []), str(path), "exec"), scope)


def live_ins(site: Site, scope: dict[str, Any]) -> dict[str, Any]:
    assert site.nest is not None
    return {
        live.name: eval(".".join((live.root, *live.path)), scope) for live in site.nest.live_ins
        if live.role != "function" and (not live.optional or live.root in scope)
    }  # fmt: skip


@pytest.mark.parametrize("style", ["opencl:grid", "opencl:rows"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_a_device_gives_the_bits_of_cpython(kernel: str, style: str) -> None:
    pytest.importorskip("pyopencl")
    reasons = []
    for site, stmt, scope, lines in sites(kernel):
        given = copy.deepcopy(live_ins(site, scope))
        spec = specialised_site(site.nest, style, given, lines)
        assert not isinstance(spec, Rejection), spec
        if spec.without:
            reasons.append(spec.without["opencl"])
            continue
        plain = {**scope, **copy.deepcopy(given)}
        exec(compile(ast.Module([stmt], []), kernel, "exec"), plain)
        code, outs = run(spec, given)
        assert code == 0, outs
        for name, value in {**given, **outs}.items():
            assert np.array(value).tobytes() == np.array(plain[name]).tobytes(), name
    eligible = kernel not in REASONS or (kernel == "histogram" and style == "opencl:grid")
    assert reasons == ([] if eligible else [REASONS[kernel]])


@pytest.mark.parametrize("style", ["opencl:grid", "opencl:rows"])
@pytest.mark.parametrize("kernel", ["arc_distance", "black_scholes"])
def test_relaxed_results_are_close(kernel: str, style: str) -> None:
    pytest.importorskip("pyopencl")
    for site, stmt, scope, lines in sites(kernel):
        given = copy.deepcopy(live_ins(site, scope))
        spec = specialised_site(site.nest, style, given, lines, "relaxed")
        assert not isinstance(spec, Rejection) and not spec.without, spec
        plain = {**scope, **copy.deepcopy(given)}
        exec(compile(ast.Module([stmt], []), kernel, "exec"), plain)
        assert run(spec, given)[0] == 0
        for name, value in given.items():
            assert np.allclose(value, plain[name], rtol=1e-13, atol=1e-13), name


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="no nvcc")
@pytest.mark.parametrize("kernel", KERNELS)
def test_nvcc_takes_the_text(kernel: str, tmp_path: Path) -> None:
    texts = []
    for site, _, scope, lines in sites(kernel):
        spec = specialised_site(site.nest, "cuda", copy.deepcopy(live_ins(site, scope)), lines, "relaxed")
        assert not isinstance(spec, Rejection), spec
        texts += [spec.sources["cuda"].text] if "cuda" in spec.sources else []
    for number, text in enumerate(texts):
        nvcc(text, tmp_path / f"{kernel}{number}.cu")
