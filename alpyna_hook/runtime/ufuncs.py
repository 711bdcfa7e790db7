"""Addresses of NumPy's own inner loops, for kernels that call `np.exp` and its like on scalars.

A NumPy ufunc object publishes, per type signature, a loop function and a data pointer
(numpy/ufuncobject.h, PyUFuncObject; the layout is part of NumPy's stable ABI).
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, ClassVar

from alpyna_hook.errors import InternalError


class _UFuncObject(ctypes.Structure):
    """The leading fields of PyUFuncObject."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [
        ("ob_refcnt", ctypes.c_ssize_t),
        ("ob_type", ctypes.c_void_p),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
    ]


class _Loop(ctypes.Structure):
    """`alp_ufunc` of the generated code."""

    _fields_: ClassVar[list[tuple[str, Any]]] = [("loop", ctypes.c_void_p), ("data", ctypes.c_void_p)]


@cache
def _loop(name: str, rep: str) -> _Loop:
    import numpy as np

    ufunc = getattr(np, name)
    code = {"f64": "d", "f32": "f"}[rep]
    wanted = f"{code * ufunc.nin}->{code * ufunc.nout}"
    if wanted not in ufunc.types:
        raise InternalError(f"np.{name} has no loop {wanted}")
    position = ufunc.types.index(wanted)
    raw = _UFuncObject.from_address(id(ufunc))
    if (raw.nin, raw.nout, raw.ntypes) != (ufunc.nin, ufunc.nout, ufunc.ntypes):
        raise InternalError("the layout of NumPy's ufunc objects is not the published one")
    return _Loop(raw.functions[position], raw.data[position] if raw.data else None)


def address(name: str, rep: str) -> int:
    """Address of an `alp_ufunc` for `np.name` on `rep` ("f64" or "f32"); it lives as long as the process."""
    return ctypes.addressof(_loop(name, rep))
