"""Block journals: how a nest that can fault is made restartable without copying its arrays first.

Where a loop over `i` writes nothing but rows `i + c` of its arrays, the loop is run in blocks of consecutive
iterations.  Each iteration saves the rows that it is about to write into a buffer that stays in the cache; if a
fault shows after a block, the rows of that block are put back, and the nest has then been done exactly up to the
first iteration of the block: the interpreter goes on from there, and raises or warns where CPython would.

If the blocked loop is the outermost one, it may carry scalars from one iteration to the next, and its names may be
seen after it: they are the nest's live-outs (`resumable`), their values at the block's start are kept, and
come back with the fault as they otherwise do at the end.  In the first block nothing has been done: the interpreter
runs the whole loop.

    s = 0.0                             for block in blocks of range(n):
    for i in range(n):                      s_block = s
        s += a[i]                           for i in block: save b[i]; s += a[i]; b[i] = s
        b[i] = s                            faults? restore the block, resume at it with s_block

Loops around a blocked loop may hold nothing but such loops, so that "there" is a trip number per loop, and no scalars
are handed on: those of an inner loop may not have been assigned yet, or have another class before they are.

    for t in range(steps):              for t in range(steps):
        for i in range(1, n):               for block in blocks of range(1, n):
            b[i] = f(a[i - 1])                  for i in block: save b[i]; b[i] = f(a[i - 1])
        for i in range(1, n):                   faults? restore the block, resume at (t, first loop, block)
            a[i] = b[i]                     ...

On a device one grid can be launched that way (device.py, `in_blocks`).

In: a nest and, once they are known, what analysis found of its loops.  Out: the loops to be run in blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Mapping, Sequence
from itertools import combinations
from dataclasses import dataclass, replace

from alpyna_hook.ir.flow import assigned, exposed, leaves_early, surely_assigned
from alpyna_hook.ir.nodes import (
    Assign, Binary, Const, Expr, LiveOut, Load, Loop, Nest, Stmt, Store, Var, walk, walk_exprs, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.plan import LoopPlan, Plan, ResumePoint
from alpyna_hook.ir.types import ArrayType

# With more sweeps than this over the same arrays one copy of the arrays is cheaper than saving rows in each.
MAX_SWEEPS = 16
MAX_ARRAYS = 8  # that one loop may save rows of
MAX_CARRIED = 32  # names that come back from a loop that stops half-way
BLOCK_BYTES = 1024 * 1024  # saved by one thread in one block: stays in its cache, and threads meet seldom

Saved = tuple[tuple[str, int], ...]  # (array, row offset c): iteration i writes row i + c
Bounds = tuple[Expr, Expr, Expr]  # start, stop, step
Chain = tuple[Bounds, ...]
_Blocked = tuple[tuple[Loop, ...], Loop]  # a blocked loop and, outermost first, the loops around it


@dataclass(frozen=True, slots=True)
class Blocks:
    """saved: per blocked counter, the rows each iteration writes; points: where each blocked loop resumes."""

    saved: Mapping[str, Saved]
    points: tuple[ResumePoint, ...]


def restartable(nest: Nest) -> bool:
    """Whether the nest can be run in blocks and resumed as it is, judged before types are known."""
    return resumable(nest) == nest


def resumable(nest: Nest) -> Nest | None:
    """The untyped nest with all names among its live-outs that the interpreter needs to go on from a block's start:
    those that an iteration may read before it assigns them, too. None if it cannot be run in blocks."""
    loop = _only_loop(nest)
    if loop is None:
        return None
    known = {out.name for out in nest.live_outs}
    needed = sorted((exposed(loop.body) & assigned(loop.body)) - known) if _rows(loop) is not None else []
    if len(known) + len(needed) > MAX_CARRIED or not all(map(str.isidentifier, needed)):
        return None
    sure = surely_assigned(loop.body) | {live.name for live in nest.live_ins if not live.optional}
    carrying = replace(nest, live_outs=(*nest.live_outs, *(LiveOut(name, name in sure) for name in needed)))
    return carrying if _choose(carrying, lambda loop: True) is not None else None


def choose_blocks(
    nest: Nest, parallel: Callable[[Loop], bool], may_alias: Collection[frozenset[str]] = ()
) -> Blocks | None:
    """The loops of a typed nest to be run in blocks, outermost ones first; None if it cannot be done.

    parallel   whether a loop's iterations are independent
    may_alias  pairs of arrays whose memory may overlap: an iteration must not save what an earlier one of its
               block has written through another name
    """
    types = dict(nest.types)

    def eligible(loop: Loop) -> bool:
        pairs = combinations(sorted({s.array for s in _stores(loop)}), 2)
        apart = parallel(loop) or not any(frozenset(pair) in may_alias for pair in pairs)
        return apart and all(_rows_are_contiguous(s, types[s.array]) for s in _stores(loop))

    return _choose(nest, eligible)


def _rows_are_contiguous(store: Store, kind: object) -> bool:
    contiguous = isinstance(kind, ArrayType) and (kind.layout == "C" or kind.ndim == 1)
    return contiguous and store.modes[0] == "direct"


def _only_loop(nest: Nest) -> Loop | None:
    """The nest's outermost loop, if nothing follows it; assignments before it belong to the representation of names."""
    *before, last = nest.body
    return last if isinstance(last, Loop) and all(isinstance(s, Assign) for s in before) else None


def _choose(nest: Nest, eligible: Callable[[Loop], bool]) -> Blocks | None:
    outermost = _only_loop(nest)
    if outermost is None:
        return None
    loops = [s for s in walk_stmts(nest.body) if isinstance(s, Loop)]
    if len({(s.span.line, s.span.col) for s in loops}) < len(loops):
        return None  # a loop was split: trips of the Python loop are no trips of ours
    saved: dict[str, Saved] = {}
    points: list[ResumePoint] = []
    blocked: list[_Blocked] = []
    if not _walk(outermost, (), (), eligible, saved, points, blocked):
        return None
    if outermost.counter in saved:
        return Blocks(saved, tuple(points)) if _comes_back(outermost, nest) else None
    kept = all(_same_names_return(out.name, blocked, nest) for out in nest.live_outs)
    return Blocks(saved, tuple(points)) if kept and all(_stands_alone(*b, nest) for b in blocked) else None


def _comes_back(loop: Loop, nest: Nest) -> bool:
    """Whether the interpreter can go on with `loop`, the outermost one, once the live-outs have the values that they
    had there: they are all that its iterations hand on, and its `range(...)`, evaluated anew, is the same."""
    outs = {out.name for out in nest.live_outs}
    handed_on = exposed(loop.body) & assigned(nest.body)
    bounds = [e for bound in _bounds(loop) for e in walk(bound)]
    written = {s.array for s in _stores(loop)}
    if any(isinstance(e, Load) and e.array in written for e in bounds):
        return False
    if any(isinstance(e, Var) and _python(e.name) in outs for e in bounds):
        return False
    return {_python(name) for name in handed_on} <= outs


def _python(name: str) -> str:
    """The variable that a typed scalar belongs to: "s" of "s", of "s.f64" in another representation, of "s.class"."""
    return name.partition(".")[0]


def _walk(
    loop: Loop, path: tuple[Loop, ...], skipped: tuple[Loop, ...], eligible: Callable[[Loop], bool],
    saved: dict[str, Saved], points: list[ResumePoint], blocked: list[_Blocked],
) -> bool:  # fmt: skip
    """Blocks `loop`, or all loops that it consists of. `skipped`: loops done already when `loop` is entered."""
    rows = _rows(loop)
    if rows is not None and eligible(loop):
        saved[loop.counter] = rows
        blocked.append((path, loop))
        places = tuple((s.span.line, s.span.col) for s in (*path, loop))
        gone = tuple((s.span.line, s.span.col) for s in skipped)
        points.append(ResumePoint(loop.counter, places, gone, carried=not path))
        return True
    done: tuple[Loop, ...] = ()
    for stmt in loop.body:
        if isinstance(stmt, Assign) and _is_counter(stmt.value, loop) and not done:
            continue  # the Python loop variable
        if not isinstance(stmt, Loop) or not isinstance(loop.step, Const):
            return False
        if not _walk(stmt, (*path, loop), (*skipped, *done), eligible, saved, points, blocked):
            return False
        done = (*done, stmt)
    return bool(done)


def _is_counter(expr: Expr, loop: Loop) -> bool:
    return isinstance(expr, Var) and expr.name == loop.counter


def _rows(loop: Loop) -> Saved | None:
    """The rows that iteration `i` of `loop` writes: one per array; None if it writes anything else."""
    if not isinstance(loop.step, Const) or loop.step.value != 1 or not _stores(loop) or leaves_early(loop.body):
        return None
    offsets: dict[str, int] = {}
    for store in _stores(loop):
        offset = _offset(store.index[0], loop.counter) if store.index else None
        if offset is None or offsets.setdefault(store.array, offset) != offset:
            return None
    return tuple(offsets.items()) if len(offsets) <= MAX_ARRAYS else None


def _stores(loop: Loop) -> list[Store]:
    return [s for s in walk_stmts(loop.body) if isinstance(s, Store)]


def _offset(index: Expr, counter: str) -> int | None:
    """c if `index` is `counter + c`."""
    match index:
        case Var(name=name) if name == counter:
            return 0
        case Binary(op="+" | "-" as op, left=Var(name=name), right=Const(value=int(c))) if name == counter:
            return c if op == "+" else -c
        case Binary(op="+", left=Const(value=int(c)), right=Var(name=name)) if name == counter:
            return c
    return None


def _stands_alone(path: tuple[Loop, ...], loop: Loop, nest: Nest) -> bool:
    """Whether `loop` runs as it should when the interpreter enters it anew: neither its body nor the bounds on the
    way to it use what other parts of the nest computed, but for the variables of the loops around it."""
    heads = [p.body[0] for p in path]
    volatile = {s.name for s in walk_stmts(nest.body) if isinstance(s, Assign) and not any(s is h for h in heads)}
    written = {s.array for s in walk_stmts(nest.body) if isinstance(s, Store)}
    for around in (*path, loop):
        bounds = [e for bound in _bounds(around) for e in walk(bound)]
        if any(isinstance(e, Load) and e.array in written for e in bounds):
            return False
        own = {s.name for s in around.body[:1] if isinstance(s, Assign)}
        if (path or around is not loop) and {e.name for e in bounds if isinstance(e, Var)} & (volatile | own):
            return False
    return not exposed(loop.body) & volatile


def _same_names_return(name: str, blocked: Sequence[_Blocked], nest: Nest) -> bool:
    """Whether the interpreter, entering any blocked loop at any trip, first assigns `name` if it was assigned before.
    Without that an exception in the first iteration would leave the name behind as it was at entry."""
    assigns = [s for s in walk_stmts(nest.body) if isinstance(s, Assign) and s.name == name]
    heads = [p.body[0] for path, _ in blocked for p in path]
    if all(any(s is h for h in heads) for s in assigns):
        return all(sum(s is p.body[0] for p in path for s in assigns) == len(assigns) for path, _ in blocked)
    changing = frozenset(s.counter for s in walk_stmts(nest.body) if isinstance(s, Loop)) | assigned(nest.body)
    chains = [c for _, loop in blocked for n, c in _first_names(loop, (), changing) if n == name]
    return len(chains) == len(blocked) == len(assigns) and all(c == chains[0] for c in chains)


def _first_names(loop: Loop, inside: Chain, changing: frozenset[str]) -> list[tuple[str, Chain]]:
    """Loop variables that an iteration of `loop` assigns before anything else, with the bounds of the inner loops
    on the way, which are the same at all times."""
    body, found = loop.body, []
    if body and isinstance(head := body[0], Assign) and _is_counter(head.value, loop):
        found.append((head.name, inside))
        body = body[1:]
    if body and isinstance(inner := body[0], Loop):
        parts = [e for bound in _bounds(inner) for e in walk(bound)]
        if not any(isinstance(e, Load) or (isinstance(e, Var) and e.name in changing) for e in parts):
            found += _first_names(inner, (*inside, _bounds(inner)), changing)
    return found


def _bounds(loop: Loop) -> Bounds:
    return loop.start, loop.stop, loop.step


def sweeps(nest: Nest, blocks: Blocks, trips: Callable[[Loop], int | None]) -> int | None:
    """How often the blocked loops are entered in one run; None if that cannot be told."""
    total = 1
    stmt: Stmt | None = _only_loop(nest)
    while isinstance(stmt, Loop) and stmt.counter not in blocks.saved:
        count = trips(stmt)
        if count is None:
            return None
        total *= count
        stmt = next(s for s in stmt.body if isinstance(s, Loop))
    return total


def with_blocks(plan: Plan, blocks: Blocks, may_warn: Callable[[Expr], bool]) -> Plan:
    """`plan` with the blocked loops marked. A collapsed loop is not: its iterations are not rows; nor is one inside
    a loop that is shared out or stripped: "all before this trip" would be no state that the program has. Copies of
    an array per thread may lack memory half-way.

    may_warn  whether NumPy may warn of an operation
    """
    loops = {loop.counter: loop for loop in plan.loops}
    if any(loops[c].collapse > 1 for c in blocks.saved if c in loops) or any(p.array_reductions for p in plan.loops):
        return plan
    around = [s.counter for s in walk_stmts(plan.nest.body) if isinstance(s, Loop) and _encloses(s, blocks.saved)]
    if any(loops[c].parallel or loops[c].strip for c in around if c in loops):
        return plan
    bodies = {s.counter: s.body for s in walk_stmts(plan.nest.body) if isinstance(s, Loop)}
    for counter, saved in blocks.saved.items():
        quiet = not any(map(may_warn, walk_exprs(bodies[counter])))
        loops[counter] = replace(loops.get(counter, LoopPlan(counter)), saved=saved, quiet=quiet)
    return replace(plan, loops=tuple(loops.values()), resume=blocks.points, block_bytes=BLOCK_BYTES)


def _encloses(loop: Loop, counters: Container[str]) -> bool:
    return any(isinstance(s, Loop) and s.counter in counters for s in walk_stmts(loop.body))
