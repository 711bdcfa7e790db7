"""Pictures: time against size per variant, the oracle's first choice ringed. matplotlib (extra `bench`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from oracle.measuring import Platform, Point

COLOURS = {"interp": "tab:gray", "seq": "tab:blue", "omp": "tab:orange", "opencl": "tab:green", "cuda": "tab:red"}
COLUMNS = 4


def draw(points: Sequence[Point], platform: Platform, path: Path) -> None:
    """One panel per kernel, into `path` (suffix says the format). ImportError without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "alpyna"})  # text as text: a third of the size
    from matplotlib import pyplot

    kernels = list(dict.fromkeys(p.kernel for p in points))
    rows = math.ceil(len(kernels) / COLUMNS)
    figure, axes = pyplot.subplots(rows, COLUMNS, figsize=(4 * COLUMNS, 3 * rows), squeeze=False)
    for place, axis in enumerate(axes.flat):
        if place < len(kernels):
            _panel(axis, [p for p in points if p.kernel == kernels[place]], platform)
        else:
            axis.set_visible(False)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.suptitle(f"{platform.name}: seconds against size; ring: first choice, cross: settled")
    figure.legend(handles, labels, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)


def _panel(axis: Any, points: Sequence[Point], platform: Platform) -> None:
    axis.set_title(points[0].kernel, fontsize=9)
    for variant in platform.variants:
        shown = [p for p in points if variant in p.times_s]
        xs, ys = [extent(p.size) for p in shown], [p.times_s[variant] for p in shown]
        axis.loglog(xs, ys, ".-", color=COLOURS[variant], label=variant, linewidth=1)
    for choices, marker, size in (("first", "o", 9), ("settled", "x", 6)):
        made = [(p, getattr(p, choices).get(platform.name)) for p in points]
        seen = [(extent(p.size), c.seconds) for p, c in made if c is not None and c.seconds]
        if seen:
            axis.loglog(*zip(*seen), marker, color="black", fillstyle="none", markersize=size, linestyle="none")
    axis.minorticks_off()
    axis.tick_params(labelsize=7)


def extent(size: Any) -> float:
    """A size as one number: the last of several."""
    return float(size[-1] if isinstance(size, (tuple, list)) else size)
