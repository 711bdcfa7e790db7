"""Python source and live-in values -> the typed, proved nest of its first loop, and its verdicts."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from alpyna_hook.analysis.bounds import Proved, prove
from alpyna_hook.analysis.inference import infer
from alpyna_hook.analysis.parallel import Fp, Parallelism, parallelism
from alpyna_hook.frontend.sites import find_sites
from alpyna_hook.ir.affine import PAll, PAny, PCompare, PFinite, Predicate, QDim, QParam, Quantity, QStride, pretty
from alpyna_hook.ir.nodes import Loop, Nest, Stmt, blocks_of
from alpyna_hook.ir.types import ArrayType, ObjectType, Rep, Type, scalar
from alpyna_hook.source import Source

_REPS = {np.dtype(name): rep for name, rep in {
    "bool": Rep.BOOL, "int8": Rep.I8, "int16": Rep.I16, "int32": Rep.I32, "int64": Rep.I64, "uint8": Rep.U8,
    "uint16": Rep.U16, "uint32": Rep.U32, "uint64": Rep.U64, "float32": Rep.F32, "float64": Rep.F64,
    "complex64": Rep.C64, "complex128": Rep.C128,
}.items()}  # fmt: skip


class Rejected(Exception):
    """Inference has no type for the nest."""


@dataclass(frozen=True)
class Analysed:
    nest: Nest
    entry: Mapping[Quantity, Any]
    proved: Proved
    parallel: Parallelism

    def verdicts(self) -> dict[str, bool]:
        """Python loop variable or counter -> parallel, in program order (a repeated name gets a number)."""
        return {counter: v.parallel for counter, v in self.parallel.verdicts.items()}

    def preconditions(self) -> list[str]:
        return sorted(show(p) for p in self.proved.preconditions)


def nest_of(text: str) -> Nest:
    """The untyped nest of the first site in `text`."""
    text = textwrap.dedent(text)
    source = Source("test.py", "test", text)
    for site in find_sites(ast.parse(text), source):
        assert site.nest is not None, site.rejection and site.rejection.render(source)
        return site.nest
    raise AssertionError("no site")


def type_of(value: Any) -> Type:
    if isinstance(value, np.ndarray):
        return ArrayType(_REPS[value.dtype], value.ndim, "C")
    if isinstance(value, np.generic):
        return scalar("bool_" if value.dtype == bool else value.dtype.name)
    if isinstance(value, (bool, int, float, complex)):
        return scalar(type(value).__name__)
    return ObjectType(getattr(value, "__name__", str(value)))


def entry_of(nest: Nest, values: Mapping[str, Any]) -> dict[Quantity, Any]:
    """The entry quantities of `nest` for these live-in values."""
    entry: dict[Quantity, Any] = {}
    for live in nest.live_ins:
        value = None if live.role == "function" else values[live.name]
        if isinstance(value, np.ndarray):
            for axis, size in enumerate(value.shape):
                entry[QDim(live.name, axis)] = size
                entry[QStride(live.name, axis)] = value.strides[axis] // value.itemsize
        elif isinstance(value, (bool, int, float, np.number)):
            entry[QParam(live.name)] = value
    return entry


def typed(text: str, **values: Any) -> tuple[Nest, dict[Quantity, Any]]:
    """The typed nest of the first loop in `text` for these live-in values, and its entry quantities."""
    nest = nest_of(text)
    types = {
        live.name: ObjectType(live.intrinsic) if live.role == "function" else type_of(values[live.name])
        for live in nest.live_ins
    }
    result = infer(nest, types, {})
    if not isinstance(result, Nest):
        raise Rejected(result.title)
    return result, entry_of(result, values)


def analyse(
    text: str,
    fp: Fp = "strict",
    banned: frozenset[Predicate] = frozenset(),
    may_alias: frozenset[frozenset[str]] = frozenset(),
    **values: Any,
) -> Analysed:
    nest, entry = typed(text, **values)
    proved = prove(nest, entry, banned)
    return Analysed(nest, entry, proved, parallelism(proved.nest, entry, banned, fp, may_alias))


def outline(body: tuple[Stmt, ...], verdicts: Any) -> str:
    """Loops as nested text, parallel ones with a star: "i(j*) i.1*"."""
    parts = []
    for stmt in body:
        inner = " ".join(filter(None, (outline(b, verdicts) for b in blocks_of(stmt))))
        if isinstance(stmt, Loop):
            name = stmt.counter.replace("_1", "") + ("*" if verdicts[stmt.counter].parallel else "")
            parts.append(f"{name}({inner})" if inner else name)
        elif inner:
            parts.append(inner)
    return " ".join(parts)


def show(p: Predicate) -> str:
    match p:
        case PCompare(op=op, left=left, right=right):
            return f"{pretty(left)} {op} {pretty(right)}"
        case PAll(parts=parts):
            return "(" + " and ".join(map(show, parts)) + ")"
        case PAny(parts=parts):
            return "(" + " or ".join(map(show, parts)) + ")"
        case PFinite(name=name, nonzero=nonzero):
            return f"finite({name}{', nonzero' if nonzero else ''})"
