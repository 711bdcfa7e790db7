"""The per-user disk cache: compiled kernels and small records, shared by processes, safe to delete at any time.

In:  keys (`key_of(...)`), picklable records, files.
Out: what was stored under the key, or None; nothing here raises.

Every entry carries a checksum and appears by one `os.replace`, so a reader sees a whole entry or none; two processes
that store the same key both end with a good one.  A file is stored under a name of its content, and a record maps the
key to that name: replacing the record never changes a file that someone is about to load.  What does not check is
removed and counts as absent.  Records are pickles: the folder must therefore belong to this user and be writeable by
nobody else; if it is not, a private temporary folder takes its place for this process.
"""

from __future__ import annotations

import atexit
import itertools
import marshal
import os
import time
from functools import cache

from alpyna_hook import log, settings
from alpyna_hook.digest import sha256
from alpyna_hook.frozen import Frozen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

LIMIT: Final = 512 << 20  # bytes
_FORMAT: Final = "v1"
_MAGIC: Final = b"alpyna1\n"
_HEAD: Final = len(_MAGIC) + 32  # bytes: the magic and a SHA-256
_TOUCH_AFTER: Final = 3600.0  # seconds: how stale a last-use time may be before a hit renews it
_STALE: Final = 86400.0  # seconds after which another process's unfinished write is litter
_CHECK_EVERY: Final = 64  # stores between two looks at the total size
_counter: Final = itertools.count()


def key_of(*parts: str | bytes) -> str:
    """SHA-256 over the parts, each preceded by its length, as 64 hex digits."""
    digest = sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


class Stats(Frozen):
    """What the folder holds (all processes' entries) and how this process fared."""

    __slots__ = ("folder", "entries", "bytes", "hits", "misses")

    folder: str
    entries: int
    bytes: int
    hits: int
    misses: int

    def __init__(self, folder: str, entries: int, size: int, hits: int, misses: int) -> None:
        self._set(folder, entries, size, hits, misses)


class DiskCache:
    """The cache in `folder` (absolute path; made on first store). `limit`: bytes; the least recently used go first."""

    def __init__(self, folder: str, limit: int = LIMIT) -> None:
        self._wanted = folder
        self._limit = limit
        self._folder: str | None = None
        self._hits = self._misses = self._stores = 0
        self._said_damaged = False

    @property
    def folder(self) -> str:
        """Where entries lie: the wanted folder if it is safe, else a private temporary one; "" if there is neither."""
        if self._folder is None:
            self._folder = _usable(self._wanted)
        return self._folder

    def get(self, key: str) -> Any:
        """The record stored under `key`, or None."""
        data = self._read(f"{key}.rec")
        value = None
        if data is not None:
            import pickle

            try:
                value = pickle.loads(data)
            except Exception:  # written by another version: classes may have moved
                self._remove(f"{key}.rec")
        self._count(value is not None)
        return value

    def put(self, key: str, value: object) -> bool:
        """Stores a picklable record (not None); whether it could."""
        import pickle

        try:
            data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            log.debug(f"cache: cannot store a record: {error}")
            return False
        return self._write(f"{key}.rec", _MAGIC + sha256(data).digest() + data)

    def get_plain(self, key: str) -> Any:
        """What `put_plain` stored under `key`, or None. Needs no import, where `pickle` costs milliseconds."""
        data = self._read(f"{key}.mar")
        value = None
        if data is not None:
            try:
                value = marshal.loads(data)
            except (ValueError, TypeError, EOFError):  # written by another Python
                self._remove(f"{key}.mar")
        self._count(value is not None)
        return value

    def put_plain(self, key: str, value: Any) -> bool:
        """Stores what `marshal` can write (plain data and code; the key must name this Python); whether it could."""
        try:
            data = marshal.dumps(value)
        except ValueError as error:
            log.debug(f"cache: cannot store plain data: {error}")
            return False
        return self._write(f"{key}.mar", _MAGIC + sha256(data).digest() + data)

    def get_file(self, key: str) -> str | None:
        """Path of the file stored under `key`, its content verified, or None."""
        data = self._read(f"{key}.ref")
        path = None
        if data is not None:
            name = data.decode("ascii", "replace")
            if self._intact(name):
                path = os.path.join(self.folder, _FORMAT, name)
            else:
                self._remove(f"{key}.ref")
        self._count(path is not None)
        return path

    def put_file(self, key: str, path: str) -> str | None:
        """Stores a copy of the file at `path` (its suffix is kept); the copy's path, or None."""
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError as error:
            log.debug(f"cache: cannot read {path}: {error}")
            return None
        name = f"{sha256(content).hexdigest()}{os.path.splitext(path)[1]}"
        if not self._write(name, content):
            return None
        data = name.encode("ascii")
        self._write(f"{key}.ref", _MAGIC + sha256(data).digest() + data)
        return os.path.join(self.folder, _FORMAT, name)

    def name_of(self, path: str) -> str | None:
        """The name under which `file` finds a stored file again; None if `path` is none of them."""
        folder, name = os.path.split(path)
        return name if self.folder and folder == os.path.join(self.folder, _FORMAT) else None

    def file(self, name: str) -> str | None:
        """Path of the stored file of that name, its content verified, or None."""
        found = bool(self.folder) and self._intact(name)
        self._count(found)
        return os.path.join(self.folder, _FORMAT, name) if found else None

    def clear(self) -> int:
        """Removes every entry; how many."""
        removed = 0
        for entry in self._scan():
            removed += self._remove(entry[2])
        return removed

    def stats(self) -> Stats:
        entries = self._scan()
        return Stats(self.folder, len(entries), sum(size for _, size, _ in entries), self._hits, self._misses)

    def _count(self, hit: bool) -> None:
        self._hits += hit
        self._misses += not hit

    def _read(self, name: str) -> bytes | None:
        """A record's content, checksum verified; a bad one is removed."""
        if not self.folder:
            return None
        path = os.path.join(self.folder, _FORMAT, name)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except OSError:
            return None
        head, content = data[:_HEAD], data[_HEAD:]
        if head != _MAGIC + sha256(content).digest():
            self._damaged(name)
            return None
        _touch(path)
        return content

    def _intact(self, name: str) -> bool:
        """Whether a stored file's content is what its name says; if not it is removed."""
        path = os.path.join(self.folder, _FORMAT, name)
        try:
            with open(path, "rb") as file:
                content = file.read()
        except OSError:
            return False
        if sha256(content).hexdigest() != os.path.splitext(name)[0]:
            self._damaged(name)
            return False
        _touch(path)
        return True

    def _write(self, name: str, data: bytes) -> bool:
        """One entry, whole or not at all."""
        if not self.folder:
            return False
        folder = os.path.join(self.folder, _FORMAT)
        path = os.path.join(folder, name)
        temporary = f"{path}.{os.getpid()}.{next(_counter)}.tmp"
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with open(descriptor, "wb") as file:
                    file.write(data)
                os.replace(temporary, path)
            except BaseException:  # also an interrupt: leave no litter
                _unlink(temporary)
                raise
        except OSError as error:
            log.debug(f"cache: cannot write {path}: {error}")
            return False
        self._stores += 1
        if self._stores % _CHECK_EVERY == 1:
            self._evict(keep=name)
        return True

    def _damaged(self, name: str) -> None:
        """Removes a damaged entry; the first one is said."""
        say = log.debug if self._said_damaged else log.warning
        self._said_damaged = True
        say(f"cache: {os.path.join(self.folder, _FORMAT, name)} is damaged and removed")
        self._remove(name)

    def _remove(self, name: str) -> bool:
        return _unlink(os.path.join(self.folder, _FORMAT, name))

    def _scan(self) -> list[tuple[float, int, str]]:
        """(last use, bytes, name) of every entry; removes what was left half written long ago."""
        found: list[tuple[float, int, str]] = []
        if not self.folder:
            return found
        now = time.time()
        try:
            with os.scandir(os.path.join(self.folder, _FORMAT)) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue  # removed meanwhile
                    if not entry.name.endswith(".tmp"):
                        found.append((status.st_mtime, status.st_size, entry.name))
                    elif now - status.st_mtime > _STALE:
                        _unlink(entry.path)
        except OSError:
            pass
        return found

    def _evict(self, keep: str) -> None:
        """Down to 80 % of the limit, least recently used first, if it is exceeded."""
        entries = sorted(self._scan())
        total = sum(size for _, size, _ in entries)
        if total <= self._limit:
            return
        for _, size, name in entries:
            if total <= self._limit * 4 // 5:
                return
            if name != keep and self._remove(name):
                total -= size


@cache
def of_process() -> DiskCache:
    """The cache of this process, in the folder that the settings name."""
    return DiskCache(settings.current().cache_dir)


def usable(folder: str) -> bool:
    """Whether `folder` is this user's alone, made if need be; nothing is said."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return not _obstacle(folder)
    except OSError:
        return False


def _usable(folder: str) -> str:
    """`folder` if it is this user's alone, made if need be; else a private temporary folder; else ""."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        obstacle = _obstacle(folder)
    except OSError as error:
        obstacle = error.strerror or str(error)
    if not obstacle:
        return folder
    try:
        import tempfile

        private = tempfile.mkdtemp(prefix="alpyna-")
    except OSError:
        log.warning(f"no cache: {folder}: {obstacle}, and no temporary folder can be made")
        return ""
    log.warning(f"the cache folder {folder} is not used: {obstacle}; kernels are compiled anew in each run")
    atexit.register(_remove_tree, private, os.getpid())
    return private


def _obstacle(folder: str) -> str:
    """Why `folder` may not be trusted with code and pickles, "" if it may."""
    status = os.stat(folder)
    if hasattr(os, "geteuid"):
        if status.st_uid != os.geteuid():
            return "it belongs to another user"
        if status.st_mode & 0o022:
            return "others may write to it"
    if not os.access(folder, os.W_OK | os.X_OK):
        return "it cannot be written to"
    return ""


def _remove_tree(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child, which may end first
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def _touch(path: str) -> None:
    """Renews the last-use time (the modification time: access times are often off)."""
    try:
        if time.time() - os.stat(path).st_mtime > _TOUCH_AFTER:
            os.utime(path)
    except OSError:
        pass


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
