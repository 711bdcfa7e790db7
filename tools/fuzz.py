"""Random loop programs under CPython and under Alpyna's variants: everything visible must be the same.

    python tools/fuzz.py [--seed S] [--count N] [--batch B] [--variants seq,omp] [--shrink] [--show SEED]

Variants: seq, omp, opencl, cuda; opencl.grid uses an OpenCL device that is a CPU like one that is none.

Prints each program that differs, made small with --shrink, and a summary of how many sites were accelerated and
why others were not.  Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import collections
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fuzzing import batch, generate, shrink


def still_differs(variant: str, parts: tuple[str, ...]) -> shrink.Judge:
    """A judge for `shrink`: the candidates that differ in one of the same parts."""

    def judge(texts: Sequence[str]) -> list[bool]:
        programs = {f"fz_c{i}": text for i, text in enumerate(texts)}
        expected = batch.observe(programs, "cpython")
        found = batch.compare(expected, batch.observe(batch.ended(programs, expected), variant), variant)
        bad = {d.name for d in found if set(d.parts) & set(parts)}
        return [name in bad for name in programs]

    return judge


def campaign(args: argparse.Namespace) -> int:
    """Run all batches; the number of programs that differ."""
    differing: set[str] = set()
    statuses: collections.Counter[str] = collections.Counter()
    outcomes: collections.Counter[str] = collections.Counter()
    start = time.monotonic()
    for first in range(args.seed, args.seed + args.count, args.batch):
        seeds = range(first, min(first + args.batch, args.seed + args.count))
        programs = {f"fz_{seed}": generate.program(seed) for seed in seeds}
        expected = batch.observe(programs, "cpython")
        outcomes.update(outcome(seen) for seen in expected.values())
        for variant in args.variants.split(","):
            with tempfile.TemporaryDirectory() as folder:
                report = Path(folder) / "report.json"
                got = batch.observe(batch.ended(programs, expected), variant, report)
                if report.exists():
                    statuses.update(f"{variant} {status}" for status in sites(report))
            for d in batch.compare(expected, got, variant):
                if d.name not in differing:
                    differing.add(d.name)
                    show(d, programs[d.name], args.shrink)
        print(f"up to seed {seeds[-1]}: {len(differing)} differ", file=sys.stderr, flush=True)
    print(f"{args.count} programs in {time.monotonic() - start:.0f} s, {len(differing)} differ: {sorted(differing)}")
    for table in (outcomes, statuses):
        print("  " + "\n  ".join(f"{n:6d} {what}" for what, n in table.most_common(60)))
    return len(differing)


def outcome(seen: batch.Seen) -> str:
    """What became of a program under CPython, in a word."""
    if "timeout" in seen or "crash" in seen:
        return "too slow"
    return f"raised {seen['error'][0]}" if seen["error"] else "warned" if seen["warnings"] else "plain"


def sites(report: Path) -> list[str]:
    """Status (and the reason, unless accelerated) of each site of the generated programs."""
    found = [s for s in json.loads(report.read_text())["sites"] if s["module"].startswith("fz_")]
    return [s["status"] if s["status"] == "accelerated" else f"{s['status']}: {s['reason'][:90]}" for s in found]


def show(d: batch.Difference, text: str, small: bool) -> None:
    """Print a difference with its program."""
    print("=" * 100)
    if small:
        text = shrink.shrink(text, still_differs(d.variant, d.parts))
        truth, got = (batch.observe({d.name: text}, how) for how in ("cpython", d.variant))
        d = next(iter(batch.compare(truth, got, d.variant)), d)
    print(text)
    print(batch.explain(d), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--variants", default="seq,omp")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--show", type=int, help="print the program of this seed and stop")
    args = parser.parse_args()
    if args.show is not None:
        print(generate.program(args.show), end="")
        return 0
    return int(campaign(args) > 0)


if __name__ == "__main__":
    sys.exit(main())
