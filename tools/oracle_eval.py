"""The oracle against the best: every legal variant of every kernel timed at many sizes, on several platforms.

    python tools/oracle_eval.py [--minutes M] [--kernels A,B] [--sizes N] [--platforms NAMES]
                                [--json OUT] [--markdown OUT] [--plots FOLDER] [--from JSON]

At each point the variants take turns in processes of their own; a figure is the median of all timed calls. The first
choice is that of an oracle that knows the counts and the machine profile, all kernels being compiled; the settled one
is what a process runs after many calls. Strategies to compare with: always the same variant, and a threshold on the
instruction count, fitted to all other programs. `--from` scores and draws the points of an earlier run again.
After Jacob, Trinder, Singer, "Pricing Python parallelism" (DLS 2020), section 5.
"""

from __future__ import annotations

import argparse
import json
import os
import platform as system
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle import score  # noqa: E402
from oracle.measuring import ROOT, Choice, Middle, Platform, Point, measure, sizes_of, to_json  # noqa: E402

__alpyna__ = False

HOST = ("interp", "seq", "omp")
STATISTICS: dict[str, Middle] = {"median": statistics.median, "min": min}


def platforms(names: Sequence[str]) -> list[Platform]:
    """Those of `names` (all if empty) that there are on this machine."""
    threads = len(os.sched_getaffinity(0))
    known = {"1 thread": Platform("1 thread", 1, ("interp", "seq"))}
    if threads > 1:
        known[f"{threads} threads"] = Platform(f"{threads} threads", threads, HOST)
    for variant in devices():
        known[f"host + {variant}"] = Platform(f"host + {variant}", threads, (*HOST, variant))
    chosen = [known[name] for name in names if name in known]
    if len(chosen) < len(names):
        print(f"not here: {', '.join(set(names) - set(known))}; there are: {', '.join(known)}", file=sys.stderr)
    return chosen or list(known.values())


def devices() -> list[str]:
    """Variants of accelerators that can be used here."""
    from alpyna_hook.devices import opened
    from alpyna_hook.devices.base import NoCache

    found = {variant: opened.get(variant, NoCache()) for variant in ("opencl", "cuda")}
    return [variant for variant, one in found.items() if not isinstance(one, str)]


def machine() -> dict[str, Any]:
    """What made the figures."""
    import numpy

    from alpyna_hook import settings
    from alpyna_hook.cost import profiles
    from alpyna_hook.cost.machine import fingerprint

    profile = profiles.current(settings.current().cache_dir)
    return {
        **fingerprint(), "python": system.python_version(), "numpy": numpy.__version__,
        "load": os.getloadavg()[0], "profile": profiles.to_json(profile), "date": time.strftime("%Y-%m-%d"),
    }  # fmt: skip


def run(args: argparse.Namespace) -> tuple[dict[str, Any], list[Platform], list[Point]]:
    """Measures; what is there so far is written after each kernel."""
    here, chosen = machine(), platforms(args.platforms)
    seconds = 60.0 * args.minutes / len(args.kernels)
    points: list[Point] = []
    for kernel in args.kernels:
        points += measure(kernel, sizes_of(kernel, args.sizes), chosen, seconds, STATISTICS[args.statistic])
        write(args, here, chosen, points)
        print(f"{kernel}: {', '.join(f'{s.strategy} {s.mean:.3f}' for s in last(points, chosen))}", file=sys.stderr)
    return here, chosen, points


def last(points: Sequence[Point], chosen: Sequence[Platform]) -> list[score.Score]:
    """The oracle's scores on the kernel measured last."""
    own = [p for p in points if p.kernel == points[-1].kernel]
    return [s for s in score.scores(own, chosen) if s.strategy.startswith("oracle")]


def read(path: Path) -> tuple[dict[str, Any], list[Platform], list[Point]]:
    """The points of an earlier run."""
    data = json.loads(path.read_text())
    points = []
    for entry in data["points"]:
        for choices in ("first", "settled"):
            entry[choices] = {name: Choice(**choice) for name, choice in entry[choices].items()}
        points.append(Point(**entry))
    return data["machine"], [Platform(n, t, tuple(v)) for n, t, v in data["platforms"]], points


def write(args: argparse.Namespace, here: dict[str, Any], chosen: Sequence[Platform], points: Sequence[Point]) -> None:
    """JSON and Markdown, to the files asked for."""
    found = score.scores(points, chosen)
    if args.json:
        data = {
            "machine": here, "minutes": args.minutes, "statistic": args.statistic,
            "platforms": [(p.name, p.threads, p.variants) for p in chosen],
            "scores": [score.to_json(s) for s in found], "points": [to_json(p) for p in points],
        }  # fmt: skip
        args.json.write_text(json.dumps(data, indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text("\n".join(document(here, found, points)) + "\n")


def document(here: dict[str, Any], found: Sequence[score.Score], points: Sequence[Point]) -> list[str]:
    """The tables, with the machine that made them."""
    profile = here["profile"]
    noisy = f", {len(profile['noisy'])} of its figures noisy" if profile["noisy"] else ""
    head = (
        f"{here['cpu']}, {here['cpus']} CPUs, {here['python']}, NumPy {here['numpy']}; load {here['load']:.2f}; "
        f"machine profile: {profile['origin']}{noisy}; {len({p.kernel for p in points})} kernels, {len(points)} points."
    )
    errors = [f"- {p.kernel} {p.size}: {text}" for p in points for text in p.errors]
    return [head, "", *score.markdown(found, points), *(["", "Errors:", "", *errors] if errors else [])]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--kernels", default="", help="comma-separated; all if left out")
    parser.add_argument("--sizes", type=int, default=10)
    parser.add_argument("--platforms", default="", help="comma-separated; all that there are if left out")
    parser.add_argument("--statistic", choices=tuple(STATISTICS), default="median", help="min: for a busy machine")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--plots", type=Path, help="folder for one picture per platform")
    parser.add_argument("--from", dest="source", type=Path, help="JSON of an earlier run: nothing is measured")
    args = parser.parse_args()
    args.kernels = list(filter(None, args.kernels.split(","))) or sorted(p.stem for p in ROOT.glob("kernels/*.py"))
    args.platforms = [name.strip() for name in args.platforms.split(",") if name.strip()]
    return args


def main() -> int:
    args = arguments()
    here, chosen, points = read(args.source) if args.source else run(args)
    write(args, here, chosen, points)
    if args.plots:
        from oracle import plots

        args.plots.mkdir(parents=True, exist_ok=True)
        for one in chosen:
            plots.draw(points, one, args.plots / f"oracle_{one.name.replace(' ', '_').replace('+', 'and')}.svg")
    print("\n".join(document(here, score.scores(points, chosen), points)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
