"""The report as a table for a terminal: what ran where, how long, and what stood in the way.

In: `SiteRecord`s and a `Header`.  Out: ASCII text (but for the user's own names), at most `WIDTH` columns
where the user's source lines allow it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from alpyna_hook.report import facts
from alpyna_hook.runtime.records import INTERPRETER, SiteRecord

WIDTH = 116
MAX_SITES = 20
MAX_REJECTIONS = 6
MAX_NOTES = 12
WORTH_A_NOTE = 0.01  # of the time of all sites: what is sequential in a shorter one is of no interest

_HEADINGS = ("place", "function", "ran as", "calls", "total", "predicted", "speed-up", "loops")
_RIGHT = frozenset((3, 4, 5, 6))  # columns of numbers
_LIMITS = (29, 18, 11, 9, 7, 9, 8)  # of all columns but the last, which gets the rest of WIDTH

_LEGEND = "* parallel loop; speed-up is over the predicted time of the interpreter"

_ELSEWHERE = "--report FILE.html or .json has them all"

Style = Callable[[str, str], str]  # text, one of _CODES


_CODES = {"bold": "1", "green": "32", "yellow": "33", "dim": "2"}


def plain(text: str, _: str) -> str:
    """The style for files and pipes."""
    return text


def coloured(text: str, style: str) -> str:
    """The style for terminals (ECMA-48 SGR codes)."""
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def render(records: Sequence[SiteRecord], header: facts.Header, style: Style = plain) -> str:
    """The whole report, ending in a newline."""
    blocks = [style(title(header), "bold")]
    if not records:
        return blocks[0] + "\nno loops in the marked modules\n"
    blocks += [_table(records, header, style), _notes(records), _rejections(records, style), summary(records)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def title(header: facts.Header) -> str:
    parts = [f"Alpyna {header.alpyna}", f"Python {header.python}"]
    if header.numpy:
        parts.append(f"NumPy {header.numpy}")
    parts += [f"fp {header.fp}", facts.plural(header.threads, "thread")]
    parts += [": ".join(filter(None, (d.get("name"), _without_folder(d.get("compiler", ""))))) for d in header.devices]
    return ", ".join(parts)


def _without_folder(compiler: str) -> str:
    """"/usr/bin/cc gcc (Debian) 12.2.0" -> "gcc (Debian) 12.2.0"; a path without more keeps its last part."""
    path, _, version = compiler.partition(" ")
    if not path.startswith(("/", "\\")) and path[1:2] != ":":
        return compiler
    return version or path.replace("\\", "/").rpartition("/")[2]


def _table(records: Sequence[SiteRecord], header: facts.Header, style: Style) -> str:
    lines: list[tuple[str, ...]] = []
    colours: list[str] = []
    sites = facts.reached(records)
    for record in sites[:MAX_SITES]:
        cells = _cells(record, header.threads)
        lines += cells
        colours += ["green" if record.status == "accelerated" else "yellow"] * len(cells)
    if not lines:
        return "None of the loops was reached."
    widths = [min(limit, max(len(row[k]) for row in [_HEADINGS, *lines])) for k, limit in enumerate(_LIMITS)]
    widths.append(WIDTH - sum(widths) - 2 * len(widths))
    body = [style(_line(row, widths), colour) for row, colour in zip(lines, colours)]
    starred = any(loop.parallel for r in records for loop in r.loops)
    legend = [style(_LEGEND, "dim")] if starred else []
    if rest := sites[MAX_SITES:]:
        weight = facts.seconds(sum(map(facts.weight, rest)))
        body.append(f"... and {facts.plural(len(rest), 'site')} more that took {weight} in all ({_ELSEWHERE})")
    return "\n".join([style(_line(_HEADINGS, widths), "bold"), *body, *legend])


def _cells(record: SiteRecord, threads: int) -> list[tuple[str, ...]]:
    """The rows of one site: the variant with the most time first, the others beneath it."""
    loops = " ".join(f"{loop.var}{'*' if loop.parallel else ''}" for loop in record.loops)
    head = (facts.place(record), record.function)
    refused = record.status == "rejected"
    rows = [
        (
            "rejected" if refused and row.variant == INTERPRETER else facts.ran_as(row.variant, threads),
            f"{row.calls:,}",
            facts.seconds(row.total_s),
            facts.seconds(row.predicted_s),
            "-" if row.variant == INTERPRETER or row.faults == row.calls else facts.ratio(row.interp_s, row.total_s),
        )
        for row in facts.rows_of(record)
    ]
    rows = rows or [("rejected" if refused else "interpreter", "-", "-", "-", "-")]
    first = (*head, *rows[0], loops)
    return [first, *(("", "", *row, "") for row in rows[1:])]


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        clip(cell, width).rjust(width) if k in _RIGHT else clip(cell, width).ljust(width)
        for k, (cell, width) in enumerate(zip(cells[:-1], widths))
    ]
    padded.append(textwrap.shorten(cells[-1], widths[-1], placeholder=" ..."))
    return "  ".join(padded).rstrip()


def clip(text: str, width: int) -> str:
    """`text` in at most `width` columns; the end of a place or qualified name says more than its start."""
    return text if len(text) <= width else "..." + text[3 - width:]


def _notes(records: Sequence[SiteRecord]) -> str:
    """Faults, sequential loops of compiled nests, and why the interpreter kept the others."""
    places: dict[str, list[str]] = {}  # of each sentence
    sites = facts.reached(records)
    least = WORTH_A_NOTE * sum(map(facts.weight, sites))
    for record in sites[:MAX_SITES]:
        for place, sentence in notes_of(record, facts.weight(record) >= least):
            places.setdefault(sentence, []).append(place)
    if not places:
        return ""
    notes = [f"{_enumerated(where)}: {sentence}" for sentence, where in places.items()]
    kept = [
        textwrap.fill(note, WIDTH, initial_indent="  ", subsequent_indent="      ", break_long_words=False)
        for note in notes[:MAX_NOTES]
    ]
    if len(notes) > MAX_NOTES:
        kept.append(f"  ... and {len(notes) - MAX_NOTES} more ({_ELSEWHERE})")
    return "\n".join(["Notes", *kept])


def _enumerated(places: Sequence[str]) -> str:
    """"a.py:3, 17, b.py:4": a file is named once."""
    parts, last = [], ""
    for place in places:
        file, _, line = place.rpartition(":")
        parts.append(line if file == last else place)
        last = file
    return ", ".join(parts)


def notes_of(record: SiteRecord, with_loops: bool = True) -> list[tuple[str, str]]:
    """(place, sentence) for each thing that kept a reached site from running faster, its sequential loops among them
    if `with_loops`; rejections excepted."""
    place = facts.place(record)
    notes = [
        (place, f"{row.faults:,} of {row.calls:,} calls as {row.variant} met a fault and were run again")
        for row in facts.rows_of(record)
        if row.faults and (row.faults < row.calls or record.status == "accelerated")
    ]
    if record.status == "interpreted":
        notes.append((place, record.reason))
    if record.status == "accelerated":
        file = facts.short_path(record.file)
        notes += [
            (f"{file}:{loop.line}", f"loop {loop.var} is sequential: {loop.why}")
            for loop in facts.held_back(record)
            if loop.why and with_loops
        ]
        if record.rejection is not None:
            notes.append((place, f"rejected for other argument types: {record.reason}"))
        elif record.note or record.without:
            notes.append((place, record.note or record.without))
    return notes


def _rejections(records: Sequence[SiteRecord], style: Style) -> str:
    sites = facts.rejected(records)
    if not sites:
        return ""
    shown = [_rejection(record, records) for record in sites[:MAX_REJECTIONS]]
    if len(sites) > MAX_REJECTIONS:
        shown.append(f"... and {len(sites) - MAX_REJECTIONS} more ({_ELSEWHERE})")
    return "\n".join([style("Left to the interpreter", "bold"), *(textwrap.indent(text, "  ") for text in shown)])


def _rejection(record: SiteRecord, records: Sequence[SiteRecord]) -> str:
    rejection = record.rejection
    if rejection is None:
        return f"{facts.place(record)}: {record.reason}"
    text = f"{facts.place(record)}: {record.reason}"
    if record.source is not None:
        rendered = rejection.render(record.source)
        text = rendered.replace(record.source.filename, facts.short_path(record.source.filename), 1)
    if inside := facts.accelerated_inside(record, records):
        lines = ", ".join(str(r.line) for r in inside)
        text += f"\n    the {'loop' if len(inside) == 1 else 'loops'} inside it at line {lines} ran accelerated"
    return text


_WORDING = (
    ("accelerated", "accelerated"),
    ("interpreted", "left to the interpreter"),
    ("rejected", "rejected"),
    ("not_reached", "not reached"),
)


def summary(records: Sequence[SiteRecord]) -> str:
    total = facts.totals(records)
    counts = [f"{total.by_status[key]} {words}" for key, words in _WORDING if key in total.by_status]
    text = f"{facts.plural(total.sites, 'loop nest')}: {', '.join(counts)}."
    if total.compiled_s:
        text += f" {facts.seconds(total.compiled_s)} in compiled loops"
        if total.interp_s:
            gain = facts.ratio(total.interp_s, total.compiled_s)
            text += f", predicted for the interpreter {facts.seconds(total.interp_s)} ({gain})"
        text += "."
    if total.kernels:
        text += f" {facts.plural(total.kernels, 'kernel')}, {total.cached} from the disk cache;"
        text += f" {facts.seconds(total.compile_s)} spent compiling."
    return textwrap.fill(text, WIDTH)
