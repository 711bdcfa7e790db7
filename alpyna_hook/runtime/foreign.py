"""CuPy's arrays among the arguments of a loop: recognised, and given to the guard by stand-ins.

In:  the values of a site's roots.
Out: the same with a NumPy array in place of each CuPy array: same shape, strides, dtype, and the address on the device.
Nothing ever reads or writes a stand-in: the guard only looks at where and what it is, and the one variant that a call
with stand-ins may run in is "cuda" (runtime/abroad.py).

The facts come from the CUDA array interface, version 3 (numba.readthedocs.io): among them the stream in which the
array is in use, which is CuPy's current one.
"""

from __future__ import annotations

import sys
from functools import lru_cache

from alpyna_hook import signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from alpyna_hook.runtime.heads import Head

FIRST_VERSION = 14  # of CuPy: from here on Python numbers are weak (NEP 50), whatever their value


class StandIns:
    """args     of the site, CuPy's arrays replaced
    arrays   live-ins that were CuPy's
    streams  what to wait for first
    """

    def __init__(self, args: tuple[Any, ...], arrays: frozenset[str], streams: tuple[int, ...]) -> None:
        self.args, self.arrays, self.streams = args, arrays, streams


def among(args: tuple[Any, ...]) -> bool:
    """Whether there is an exact `cupy.ndarray`. None of CuPy's code is run."""
    kind = _kind()
    return kind is not None and any(type(value) is kind for value in args)


def _kind() -> type | None:
    cupy = sys.modules.get("cupy")
    found = None if cupy is None else vars(cupy).get("ndarray")
    return found if isinstance(found, type) else None


def stand_ins(head: Head, args: tuple[Any, ...]) -> StandIns | str:
    """The call as the guard can look at it, or why a loop over its arrays is left to the interpreter."""
    from alpyna_hook.ir.abi import LARGEST_SINGLE

    cupy, kind = sys.modules["cupy"], _kind()
    version = str(getattr(cupy, "__version__", "")).partition(".")[0]
    if not version.isdecimal() or int(version) < FIRST_VERSION:
        return f"CuPy before version {FIRST_VERSION} chooses dtypes by the values of Python numbers"
    syncdetect = sys.modules.get("cupy._core.syncdetect")
    if not getattr(syncdetect, "_is_allowed", lambda: True)():
        return "cupyx.allow_synchronize(False) is in effect"
    roots = {number for number, value in enumerate(args) if type(value) is kind}
    arrays = frozenset(live[0] for live in head.live_ins if live[1] in roots)
    replaced, streams = list(args), dict[int, None]()
    for live in head.live_ins:
        if live[1] not in roots or replaced[live[1]] is not args[live[1]]:
            continue
        found = _stand_in(args[live[1]], cupy)
        if isinstance(found, str):
            return f"{live[0]} {found}"
        replaced[live[1]], stream = found
        if stream is not None:
            streams[stream] = None
    large = any(type(value) is float and abs(value) > LARGEST_SINGLE for value in args)
    if large and any(replaced[root].dtype == "float32" for root in roots if replaced[root] is not args[root]):
        return "a Python float is beyond the range of float32"
    return StandIns(tuple(replaced), arrays, tuple(streams))


def _stand_in(array: Any, cupy: Any) -> tuple[Any, int | None] | str:
    """The stand-in and the stream to wait for, if any; or what is the matter with the array."""
    from alpyna_hook.devices import cuda

    try:
        interface, number, current = array.__cuda_array_interface__, array.device.id, cupy.cuda.runtime.getDevice()
    except Exception as error:  # CuPy for ROCm has no such interface
        if signals.from_handler(error):
            raise
        return f"does not say where it lies ({type(error).__name__})"
    if interface.get("version", 0) < 3 or interface.get("stream", None) == 0 or interface.get("mask") is not None:
        return "does not say in which stream it is used (version 3 of the CUDA array interface does)"
    if str(number) != cuda.number() or current != number:
        return f"is on device {number}, which is not both CuPy's current device and Alpyna's"
    address, read_only = interface["data"]
    found = _array_at(address, interface["typestr"], interface["shape"], interface.get("strides"), read_only)
    return found if isinstance(found, str) else (found, interface.get("stream"))


@lru_cache(maxsize=256)
def _array_at(
    address: int, typestr: str, shape: tuple[int, ...], strides: tuple[int, ...] | None, read_only: bool
) -> Any:
    """A NumPy array with these facts, or what keeps kernels from such an array. Remembered, because it takes longer
    than all else of a call, and loops meet the same arrays again; it keeps no memory alive."""
    import numpy as np

    from alpyna_hook.devices import memory
    from alpyna_hook.runtime.signature import reps_by_typenum

    dtype = np.dtype(typestr)
    rep = reps_by_typenum().get(dtype.num)
    if rep is None or rep.is_complex or not dtype.isnative:
        return f"has elements of type {dtype}; of CuPy's arrays those of bool, int, float32 and float64 are compiled"
    if not shape or 0 in shape:
        return "has no dimensions" if not shape else "has no elements"
    steps = memory.packed_strides(shape) if strides is None else tuple(s // dtype.itemsize for s in strides)
    if any(step < 0 for step in steps) or strides is not None and any(s % dtype.itemsize for s in strides):
        return "runs backwards through memory, or does not step by whole elements"
    found = memory.view(address, shape, steps, rep)
    found.flags.writeable = not read_only
    return found
