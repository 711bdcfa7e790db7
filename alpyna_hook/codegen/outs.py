"""Live-outs: the `out` slots that they come back in, and the C text that fills them.

In: the live-outs of a typed nest.  Out: `KernelOut`s, as the guard's table has them (runtime/specials.py), and lines
of the kernel, where it ends and where a blocked loop stops half-way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alpyna_hook.codegen.expr import Scope
from alpyna_hook.codegen.writer import Writer
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.plan import KernelOut
from alpyna_hook.ir.types import Rep, ScalarType, Type


def live_outs(nest: Nest, types: Mapping[str, Type]) -> tuple[tuple[KernelOut, ...], int]:
    """The slots in which the live-outs come back, and their number."""
    outs, slot = [], 1
    for out in nest.live_outs:
        kind = types[out.name]
        if not isinstance(kind, ScalarType):
            raise InternalError(f"live-out {out.name} is no scalar")
        own, slot = slot, slot + (2 if kind.rep.is_complex else 1)
        tag_slot, slot = (slot, slot + 1) if out.tag else (-1, slot)
        set_slot, slot = (-1, slot) if out.definite else (slot, slot + 1)
        outs.append(KernelOut(out.name, tuple(sorted(kind.classes)), kind.rep.value, own, tag_slot, set_slot))
    return tuple(outs), slot


def write_outs(outs: Sequence[KernelOut], nest: Nest, scope: Scope, flags: Mapping[str, str], w: Writer) -> None:
    """C lines that put the live-outs into their slots."""
    tags = {out.name: out.tag for out in nest.live_outs}
    for out in outs:
        _write(out, scope.names[out.name], scope.names[tags[out.name]] if out.tag_slot >= 0 else "", w)
        if out.tag_slot >= 0:
            w.line(f"out[{out.tag_slot}].i = {scope.names[tags[out.name]]};")
        if out.set_slot >= 0:
            w.line(f"out[{out.set_slot}].i = {flags[out.name]};")


def _write(out: KernelOut, name: str, tag: str, w: Writer) -> None:
    """Scalar `name` into its slot, in the form that the guard expects of the class it has (`tag`: which one)."""
    rep = Rep(out.rep)
    real = f"__real__ {name}" if rep.is_complex else name
    fields = {k: out_field(cls, rep) for k, cls in enumerate(out.classes)}
    other = [k for k, form in fields.items() if form != slot_field(rep)]
    if rep.is_complex:
        w.line(f"out[{out.slot + 1}].{slot_field(rep)} = __imag__ {name};")
    if len(other) < len(fields):
        w.line(f"out[{out.slot}].{slot_field(rep)} = {real};")
    for k in other:
        test = f"if ({tag} == {k}) " if len(fields) > 1 else ""
        w.line(f"{test}out[{out.slot}].{fields[k]} = {real};")


def out_field(cls: str, rep: Rep) -> str:
    """The slot's member through which a value of class `cls`, held in `rep`, comes back (runtime/specials.py)."""
    match cls:
        case "bool":
            return "i"
        case "int":
            return "i" if rep.is_int else "d"
        case "float":
            return "d"
        case _:
            return slot_field(rep)


def slot_field(rep: Rep) -> str:
    """The slot's member that holds a value of this representation (of a complex: each part)."""
    return {Rep.F64: "d", Rep.C128: "d", Rep.F32: "f", Rep.C64: "f", Rep.U64: "u"}.get(rep, "i")
