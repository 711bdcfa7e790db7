"""The oracle against the best: every legal variant of every kernel timed at many sizes, on several platforms.

    python tools/oracle_eval.py [--minutes M] [--kernels A,B] [--sizes N] [--platforms NAMES] [--repeats N]
                                [--json OUT] [--markdown OUT] [--plots FOLDER] [--from JSON]

At each point the variants take turns in processes of their own; a figure is the median of all timed calls. The first
choice is that of an oracle that knows the counts and the machine profile, all kernels being compiled; the settled one
is what a process runs after many calls. Strategies to compare with: always the same variant, and a threshold on the
instruction count, fitted to all other programs. Single choices much slower than the best are measured again at the end,
to tell wrong ones from noise. `--from` scores and draws the points of an earlier run again, and measures nothing but,
with `--repeats`, its poor choices.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from oracle import repeats, score  # noqa: E402
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


@dataclass
class Run:
    """What was measured: by what machine, for which platforms; again: the points of poor choices, measured again."""

    machine: dict[str, Any]
    platforms: list[Platform]
    points: list[Point] = field(default_factory=list)
    again: list[Point] = field(default_factory=list)

    def suspects(self) -> list[repeats.Suspect]:
        return repeats.suspects(self.points, self.platforms, self.again)

    def scores(self) -> list[score.Score]:
        """Expensive: thresholds are fitted for each program."""
        return score.scores(self.points, self.platforms)


def measured(args: argparse.Namespace) -> Run:
    """Measures; what is there so far is written after each kernel."""
    run, middle = Run(machine(), platforms(args.platforms)), STATISTICS[args.statistic]
    seconds = 60.0 * args.minutes / len(args.kernels)
    for kernel in args.kernels:
        run.points += measure(kernel, sizes_of(kernel, args.sizes), run.platforms, seconds, middle)
        write(args, run, run.scores())
        scores = ", ".join(f"{s.strategy} {s.mean:.3f}" for s in last(run.points, run.platforms))
        print(f"{kernel}: {scores}", file=sys.stderr)
    return repeated(args, run, 2 if args.repeats is None else args.repeats)


def repeated(args: argparse.Namespace, run: Run, times: int) -> Run:
    """With the points of poor choices measured so many times more."""
    seconds, found = 60.0 * args.minutes / len(args.kernels) / args.sizes, run.scores()
    for point in repeats.again(run.points, run.platforms, seconds, STATISTICS[args.statistic], times):
        run.again.append(point)
        write(args, run, found)
    return run


def last(points: Sequence[Point], chosen: Sequence[Platform]) -> list[score.Score]:
    """The oracle's scores on the kernel measured last."""
    own = [p for p in points if p.kernel == points[-1].kernel]
    return [s for s in score.scores(own, chosen) if s.strategy.startswith("oracle")]


def read(path: Path) -> Run:
    """The points of an earlier run."""
    data = json.loads(path.read_text())
    platforms = [Platform(n, t, tuple(v)) for n, t, v in data["platforms"]]
    return Run(data["machine"], platforms, *([_point(e) for e in data.get(key, ())] for key in ("points", "again")))


def _point(entry: dict[str, Any]) -> Point:
    for choices in score.CHOICES:
        entry[choices] = {name: Choice(**choice) for name, choice in entry[choices].items()}
    return Point(**entry)


def write(args: argparse.Namespace, run: Run, found: Sequence[score.Score]) -> None:
    """JSON and Markdown, to the files asked for. found: the run's scores."""
    if args.json:
        data = {
            "machine": run.machine, "minutes": args.minutes, "statistic": args.statistic,
            "platforms": [(p.name, p.threads, p.variants) for p in run.platforms],
            "scores": [score.to_json(s) for s in found],
            "suspects": [repeats.to_json(s) for s in run.suspects()],
            "points": [to_json(p) for p in run.points], "again": [to_json(p) for p in run.again],
        }  # fmt: skip
        args.json.write_text(json.dumps(data, indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text("\n".join(document(run, found)) + "\n")


def document(run: Run, found: Sequence[score.Score]) -> list[str]:
    """The tables, with the machine that made them."""
    here, points = run.machine, run.points
    profile = here["profile"]
    noisy = f", {len(profile['noisy'])} of its figures noisy" if profile["noisy"] else ""
    head = (
        f"{here['cpu']}, {here['cpus']} CPUs, {here['python']}, NumPy {here['numpy']}; load {here['load']:.2f}; "
        f"machine profile: {profile['origin']}{noisy}; {len({p.kernel for p in points})} kernels, {len(points)} points."
    )
    errors = [f"- {p.kernel} {p.size}: {text}" for p in (*points, *run.again) for text in p.errors]
    tables = score.markdown(found, points) + repeats.markdown(run.suspects())
    return [head, "", *tables, *(["", "Errors:", "", *errors] if errors else [])]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--kernels", default="", help="comma-separated; all if left out")
    parser.add_argument("--sizes", type=int, default=10)
    parser.add_argument("--platforms", default="", help="comma-separated; all that there are if left out")
    parser.add_argument("--statistic", choices=tuple(STATISTICS), default="median", help="min: for a busy machine")
    parser.add_argument("--repeats", type=int, help="further runs of poor choices (2; with --from 0)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--plots", type=Path, help="folder for one picture per platform")
    parser.add_argument("--from", dest="source", type=Path, help="JSON of an earlier run")
    args = parser.parse_args()
    args.kernels = list(filter(None, args.kernels.split(","))) or sorted(p.stem for p in ROOT.glob("kernels/*.py"))
    args.platforms = [name.strip() for name in args.platforms.split(",") if name.strip()]
    return args


def main() -> int:
    args = arguments()
    run = repeated(args, read(args.source), args.repeats or 0) if args.source else measured(args)
    found = run.scores()
    write(args, run, found)
    if args.plots:
        from oracle import plots

        args.plots.mkdir(parents=True, exist_ok=True)
        for one in run.platforms:
            plots.draw(run.points, one, args.plots / f"oracle_{one.name.replace(' ', '_').replace('+', 'and')}.svg")
    print("\n".join(document(run, found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
