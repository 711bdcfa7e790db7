"""The machine profile: stored and read back, and anything wrong with the file is one line and the defaults."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from alpyna_hook.cost import machine, profiles
from alpyna_hook.cost.machine import default_profile, figures, with_figures
from alpyna_hook.cost.profiles import current, describe, from_json, load, save, to_json


def test_a_stored_profile_reads_back_the_same_to_four_digits(tmp_path):
    profile = default_profile(threads=3)
    assert save(profile, tmp_path)
    back = load(tmp_path)
    assert back is not None
    assert to_json(back) == to_json(profile)
    assert back.interp == pytest.approx(profile.interp, rel=1e-3)


def test_no_file_means_defaults_without_a_word(tmp_path, capsys):
    assert current(tmp_path / "missing").origin == "default"
    assert capsys.readouterr().err == ""


def stored(*entries):
    return json.dumps({"schema": profiles.SCHEMA, "profiles": entries})


def spoil(change):
    data = to_json(default_profile())
    change(data)
    return stored(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "[]",
        "null",
        "3",
        '{"schema": 4}',
        '{"schema": 4, "profiles": 7}',
        '{"schema": 4, "profiles": [7]}',
        '{"schema": 4, "profiles": [{"host": {"cpu": []}}]}',
        '{"schema": "one"}',
        spoil(lambda d: d["interp_ns"].update(load1="fast")),
        spoil(lambda d: d["interp_ns"].update(load1=-4)),
        spoil(lambda d: d.update(call_ns=True)),
        spoil(lambda d: d.update(fork_hot_us=0)),
        spoil(lambda d: d.update(levels=[])),
        spoil(lambda d: d["levels"][0].update(kib=None)),
        spoil(lambda d: d.update(host=None)),
    ],
)
def test_a_malformed_file_is_one_line_and_the_defaults(tmp_path, capsys, text):
    (tmp_path / profiles.FILE_NAME).write_text(text)
    assert current(tmp_path).origin == "default"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and profiles.FILE_NAME in lines[0]


def test_binary_rubbish_is_one_line_and_the_defaults(tmp_path, capsys):
    (tmp_path / profiles.FILE_NAME).write_bytes(b"\xff\xfe\x00garbage")
    assert current(tmp_path).origin == "default"
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_profile_of_another_machine_is_not_used_and_no_fault(tmp_path, capsys):
    data = to_json(default_profile())
    data["host"]["cpu"] = "Some Other CPU"
    data["origin"] = "full"
    (tmp_path / profiles.FILE_NAME).write_text(stored(data))
    assert current(tmp_path).origin == "default"
    assert capsys.readouterr().err == ""  # two Pythons may share a cache: said with ALPYNA_LOG=info only
    assert "Some Other CPU, here" in profiles.not_of_this_machine(tmp_path)


def host(monkeypatch, **changes):
    """From here on, this is another machine or Python."""
    here = {**machine.fingerprint(), **changes}
    monkeypatch.setattr(profiles, "fingerprint", lambda: here)
    return here


def made_by(here, **changes):
    return replace(default_profile(), host=here, **changes)


def test_pythons_and_machines_that_share_a_folder_keep_their_profiles(tmp_path, monkeypatch):
    for number, python in enumerate(("CPython 3.11.9", "CPython 3.13.1", "CPython 3.11.9"), 1):
        here = host(monkeypatch, python=python)
        assert save(made_by(here, attempts=number), tmp_path)
    assert load(tmp_path).attempts == 3  # a new one takes the place of the old one
    host(monkeypatch, python="CPython 3.13.1")
    assert load(tmp_path).attempts == 2 and profiles.not_of_this_machine(tmp_path) == ""
    host(monkeypatch, cpu="another")
    assert load(tmp_path) is None and "here another" in profiles.not_of_this_machine(tmp_path)


def test_before_numpy_is_imported_any_profile_of_this_python_will_do(tmp_path, monkeypatch):
    for numpy in ("1.26.4", "2.4.0"):
        assert save(made_by(host(monkeypatch, numpy=numpy), attempts=int(numpy[0])), tmp_path)
    host(monkeypatch, numpy="")
    assert load(tmp_path).attempts == 2  # the latest
    host(monkeypatch, numpy="1.26.4")
    assert load(tmp_path).attempts == 1


def test_the_file_does_not_grow_without_bounds(tmp_path, monkeypatch):
    for number in range(profiles.MOST_KEPT + 3):
        assert save(made_by(host(monkeypatch, cpu=f"node {number}")), tmp_path)
    kept = json.loads((tmp_path / profiles.FILE_NAME).read_text())["profiles"]
    assert len(kept) == profiles.MOST_KEPT and kept[0]["host"]["cpu"] == f"node {number}"


def test_an_unwritable_folder_is_one_line_not_an_exception(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert not save(default_profile(), tmp_path / "file" / "folder")
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_figures_missing_from_the_file_come_from_the_defaults():
    data = to_json(default_profile())
    del data["scalar_ns"]["div.f64"]
    assert from_json(data).scalar["div.f64"] == default_profile().scalar["div.f64"]


def test_the_description_says_that_defaults_are_defaults():
    assert "nothing measured" in describe(default_profile())


def test_unmeasured_functions_cost_as_the_typical_one_of_their_kind():
    profile = default_profile()
    assert profile.scalar_of("libm.erf") == profile.scalar["libm.*"]
    assert profile.scalar_of("npy.tanh") == profile.scalar["npy.*"]


@pytest.mark.parametrize("schema", [1, 99])
def test_a_file_of_another_version_is_not_used_and_no_fault(tmp_path, capsys, schema):
    (tmp_path / profiles.FILE_NAME).write_text(json.dumps({"schema": schema, "origin": "quick"}))
    assert current(tmp_path).origin == "default"
    assert capsys.readouterr().err == ""  # two versions may share a cache
    assert "another version of Alpyna" in profiles.not_of_this_machine(tmp_path)


@pytest.mark.parametrize(
    "created, age",
    [("2000-01-01 00:00:00", " days ago"), ("2099-01-01 00:00:00", "the clock has jumped"), ("soon", "")],
)
def test_the_age_of_a_profile_is_told_if_it_can_be(created, age):
    profile = replace(default_profile(), origin="full", created=created)
    first = describe(profile).splitlines()[0]
    assert created in first and (age in first if age else first.endswith(created))


def test_noise_and_load_are_kept_in_the_file_and_shown(tmp_path):
    profile = replace(
        default_profile(2), origin="quick", noisy=("L3.bandwidth_t",), attempts=2, load={"average": 3.5}
    )
    save(profile, tmp_path)
    back = current(tmp_path)
    assert (back.noisy, back.attempts, back.load) == (("L3.bandwidth_t",), 2, {"average": 3.5})
    assert "L3.bandwidth_t" in describe(back) and "load average 3.50" in describe(back)


def test_figures_by_name_go_in_and_out():
    profile = default_profile(2)
    doubled = {name: 2.0 * value for name, value in figures(profile).items()}
    assert figures(with_figures(profile, doubled)) == doubled
    assert with_figures(profile, {}) == profile
