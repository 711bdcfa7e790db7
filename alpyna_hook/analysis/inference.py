"""Type inference: forward abstract interpretation of a nest to a fixpoint.

In: an untyped nest and the types of its live-ins.  Out: the typed nest, with every implicit conversion an
explicit `Cast`, `checks` wherever CPython would raise or warn, and all subscript modes "checked"; or the
`Rejection` that says why the interpreter has to keep the loop.

Types are flow-sensitive: `s = 0; for ...: s += a[i]` makes `s` an int before the loop and a float64 in it.
Where representations meet at a merge, the value is converted on the incoming edge (module `unions`) and the
scalar continues under another name, `s.f64`: every name has one representation.  After the outermost `for`
at least one trip has been made (a nest without trips is declined at entry), so what the loop assigns on every
path no longer has its type from before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from alpyna_hook.analysis.calltypes import narrow
from alpyna_hook.analysis.classtags import TagScope, tag_of
from alpyna_hook.analysis.exprtypes import (
    Scope, Slot, checked, infer_access, infer_expr, infer_index, infer_test, version,
)  # fmt: skip
from alpyna_hook.analysis.operations import Conflict, Unsupported, reject, truth, unstable
from alpyna_hook.analysis.tidy import finish
from alpyna_hook.analysis.unions import hold, join, type_of
from alpyna_hook.errors import InternalError, Rejection
from alpyna_hook.ir.nodes import (
    Assign, Break, Const, Continue, Expr, If, Loop, Nest, Stmt, Store, Var, While,
)  # fmt: skip
from alpyna_hook.ir.types import INT, NP_CLASS_OF_REP, REP_OF_CLASS, ArrayType, Rep, ScalarType, Type
from alpyna_hook.source import NO_SPAN, Span

State = dict[str, Slot]  # None in its place: control does not get here


@dataclass(slots=True)
class _Frame:
    """The innermost loop: what names are held in across its edges, and the states that leave early."""

    target: State
    breaks: list[State] = field(default_factory=list)
    continues: list[State] = field(default_factory=list)


@dataclass(slots=True)
class _Context:
    """What one pass over the nest shares and collects."""

    entry: Mapping[str, Type]
    tags: TagScope
    frames: list[_Frame] = field(default_factory=list)
    classes: dict[str, set[str]] = field(default_factory=dict)  # per scalar, all classes it is ever given

    def scope(self, state: State) -> Scope:
        return Scope(state, self.entry)


def infer(nest: Nest, types: Mapping[str, Type], values: Mapping[str, int | float]) -> Nest | Rejection:
    """The typed nest, or why it cannot be typed.

    types: live-in name -> type.  values: entry values of scalar live-ins; unused, so that one specialisation
    serves every value.  InternalError if a live-in has no type.
    """
    del values
    try:
        return _infer(nest, types)
    except Unsupported as unsupported:
        return unsupported.rejection


def live_out_type(nest: Nest, name: str) -> ScalarType:
    """What live-out `name` of a typed nest may be once the nest has run. InternalError if it is not typed."""
    found = dict(nest.types).get(name)
    if not isinstance(found, ScalarType):
        raise InternalError(f"{nest.name}: live-out {name} has no scalar type")
    return found


def _infer(nest: Nest, types: Mapping[str, Type]) -> Nest:
    """Passes over the nest until all class tags that a live-out needs are carried; mostly one."""
    tags = TagScope({})
    while True:
        ctx = _Context(types, tags)
        state = _entry_state(nest, types, ctx)
        body, exit_state = _nest_body(nest, state, ctx)
        wanted = _ambiguous(nest, exit_state) | ctx.tags.wanted
        if wanted <= tags.encoding.keys():
            return finish(nest, types, (*_initial_tags(state, tags), *body), exit_state, tags)
        known = tags.encoding.keys() | wanted
        tags = TagScope({name: _encoding(ctx.classes[name], exit_state.get(name)) for name in sorted(known)})


def _encoding(classes: set[str], at_exit: Slot | None) -> tuple[str, ...]:
    """What a tag's values stand for: the sorted classes at exit, as a live-out's tag has it, then all others."""
    first = sorted(at_exit.type.classes) if at_exit and isinstance(at_exit.type, ScalarType) else []
    return (*first, *sorted(classes - set(first)))


def _entry_state(nest: Nest, types: Mapping[str, Type], ctx: _Context) -> State:
    state: State = {}
    for live_in in nest.live_ins:
        if live_in.role == "function":
            continue
        if live_in.name not in types:
            raise InternalError(f"{nest.name}: live-in {live_in.name} has no type")
        entry = types[live_in.name]
        if isinstance(entry, ScalarType):
            state[live_in.name] = Slot(entry)
            ctx.classes.setdefault(live_in.name, set()).update(entry.classes)
        elif live_in.role == "scalar" and not isinstance(entry, ArrayType):
            raise reject("not-a-number", f"`{live_in.name}` is not a number.", str(entry), nest.span)
    return state


def _ambiguous(nest: Nest, exit_state: State) -> set[str]:
    """Live-outs whose class at exit depends on the path taken."""
    found = set()
    for out in nest.live_outs:
        slot = exit_state.get(out.name)
        if slot is None:
            continue
        if isinstance(slot.type, Conflict):
            raise unstable(f"`{out.name}`", slot.type, nest.span)
        if len(slot.type.classes) > 1:
            found.add(out.name)
    return found


def _initial_tags(state: State, tags: TagScope) -> list[Stmt]:
    """`NAME.class = index` before the nest for each tagged live-in."""
    return [
        Assign(tags.name(name), tag_of(Var(name, type=_scalar(state[name])), tags, name))
        for name in tags.encoding
        if name in state
    ]


def _scalar(slot: Slot) -> ScalarType:
    assert isinstance(slot.type, ScalarType)
    return slot.type


def _nest_body(nest: Nest, state: State, ctx: _Context) -> tuple[list[Stmt], State]:
    """The typed statements of the nest and the state after at least one trip of its outermost loop."""
    body: list[Stmt] = []
    current: State | None = state
    for position, stmt in enumerate(nest.body):
        if current is None:
            break
        only = position == 0 and len(nest.body) == 1
        emitted, current = _loop(stmt, current, ctx, only) if isinstance(stmt, Loop) else _stmt(stmt, current, ctx)
        body += emitted
    return body, current if current is not None else {}


def _block(stmts: Iterable[Stmt], state: State, ctx: _Context) -> tuple[list[Stmt], State | None]:
    """Typed statements and the state after them; statements that cannot be reached are dropped."""
    out: list[Stmt] = []
    current: State | None = state
    for stmt in stmts:
        if current is None:
            break
        emitted, current = _stmt(stmt, current, ctx)
        out += emitted
    return out, current


def _stmt(stmt: Stmt, state: State, ctx: _Context) -> tuple[list[Stmt], State | None]:
    match stmt:
        case Assign():
            return _assign(stmt, state, ctx)
        case Store():
            return [_store(stmt, state, ctx)], state
        case If():
            return _if(stmt, state, ctx)
        case Loop():
            return _loop(stmt, state, ctx, outermost=False)
        case While():
            return _while(stmt, state, ctx)
        case Break():
            ctx.frames[-1].breaks.append(state)
            return [*_adapt(state, ctx.frames[-1].target), stmt], None
        case Continue():
            ctx.frames[-1].continues.append(state)
            return [*_adapt(state, ctx.frames[-1].target), stmt], None


def _assign(stmt: Assign, state: State, ctx: _Context) -> tuple[list[Stmt], State]:
    if isinstance(ctx.entry.get(stmt.name), ArrayType):
        raise reject("array-rebound", f"The array `{stmt.name}` is assigned a number.", "assigned here", stmt.span)
    value = infer_expr(stmt.value, ctx.scope(state))
    have = type_of(value)
    ctx.classes.setdefault(stmt.name, set()).update(have.classes)
    out: list[Stmt] = []
    if stmt.name in ctx.tags.encoding:
        # first the tag: its expression may read the value that is about to be replaced
        out.append(Assign(ctx.tags.name(stmt.name), tag_of(value, ctx.tags, stmt.name), stmt.span))
    out.append(replace(stmt, name=version(stmt.name, have.rep), value=value))
    const = value.value if isinstance(value, Const) else None
    return out, {**state, stmt.name: Slot(have, const)}


def _store(stmt: Store, state: State, ctx: _Context) -> Store:
    scope = ctx.scope(state)
    array, index = infer_access(stmt.array, stmt.index, scope, stmt.span)
    if not array.writeable:
        raise reject("array-read-only", f"`{stmt.array}` is read-only.", "raises ValueError", stmt.span)
    value = element_value(infer_expr(stmt.value, scope), array.elem, stmt.span)
    return replace(stmt, index=index, value=value, modes=checked(index))


def element_value(value: Expr, elem: Rep, span: Span) -> Expr:
    """`value` as `array[...] = value` converts it (ndarray setitem): floats are truncated to ints."""
    if elem is Rep.BOOL:
        return truth(value)
    if not elem.is_complex and any(REP_OF_CLASS[c].is_complex for c in type_of(value).classes):
        raise reject("complex-to-real", "A complex number is stored into a real array.", "complex", span)
    return narrow(value, elem, NP_CLASS_OF_REP[elem], span)


def _if(stmt: If, state: State, ctx: _Context) -> tuple[list[Stmt], State | None]:
    test = infer_test(stmt.test, ctx.scope(state))
    then, after_then = _block(stmt.then, state, ctx)
    other, after_other = _block(stmt.other, state, ctx)
    merged = merge(after_then, after_other)
    if merged is not None:
        then += _adapt(after_then, merged)
        other += _adapt(after_other, merged)
    return [replace(stmt, test=test, then=tuple(then), other=tuple(other))], merged


def _loop(stmt: Loop, state: State, ctx: _Context, outermost: bool) -> tuple[list[Stmt], State | None]:
    scope = ctx.scope(state)
    start, stop, step = (infer_index(e, scope) for e in (stmt.start, stmt.stop, stmt.step))
    counting = {**state, stmt.counter: Slot(INT)}
    body, head, back, frame = _fixpoint(stmt.body, counting, ctx)
    exits = [_held(back if outermost else head, frame.target), *(_held(s, frame.target) for s in frame.breaks)]
    after = merge(*exits)
    if after is not None:
        after.pop(stmt.counter, None)
    typed = replace(stmt, start=start, stop=stop, step=step, body=tuple(body))
    return [*_adapt(counting, frame.target), typed], after


def _while(stmt: While, state: State, ctx: _Context) -> tuple[list[Stmt], State | None]:
    body, head, _, frame = _fixpoint(stmt.body, state, ctx, stmt.test)
    assert head is not None
    test = infer_test(stmt.test, ctx.scope(head))
    endless = isinstance(stmt.test, Const) and bool(stmt.test.value)
    after = merge(None if endless else head, *(_held(s, frame.target) for s in frame.breaks))
    return [*_adapt(state, frame.target), replace(stmt, test=test, body=tuple(body))], after


def _fixpoint(
    stmts: tuple[Stmt, ...], state: State, ctx: _Context, test: Expr | None = None
) -> tuple[list[Stmt], State, State | None, _Frame]:
    """The loop body typed under the least state that holds at its head in every trip.

    Returns (body, head state, state on the back edge, frame).  Terminates: classes only grow, and a
    representation only widens.
    """
    head = target = state
    while True:
        frame = _Frame(target)
        ctx.frames.append(frame)
        if test is not None:
            infer_test(test, ctx.scope(head))
        body, out = _block(stmts, head, ctx)
        ctx.frames.pop()
        back = merge(out, *frame.continues)
        new_target = merge(state, back, *frame.breaks)
        assert new_target is not None
        new_head = _held(merge(state, back), new_target)
        assert new_head is not None
        if new_head == head and new_target == target:
            body += _adapt(out, target)
            return body, head, back, frame
        head, target = new_head, new_target


def merge(*states: State | None) -> State | None:
    """What holds where several paths meet. A name missing on one path keeps what it is on the others: the front
    end sees to it that it is not read if it may be unassigned."""
    reachable = [s for s in states if s is not None]
    if not reachable:
        return None
    merged = dict(reachable[0])
    for state in reachable[1:]:
        for name, slot in state.items():
            merged[name] = _merge_slots(merged[name], slot) if name in merged else slot
    return merged


def _merge_slots(a: Slot, b: Slot) -> Slot:
    if isinstance(a.type, Conflict) or isinstance(b.type, Conflict):
        return Slot(a.type if isinstance(a.type, Conflict) else b.type)
    union = join(a.type, b.type)
    if union is None:
        return Slot(Conflict(a.type, b.type))
    same = type(a.const) is type(b.const) and repr(a.const) == repr(b.const)
    return Slot(union, a.const if same else None)


def _held(state: State | None, target: State) -> State | None:
    """`state` with every scalar in the representation it has in `target`, its classes kept."""
    if state is None:
        return None
    return {name: _held_slot(slot, target.get(name, slot)) for name, slot in state.items()}


def _held_slot(slot: Slot, target: Slot) -> Slot:
    if isinstance(target.type, Conflict):
        return target
    assert isinstance(slot.type, ScalarType)
    return Slot(ScalarType(target.type.rep, slot.type.classes), slot.const)


def _adapt(state: State | None, target: State) -> list[Stmt]:
    """Conversions on an edge from `state` to a point where scalars are held as in `target`."""
    if state is None:
        return []
    out: list[Stmt] = []
    for name, slot in state.items():
        want = target.get(name, slot).type
        if isinstance(want, Conflict) or isinstance(slot.type, Conflict) or want.rep is slot.type.rep:
            continue
        value: Expr = Var(version(name, slot.type.rep), NO_SPAN, slot.type)
        if slot.const is not None:
            (cls,) = slot.type.classes
            value = Const(slot.const, NO_SPAN, ScalarType(REP_OF_CLASS[cls], slot.type.classes))
        out.append(Assign(version(name, want.rep), hold(value, want.rep, NO_SPAN)))
    return out
