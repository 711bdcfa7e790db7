"""Guarded code cached beside CPython's own, under a tag of our own.

In: a module's name, path and source.  Out: `Compiled`, from `__pycache__/X.cpython-311.alpyna-0.1.0.pyc` if that is
fresh, else freshly made and written there.

Plain Python looks for `X.cpython-311.pyc` only, so it never meets guarded code. An entry is fresh if the source's size
and modification time, CPython's bytecode version, our version and our front end's own files are what they
were. Files are written to a temporary name and renamed; a folder that cannot be written is no error.

Layout: MAGIC, then `marshal` of (key: bytes, code, sites: bytes), where `sites` is a pickle.
"""

from __future__ import annotations

import marshal
import os
import sys
from importlib.util import MAGIC_NUMBER, cache_from_source, decode_source
from types import CodeType

import alpyna_hook
from alpyna_hook import log, settings
from alpyna_hook.rewrite import Compiled, compile_module
from alpyna_hook.source import Source

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
        source = Source(path, name, decode_source(data))
    except (SyntaxError, UnicodeDecodeError):
        return None
    cache = cache_path(path)
    key = _key(path, name, len(data))
    if cache is not None and key is not None:
        found = _load(cache, key, source)
        if found is not None:
            return found
    made = compile_module(source)
    if made is not None and cache is not None and key is not None and not sys.dont_write_bytecode:
        _store(cache, key, made, path)
    return made


def _key(path: str, name: str, size: int) -> bytes | None:
    """What must agree for an entry to be fresh."""
    try:
        modified = os.stat(path).st_mtime_ns
    except OSError:
        return None
    options = (sys.flags.optimize, settings.current().require)
    facts = (MAGIC_NUMBER.hex(), alpyna_hook.__version__, _own_stamp(), options, name, path, size, modified)
    return repr(facts).encode("utf-8", "surrogatepass")


_stamp: int | None = None


def _own_stamp() -> int:
    """Newest modification time (ns) of what makes guarded code: a changed front end makes all entries stale."""
    global _stamp
    if _stamp is None:
        here = os.path.dirname(os.path.abspath(__file__))
        folders = [here, *(os.path.join(here, layer) for layer in ("frontend", "ir", "transform"))]
        files = [entry for folder in folders for entry in os.scandir(folder) if entry.name.endswith(".py")]
        _stamp = max((entry.stat().st_mtime_ns for entry in files), default=0)
    return _stamp


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
        import pickle

        return Compiled(source, code, pickle.loads(sites))
    except Exception as exception:  # a damaged file may raise anything; it will be written anew
        log.info(f"{cache} is damaged and ignored: {type(exception).__name__}")
        return None


def _store(cache: str, key: bytes, made: Compiled, path: str) -> None:
    import pickle

    try:
        payload = MAGIC + marshal.dumps((key, made.code, pickle.dumps(made.sites, pickle.HIGHEST_PROTOCOL)))
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
