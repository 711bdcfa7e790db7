"""Exceptions that a signal handler of the program raised while code of Alpyna ran.

In:  an exception that Alpyna has caught.
Out: whether it is the program's: then it is neither a bug nor a failing device, and has to reach the program.

A handler runs between any two bytecodes of the main thread, and may raise anything: a time limit made of `signal.alarm`
raises TimeoutError, say, which is an OSError like those of a compiler that does not start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType


def from_handler(error: BaseException) -> bool:
    """Whether a signal handler raised `error`. A handler is known by its second argument, the frame that it
    interrupted: in the traceback, that frame comes before its own. One that does not keep it is known by its code, as
    long as it is installed."""
    return _handler(error.__traceback__) is not None


def cut_runtime(step: TracebackType | None) -> None:
    """Takes Alpyna's runtime, and what it called, out of the middle of a traceback: an interrupt that hits there hit
    the loop, as far as the program knows. What a handler of the program's did is left."""
    before = None
    while step is not None and not step.tb_frame.f_globals.get("__name__", "").startswith("alpyna_hook.runtime."):
        before, step = step, step.tb_next
    if before is not None and step is not None:
        before.tb_next = _handler(step)


def _handler(step: TracebackType | None) -> TracebackType | None:
    """The first step of a traceback that is in a signal handler."""
    codes = _codes()
    passed: list[FrameType] = []
    while step is not None:
        frame = step.tb_frame
        if frame.f_code in codes or (passed and _holds(frame, passed)):
            return step
        passed.append(frame)
        step = step.tb_next
    return None


def _codes() -> frozenset[object]:
    """Of the handlers that are installed."""
    import signal

    found = [signal.getsignal(number) for number in signal.valid_signals()]
    functions = [getattr(handler, "__func__", handler) for handler in found if callable(handler)]
    return frozenset(function.__code__ for function in functions if hasattr(function, "__code__"))


def _holds(frame: FrameType, frames: list[FrameType]) -> bool:
    for value in list(frame.f_locals.values()):
        inside = value if type(value) is tuple else (value,)
        if any(one is other for one in inside for other in frames):
            return True
    return False
