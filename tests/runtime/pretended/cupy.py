"""As much of CuPy 14 as loops over its arrays use, on memory of the host.

Elements are views without dimensions; arithmetic makes new arrays, by NumPy's promotion (NEP 50) and without warnings;
numbers are put in by `fill`, which makes -0.0 a +0.0; nothing becomes a NumPy array by itself.
"""

from __future__ import annotations

import operator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np

__alpyna__ = False
__version__ = "14.0.1"

stream = [7]  # handle of the current one; 0: none is named
shift = [1 << 45]  # from the host's address to the device's, where the host can read nothing
cuda = SimpleNamespace(
    runtime=SimpleNamespace(getDevice=lambda: 0), Stream=lambda non_blocking: nullcontext(),
    get_current_stream=lambda: SimpleNamespace(synchronize=lambda: None),
)  # fmt: skip


def _inside(value: Any) -> Any:
    return value.inside if isinstance(value, ndarray) else value


def _made(function: Any, *args: Any) -> Any:
    with np.errstate(all="ignore"):
        return ndarray(np.asarray(function(*map(_inside, args))))


def _two(name: str) -> Any:
    function = getattr(np, name)
    return lambda self, other: _made(function, self, other)


def _swapped(name: str) -> Any:
    function = getattr(np, name)
    return lambda self, other: _made(function, other, self)


def _in_place(name: str) -> Any:
    function = getattr(np, name)

    def change(self: Any, other: Any) -> Any:
        with np.errstate(all="ignore"):
            function(self.inside, _inside(other), out=self.inside)
        return self

    return change


class ndarray:  # noqa: N801
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, inside: Any) -> None:
        self.inside = inside
        self.shape, self.dtype, self.ndim, self.size = inside.shape, inside.dtype, inside.ndim, inside.size
        self.device = SimpleNamespace(id=0)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        found = {
            "shape": self.shape, "typestr": self.dtype.str, "version": 3,
            "data": (self.inside.ctypes.data + shift[0], False),
            "strides": None if self.inside.flags.c_contiguous else self.inside.strides,
        }  # fmt: skip
        return {**found, "stream": stream[0]} if stream[0] else found

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        assert method == "__call__" and not options
        return _made(ufunc, *inputs)

    @property
    def T(self) -> ndarray:  # noqa: N802
        return ndarray(self.inside.T)

    def astype(self, dtype: Any) -> ndarray:
        return ndarray(self.inside.astype(dtype))

    def __matmul__(self, other: ndarray) -> ndarray:
        return ndarray(self.inside @ other.inside)

    def __len__(self) -> int:
        return len(self.inside)

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        return ndarray(self.inside[(*key, ...) if isinstance(key, tuple) else (key, ...)])

    def __setitem__(self, key: Any, value: Any) -> None:
        if not isinstance(value, ndarray):
            value = 0 if value == 0 else value
        with np.errstate(all="ignore"):
            self.inside[key] = _inside(value)

    def __bool__(self) -> bool:
        return bool(self.inside)

    def __float__(self) -> float:
        return float(self.inside)

    def __int__(self) -> int:
        return int(self.inside)

    def __index__(self) -> int:
        return operator.index(self.inside)

    def __neg__(self) -> Any:
        return _made(np.negative, self)

    def __abs__(self) -> Any:
        return _made(np.absolute, self)

    __add__, __radd__, __iadd__ = _two("add"), _swapped("add"), _in_place("add")
    __sub__, __rsub__, __isub__ = _two("subtract"), _swapped("subtract"), _in_place("subtract")
    __mul__, __rmul__, __imul__ = _two("multiply"), _swapped("multiply"), _in_place("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _two("true_divide"), _swapped("true_divide"), _in_place("true_divide")
    __floordiv__, __mod__, __pow__ = _two("floor_divide"), _two("remainder"), _two("power")
    __lt__, __le__, __gt__, __ge__ = _two("less"), _two("less_equal"), _two("greater"), _two("greater_equal")
    __eq__, __ne__ = _two("equal"), _two("not_equal")


def zeros(n: int) -> ndarray:
    return ndarray(np.zeros(n))


def ones(shape: Any) -> ndarray:
    return ndarray(np.ones(shape))


def asarray(array: Any) -> ndarray:
    return ndarray(np.array(array))


def asnumpy(array: ndarray) -> Any:
    return array.inside.copy()
