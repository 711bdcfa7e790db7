"""Pure-Python guard: Entry, one specialisation or decision of a site, checked and laid out once.

In:  the plain tuples documented in guard.py and _guard_entry.h.
Out: `Entry.match(args)` -> the packed input slots or None; `OutSpec.value(out)` -> a live-out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from alpyna_hook.ir.abi import RESUME_SLOTS
from alpyna_hook.runtime import guard_values as values
from alpyna_hook.runtime.guard_values import DOUBLE, FLOAT, INT, UINT, UNSET, Call

MAX_IN: Final = 512
MAX_OUT: Final = 144
MAX_PARAMS: Final = 96
MAX_KINDS: Final = 8
MAX_PATH: Final = 8

_PLAIN_SLOTS: Final = {"int": 1, "float": 1, "bool": 1, "complex": 2}
_OUT_SLOTS: Final = {**_PLAIN_SLOTS, "int_from_double": 1}


# Live-outs and resume record of a kernel that stopped half-way.
Stopped: TypeAlias = "tuple[tuple[Any, ...], tuple[int, ...]]"

# Reads one value into the packed slots from a byte offset on; False if it is not what the check asks for.
Loader: TypeAlias = Callable[[Any, bytearray, int], bool]


@dataclass(frozen=True)
class Param:
    """One checked param: where its value comes from, what it must be, its first input slot, how it is read."""

    index: int
    path: tuple[str, ...]
    check: tuple[Any, ...]
    slot: int
    slots: int
    loader: Loader

    def load(self, args: tuple[Any, ...], call: Call) -> bool:
        """Reads and checks the value, fills its slots; False if it does not match."""
        if self.index < 0:
            value = None
        elif self.index >= len(args):
            return False
        else:
            value = args[self.index]
            if self.path:
                value = values.follow(value, self.path)
                if value is UNSET:
                    return False
        call.values.append(value)
        return self.loader(value, call.slots, 8 * self.slot)


def _loader(check: tuple[Any, ...]) -> tuple[int, Loader]:
    """(slots, loader) for a check. Raises ValueError for what the C extension refuses."""
    match check:
        case ("is", expected):
            return 0, lambda value, slots, at: value is expected
        case ("int" | "float" | "bool" | "complex" as kind,):
            return _PLAIN_SLOTS[kind], {
                "int": _load_int, "float": _load_float, "bool": _load_bool, "complex": _load_complex
            }[kind]  # fmt: skip
        case ("const", int(value)):
            return 1, _const_loader(value)
        case ("fp_mask",):
            if not values.error_state_is_set():
                raise ValueError("fp_mask check: set_error_state has not been called")
            return 1, _load_fp_mask
        case ("poll",):  # its kernels run to their end: ctypes does not say when it holds the GIL
            return 1, _const_loader(0)
        case ("np", int(typenum)):
            if typenum not in values.scalar_types():
                raise ValueError("np check: unsupported type number")
            return _slots_of_type(typenum), _numpy_loader(values.scalar_types()[typenum])
        case ("array", int(typenum), int(ndim), str(layout), writeable):
            if typenum not in values.scalar_types():
                raise ValueError("array check: unsupported type number")
            if not 0 <= ndim <= values.MAX_NDIM:
                raise ValueError("array check: bad ndim")
            if layout not in ("C", "F", "S"):
                raise ValueError("array check: layout must be 'C', 'F' or 'S'")
            return 1 + 2 * ndim, _array_loader(typenum, ndim, layout, bool(writeable))
    raise ValueError("unknown check")


def _load_int(value: Any, slots: bytearray, at: int) -> bool:
    if type(value) is not int or not values.fits_int64(value):
        return False
    INT.pack_into(slots, at, value)
    return True


def _load_float(value: Any, slots: bytearray, at: int) -> bool:
    if type(value) is not float:
        return False
    DOUBLE.pack_into(slots, at, value)
    return True


def _load_bool(value: Any, slots: bytearray, at: int) -> bool:
    if type(value) is not bool:
        return False
    INT.pack_into(slots, at, value)
    return True


def _load_complex(value: Any, slots: bytearray, at: int) -> bool:
    if type(value) is not complex:
        return False
    DOUBLE.pack_into(slots, at, value.real)
    DOUBLE.pack_into(slots, at + 8, value.imag)
    return True


def _const_loader(constant: int) -> Loader:
    if not -(2**63) <= constant < 2**64:
        raise ValueError("const check: beyond 64 bits")
    pack = (INT if constant < 2**63 else UINT).pack_into

    def load(value: Any, slots: bytearray, at: int) -> bool:
        pack(slots, at, constant)
        return True

    return load


def _load_fp_mask(value: Any, slots: bytearray, at: int) -> bool:
    INT.pack_into(slots, at, values.error_mask())
    return True


def _numpy_loader(cls: Any) -> Loader:
    def load(value: Any, slots: bytearray, at: int) -> bool:
        if type(value) is not cls:
            return False
        kind, size = value.dtype.kind, value.dtype.itemsize
        if kind == "c":
            pack = FLOAT if size == 8 else DOUBLE
            pack.pack_into(slots, at, value.real)
            pack.pack_into(slots, at + 8, value.imag)
        elif kind == "f":
            (FLOAT if size == 4 else DOUBLE).pack_into(slots, at, value)
        else:
            (UINT if kind == "u" else INT).pack_into(slots, at, int(value))
        return True

    return load


def _array_loader(typenum: int, ndim: int, layout: str, writeable: bool) -> Loader:
    import numpy as np

    ndarray = np.ndarray
    record = struct.Struct(f"=Q{2 * ndim}q")

    def load(array: Any, slots: bytearray, at: int) -> bool:
        if type(array) is not ndarray or array.ndim != ndim or array.dtype.num != typenum:
            return False
        flags = array.flags
        if not flags.aligned or (writeable and not flags.writeable) or not array.dtype.isnative:
            return False
        if layout != "S" and layout != ("C" if flags.c_contiguous else "F" if flags.f_contiguous else "S"):
            return False
        strides = _element_strides(array.shape, array.strides, array.itemsize, layout)
        if strides is None or (writeable and layout == "S" and not values.distinct(array)):
            return False
        record.pack_into(slots, at, array.__array_interface__["data"][0], *array.shape, *strides)
        return True

    return load


def _element_strides(
    shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int, layout: str
) -> list[int] | None:
    """Strides in elements; None if an axis has no elements or a stride is no multiple of the item size."""
    if 0 in shape:
        return None
    if layout == "S":
        if any(dim > 1 and stride % itemsize for dim, stride in zip(shape, strides)):
            return None
        return [stride // itemsize for stride in strides]
    # Strides of contiguous layouts are computed: NumPy leaves those of axes of one element undefined.
    found = [1] * len(shape)
    step = 1
    for axis in range(len(shape)) if layout == "F" else reversed(range(len(shape))):
        found[axis] = step
        step *= shape[axis]
    return found


def _slots_of_type(typenum: int) -> int:
    return 2 if values.scalar_types()[typenum]().dtype.kind == "c" else 1


@dataclass(frozen=True)
class OutSpec:
    """One live-out: the classes it may have, its slot, the slots of its class tag and of "was assigned" (or -1)."""

    kinds: tuple[str, ...]
    slot: int
    tag_slot: int
    set_slot: int

    def value(self, out: bytearray) -> object:
        """The Python object. Raises SystemError for a tag the kernel should not have given."""
        if self.set_slot >= 0 and INT.unpack_from(out, 8 * self.set_slot)[0] == 0:
            return UNSET
        tag = INT.unpack_from(out, 8 * self.tag_slot)[0] if self.tag_slot >= 0 else 0
        if not 0 <= tag < len(self.kinds):
            raise SystemError(f"alpyna: a kernel returned class tag {tag} of {len(self.kinds)}")
        return _out_value(self.kinds[tag], out, 8 * self.slot)


def _out_value(kind: str, out: bytearray, at: int) -> object:
    match kind:
        case "int":
            return INT.unpack_from(out, at)[0]
        case "float":
            return DOUBLE.unpack_from(out, at)[0]
        case "bool":
            return INT.unpack_from(out, at)[0] != 0
        case "complex":
            return complex(DOUBLE.unpack_from(out, at)[0], DOUBLE.unpack_from(out, at + 8)[0])
        case "int_from_double":
            return int(DOUBLE.unpack_from(out, at)[0])
    import numpy as np

    cls: Any = values.scalar_types()[int(kind[3:])]
    dtype = np.dtype(cls)
    match dtype.kind:
        case "b":
            return cls(INT.unpack_from(out, at)[0] != 0)
        case "c":
            pack = FLOAT if dtype.itemsize == 8 else DOUBLE
            return cls(complex(pack.unpack_from(out, at)[0], pack.unpack_from(out, at + 8)[0]))
    return np.frombuffer(out, dtype, 1, at)[0]  # little-endian, as every host Alpyna compiles for


class Entry:
    """One decision for one signature; the arguments are those of the C extension (see `_guard_entry.h`)."""

    def __init__(
        self,
        params: Iterable[tuple[int, tuple[str, ...], tuple[Any, ...]]],
        kernel: int = 0,
        *,
        threads: int = 1,
        ranges: Iterable[tuple[int, int, int]] = (),
        values: Iterable[tuple[int, int]] = (),
        disjoint: Iterable[tuple[int, int]] = (),
        overlapping: Iterable[tuple[int, int]] = (),
        same: Iterable[tuple[int, int]] = (),
        journal: Iterable[int] = (),
        outs: Iterable[tuple[tuple[str, ...], int, int, int]] = (),
        record: int = -1,
        failed: Callable[[int, int, tuple[Any, ...], Stopped | None], object] | None = None,
        calls_left: int = -1,
        time_always: bool = False,
        release_gil: bool = False,
        device: Callable[[int, int], int] | None = None,
        data: Any = None,
    ) -> None:
        self.params = tuple(params)
        self.kernel = kernel
        self.threads = threads
        self.ranges = tuple(ranges)
        self.values = tuple(values)
        self.disjoint = tuple(disjoint)
        self.overlapping = tuple(overlapping)
        self.same = tuple(same)
        self.journal = tuple(journal)
        self.outs = tuple(outs)
        self.record = record
        self.failed = failed
        self.calls_left = calls_left
        self.time_always = time_always
        self.release_gil = release_gil
        self.device = device
        self.data = data
        self.function: Any = None  # the kernel as a ctypes function, made at the first call
        self.calls = self.faults = self.declines = self.total_ns = self.last_timed = 0
        self._parse()

    def _parse(self) -> None:
        self.checked = _parse_params(self.params)
        self.n_in = 1 + sum(param.slots for param in self.checked)
        if self.n_in > MAX_IN:
            raise ValueError("too many input slots")
        self.bounds = (*self.ranges, *((slot, value, value) for slot, value in self.values))
        for slot, _, _ in self.bounds:
            if not 0 <= slot < self.n_in:
                raise ValueError("range on a slot out of bounds")
        for pair in (*self.disjoint, *self.overlapping, *self.same):
            if not all(self._is_array(param) for param in pair):
                raise ValueError("an alias condition must name two array params")
        for param in self.journal:
            if not self._is_array(param) or not self.checked[param].check[4]:
                raise ValueError("a journaled param must be a writeable array")
        self.out_specs = tuple(OutSpec(tuple(kinds), *slots) for kinds, *slots in self.outs)
        self.n_out = max((_check_out(spec) for spec in self.out_specs), default=1)
        if self.record >= 0 and not 1 <= self.record <= MAX_OUT - RESUME_SLOTS:
            raise ValueError("resume record out of bounds")

    def _is_array(self, param: int) -> bool:
        return 0 <= param < len(self.checked) and self.checked[param].check[0] == "array"

    def match(self, args: tuple[Any, ...]) -> Call | None:
        """Filled input slots and values if every param, range, value and alias condition holds."""
        call = Call(bytearray(8 * self.n_in), [])
        INT.pack_into(call.slots, 0, self.threads)
        for param in self.checked:
            if not param.load(args, call):
                return None
        for slot, lo, hi in self.bounds:
            if not lo <= INT.unpack_from(call.slots, 8 * slot)[0] <= hi:
                return None
        arrays = call.values
        if any(_may_overlap(arrays[a], arrays[b]) for a, b in self.disjoint):
            return None
        for a, b in self.overlapping:
            one, other = arrays[a], arrays[b]
            if not _may_overlap(one, other) or (one.dtype == other.dtype and values.is_same(one, other)):
                return None
        for a, b in self.same:
            if not values.is_same(arrays[a], arrays[b]):
                return None
        return call


def _may_overlap(a: Any, b: Any) -> bool:
    """Whether it is not proved that the two arrays share no byte."""
    first, second = values.span(a), values.span(b)
    if first[0] >= second[1] or second[0] >= first[1]:
        return False
    return not values.views_disjoint(values.view(a), values.view(b))


def _parse_params(params: Sequence[tuple[int, tuple[str, ...], tuple[Any, ...]]]) -> tuple[Param, ...]:
    if len(params) > MAX_PARAMS:
        raise ValueError("too many params")
    checked: list[Param] = []
    slot = 1
    for index, path, check in params:
        slots, loader = _loader(check)
        no_argument = check[0] in ("const", "fp_mask", "poll")
        if index < 0 and not no_argument:
            raise ValueError("argument index out of range")
        if len(path) > MAX_PATH:
            raise ValueError("attribute path too long")
        if any(type(name) is not str for name in path):
            raise ValueError("attribute path must hold strings")
        checked.append(Param(-1 if no_argument else index, path, check, slot, slots, loader))
        slot += slots
    return tuple(checked)


def _check_out(spec: OutSpec) -> int:
    """The number of output slots needed, or ValueError."""
    if not 1 <= len(spec.kinds) <= MAX_KINDS or (len(spec.kinds) > 1 and spec.tag_slot < 0):
        raise ValueError("a live-out needs a kind, and a tag slot if there are several")
    needed = [(spec.slot, _out_slots(kind)) for kind in spec.kinds]
    needed += [(slot, 1) for slot in (spec.tag_slot, spec.set_slot) if slot >= 0]
    if any(slot < 1 or slot + slots > MAX_OUT for slot, slots in needed):
        raise ValueError("output slot out of bounds")
    return max(slot + slots for slot, slots in needed)


def _out_slots(kind: str) -> int:
    if kind in _OUT_SLOTS:
        return _OUT_SLOTS[kind]
    if kind.startswith("np:") and kind[3:].isdecimal() and int(kind[3:]) in values.scalar_types():
        return _slots_of_type(int(kind[3:]))
    raise ValueError("unknown kind of live-out")
