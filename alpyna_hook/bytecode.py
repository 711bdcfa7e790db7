"""Guarded code cached: a module's beside CPython's own, under a tag of our own; a script's in our cache folder.

In: a module's name, path and source.  Out: `Compiled`, from `__pycache__/X.cpython-311.alpyna-0.1.0.pyc` if that is
fresh, else freshly made and written there. A script has no place beside it (CPython compiles it at each start): its
code is kept in the disk cache, under a key of its text.

Plain Python looks for `X.cpython-311.pyc` only, so it never meets guarded code. An entry is fresh if the source's size
and modification time, CPython's bytecode version, and our own files are what they
were. Files are written to a temporary name and renamed; a folder that cannot be written is no error.

Layout: MAGIC, then `marshal` of (key: bytes, code, sites), with the heads of the sites as plain data
(runtime/heads.py): nothing of the front end, nor of the IR, is imported to run what is cached.
"""

from __future__ import annotations

import marshal
import os
import sys
import warnings
from importlib.util import MAGIC_NUMBER, cache_from_source
from types import CodeType

import alpyna_hook
from alpyna_hook import log, settings
from alpyna_hook.guarded import Compiled
from alpyna_hook.runtime.heads import unpacked
from alpyna_hook.runtime.stamps import package
from alpyna_hook.source import COMMAND, Source, decoded, of_command

MAGIC = b"alpyna\r\n"


def cache_path(path: str) -> str | None:
    """Where guarded code for the source file `path` is kept; None if this Python keeps no bytecode."""
    try:
        base, suffix = os.path.splitext(cache_from_source(path))
    except NotImplementedError:  # sys.implementation.cache_tag is None
        return None
    return f"{base}.alpyna-{alpyna_hook.__version__}{suffix}"


def compiled(name: str, path: str, data: bytes) -> Compiled | None:
    """The guarded module `name` whose source file `path` holds `data`; None if CPython's own loader is right for it."""
    try:
        source = Source(path, name, decoded(data))
    except (SyntaxError, UnicodeDecodeError):
        return None
    cache = cache_path(path)
    key = _key(path, name, len(data))
    if cache is not None and key is not None:
        found = _load(cache, key, source)
        if found is not None:
            return found
    made = _compile(source)
    if made is not None and cache is not None and key is not None and not sys.dont_write_bytecode:
        _store(cache, key, made, path)
    return made


def script(filename: str, data: bytes) -> Compiled | None:
    """The guarded code of the script `filename`, whose source is `data`; None if CPython's own is right for it."""
    try:
        text = of_command(data) if filename == COMMAND else decoded(data)
        source = Source(filename, "__main__", text)
    except (SyntaxError, UnicodeDecodeError):
        return None
    from alpyna_hook.runtime import diskcache

    # Quietly: a program none of whose loops are ever worth a kernel needs no cache, and no word about it.
    if filename.startswith("<") or not diskcache.usable(settings.current().cache_dir):
        return _compile(source)
    disk = diskcache.of_process()
    key = diskcache.key_of("script", repr(_facts("__main__", filename)), data)
    found = disk.get_plain(key)
    if found is not None:
        try:
            code, sites = found
            return Compiled(source, code, [unpacked(site) for site in sites])
        except (TypeError, ValueError) as error:
            log.debug(f"the guarded code of {filename} is not read: {error}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = _compile(source)
    if caught:  # CPython compiles a script, and warns, at each start
        return _compile(source)
    if made is not None:
        disk.put_plain(key, (made.code, tuple(site.packed() for site in made.sites)))
    return made


def _compile(source: Source) -> Compiled | None:
    from alpyna_hook.rewrite import compile_module  # imports the front end

    return compile_module(source)


def _key(path: str, name: str, size: int) -> bytes | None:
    """What must agree for an entry to be fresh."""
    try:
        modified = os.stat(path).st_mtime_ns
    except OSError:
        return None
    return repr((*_facts(name, path), size, modified)).encode("utf-8", "surrogatepass")


def _facts(name: str, path: str) -> tuple[object, ...]:
    """What guarded code depends on besides the source: a change of our own files makes all entries stale."""
    return MAGIC_NUMBER.hex(), package(), sys.flags.optimize, settings.current().require, name, path


def _load(cache: str, key: bytes, source: Source) -> Compiled | None:
    try:
        with open(cache, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if not data.startswith(MAGIC):
        return None
    try:
        found, code, sites = marshal.loads(memoryview(data)[len(MAGIC):])
        if found != key or not isinstance(code, CodeType):
            return None
        return Compiled(source, code, [unpacked(site) for site in sites])
    except Exception as exception:  # a damaged file may raise anything; it will be written anew
        log.info(f"{cache} is damaged and ignored: {type(exception).__name__}")
        return None


def _store(cache: str, key: bytes, made: Compiled, path: str) -> None:
    try:
        payload = MAGIC + marshal.dumps((key, made.code, tuple(site.packed() for site in made.sites)))
        os.makedirs(os.path.dirname(cache), exist_ok=True)
        temporary = f"{cache}.{os.getpid()}.tmp"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, os.stat(path).st_mode & 0o666 | 0o200)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(payload)
            os.replace(temporary, cache)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        log.debug(f"{cache} is not written: {error.strerror}")
    except Exception as exception:
        log.bug(f"while caching {path}", exception)
