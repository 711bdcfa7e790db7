"""The original code of functions, put back once the sites in them are retired.

In: a module's guarded code, its source, and the site keys retired so far.  Out: functions whose guarded code has no
active site left run what CPython would have made of them, so that a retired loop costs nothing at all.
"""

from __future__ import annotations

import gc
import sys
import time
import warnings
from types import CodeType, FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from alpyna_hook.source import Source

CO_OPTIMIZED = 0x1  # inspect.CO_OPTIMIZED: the code of a function, not of a module or a class body
SEARCH_SHARE = 0.01  # of the program's time may go into searching the heap for functions to restore


class Guarded:
    """An activated module, for putting its original code back.

    current   id of each function's guarded code -> the code its functions run by now
    searched  ids of the guarded codes whose functions were looked for in all the heap
    """

    def __init__(self, source: Source, code: CodeType, keys: frozenset[str]) -> None:
        self.source, self.code, self.keys = source, code, keys
        self.retired: set[str] = set()
        self.original: CodeType | None = None
        self.current: dict[int, CodeType] = {}
        self.searched: set[int] = set()


class _Swap:
    """Functions made from `guarded`, which run `old` now, are to run `new`."""

    __slots__ = ("guarded", "new", "old")

    def __init__(self, guarded: CodeType, old: CodeType, new: CodeType) -> None:
        self.guarded, self.old, self.new = guarded, old, new


_next_search = 0.0  # not before this time (time.monotonic) is the heap searched again


def restore(module: Guarded) -> None:
    """Swap the `__code__` of functions whose code changes now that `module.retired` has grown."""
    source = module.source
    if module.original is None:
        with warnings.catch_warnings():  # the compiler's have been told
            warnings.simplefilter("ignore")
            module.original = compile(source.text, source.filename, "exec", dont_inherit=True)
    swaps: list[_Swap] = []
    _pair(module.code, module.original, module, swaps)
    by_code = {id(swap.old): swap for swap in swaps}
    for function in _functions(module, by_code):
        swap = by_code[id(function.__code__)]
        module.current[id(swap.guarded)] = swap.new
        if swap.old.co_freevars == swap.new.co_freevars:
            function.__code__ = swap.new


def _pair(guarded: CodeType, original: CodeType, module: Guarded, swaps: list[_Swap]) -> CodeType:
    """The code that should run in place of `guarded` now; `swaps` collects what changed for functions.

    A code object gives way to the original if no active site is left in it or in the functions it makes; if some
    are left further in, it keeps its own instructions and makes the restored functions.
    """
    theirs = [const for const in original.co_consts if isinstance(const, CodeType)]
    places = [n for n, const in enumerate(guarded.co_consts) if isinstance(const, CodeType)]
    consts = list(guarded.co_consts)
    for place, other in zip(places, theirs):
        if len(places) == len(theirs) and _same_function(consts[place], other):
            consts[place] = _pair(consts[place], other, module, swaps)
    last = module.current.get(id(guarded), guarded)
    if _mentions(guarded, module.keys) and not _mentions(guarded, module.keys - module.retired):
        better = original
    elif any(new is not old for new, old in zip(consts, guarded.co_consts)):
        better = guarded.replace(co_consts=tuple(consts))
    else:
        better = guarded
    if better == last:
        return last
    if guarded.co_flags & CO_OPTIMIZED:
        swaps.append(_Swap(guarded, last, better))
    return better


def _same_function(code: CodeType, other: CodeType) -> bool:
    return (code.co_name, code.co_firstlineno) == (other.co_name, other.co_firstlineno)


def _mentions(code: CodeType, keys: frozenset[str]) -> bool:
    """True if `code` or code nested in it names one of `keys`."""
    return not keys.isdisjoint(code.co_names) or any(
        _mentions(const, keys) for const in code.co_consts if isinstance(const, CodeType)
    )


def _functions(module: Guarded, swaps: Mapping[int, _Swap]) -> list[FunctionType]:
    """Live functions whose code is a key of `swaps`: by name in the module, then in all the heap if time allows."""
    global _next_search
    named = [f for f in _named_functions(module.source.module) if id(f.__code__) in swaps]
    hidden = [swaps[n] for n in swaps.keys() - {id(f.__code__) for f in named}]
    hidden = [swap for swap in hidden if id(swap.guarded) not in module.searched]
    started = time.monotonic()
    if not hidden or started < _next_search:
        return named  # what was not found now may be at a later call of `retire`
    module.searched.update(id(swap.guarded) for swap in hidden)
    referrers = gc.get_referrers(*(swap.old for swap in hidden))
    _next_search = time.monotonic() + (time.monotonic() - started) / SEARCH_SHARE
    return named + [f for f in referrers if isinstance(f, FunctionType) and id(f.__code__) in swaps]


def _named_functions(module: str) -> Iterator[FunctionType]:
    """Functions and methods that the module's namespace and its classes hold, decorators looked through."""
    namespace = getattr(sys.modules.get(module), "__dict__", {})
    stack: list[Any] = list(namespace.values())
    seen: set[int] = set()
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType):
            yield value
            stack.append(value.__dict__.get("__wrapped__"))
        elif isinstance(value, (staticmethod, classmethod)):
            stack.append(value.__func__)
        elif isinstance(value, property):
            stack.extend((value.fget, value.fset, value.fdel))
        elif isinstance(value, type) and value.__dict__.get("__module__") == module:
            stack.extend(value.__dict__.values())
