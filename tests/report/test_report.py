"""The three report formats against golden files, and `emit` on good and bad targets."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import pytest

from alpyna_hook import report
from alpyna_hook.errors import Rejection
from alpyna_hook.report import facts, html, json_report, text
from alpyna_hook.runtime import records
from alpyna_hook.runtime.records import DecisionRecord, LoopRecord, SiteRecord, SpecialisationRecord
from alpyna_hook.settings import Settings
from alpyna_hook.source import Source, Span

from . import samples

GOLDEN = Path(__file__).parent / "golden"


def check_golden(name: str, actual: str) -> None:
    """`actual` is the text of golden/`name`; with ALPYNA_GOLDEN=write it becomes it."""
    path = GOLDEN / name
    if os.environ.get("ALPYNA_GOLDEN") == "write":
        path.write_text(actual, encoding="utf-8")
    assert actual == path.read_text(encoding="utf-8")


def test_text_report() -> None:
    check_golden("heat.txt", text.render(samples.heat(), samples.HEADER))


def test_json_report() -> None:
    check_golden("heat.json", json_report.render(samples.heat(), samples.HEADER))


def test_html_report() -> None:
    check_golden("heat.html", html.render(samples.heat(), samples.HEADER))


def test_text_report_fits_its_width_and_is_ascii_without_colour() -> None:
    rendered = text.render(samples.heat(), samples.HEADER)
    assert max(map(len, rendered.splitlines())) <= text.WIDTH
    assert rendered.isascii()
    assert "\x1b" not in rendered


def test_long_names_are_clipped_from_the_left() -> None:
    record = SiteRecord("m", "/far/away/" + "deep/" * 20 + "module.py", 3, 4, "f.<locals>." * 9 + "g", reached=True)
    rendered = text.render([record], samples.HEADER)
    table = rendered.split("\n\n")[1]
    assert max(map(len, table.splitlines())) <= text.WIDTH
    assert "deep/module.py:3" in table
    assert "<locals>.g" in table


def test_html_is_balanced_and_escapes_what_comes_from_the_program() -> None:
    page = html.render(samples.heat(), samples.HEADER)
    open_tags: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                open_tags.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Balance().feed(page)
    assert not open_tags
    assert "a &lt; b &amp;&amp; c &gt; d" in page
    assert "<b>" not in page


def test_json_has_schema_1_keys_and_no_others() -> None:
    document = json.loads(json_report.render(samples.heat(), samples.HEADER))
    assert list(document) == ["schema", "alpyna", "python", "numpy", "devices", "fp", "threads", "sites"]
    site = document["sites"][0]
    assert list(site) == [
        "id", "module", "file", "line", "end_line", "function", "status", "reason", "loops", "specialisations",
    ]  # fmt: skip
    assert list(site["loops"][0]) == ["line", "var", "parallel", "why"]
    spec = site["specialisations"][0]
    assert list(spec) == ["signature", "compile_s", "cache", "decisions"]
    assert list(spec["decisions"][0]) == ["shapes", "variant", "predicted_s", "calls", "total_s", "faults"]


def test_json_writes_numpy_numbers_and_hides_infinities() -> None:
    import numpy as np

    spec = SpecialisationRecord({}, decisions=[
        DecisionRecord({"a": (np.int64(3),), "n": np.int32(4)}, "seq", {"seq": float("inf")}, 1, np.float64(0.5)),
    ])  # fmt: skip
    record = SiteRecord("m", "m.py", 1, 2, "f", specialisations=[spec], reached=True)
    decision = json.loads(json_report.render([record], samples.HEADER))["sites"][0]["specialisations"][0]["decisions"]
    assert decision == [
        {"shapes": {"a": [3], "n": 4}, "variant": "seq", "predicted_s": {"seq": None}, "calls": 1,
         "total_s": 0.5, "faults": 0},
    ]  # fmt: skip


def _ran(variant: str, calls: int = 1, faults: int = 0) -> SiteRecord:
    spec = SpecialisationRecord({}, decisions=[DecisionRecord({}, variant, {}, calls, 0.1, faults)])
    return SiteRecord("m", "m.py", 1, 2, "f", specialisations=[spec], reached=True)


def refused(line: int = 1) -> Rejection:
    return Rejection("some-code", "has a reason", "", Span(line, 0, line, 1))


def test_status_of_a_site() -> None:
    assert SiteRecord("m", "m.py", 1, 2, "f").status == "not_reached"
    assert SiteRecord("m", "m.py", 1, 2, "f", rejection=refused()).status == "rejected"
    assert SiteRecord("m", "m.py", 1, 2, "f", reached=True).status == "interpreted"
    assert _ran("interp").status == "interpreted"
    assert _ran("omp").status == "accelerated"
    assert _ran("omp", calls=0).status == "interpreted"


def test_a_site_whose_every_compiled_call_faulted_was_interpreted() -> None:
    record = _ran("seq", calls=4, faults=4)
    assert record.status == "interpreted"
    assert "fault" in record.reason


def test_a_site_rejected_for_one_signature_and_compiled_for_another_is_accelerated() -> None:
    record = _ran("seq")
    record.rejection = refused()
    assert record.status == "accelerated"
    assert record.reason == "has a reason [some-code]"


def test_reloaded_module_replaces_sites_that_never_ran() -> None:
    records.clear()
    first = records.add_site(SiteRecord("m", "m.py", 1, 2, "f"))
    second = records.add_site(SiteRecord("m", "m.py", 1, 2, "f"))
    assert records.all_sites() == (second,)
    second.reached = True
    third = records.add_site(SiteRecord("m", "m.py", 1, 2, "f"))
    assert records.all_sites() == (second, third)
    assert first not in records.all_sites()
    records.clear()


def test_counters_are_pulled_in_when_a_report_asks_and_a_failure_there_is_noted() -> None:
    records.clear()
    good = records.add_site(SiteRecord("m", "m.py", 1, 2, "f"))
    bad = records.add_site(SiteRecord("m", "m.py", 5, 6, "f", reached=True))

    def mark() -> None:
        good.reached = True

    good.refresh = mark
    bad.refresh = lambda: {}["gone"]
    assert [r.reached for r in records.all_sites()] == [True, True]
    assert "gone" in bad.note
    records.clear()


def test_a_rejected_loop_around_an_accelerated_one_is_the_least_important() -> None:
    inner = _ran("omp")
    inner.line, inner.end_line = 12, 14
    outer = SiteRecord("m", "m.py", 10, 19, "f", rejection=refused(11))
    plain = SiteRecord("m", "m.py", 30, 31, "f", rejection=refused())
    assert facts.rejected([outer, inner, plain]) == [plain, outer]
    assert "line 12 ran accelerated" in text.render([outer, inner, plain], samples.HEADER)


def test_a_loop_rejected_for_the_reason_of_the_loop_around_it_is_not_printed_again() -> None:
    outer = SiteRecord("m", "m.py", 10, 19, "f", rejection=refused(12))
    inner = SiteRecord("m", "m.py", 11, 19, "f", rejection=refused(12))
    other = SiteRecord("n", "n.py", 11, 19, "f", rejection=refused(12))
    assert facts.rejected([inner, outer, other]) == [outer, other]


def test_no_speed_up_is_claimed_from_a_trip_count_that_was_guessed_badly() -> None:
    ends, counted = "while x > 1:\n    x = x / 2\n", "for i in range(9):\n    x = x / 2\n"
    by_data = "for i in range(start, stop):\n    x = x / 2\n"
    left = "for i in range(9):\n    if x: return i\n"
    cases = ((ends, 0.01, None), (left, 0.01, None), (counted, 0.01, 1.0), (by_data, 0.001, None))
    for text_of_nest, measured, shown in cases:
        decision = DecisionRecord({}, "seq", {"interp": 1.0, "seq": 0.05}, 1, measured)
        record = SiteRecord("m", "m.py", 1, 2, "f", reached=True, source=Source("m.py", "m", text_of_nest))
        record.specialisations = [SpecialisationRecord({}, decisions=[decision])]
        assert facts.rows_of(record)[0].interp_s == shown


def test_calls_before_any_decision_count_as_interpreted() -> None:
    record = _ran("interp", calls=2)
    record.decisions[0].predicted_s["interp"] = 0.5
    record.glances, record.glanced_s = 3, 0.25
    (row,) = facts.rows_of(record)
    assert (row.variant, row.calls, row.predicted_s) == ("interp", 5, 1.25)


def test_sites_with_the_same_note_share_a_line() -> None:
    same = [SiteRecord("m", f"{n}.py", line, line, "f", reached=True, note="no C compiler was found")
            for n, line in (("a", 3), ("a", 17), ("b", 4))]  # fmt: skip
    assert "\n  a.py:3, 17, b.py:4: no C compiler was found\n" in text.render(same, samples.HEADER)


def test_only_the_most_important_rejections_are_printed() -> None:
    many = [SiteRecord("m", "m.py", n, n + 1, "f", rejection=refused(n)) for n in range(1, 40, 2)]
    rendered = text.render(many, samples.HEADER)
    assert rendered.count("[some-code]") == text.MAX_REJECTIONS
    assert f"... and {20 - text.MAX_REJECTIONS} more" in rendered


def test_loops_inside_a_parallel_loop_hold_nothing_back() -> None:
    record = _ran("omp")
    record.loops = [
        LoopRecord(1, "t", False, "w", 0), LoopRecord(2, "i", True, "", 1), LoopRecord(3, "k", False, "w", 2),
        LoopRecord(4, "m", False, "w", 1),
    ]  # fmt: skip
    assert [loop.var for loop in facts.held_back(record)] == ["t", "m"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "-"), (0.0, "-"), (3e-10, "0.30 ns"), (1.234e-6, "1.23 us"), (9.996e-4, "1.00 ms"),
     (0.0123, "12.3 ms"), (0.2, "200 ms"), (1.0, "1.00 s"), (1234.5, "1234 s")],
)  # fmt: skip
def test_seconds_for_people(value: float | None, expected: str) -> None:
    assert facts.seconds(value) == expected


def test_emit_writes_the_format_of_the_suffix(tmp_path: Path) -> None:
    for name, start in (("r.json", "{"), ("r.html", "<!DOCTYPE html>"), ("r.txt", "Alpyna "), ("r.log", "Alpyna ")):
        report.emit(samples.heat(), tmp_path / name, Settings(threads=2))
        assert (tmp_path / name).read_text().startswith(start)


@pytest.mark.parametrize("target", [None, "-"])
def test_emit_without_a_target_writes_text_to_stderr(target: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    report.emit(samples.heat(), target, Settings(threads=2))
    out, err = capsys.readouterr()
    assert out == ""
    assert "5 loop nests: 1 accelerated" in err


def test_emit_to_an_unwritable_path_is_one_line_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for bad in (tmp_path, tmp_path / "missing" / "r.json", "nul\0byte.txt"):
        report.emit(samples.heat(), bad, Settings(threads=2))
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("alpyna: cannot write the report to ")
        assert err.count("\n") == 1


def test_emit_survives_records_it_cannot_print(capsys: pytest.CaptureFixture[str]) -> None:
    broken = SiteRecord("m", "m.py", 1, 2, "f", reached=True, loops=[object()])  # type: ignore[list-item]
    report.emit([broken], None, Settings(threads=2))
    assert capsys.readouterr().err.startswith("alpyna: the report could not be made: AttributeError")


def test_emit_without_stderr_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    report.emit(samples.heat(), None, Settings(threads=2))


def test_report_of_a_program_without_loops_is_two_lines() -> None:
    assert text.render([], samples.HEADER).splitlines()[1:] == ["no loops in the marked modules"]
