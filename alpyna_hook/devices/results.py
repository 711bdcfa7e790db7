"""Results on their way from a device with memory of its own into the program's arrays.

In:  the arrays of a run whose kernels are done, with their buffers.
Out: the arrays as the loop leaves them, or as they were.

Results go straight into the arrays, piece by piece (staging.py), so that a failure may find some of them written. What
was in an array before is in its shadow; or it is of no account, because the loop writes every element whatever it
held, and so will the interpreter. Results for an array that has neither are brought to the host beside it first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import TYPE_CHECKING, Any

from alpyna_hook import signals
from alpyna_hook.devices import copying
from alpyna_hook.devices.base import Accelerator
from alpyna_hook.devices.memory import Operand
from alpyna_hook.devices.resident import Resident
from alpyna_hook.devices.staging import PAST_CACHES, Staging, threads_of

if TYPE_CHECKING:
    from alpyna_hook.devices.memory import Array


@dataclass(eq=False)
class Placed:
    """An operand on the device. `apart`: the buffer is not the array's own memory; it is that of `resident`, if there
    is one."""

    operand: Operand
    host: Array
    buffer: Any
    apart: bool
    resident: Resident | None = None

    @property
    def needed(self) -> bool:
        """What the array held before is of account."""
        return needed(self.operand)

    def bring(self, staging: Staging) -> None:
        """What the loop may see of the array is copied to the buffer."""
        resident = self.resident
        if resident is None:
            if self.needed:
                staging.upload(self.buffer, self.host)
            return
        known, resident.sound = resident.sound, False
        if self.needed:
            staging.upload(self.buffer, self.host, resident.before, known)
            resident.sound = not self.operand.written


def needed(operand: Operand) -> bool:
    """What the array held before the loop is of account."""
    return operand.read or not operand.overwritten


class Delivery:
    """The results of one run.

    apart    the arrays that were written, each with a buffer apart
    staging  of the device; None: it copies whole arrays by itself
    done     all of them are what the loop leaves
    """

    def __init__(self, device: Accelerator, staging: Staging | None, apart: Sequence[Placed]) -> None:
        self._device, self._staging = device, staging
        self._straight: list[Placed] = []
        self._beside: list[Placed] = []
        for placed in apart:
            straight = staging is not None and (placed.resident is not None or not placed.needed)
            (self._straight if straight else self._beside).append(placed)
        self.done = not apart

    def bring(self) -> None:
        """If it raises, the arrays are as they were; or, after an exception of a signal handler of the program's,
        `done`, as if that had come behind the loop."""
        try:
            self._bring()
        except BaseException as error:
            try:
                if not isinstance(error, Exception) or signals.from_handler(error):
                    self._bring()
            except Exception as again:
                if signals.from_handler(again):
                    raise
            finally:
                if not self.done:
                    self._take_back()
            raise
        for resident in (p.resident for p in self._straight if p.resident is not None):
            resident.arrived()

    def _bring(self) -> None:
        beside = [(placed.host, self._received(placed)) for placed in self._beside]
        for placed in self._straight:
            assert self._staging is not None
            shadow = placed.resident.results if placed.resident is not None else None
            self._staging.download(placed.host, placed.buffer, shadow)
        _spread(beside)
        self.done = True

    def _received(self, placed: Placed) -> Any:
        """The results as bytes, beside their array."""
        import numpy as np

        found = np.empty(placed.operand.bytes, np.uint8)
        receive: Callable[[Any, Any], None] = (self._staging or self._device).download
        receive(found, placed.buffer)
        return found

    def _take_back(self) -> None:
        """The arrays that results may have been written to, as they were."""
        before = [(p.host, p.resident.before) for p in self._straight if p.resident is not None and p.needed]
        try:
            _spread(before)
        except BaseException:  # of a signal handler
            _spread(before)
            raise


def _spread(pairs: Sequence[tuple[Array, Any]]) -> None:
    """Bytes into their arrays. One call into C, so that no signal handler of the program runs between two arrays."""
    list(starmap(copying.spread, [
        (host, packed, None, 0, threads_of(host.nbytes), host.nbytes >= PAST_CACHES) for host, packed in pairs
    ]))  # fmt: skip
