"""Every site of every program in kernels/ is counted and priced; large sizes are not left to the interpreter."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest

from alpyna_hook.analysis.inference import infer
from alpyna_hook.cost.counts import count
from alpyna_hook.cost.decide import History, Oracle
from alpyna_hook.cost.machine import default_profile
from alpyna_hook.cost.priced import Candidate
from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.sites import find_sites
from alpyna_hook.ir.nodes import Loop, Nest
from alpyna_hook.report.assume import assume
from alpyna_hook.source import Source

KERNELS = Path(__file__).parents[2] / "kernels"
PROFILE = default_profile(threads=2)


def sites(path: Path) -> list[tuple[Nest, dict]]:
    """Typed nests with plausible types, and entry values."""
    source = Source(str(path), path.stem, path.read_text())
    found = []
    for site in find_sites(ast.parse(source.text), source):
        if site.nest is not None:
            assumed = assume(site.nest)
            typed = infer(site.nest, assumed.types, {})
            if not isinstance(typed, Rejection):
                found.append((typed, assumed.entry))
    return found


@pytest.mark.parametrize("path", sorted(KERNELS.glob("*.py")), ids=lambda p: p.stem)
def test_every_site_is_priced_in_all_variants(path: Path):
    nests = sites(path)
    assert nests
    for nest, env in nests:
        counts = count(nest)
        outer = next(s for s in nest.body if isinstance(s, Loop))
        offer = {
            "interp": Candidate(counts),
            "seq": Candidate(counts, journal=False),
            "omp": Candidate(counts, frozenset({outer.counter}), journal=False),
        }
        oracle = Oracle(PROFILE, 2)
        seconds = oracle.predict(offer, env)
        assert all(math.isfinite(s) and s > 0 for s in seconds.values())
        assert seconds["seq"] < seconds["interp"]
        decision = oracle.decide(offer, env, {"seq": "compiled", "omp": "compiled"}, History())
        assert decision.variant in ("seq", "omp")
        for leaf, (low, high) in decision.ranges.items():
            assert low <= env[leaf] <= high
