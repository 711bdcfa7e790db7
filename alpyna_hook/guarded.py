"""Guarded modules at run time: their sites registered, their live-outs assigned, their original code put back.

In: what `rewrite.compile_module` made, or what bytecode.py kept of that.  Out: callables of the sites in `builtins`
(`activate`); the original code where sites were retired (`retire`, by runtime/restore.py).

Apart from rewrite.py because a process whose guarded code is cached needs neither `ast` nor the front end.
"""

from __future__ import annotations

import builtins
import sys
from _thread import get_ident
from functools import cache

from alpyna_hook import log, settings, signals
from alpyna_hook.runtime import restore, resume
from alpyna_hook.runtime.guard import UNSET as _UNSET
from alpyna_hook.runtime.guard import raise_held
from alpyna_hook.source import Source, site_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import CodeType
    from typing import Any, Literal

    from alpyna_hook.runtime.heads import Head

LEAVE, UNSET, ERRORS = "@alpyna:leave", "@alpyna:unset", "@alpyna:errors"
REST, CARRIED, HALF_WAY = "@alpyna:rest", "@alpyna:carried", "@alpyna:half-way"
VALUE, UNBOUND, LAST, RAISE = "@alpyna:value", "@alpyna:unbound", "@alpyna:last", "@alpyna:raise"


class Compiled:
    """What runs in place of a marked module's own code, once `activate` has registered the sites."""

    __slots__ = ("code", "sites", "source")

    def __init__(self, source: Source, code: CodeType, sites: Sequence[Head]) -> None:
        self.source, self.code, self.sites = source, code, tuple(sites)


def _leave(out: tuple[Any, ...] | Literal[False] | None, names: tuple[str, ...]) -> bool:
    """Assign live-outs in the module or class body that calls; False if the site declined or stopped half-way."""
    if out is None:
        return False
    stopped = out is False
    values = resume.carried() or () if out is False else out
    namespace = sys._getframe(1).f_locals  # of a module or class body: the namespace itself
    for name, value in zip(names, values):
        if value is not _UNSET:
            namespace[name] = value
    if stopped:
        _stopped.add(get_ident())
    return not stopped


def _value(name: str) -> object:
    """The value that `name` has in the module or class body that calls; UNSET if it has none.

    A value of an outer scope (or a made-up one, of a class namespace with a mapping of its own) cannot be handed
    back: where the loop does not assign the name, the namespace stays without it.
    """
    frame = sys._getframe(1)
    namespace = frame.f_locals
    if type(namespace) is dict and name in namespace:
        return namespace[name]
    own = type(namespace) is dict and name not in frame.f_globals and name not in frame.f_builtins
    return _UNSET if own else _OuterScope()


class _OuterScope:
    """In place of a value that no compiled code takes."""


def _note_unbound(key: str) -> None:
    """Called where a NameError or AttributeError is handled that the roots of a site raised; or a signal handler, while
    the loop ran: that is the program's."""
    from alpyna_hook.runtime import dispatch

    error = sys.exc_info()[1]
    if error is not None and signals.from_handler(error):
        raise error
    dispatch.unbound(key, getattr(error, "name", None))


_stopped: set[int] = set()  # threads whose site in a module or class body has stopped half-way just now


def _half_way() -> bool:
    """True, once, after `_leave` has seen a site stop half-way."""
    if not _stopped or get_ident() not in _stopped:
        return False
    _stopped.discard(get_ident())
    return True


_modules: dict[str, restore.Guarded] = {}  # site key -> its module


def activate(compiled: Compiled) -> None:
    """Register the sites with the runtime, which puts their callables into `builtins`. Once per module text."""
    from alpyna_hook.runtime import dispatch

    keys = [site_key(compiled.source, site.index) for site in compiled.sites]
    if keys[0] in _modules:
        return
    namespace = vars(builtins)
    namespace[LEAVE], namespace[UNSET], namespace[ERRORS] = _leave, _UNSET, (NameError, AttributeError)
    namespace[REST], namespace[CARRIED], namespace[HALF_WAY] = resume.rest, resume.carried, _half_way
    namespace[VALUE], namespace[UNBOUND], namespace[RAISE] = _value, _note_unbound, raise_held
    _see_to_the_end()
    for key in keys:
        namespace.setdefault(key, None)  # whatever happens to the registration, the code finds the name
    accepted = frozenset(k for k, s in zip(keys, compiled.sites) if s.accepted)
    module = restore.Guarded(compiled.source, compiled.code, accepted)
    _modules.update(dict.fromkeys(keys, module))
    try:
        dispatch.register(compiled.source, compiled.sites, retire)
    except Exception as exception:
        log.bug(f"while registering the loops of {compiled.source.module}", exception)
    if settings.current().require:
        for key, site in zip(keys, compiled.sites):
            if not site.accepted:
                namespace[key] = _noter(key, compiled.source.filename, site.line)


@cache
def _see_to_the_end() -> None:
    """After the program's own atexit functions, and before the report, all loops are the interpreter's: what runs later
    runs while modules are taken apart."""
    import atexit

    vars(builtins)[LAST] = _Last()
    atexit.register(_leave_all)


def _leave_all() -> None:
    vars(builtins).update(dict.fromkeys(_modules))
    opened = sys.modules.get("alpyna_hook.devices.opened")
    if opened is not None:
        opened.close()  # what an atexit function has opened: one that it registers is not called any more


class _Last:
    """Guarded code may still run when the interpreter has taken all that is not its own out of `builtins`: in `__del__`
    methods of what lives as long as its module. It would not find its sites. But this object goes with them, and puts
    in that there are none."""

    def __init__(self) -> None:
        self._namespace, self._keys = vars(builtins), _modules

    def __del__(self) -> None:
        self._namespace.update(dict.fromkeys(self._keys))


def _noter(key: str, filename: str, line: int) -> Callable[[], None]:
    return lambda: _reached(key, filename, line)


def _reached(key: str, filename: str, line: int) -> None:
    """A rejected loop is about to run for the first time."""
    from alpyna_hook.runtime import records

    vars(builtins)[key] = None
    for record in records.all_sites():
        if (record.file, record.line) == (filename, line) and record.rejection is not None:
            record.reached = True


def retire(key: str) -> None:
    """Leave the site to the interpreter for good, at no cost.

    The site's name becomes None at once, which costs its loop one test of a global name; functions all of whose
    sites are retired get the code that CPython would have made of them.
    """
    vars(builtins)[key] = None
    module = _modules.get(key)
    if module is None:
        return
    module.retired.add(key)
    try:
        restore.restore(module)
    except Exception as exception:
        log.bug(f"while restoring {module.source.module}", exception)
