"""Counts of a typed nest: what it does how often, symbolic at compile time, free of any machine figure.

In: a typed `Nest`.  Out: `Counts`, a tree that mirrors the loops.  Each loop has its bounds as
`Quantity` (a loop counter stands there as `QParam(counter)`), so that triangular loops evaluate right;
each block has its machine operations by class and representation, its interpreter operations by
class, its array accesses with byte strides by every enclosing counter, and the loop-carried chain.
What cannot be known here is None (trip counts of `while`, data-dependent subscripts).

Machine operations, "class.rep" with rep f64, f32, int or c128:
    add mul div sqrt pow fmod neg abs min max cmp select cvt bit idiv     e.g. "add.f64", "idiv.int"
    libm.NAME     a call into libm (math.exp, math.sin, float **, ...)
    npy.NAME      a call into NumPy's own scalar loop (np.exp, ...)
    check         one watched condition (overflow, zero, domain, ...);  bounds: one subscript range test
    branch        a data-dependent jump;  forward: a store that the next trip loads again
Interpreter operations (each with the loading of its names) are listed in `INTERP_OPS`.

After Jacob, Trinder, Singer, "Pricing Python parallelism" (DLS 2020): instruction-class counts, staged;
the split of counts and machine figures is Williams, Waterman, Patterson, "Roofline" (CACM 52(4), 2009).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from alpyna_hook.cost import branches
from alpyna_hook.cost.accesses import Access, ArrayInfo, access_of, arrays_of
from alpyna_hook.cost.chains import Amounts, carried, chain_of, memory_chain, nominal
from alpyna_hook.cost.classes import call_class, cast_class, interp_binary, interp_call, machine_binary, rep_name
from alpyna_hook.cost.induction import Values, assigned_names, at_loop_entry, counted
from alpyna_hook.cost.symbolic import ZERO, symbolic
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.affine import QConst, QParam, Quantity, leaves
from alpyna_hook.ir.nodes import (
    Assign, Binary, Break, Call, Cast, Compare, Const, Continue, Dim, Expr, If, Load, Logical, Loop, Nest, Select, Stmt,
    Store, Unary, Var, While, walk, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.types import ArrayType, ScalarType, Type

BREAK_TRIPS = 0.5  # share of its range that a loop with a `break` runs: uniform position of the hit


@dataclass(frozen=True, slots=True)
class Block:
    """Straight-line work per execution, nested loops excluded (`loops`). `chain` is the longest path of
    operations from the start of one trip of the enclosing loop to the start of the next (a latency bound)."""

    ops: Amounts = ()
    interp: Amounts = ()
    accesses: tuple[Access, ...] = ()
    chain: Amounts = ()
    loops: tuple[LoopCount, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopCount:
    """One loop. A `while` that no induction variable bounds, or a range whose bounds are data, has start = step = None
    and its trip count in `stop`: QParam("@while<k>"), a leaf that nobody knows at entry: an estimate, or what earlier
    calls showed. A `while` that one bounds is a range over the values of that variable.

    weight      executions per execution of the enclosing block (branches)
    trip_share  share of the range that runs (1, or BREAK_TRIPS)
    straight    trip count known on entry, and no branch holds a store, a loop or a jump
    carried     scalars that take a value from one trip to the next
    """

    counter: str
    start: Quantity | None
    stop: Quantity | None
    step: Quantity | None
    body: Block
    weight: float = 1.0
    trip_share: float = 1.0
    straight: bool = False
    carried: tuple[str, ...] = ()

    @property
    def vectorisable(self) -> bool:
        """By structure: innermost, straight, affine subscripts, no chain, no checks, no calls. Whether dependences
        allow it is the analysis' business (`Candidate.vectorised`); whether it pays is the model's: elements that are
        not side by side are moved one by one."""
        return self.straight and _vectorisable(self.body)


@dataclass(frozen=True, slots=True)
class Counts:
    """All that the model needs of a nest.

    trip_leaves   entry leaves that influence a trip count: decisions are bucketed on these
    can_fault     the nest has checks, so a run needs a journal of the written arrays
    unknown       leaves without a value at entry (while loops): estimated
    """

    root: Block
    arrays: tuple[ArrayInfo, ...]
    trip_leaves: tuple[Quantity, ...]
    can_fault: bool
    unknown: tuple[QParam, ...] = ()


def count(nest: Nest) -> Counts:
    """Counts of a typed nest. InternalError if an expression has no type."""
    types = dict(nest.types)
    live = {li.name for li in nest.live_ins if li.role == "scalar"}
    values: dict[str, Quantity | None] = {n: QParam(n) for n in live if _is_int(types.get(n))}
    walker = _Walker(types, frozenset(live))
    tally = _Tally(())
    _walk_block(nest.body, walker, tally, values)
    root = tally.block(())
    bounds = [q for loop in loops(root) for q in (loop.start, loop.stop, loop.step) if q is not None]
    counters = {loop.counter for loop in loops(root)}
    found = {leaf for q in bounds for leaf in leaves(q)}
    trip_leaves = [q for q in found if not (isinstance(q, QParam) and (q.name in counters or "@" in q.name))]
    return Counts(
        root=root,
        arrays=arrays_of(nest, types),
        trip_leaves=tuple(sorted(trip_leaves, key=str)),
        can_fault=any(name in ("check", "bounds") for block in blocks(root) for name, _ in block.ops),
        unknown=tuple(QParam(f"@while{k}") for k in range(walker.whiles)),
    )


def loops(block: Block) -> Iterator[LoopCount]:
    """All loops below `block`, outer before inner, in program order."""
    for loop in block.loops:
        yield loop
        yield from loops(loop.body)


def blocks(block: Block) -> Iterator[Block]:
    """`block` and the bodies of all loops below it."""
    yield block
    for loop in loops(block):
        yield loop.body


@dataclass
class _Walker:
    """What stays the same over a nest; how many loops of unknown length and how many counted `while`s were met; what
    int names stand for but for some jumps (`up = (i - 1) % n`): good for strides, not for trip counts."""

    types: Mapping[str, Type]
    live: frozenset[str]
    whiles: int = 0
    counted: int = 0
    near: dict[str, Expr] = field(default_factory=dict)


@dataclass
class _Tally:
    """Work of one block while it is being walked; `weight` is that of the branch being walked.

    depth maps a scalar to the longest chain of operations from a carried scalar's value at the start of the trip.
    """

    counters: tuple[str, ...]
    ops: dict[str, float] = field(default_factory=dict)
    interp: dict[str, float] = field(default_factory=dict)
    accesses: list[Access] = field(default_factory=list)
    loops: list[LoopCount] = field(default_factory=list)
    weight: float = 1.0
    depth: dict[str, Amounts] = field(default_factory=dict)
    straight: bool = True

    def op(self, name: str, number: float = 1.0) -> None:
        self.ops[name] = self.ops.get(name, 0.0) + number * self.weight

    def py(self, name: str, number: float = 1.0) -> None:
        self.interp[name] = self.interp.get(name, 0.0) + number * self.weight

    def block(self, chain: Amounts) -> Block:
        return Block(
            ops=tuple(sorted(self.ops.items())),
            interp=tuple(sorted(self.interp.items())),
            accesses=tuple(self.accesses),
            chain=chain,
            loops=tuple(self.loops),
        )


Bounds = tuple["Quantity | None", "Quantity | None", "Quantity | None"]  # start, stop, step


def _walk_block(body: tuple[Stmt, ...], walker: _Walker, tally: _Tally, values: Values) -> None:
    for stmt in body:
        match stmt:
            case Assign(name=name, value=value):
                _assign(name, value, walker, tally, values)
            case Store():
                _store(stmt, walker, tally, values)
            case Loop():
                _loop(stmt, walker, tally, values)
            case While():
                _while(stmt, walker, tally, values)
            case If():
                _if(stmt, walker, tally, values)
            case Break() | Continue():
                tally.py("jump")


def _assign(name: str, value: Expr, walker: _Walker, tally: _Tally, values: Values) -> None:
    known = symbolic(value, values)
    if isinstance(value, Var) and value.name in tally.counters:
        # The visible name of a loop counter: `for` itself has stored it.
        values[name] = known
        return
    _expr(value, walker, tally, values, address=known is not None and _is_index_type(value))
    tally.py("assign")
    values[name] = known
    walker.near.pop(name, None)
    if known is None and _is_index_type(value) and name not in _names(value):
        walker.near[name] = value
    depth = chain_of(value, tally.depth)
    if depth is None:
        tally.depth.pop(name, None)
    else:
        tally.depth[name] = depth


def _store(stmt: Store, walker: _Walker, tally: _Tally, values: Values) -> None:
    _expr(stmt.value, walker, tally, values)
    _subscripts(stmt.array, stmt.index, stmt.modes, True, walker, tally, values)


def _if(stmt: If, walker: _Walker, tally: _Tally, values: Values) -> None:
    then, other, taken = stmt.then, stmt.other, branches.taken(stmt)
    _expr(stmt.test, walker, tally, values)
    tally.py("branch")
    tally.op("branch", branches.jump(taken))
    if any(isinstance(s, (Store, Loop, While, Break, Continue)) for s in walk_stmts(then + other)):
        tally.straight = False
    outer = tally.weight
    results = []
    for branch, share in ((then, taken), (other, 1.0 - taken)):
        tally.weight = outer * share
        inside = dict(values)
        _walk_block(branch, walker, tally, inside)
        results.append(inside)
    tally.weight = outer
    for name in assigned_names(then + other):
        walker.near.pop(name, None)
        values[name] = results[0].get(name) if results[0].get(name) == results[1].get(name) else None


def _loop(stmt: Loop, walker: _Walker, tally: _Tally, values: Values) -> None:
    for bound in (stmt.start, stmt.stop, stmt.step):
        _expr(bound, walker, tally, values, address=True)
    tally.py("loop_entry")
    start, stop, step = (symbolic(e, values) for e in (stmt.start, stmt.stop, stmt.step))
    share = 1.0
    if isinstance(step, QConst) and (start is None) != (stop is None):
        # `range(limit, weight[i], -1)`: data end it on its way to zero, or begin it on the way from there.
        if step.value < 0 and stop is None:
            stop, share = ZERO, BREAK_TRIPS
        elif step.value > 0 and start is None:
            start, share = ZERO, BREAK_TRIPS
    if start is None or stop is None or step is None:
        # Bounds that depend on data (`range(indptr[i], indptr[i + 1])`): estimated like a while loop.
        start, stop, step = None, _unknown(walker), None
    inner = _Tally((*tally.counters, stmt.counter))
    inner.py("range_iter")
    inside = at_loop_entry(stmt.body, stmt.counter, values)
    _nested(stmt.counter, stmt.body, walker, tally, inner, inside, values, (start, stop, step), share)


def _while(stmt: While, walker: _Walker, tally: _Tally, values: Values) -> None:
    found = counted(stmt, values)
    if found is None:
        trips = _unknown(walker)
        counter, share = trips.name, 1.0
        bounds: Bounds = (None, trips, None)
    else:
        walker.counted += 1
        counter, share = f"{found.name}@{walker.counted}", 1.0 if found.sure else BREAK_TRIPS
        bounds = (found.start, found.stop, QConst(found.step))
    inner = _Tally((*tally.counters, counter))
    inside = at_loop_entry(stmt.body, counter, values)
    if found is not None:
        inside[found.name] = QParam(counter)
    _expr(stmt.test, walker, inner, inside)
    inner.py("branch")
    inner.op("branch")
    inner.straight = False  # compilers do not vectorise it
    _nested(counter, stmt.body, walker, tally, inner, inside, values, bounds, share)


def _unknown(walker: _Walker) -> QParam:
    walker.whiles += 1
    return QParam(f"@while{walker.whiles - 1}")


def _nested(
    counter: str,
    body: tuple[Stmt, ...],
    walker: _Walker,
    tally: _Tally,
    inner: _Tally,
    inside: Values,
    values: Values,
    bounds: Bounds,
    share: float = 1.0,
) -> None:
    """Walk a loop's body into `inner` and hang the loop on `tally`. inside, values: what int names stand for at the
    start of a trip, and around the loop. share: of the range, as far as the loop's test shows."""
    names = carried(body)
    inner.depth = {name: () for name in names}
    _walk_block(body, walker, inner, inside)
    chains = [inner.depth[name] for name in names if name in inner.depth and inside.get(name) is None]
    chains.append(memory_chain(body, counter, inside))
    chain = max(chains, key=nominal)
    broken = any(isinstance(s, Break) for s in _own_statements(body))
    block = inner.block(chain)
    tally.loops.append(
        LoopCount(
            counter=counter,
            start=bounds[0],
            stop=bounds[1],
            step=bounds[2],
            body=block,
            weight=tally.weight,
            trip_share=BREAK_TRIPS if broken else share,
            straight=inner.straight,
            carried=names,
        )
    )
    for name in assigned_names(body):
        values[name] = None
        tally.depth.pop(name, None)


def _own_statements(body: tuple[Stmt, ...]) -> Iterator[Stmt]:
    """Statements of this loop level: branches included, nested loops not."""
    for stmt in body:
        yield stmt
        if isinstance(stmt, If):
            yield from _own_statements(stmt.then + stmt.other)


def _vectorisable(block: Block) -> bool:
    if block.loops or block.chain:
        return False
    scalar_only = ("check", "bounds", "libm.", "npy.", "pow.", "fmod.", "idiv.")
    if any(name.startswith(scalar_only) for name, _ in block.ops):
        return False
    return all(access.strides is not None for access in block.accesses)


def _expr(expr: Expr, walker: _Walker, tally: _Tally, values: Values, address: bool = False) -> None:
    """Count `expr` and all below it. `address`: an affine index, which costs compiled code nothing."""
    match expr:
        case Const():
            return
        case Var(name=name):
            if "." in name:
                tally.py("attribute", name.count("."))
            return
        case Dim():
            tally.py("attribute")
            return
        case Load(array=array, index=index, modes=modes):
            _subscripts(array, index, modes, False, walker, tally, values)
            return
        case Select(test=test, then=then, other=other):
            _expr(test, walker, tally, values)
            tally.py("branch")
            tally.op(f"select.{rep_name(expr)}")
            outer = tally.weight
            tally.weight = outer * branches.TAKEN
            _expr(then, walker, tally, values)
            _expr(other, walker, tally, values)
            tally.weight = outer
            return
        case Logical(left=left, right=right):
            _expr(left, walker, tally, values)
            tally.py("branch")
            outer = tally.weight
            tally.weight = outer * branches.TAKEN
            _expr(right, walker, tally, values)
            tally.weight = outer
            return
    _operation(expr, tally, address)
    address = address or (_is_index_type(expr) and symbolic(expr, values) is not None)
    match expr:
        case Unary(operand=x) | Cast(operand=x):
            _expr(x, walker, tally, values, address)
        case Binary(left=left, right=right) | Compare(left=left, right=right):
            _expr(left, walker, tally, values, address)
            _expr(right, walker, tally, values, address)
        case Call(args=args):
            for arg in args:
                _expr(arg, walker, tally, values, address)


def _operation(
    expr: Unary | Binary | Compare | Call | Cast, tally: _Tally, address: bool
) -> None:
    """The operation of this node alone."""
    name: str | None
    match expr:
        case Binary():
            name = machine_binary(expr)
            tally.py(interp_binary(expr))
        case Unary(op=op):
            name = f"neg.{rep_name(expr)}" if op in ("-", "~") else None
            tally.py("unary")
        case Compare(left=left):
            name = f"cmp.{rep_name(left)}"
            tally.py(interp_binary(expr))
        case Call():
            name = call_class(expr)
            tally.py(interp_call(expr))
        case Cast():
            name = cast_class(expr)  # implicit in Python: part of the operation that needs it
    if address and not (isinstance(expr, Call) and expr.fn in ("min", "max")):
        return
    if name is not None:
        tally.op(name)
    if not isinstance(expr, Compare) and expr.checks:
        tally.op("check", len(expr.checks))


def _subscripts(
    array: str,
    index: tuple[Expr, ...],
    modes: tuple[str, ...],
    store: bool,
    walker: _Walker,
    tally: _Tally,
    values: Values,
) -> None:
    """One array reference: its index expressions, the access, and what makes its subscripts safe."""
    kind = "store" if store else "load"
    tally.py(f"{kind}{len(index) if len(index) < 3 else 'n'}")
    if "." in array:
        tally.py("attribute", array.count("."))
    for sub in index:
        _expr(sub, walker, tally, values, address=symbolic(sub, values) is not None)
    for mode in modes:
        if mode == "wrap":
            tally.op("select.int")
        elif mode == "checked":
            tally.op("bounds")
    info = walker.types.get(array)
    if not isinstance(info, ArrayType):
        raise InternalError(f"no array type for {array!r}")
    tally.accesses.append(access_of(array, info, index, store, (tally.counters, tally.weight, values), walker.near))


def _names(expr: Expr) -> set[str]:
    return {e.name for e in walk(expr) if isinstance(e, Var)}


def _is_int(t: Type | None) -> bool:
    return isinstance(t, ScalarType) and (t.rep.is_int or t.rep.value == "b1")


def _is_index_type(expr: Expr) -> bool:
    return expr.type is not None and expr.type.rep.is_int
