"""The report as one self-contained HTML page: a table, and below it one section per site.

In: `SiteRecord`s and a `Header`.  Out: text of a page without scripts and without anything fetched; all that
comes from the program (names, source lines, generated code) is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from alpyna_hook.report import facts, text
from alpyna_hook.runtime.records import INTERPRETER, DecisionRecord, SiteRecord, SpecialisationRecord

MAX_SOURCE_LINES = 60  # of one site; longer loops are cut

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #1a7f37; --warn: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --good: #57c26f; --warn: #d9a33b; } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .3rem; }
table { border-collapse: collapse; margin: .8rem 0; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre, code { font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; }
pre { background: var(--soft); padding: .6rem .8rem; overflow-x: auto; border-radius: 4px; }
.accelerated { color: var(--good); } .rejected, .interpreted { color: var(--warn); } .small { font-size: .9rem; }
summary { cursor: pointer; }
"""

_COLUMNS = (
    ("Loop", ""), ("Function", ""), ("Ran as", ""), ("Calls", "n"), ("Total", "n"), ("Predicted", "n"),
    ("Speed-up", "n"), ("Parallel loops", ""),
)  # fmt: skip


def render(records: Sequence[SiteRecord], header: facts.Header) -> str:
    """The whole page."""
    ordered = [*facts.reached(records), *(r for r in records if not r.reached)]
    names = {id(record): f"site-{k}" for k, record in enumerate(ordered)}
    rows = "\n".join(_table_row(r, names[id(r)], header.threads) for r in ordered)
    sections = "\n".join(_section(r, names[id(r)], header.threads) for r in ordered)
    head = "".join(_tag("th", escape(title), css) for title, css in _COLUMNS)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>" if ordered else ""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Alpyna report</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>Alpyna report</h1>\n<p>{escape(text.title(header))}</p>\n"
        f"<p>{escape(text.summary(records))}</p>\n{table}\n"
        '<p class="small">Speed-up is over the predicted time of the interpreter for the same calls.</p>\n'
        f"{sections}\n</body></html>\n"
    )


def _tag(name: str, content: str, css: str = "") -> str:
    attribute = f' class="{css}"' if css else ""
    return f"<{name}{attribute}>{content}</{name}>"


def _table_row(record: SiteRecord, anchor: str, threads: int) -> str:
    rows = facts.rows_of(record)
    status = record.status.replace("_", " ")
    variants = [
        "rejected" if record.status == "rejected" and r.variant == INTERPRETER else facts.ran_as(r.variant, threads)
        for r in rows
    ] or [status]
    gains = ["-" if r.variant == INTERPRETER else facts.ratio(r.interp_s, r.total_s) for r in rows]
    loops = ", ".join(loop.var for loop in record.loops if loop.parallel)
    cells = [
        (f'<a href="#{anchor}">{escape(facts.place(record))}</a>', ""),
        (escape(record.function), ""),
        ("<br>".join(map(escape, variants)), record.status),
        ("<br>".join(f"{r.calls:,}" for r in rows), "n"),
        ("<br>".join(facts.seconds(r.total_s) for r in rows), "n"),
        ("<br>".join(facts.seconds(r.predicted_s) for r in rows), "n"),
        ("<br>".join(gains), "n"),
        (escape(loops), ""),
    ]
    return _tag("tr", "".join(_tag("td", content, css) for content, css in cells))


def _section(record: SiteRecord, anchor: str, threads: int) -> str:
    parts = [f'<h2 id="{anchor}">{escape(facts.place(record))} <code>{escape(record.function)}</code></h2>']
    status = record.status.replace("_", " ")
    reason = f": {escape(record.reason)}" if record.reason else ""
    parts.append(f'<p><span class="{record.status}">{status}</span>{reason}</p>')
    if record.source is not None and record.rejection is not None:
        parts.append(_tag("pre", escape(record.rejection.render(record.source))))
    if record.source is not None:
        parts.append(_folded("Python", _python(record)))
    if record.loops:
        parts.append(_loops(record))
    parts += [_specialisation(spec, threads) for spec in record.specialisations]
    return "\n".join(parts)


def _python(record: SiteRecord) -> str:
    assert record.source is not None
    last = min(record.end_line, record.line + MAX_SOURCE_LINES - 1)
    lines = [f"{n:5}  {record.source.line(n)}" for n in range(record.line, last + 1)]
    return "\n".join(lines + (["       ..."] if last < record.end_line else []))


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary><pre>{escape(content)}</pre></details>"


def _rows(headings: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(_tag("th", escape(title), css) for title, css in headings)
    body = "".join(
        _tag("tr", "".join(_tag("td", escape(cell), css) for cell, (_, css) in zip(row, headings))) for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _loops(record: SiteRecord) -> str:
    headings = (("Line", "n"), ("Loop", ""), ("Verdict", ""), ("Why", ""))
    return _rows(
        headings,
        (
            (str(p.line), "\u00a0\u00a0" * p.depth + p.var, "parallel" if p.parallel else "sequential", p.why)
            for p in record.loops
        ),
    )


def _specialisation(spec: SpecialisationRecord, threads: int) -> str:
    signature = ", ".join(f"{name}: {kind}" for name, kind in spec.signature.items() if not kind.startswith("obj<"))
    parts = [f"<h3><code>{escape(signature)}</code></h3>"]
    if spec.rejection is not None:
        parts.append(_tag("p", escape(f"{spec.rejection.title} [{spec.rejection.code}]"), "rejected"))
    for variant, how in spec.cache.items():
        taken = facts.seconds(spec.compile_s.get(variant))
        words = "from the disk cache" if how == "hit" else "compiled"
        parts.append(_tag("p", escape(f"{variant}: {words} in {taken}"), "small"))
    headings = (("Shapes", ""), ("Ran as", ""), ("Calls", "n"), ("Faults", "n"), ("A call", "n"), ("Predicted", ""))
    if spec.decisions:
        parts.append(_rows(headings, (_decision(d, threads) for d in spec.decisions)))
    parts += [_folded(f"Generated code: {variant}", code) for variant, code in spec.code.items()]
    return "\n".join(parts)


def _decision(decision: DecisionRecord, threads: int) -> tuple[str, ...]:
    measured = decision.total_s / decision.calls if decision.calls and decision.total_s else None
    predicted = ", ".join(f"{name} {facts.seconds(s)}" for name, s in decision.predicted_s.items())
    return (
        facts.shapes_text(decision.shapes),
        facts.ran_as(decision.variant, threads),
        f"{decision.calls:,}",
        f"{decision.faults:,}",
        facts.seconds(measured),
        predicted,
    )
