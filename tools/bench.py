"""Time every kernel: CPython, Alpyna's variants, hand-written C + OpenMP, numba with hand-placed prange.

    python tools/bench.py [--sizes test|medium|large] [--kernels A,B] [--rounds N] [--skip CONTENDERS]
                          [--json OUT] [--markdown OUT]

Each contender of a kernel is a process of its own; they take turns, round by round, so that all meet
the same machine.  A figure is the median of all timed calls (or the least, with --statistic min: for a machine
that others use too); a ratio is to the C reference in the same run (below 1 is faster).  CPython and `interp`
run on the kernel's default size, which they can bear, and their ratio is to C at that size: nothing is
extrapolated.  A contender that fails has no figure.
Bit-exactness is checked on the way: Alpyna against CPython at the test size (results and arrays must be the
same), and every contender's arrays against C's at the measured size.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from contender import Contender, Failed

__alpyna__ = False

ROOT = Path(__file__).resolve().parent.parent
OURS = ("interp", "seq", "omp", "auto")
CONTENDERS = ("cpython", *OURS, "c", "numba")
SLOW = ("cpython", "interp")


@dataclass
class Figure:
    """What one contender did on one kernel. `ratio` is to C at the same size; None is "not measured"."""

    kernel: str
    contender: str
    size: Any
    median_s: float | None = None
    min_s: float | None = None
    calls: int = 0
    first_s: float | None = None
    ratio: float | None = None
    digest: str = ""
    same_as_c: bool | None = None
    same_as_cpython: bool | None = None
    error: str = ""
    said: str = ""  # what Alpyna reported on stderr: the variant may not have been what ran
    times_s: list[float] = field(default_factory=list, repr=False)


def command_of(contender: str) -> list[str]:
    """The command line that starts the worker of `contender`."""
    worker = str(ROOT / "tools" / "_worker.py")
    if contender in OURS:
        return [sys.executable, "-m", "alpyna", "--variant", contender, "--modules", "kernels.*", worker, "python"]
    return [sys.executable, worker, "python" if contender == "cpython" else contender]


def sizes_of(kernel: str) -> dict[str, Any]:
    """The SIZES table of a kernel, read without importing it."""
    import ast

    for node in ast.parse((ROOT / "kernels" / f"{kernel}.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SIZES":
            return dict(ast.literal_eval(node.value))
    raise KeyError(f"kernels/{kernel}.py has no SIZES")


def measure(kernel: str, size: Any, names: Sequence[str], args: argparse.Namespace) -> list[Figure]:
    """Interleaved rounds of `names` on one kernel at one size, then the check at the test size."""
    budget_s: float = args.budget
    rounds = args.rounds if "cpython" not in names else min(args.rounds, 3)
    figures = {name: Figure(kernel, name, size) for name in names}
    running: dict[str, Contender] = {}
    try:
        for name in names:
            start(figures[name], running, args.threads, budget_s)
        for _ in range(rounds):
            for name in list(running):
                try:
                    figures[name].times_s += running[name].ask(op="round", budget_s=budget_s)["times_s"]
                except Failed as failed:
                    figures[name].error = str(failed)
                    running.pop(name).close()
        check(kernel, figures, running)
        for name, contender in running.items():
            figures[name].said = contender.said()
    finally:
        for contender in running.values():
            contender.close()
    summarise(figures, args.statistic)
    return list(figures.values())


def start(figure: Figure, running: dict[str, Contender], threads: int, budget_s: float) -> None:
    """Start a contender, load its kernel and warm it up (`auto` may compile only once a call is due)."""
    try:
        contender = Contender(command_of(figure.contender), ROOT, threads)
        running[figure.contender] = contender
        loaded = contender.ask(op="load", kernel=figure.kernel, size=figure.size)
        figure.first_s, figure.digest = loaded["first_s"], loaded["digest"]
        if figure.contender not in SLOW:
            for _ in range(3):
                contender.ask(op="round", budget_s=min(0.02, budget_s))
    except Failed as failed:
        figure.error = str(failed)
        if figure.contender in running:
            running.pop(figure.contender).close()


def check(kernel: str, figures: dict[str, Figure], running: dict[str, Contender]) -> None:
    """Every contender still alive runs the test size; ours must agree with CPython bit for bit."""
    replies: dict[str, Any] = {}
    for name in running:
        try:
            replies[name] = running[name].ask(op="load", kernel=kernel, size=sizes_of(kernel)["test"])
        except Failed as failed:
            figures[name].error = str(failed)
    if "cpython" not in replies:
        try:
            plain = Contender(command_of("cpython"), ROOT, 1)
            replies["cpython"] = plain.ask(op="load", kernel=kernel, size=sizes_of(kernel)["test"])
            plain.close()
        except Failed:
            return
    truth = replies["cpython"]
    for name, reply in replies.items():
        if name in figures and name != "cpython":
            same = reply["digest"] == truth["digest"] and (name not in OURS or reply["result"] == truth["result"])
            figures[name].same_as_cpython = same


def summarise(figures: dict[str, Figure], statistic: str) -> None:
    """Fill in medians, minima and ratios (of the statistic asked for) from the times."""
    for figure in figures.values():
        if figure.times_s:
            figure.median_s = statistics.median(figure.times_s)
            figure.min_s = min(figure.times_s)
            figure.calls = len(figure.times_s)
    c = figures.get("c")
    for figure in figures.values():
        own, reference = getattr(figure, f"{statistic}_s"), getattr(c, f"{statistic}_s", None)
        if own and reference:
            figure.ratio = own / reference
        if c and c.digest and figure.digest and figure is not c:
            figure.same_as_c = figure.digest == c.digest


def geomean(values: Iterable[float | None]) -> tuple[float | None, int]:
    """Geometric mean of the values that are there, and how many they are."""
    known = [v for v in values if v]
    return (math.exp(sum(map(math.log, known)) / len(known)) if known else None), len(known)


def table(figures: Sequence[Figure], names: Sequence[str], statistic: str) -> list[str]:
    """Markdown: a row per kernel, C in milliseconds, everything else as a ratio to it."""
    shown = [n for n in names if n != "c"]
    lines = [
        "| kernel | size | C + OpenMP | " + " | ".join(shown) + " |",
        "|---|---|---|" + "---|" * len(shown),
    ]
    by = {(f.kernel, f.contender): f for f in figures}
    for kernel in dict.fromkeys(f.kernel for f in figures):
        cells = [cell(by.get((kernel, name))) for name in shown]
        c = by.get((kernel, "c"))
        seconds = getattr(c, f"{statistic}_s", None)
        milliseconds = f"{1e3 * seconds:.3g} ms" if seconds else "-"
        size = next(f.size for f in figures if f.kernel == kernel)
        lines.append(f"| {kernel} | {size} | {milliseconds} | " + " | ".join(cells) + " |")
    means = [geomean(f.ratio for f in figures if f.contender == name and not f.said) for name in shown]
    shown_means = ["-" if mean is None else f"{mean:.3g} ({count})" for mean, count in means]
    lines.append("| geometric mean | | | " + " | ".join(shown_means) + " |")
    return lines


def cell(figure: Figure | None) -> str:
    """A ratio; `*` marks arrays that differ from C's, `!` a result that differs from CPython's, `?` trouble of ours."""
    if figure is None or figure.ratio is None:
        return "error" if figure and figure.error else "-"
    marks = ("*" if figure.same_as_c is False else "") + ("!" if figure.same_as_cpython is False else "")
    marks += "?" if figure.said else ""
    return f"{figure.ratio:.3g}{marks}"


def problems(figures: Sequence[Figure]) -> list[str]:
    """One line for each failure and each difference."""
    lines = [f"{f.kernel} {f.contender} {f.size}: {f.error}" for f in figures if f.error]
    lines += [f"{f.kernel} {f.contender} {f.size}: {f.said}" for f in figures if f.said]
    lines += [
        f"{f.kernel} {f.contender}: differs from CPython at the test size"
        for f in figures
        if f.same_as_cpython is False
    ]
    lines += [f"{f.kernel} {f.contender} {f.size}: arrays differ from C's" for f in figures if f.same_as_c is False]
    return lines


def describe() -> dict[str, Any]:
    """The machine and the versions behind the figures."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((x.split(":", 1)[1].strip() for x in cpuinfo.read_text().splitlines() if "model name" in x), "")
    import numpy

    return {"cpu": model or platform.machine(), "python": platform.python_version(), "numpy": numpy.__version__}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", choices=("test", "medium", "large"), default="medium")
    parser.add_argument("--kernels", default="", help="comma-separated; all if left out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--budget", type=float, default=0.1, help="seconds of timed calls per contender and round")
    parser.add_argument("--statistic", choices=("median", "min"), default="median")
    parser.add_argument("--skip", default="", help=f"comma-separated, of {', '.join(CONTENDERS)}")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="write all figures here (a new file)")
    parser.add_argument("--markdown", type=Path, help="write the tables here (a new file)")
    args = parser.parse_args()
    args.skip = set(filter(None, args.skip.split(",")))
    args.kernels = list(filter(None, args.kernels.split(","))) or sorted(p.stem for p in ROOT.glob("kernels/*.py"))
    for kernel in args.kernels:
        if not (ROOT / "kernels" / f"{kernel}.py").exists():
            parser.error(f"no such kernel: {kernel}")
    if unknown := args.skip - set(CONTENDERS):
        parser.error(f"no such contender: {', '.join(sorted(unknown))}")
    args.quick = [n for n in ("seq", "omp", "auto", "c", "numba") if n not in args.skip]
    args.slow = [n for n in (*SLOW, "c") if n not in args.skip]
    for out in (args.json, args.markdown):
        if out and out.exists():
            parser.error(f"{out} exists; figures are never overwritten")
    return args


def document(args: argparse.Namespace, *parts: tuple[list[Figure], list[str]]) -> str:
    """The tables of the contenders at the size asked for and of the slow ones, with what went wrong, as Markdown."""
    (fast_figures, quick), (slow_figures, slow) = parts
    machine = describe()
    how = f"{args.rounds} rounds, {args.statistic}"
    lines = [f"{machine['cpu']}, {args.threads} threads, CPython {machine['python']}, {how}", ""]
    lines += [f"## {args.sizes}", "", *table(fast_figures, quick, args.statistic)]
    if slow_figures:
        lines += ["", "## The interpreter, at each kernel's default size", ""]
        lines += table(slow_figures, slow, args.statistic)
    if found := problems(fast_figures + slow_figures):
        lines += ["", "Differences and failures:", "", *(f"- {line}" for line in found)]
    return "\n".join(lines) + "\n"


def write(args: argparse.Namespace, fast_figures: list[Figure], slow_figures: list[Figure]) -> None:
    """What is measured so far, to the files asked for: a run that is cut short keeps its figures."""
    if args.markdown:
        args.markdown.write_text(document(args, (fast_figures, args.quick), (slow_figures, args.slow)))
    if args.json:
        figures = [{k: v for k, v in asdict(f).items() if k != "times_s"} for f in fast_figures + slow_figures]
        machine = {**describe(), "threads": args.threads, "rounds": args.rounds, "statistic": args.statistic}
        args.json.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1) + "\n")


def main() -> int:
    args = arguments()
    quick, slow = args.quick, args.slow
    fast_figures: list[Figure] = []
    slow_figures: list[Figure] = []
    for kernel in args.kernels:
        sizes = sizes_of(kernel)
        fast_figures += measure(kernel, sizes[args.sizes], quick, args)
        if set(slow) - {"c"}:
            slow_figures += measure(kernel, sizes["default"], slow, args)
        row = table([f for f in fast_figures if f.kernel == kernel], quick, args.statistic)[2]
        print(row, file=sys.stderr, flush=True)
        write(args, fast_figures, slow_figures)
    print(document(args, (fast_figures, quick), (slow_figures, slow)), end="")
    return int(any(f.same_as_cpython is False and f.contender in OURS for f in fast_figures + slow_figures))


if __name__ == "__main__":
    sys.exit(main())
