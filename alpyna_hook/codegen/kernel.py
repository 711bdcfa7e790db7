"""Plan -> the complete C text of one kernel, with the description of its `in` and `out` slots.

ABI (runtime/guard calls it):

    int32_t kernel(const alp_slot *in, alp_slot *out)

in[0].i is the number of threads; then, for each `KernelParam` in order: an array gives its data
pointer, its dimensions and its strides in elements; a scalar one slot (complex: two); `fp_mask` the
FP flags that count as faults; `ufunc` the address of an `alp_ufunc`; `poll` an `alp_signals`, or null.
Returns 0: done, live-outs in `out[1:]`.  1: precondition number out[0].i does not hold, nothing
written.  2: a fault; out[0].i has bit 0 for a check that fired and the raised FP flags from bit 8 up.
3: a fault in a blocked loop, out[0].i as before; the arrays are as they were where the resume record says and, if that
loop carries the live-outs, they are in `out[1:]` as they were there.  A kernel with blocks that returns 2 has left all
as it was at entry.  The resume record is the last RESUME_SLOTS of `out`: the number of the blocked loop that met a
fault, then a trip number per loop, outermost first.
4: the outermost loop was left between two of its iterations, as if it ended there (codegen/stops.py); the live-outs are
in `out[1:]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from alpyna_hook.codegen import stops
from alpyna_hook.codegen.dialect import FP_STATUS, UFUNC, WIDE, C, Dialect
from alpyna_hook.codegen.expr import Scope, look_at_flags, render
from alpyna_hook.codegen.helpers import CTYPE, text_of
from alpyna_hook.codegen.hide import hidden
from alpyna_hook.codegen.keep import kept_values
from alpyna_hook.codegen.libm import declarations
from alpyna_hook.codegen.names import c_names
from alpyna_hook.codegen.outs import live_outs, slot_field, write_outs
from alpyna_hook.codegen.stmt import Body, block, own_names, resolve
from alpyna_hook.codegen.writer import Writer
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.abi import RESUME_SLOTS
from alpyna_hook.ir.affine import (
    PAll, PAny, PCompare, PFinite, Predicate, QBinary, QConst, QDim, QParam, QStride, Quantity,
)  # fmt: skip
from alpyna_hook.ir.flow import at_entry
from alpyna_hook.ir.nodes import Const, LiveIn, Loop, Nest, While, walk_stmts
from alpyna_hook.ir.plan import KernelOut, KernelParam, KernelSource, Plan
from alpyna_hook.ir.types import ArrayType, ObjectType, Rep, ScalarType, Type

PRECONDITION_FAILED, FAULT = 1, 2  # blocks.HALF_WAY = 3
# out[0].i with return code 1, where it is no precondition's number:
NOT_REPRESENTABLE = -1  # an int live-in does not fit the double that holds it
UNDERFLOW_WATCHED = -5  # NumPy's error state asks for underflow, which a device cannot see
NO_TRIP = -2  # the outermost loop makes no trip, so that names keep the values (and types) they had


def render_kernel(
    plan: Plan, entry_types: Mapping[str, Type], lines: tuple[str, ...], dialect: Dialect = C
) -> KernelSource:
    """The kernel of `plan`.

    entry_types  type of each live-in as the guard hands it over (a live-in int may be held as a double)
    lines        source lines of the user's file, for comments; may be empty
    """
    nest = plan.nest
    types = dict(nest.types)
    for loop in (s for s in walk_stmts(nest.body) if isinstance(s, Loop)):
        types.setdefault(loop.counter, ScalarType(Rep.I64, frozenset(("int",))))
    names = dict(c_names(types))
    scope = Scope(names, types, dialect)
    flags = {out.name: f"{names[out.name]}_set" for out in nest.live_outs if not out.definite}
    outs, n_slots = live_outs(nest, types)
    body, declarations = _body(plan, scope, entry_types, lines, flags, outs)
    conditions = [_predicate(p, names) for p in plan.preconditions]
    params = _params(nest, scope, plan)
    w = Writer()
    w.line(dialect.kernel_head)
    with w.block(""):
        empty = no_trip(nest, scope)
        used = "\n".join([*declarations, *body, *conditions, empty])
        if plan.watch_fp:  # before the parameters are read: arithmetic on them must not move above it
            w.line("int64_t fp = 0;")
            w.line("alp_fp_clear();")
        _read_params(params, nest, entry_types, scope, plan, used, w)
        if plan.resume:
            w.line(f"int64_t *resume = &out[{n_slots}].i;")
            n_slots += RESUME_SLOTS
        for number, condition in enumerate(conditions):
            w.line(f"if (!({condition})) {{ out[0].i = {number}; return {PRECONDITION_FAILED}; }}")
        w.lines("int64_t fault = 0;" if scope.faults else "")
        w.lines("uint64_t kept = 0;" if scope.keeps else "")
        if empty:
            with w.block(f"if ({empty})"):
                w.line(f"out[0].i = {NO_TRIP};")
                w.line(f"return {PRECONDITION_FAILED};")
        w.raw(declarations)
        w.line()
        w.raw(body)
        w.line()
        _finish(outs, scope, flags, plan, w)
    text = _assemble(plan, scope, "alp_wide" in "".join(conditions), w.text(), dialect)
    openmp = any(p.parallel for p in plan.loops)
    return KernelSource(text, params, outs, n_slots, scope.faults or plan.watch_fp, openmp, plan.resume)


def _body(
    plan: Plan, scope: Scope, entry_types: Mapping[str, Type], lines: tuple[str, ...], flags: dict[str, str],
    outs: tuple[KernelOut, ...],
) -> tuple[list[str], list[str]]:  # fmt: skip
    """Lines of the statements, and of the declarations of what lives as long as the kernel runs."""
    nest = plan.nest
    live = {x.name for x in nest.live_ins} & {n for n, t in scope.types.items() if isinstance(t, ScalarType)}
    kept = {out.name for out in nest.live_outs} | {out.tag for out in nest.live_outs if out.tag}
    outer = (own_names(nest.body, set()) | kept) - live
    declare = Writer()
    declare.indent()
    for name in sorted(outer):
        kind = scope.types[name]
        if not isinstance(kind, ScalarType):
            raise InternalError(f"{name} is assigned but no scalar")
        declare.line(f"{CTYPE[kind.rep]} {scope.names[name]} = 0;")
    for flag in flags.values():
        declare.line(f"int64_t {flag} = 0;")
    writer = Writer()
    writer.indent()
    statements = hidden(nest.body)
    keep = kept_values(statements, frozenset(kept)) if plan.watch_fp else frozenset()
    scope.watch_fp, scope.nans = plan.watch_fp, plan.watch_fp and plan.nans
    ctx = Body(plan, scope, writer, lines, declared=outer | live, flags=flags, outs=outs, keep=keep, top=plan.stops)
    block(statements, ctx)
    text = stops.resolve(resolve(writer.take(), scope.faults), scope.faults, bool(scope.keeps))
    for (constant, rep), name in scope.hidden.items():
        declare.line(f"const {CTYPE[rep]} {name} = alp_hide_{rep.value}({constant});")
    for point in plan.resume:  # faults are only looked at there
        if point.counter not in ctx.blocked:
            raise InternalError(f"the loop over {point.counter} was to run in blocks")
    return text, declare.take()


def no_trip(nest: Nest, scope: Scope) -> str:
    """C condition under which the outermost loop makes no trip; empty if that does not matter."""
    if not any(out.definite for out in nest.live_outs):
        return ""
    for stmt in nest.body:
        if isinstance(stmt, While):
            return f"!({render(at_entry(stmt.test, nest.body), scope)})"
        if isinstance(stmt, Loop):
            start, stop, step = (render(at_entry(e, nest.body), scope) for e in (stmt.start, stmt.stop, stmt.step))
            if not isinstance(stmt.step, Const):
                return scope.call("alp_trips", start, stop, step, fault=True) + " == 0"
            return f"({start}) {'>=' if stmt.step.value > 0 else '<='} ({stop})"  # type: ignore[operator]
    return ""


def _params(nest: Nest, scope: Scope, plan: Plan) -> tuple[KernelParam, ...]:
    params = [KernelParam("live", x.name) for x in nest.live_ins]
    if plan.watch_fp:
        params.append(KernelParam("fp_mask"))
    if plan.stops:
        params.append(KernelParam("poll"))
    params += [KernelParam("ufunc", fn, rep.value) for fn, rep in scope.ufuncs]
    return tuple(params)


def _read_params(
    params: tuple[KernelParam, ...], nest: Nest, entry_types: Mapping[str, Type], scope: Scope, plan: Plan,
    used: str, w: Writer,
) -> None:  # fmt: skip
    """Local names for the `in` slots that the kernel uses."""
    live = {x.name: x for x in nest.live_ins}
    slot = 1
    if re.search(r"\bthreads\b", used):
        w.line("const int threads = (int)in[0].i;")
    for param in params:
        if param.kind == "fp_mask":
            w.line(f"const int64_t fp_mask = in[{slot}].i;")
            slot += 1
        elif param.kind == "poll":
            if stops.POLL in used:
                w.line(f"alp_signals *const {stops.POLL} = in[{slot}].p;")
            slot += 1
        elif param.kind == "ufunc":
            w.line(f"const alp_ufunc *{scope.ufuncs[(param.name, Rep(param.rep))]} = in[{slot}].p;")
            slot += 1
        else:
            slot = _read_live(live[param.name], entry_types[param.name], slot, scope, plan, used, w)


def _read_live(live: LiveIn, kind: Type, slot: int, scope: Scope, plan: Plan, used: str, w: Writer) -> int:
    if isinstance(kind, ObjectType):
        return slot
    name = scope.names.get(live.name, "")
    if isinstance(kind, ArrayType):
        restrict = "restrict " if live.name in plan.restrict else ""
        if name and re.search(rf"\b{name}(_own|_all)?\b", used):
            w.line(f"{CTYPE[kind.elem]} *{restrict}{name} = in[{slot}].p;")
        for offset, tag in enumerate([f"n{k}" for k in range(kind.ndim)] + [f"s{k}" for k in range(kind.ndim)], 1):
            if name and re.search(rf"\b{name}_{tag}\b", used):
                w.line(f"const int64_t {name}_{tag} = in[{slot + offset}].i;")
        return slot + 1 + 2 * kind.ndim
    width = 2 if kind.rep.is_complex else 1
    target = scope.types.get(live.name)
    if not name or not re.search(rf"\b{name}\b", used) or not isinstance(target, ScalarType):
        return slot + width
    _read_scalar(name, kind.rep, target.rep, slot, w)
    return slot + width


def _read_scalar(name: str, source: Rep, target: Rep, slot: int, w: Writer) -> None:
    text = f"in[{slot}].{slot_field(source)}"
    if source.is_complex:
        w.line(f"{CTYPE[target]} {name};")
        w.line(f"__real__ {name} = {text}, __imag__ {name} = in[{slot + 1}].{slot_field(source)};")
        return
    unfit = _unfit(text, source, target)
    if unfit:
        with w.block(f"if ({unfit})"):
            w.line(f"out[0].i = {NOT_REPRESENTABLE};")
            w.line(f"return {PRECONDITION_FAILED};")
    if target.is_complex:
        w.line(f"{CTYPE[target]} {name};")
        w.line(f"__real__ {name} = {text}, __imag__ {name} = 0;")
        return
    cast = "" if source is target and (source.bits == 64 or source is Rep.F32) else f"({CTYPE[target]})"
    w.line(f"{CTYPE[target]} {name} = {cast}{text};")


def _unfit(text: str, source: Rep, target: Rep) -> str:
    """C condition under which parameter `text` cannot be held exactly in `target`; "" if it always can."""
    single = target in (Rep.F32, Rep.C64)
    if source.is_int and (target.is_float or target.is_complex):
        bound = 2**24 if single else 2**53
        return f"{text} > INT64_C({bound}) || {text} < -INT64_C({bound})"
    if source is Rep.F64 and single:
        return f"(float){text} != {text}"
    if source is Rep.I64 and target.is_int and target is not Rep.I64:
        return f"{text} < 0" if target is Rep.U64 else f"({CTYPE[target]}){text} != {text}"
    return ""


def _finish(outs: tuple[KernelOut, ...], scope: Scope, flags: dict[str, str], plan: Plan, w: Writer) -> None:
    write_outs(outs, plan.nest, scope, flags, w)
    if plan.watch_fp:
        look_at_flags(scope, w)
    if plan.resume:  # faults have returned already, each from its block
        w.line("return 0;")
        return
    fp = plan.watch_fp
    if not scope.faults and not fp:
        w.line("return 0;")
        return
    detail = " | ".join(t for t in ("fault" if scope.faults else "", "fp << 8" if fp else "") if t)
    w.line(f"out[0].i = {detail};")
    test = " || ".join(t for t in ("fault" if scope.faults else "", "(fp & fp_mask)" if fp else "") if t)
    w.line(f"return {test} ? {FAULT} : 0;")


def _assemble(plan: Plan, scope: Scope, wide: bool, kernel: str, dialect: Dialect) -> str:
    parts = [f"/* {plan.nest.name}, {plan.variant} */", dialect.prelude]
    if "omp_get_thread_num" in kernel:
        parts.append("#include <omp.h>")
    if wide:
        parts.append(WIDE)
    if plan.watch_fp:
        parts.append(FP_STATUS)
    if stops.POLL in kernel:
        parts.append(stops.TYPE)
    if scope.ufuncs:
        parts.append(UFUNC)
    code = [*(text_of(name, dialect) for name in scope.helpers), kernel]
    if libm := declarations("\n".join(code)):
        parts.append(libm)
    return "\n\n".join([*parts, *code])


def _predicate(p: Predicate, names: Mapping[str, str]) -> str:
    match p:
        case PCompare(op=op, left=left, right=right):
            texts = (_quantity(left, names), _quantity(right, names))
            if not isinstance(left, QBinary) and not isinstance(right, QBinary):  # nothing can overflow
                texts = (texts[0].removeprefix("(alp_wide)"), texts[1].removeprefix("(alp_wide)"))
            return f"{texts[0]} {op} {texts[1]}"
        case PAll(parts=parts):
            return " && ".join(f"({_predicate(q, names)})" for q in parts) or "true"
        case PAny(parts=parts):
            return " || ".join(f"({_predicate(q, names)})" for q in parts) or "false"
        case PFinite(name=name, nonzero=nonzero):
            return f"isfinite({names[name]})" + (f" && {names[name]} != 0" if nonzero else "")


def _quantity(q: Quantity, names: Mapping[str, str]) -> str:
    match q:
        case QConst(value=v):
            return str(v) if abs(v) < 2**31 else f"(alp_wide)INT64_C({v})" if abs(v) < 2**63 else _big(v)
        case QParam(name=n):
            return f"(alp_wide){names[n]}"
        case QDim(array=a, axis=k):
            return f"(alp_wide){names[a]}_n{k}"
        case QStride(array=a, axis=k):
            return f"(alp_wide){names[a]}_s{k}"
        case QBinary(op=op, left=left, right=right):
            a, b = _quantity(left, names), _quantity(right, names)
            if op in ("min", "max"):
                return f"({a} {'<' if op == 'min' else '>'} {b} ? {a} : {b})"
            if op == "//":  # floor, by a positive constant only
                if not isinstance(right, QConst) or right.value <= 0:
                    raise InternalError("entry quantities divide by positive constants only")
                return f"(({a} >= 0 ? {a} : {a} - {right.value - 1}) / {right.value})"
            return f"({a} {op} {b})"


def _big(v: int) -> str:
    """A constant beyond int64, as wide arithmetic on halves."""
    return f"((alp_wide){v >> 62} * ((alp_wide)1 << 62) + INT64_C({v & (2**62 - 1)}))"


def wide_safe(p: Predicate) -> bool:
    """True if `p`, over 64-bit quantities, cannot overflow 128 bits: at most two of them are multiplied."""
    match p:
        case PCompare(left=left, right=right):
            return max(_bits(left), _bits(right)) <= 127
        case PAll(parts=parts) | PAny(parts=parts):
            return all(wide_safe(q) for q in parts)
        case PFinite():
            return True


def _bits(q: Quantity) -> int:
    match q:
        case QConst(value=v):
            return max(v.bit_length(), 1)
        case QParam() | QDim() | QStride():
            return 63
        case QBinary(op=op, left=left, right=right):
            a, b = _bits(left), _bits(right)
            return a + b if op == "*" else max(a, b) + (op in ("+", "-"))
