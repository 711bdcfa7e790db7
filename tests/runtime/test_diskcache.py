"""The disk cache: what comes back, what is not trusted, who makes room, and several processes at once."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
import sys
import time

import pytest

from alpyna_hook.runtime import diskcache
from alpyna_hook.runtime.diskcache import DiskCache, key_of

KEY, OTHER = key_of("one"), key_of("two")


@pytest.fixture
def cache(tmp_path: pathlib.Path) -> DiskCache:
    return DiskCache(str(tmp_path / "cache"))


def files(cache: DiskCache) -> list[pathlib.Path]:
    return sorted((pathlib.Path(cache.folder) / "v1").iterdir())


def test_keys_depend_on_where_parts_end() -> None:
    assert key_of("ab", "c") != key_of("a", "bc") != key_of("abc")
    assert key_of("a", b"b") == key_of(b"a", "b")
    assert len(key_of()) == 64


def test_records_come_back_in_another_process_too(cache: DiskCache) -> None:
    assert cache.get(KEY) is None
    assert cache.put(KEY, {"n": (1, 2.5)})
    assert cache.get(KEY) == {"n": (1, 2.5)} and cache.get(OTHER) is None
    assert DiskCache(cache.folder).get(KEY) == {"n": (1, 2.5)}


def test_a_record_that_cannot_be_pickled_is_not_stored(cache: DiskCache) -> None:
    assert cache.put(KEY, lambda: None) is False
    assert cache.get(KEY) is None


def test_files_come_back_with_their_suffix(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    source = tmp_path / "x.so"
    source.write_bytes(b"code")
    stored = cache.put_file(KEY, str(source))
    source.unlink()
    assert stored is not None and stored.endswith(".so")
    assert cache.get_file(KEY) == stored and pathlib.Path(stored).read_bytes() == b"code"
    assert cache.get_file(OTHER) is None
    assert cache.put_file(KEY, str(tmp_path / "missing")) is None


def test_storing_anew_leaves_the_file_that_another_reader_found(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    source = tmp_path / "x.so"
    source.write_bytes(b"first")
    first = cache.put_file(KEY, str(source))
    source.write_bytes(b"second")
    second = cache.put_file(KEY, str(source))
    assert first and second and first != second
    assert pathlib.Path(first).read_bytes() == b"first" and cache.get_file(KEY) == second


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_damaged_entries_are_removed_and_can_be_rebuilt(
    cache: DiskCache, tmp_path: pathlib.Path, damage: bytes | None
) -> None:
    source = tmp_path / "x.so"
    source.write_bytes(b"code" * 100)
    cache.put(KEY, [1, 2, 3])
    cache.put_file(OTHER, str(source))
    for path in files(cache):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + b"?" if damage is None else damage)
    assert cache.get(KEY) is None and cache.get_file(OTHER) is None
    assert not any(path.suffix in (".rec", ".ref") for path in files(cache))
    cache.put(KEY, [4])
    cache.put_file(OTHER, str(source))
    assert cache.get(KEY) == [4] and cache.get_file(OTHER) is not None


def test_a_truncated_library_is_never_handed_out(cache: DiskCache, tmp_path: pathlib.Path) -> None:
    source = tmp_path / "x.so"
    source.write_bytes(b"code" * 100)
    stored = cache.put_file(KEY, str(source))
    assert stored
    os.truncate(stored, 100)
    assert cache.get_file(KEY) is None and not os.path.exists(stored)


def test_a_record_of_a_class_that_is_gone_is_removed(cache: DiskCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.put(KEY, diskcache.Stats("", 0, 0, 0, 0))
    monkeypatch.delattr(diskcache, "Stats")
    assert cache.get(KEY) is None and files(cache) == []


def test_the_folder_is_made_private(tmp_path: pathlib.Path) -> None:
    cache = DiskCache(str(tmp_path / "a" / "b"))
    cache.put(KEY, 1)
    assert stat.S_IMODE(os.stat(cache.folder).st_mode) == 0o700
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in files(cache))


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_to_is_not_used(
    tmp_path: pathlib.Path, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(mode)
    cache = DiskCache(str(folder))
    assert cache.put(KEY, 5) and cache.get(KEY) == 5
    assert cache.folder != str(folder) and list(folder.iterdir()) == []
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and str(folder) in message and "others may write" in message


def test_a_folder_of_another_user_is_not_used(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    uid = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: uid + 1)
    assert DiskCache(str(tmp_path)).folder != str(tmp_path)
    assert "another user" in capsys.readouterr().err


def test_a_file_in_the_folders_place_is_no_reason_to_fail(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cache").write_text("")
    cache = DiskCache(str(tmp_path / "cache"))
    assert cache.put(KEY, 5) and cache.get(KEY) == 5
    assert capsys.readouterr().err.count("\n") == 1


def test_without_any_folder_nothing_is_kept_and_nothing_fails(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import tempfile

    (tmp_path / "cache").write_text("")

    def refuse(**options: str) -> str:
        raise OSError("no space")

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    cache = DiskCache(str(tmp_path / "cache"))
    assert cache.folder == ""
    assert cache.put(KEY, 5) is False and cache.get(KEY) is None
    assert cache.put_file(KEY, __file__) is None and cache.get_file(KEY) is None
    assert cache.clear() == 0 and cache.stats().entries == 0
    assert "no cache" in capsys.readouterr().err


def test_the_temporary_folder_is_gone_after_the_process(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cache").write_text("")
    code = (
        "import sys; from alpyna_hook.runtime.diskcache import DiskCache\n"
        "cache = DiskCache(sys.argv[1]); cache.put('k', 1); print(cache.folder)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cache")], capture_output=True, text=True, check=True
    )
    folder = result.stdout.strip()
    assert folder and not os.path.exists(folder)


def age(path: pathlib.Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_the_least_recently_used_entries_make_room(tmp_path: pathlib.Path) -> None:
    cache = DiskCache(str(tmp_path / "cache"), limit=100_000)
    for k in range(1, 9):
        cache.put(f"k{k}", b"x" * 12_000)
    for k in range(1, 9):
        age(pathlib.Path(cache.folder) / "v1" / f"k{k}.rec", 90_000 - 1000 * k)
    assert cache.get("k1") is not None  # used now, so it is no longer the oldest
    fresh = DiskCache(cache.folder, limit=100_000)
    fresh.put("k9", b"x" * 12_000)
    assert fresh.stats().bytes <= 80_000
    assert fresh.get("k9") is not None and fresh.get("k1") is not None
    assert fresh.get("k2") is None and fresh.get("k3") is None and fresh.get("k8") is not None


def test_old_litter_of_interrupted_writers_is_swept(cache: DiskCache) -> None:
    cache.put(KEY, 1)
    old, young = (pathlib.Path(cache.folder) / "v1" / name for name in ("a.1.1.tmp", "b.1.1.tmp"))
    old.write_text("")
    young.write_text("")
    age(old, 2 * 86400)
    assert cache.stats().entries == 1
    assert not old.exists() and young.exists()


def test_clear_and_stats(cache: DiskCache) -> None:
    cache.put(KEY, 1)
    cache.put(OTHER, "x" * 1000)
    cache.get(KEY)
    cache.get("nothing")
    stats = cache.stats()
    assert (stats.entries, stats.hits, stats.misses) == (2, 1, 1) and stats.bytes > 1000
    assert cache.clear() == 2
    assert cache.stats().entries == 0 and cache.get(KEY) is None


def test_many_processes_storing_the_same_keys_end_with_whole_entries(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "cache"
    code = (
        "import sys, os; from alpyna_hook.runtime.diskcache import DiskCache\n"
        "cache = DiskCache(sys.argv[1]); bad = 0\n"
        "for k in range(150):\n"
        "    key = f'k{k % 5}'\n"
        "    cache.put(key, (key, os.getpid(), 'x' * 5000))\n"
        "    found = cache.get(key); bad += found is None or found[0] != key\n"
        "print(bad)"
    )
    command = [sys.executable, "-c", code, str(folder)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == ["0"] * 3
    assert [path.name for path in files(DiskCache(str(folder)))] == [f"k{k}.rec" for k in range(5)]


def test_the_first_damaged_entry_is_said_and_no_other(cache: DiskCache, capfd: pytest.CaptureFixture[str]) -> None:
    for key in (KEY, OTHER):
        cache.put(key, 1)
    for path in files(cache):
        path.write_bytes(b"garbage")
    assert cache.get(KEY) is None and cache.get(OTHER) is None
    assert capfd.readouterr().err.count("is damaged and removed") == 1
