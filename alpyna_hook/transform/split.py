"""Index-set splitting: cuts a loop where all its dependences meet.

In: a typed nest after `prove`.  Out: an equal nest.

    for i in range(n):                           for i in range(k): ...               # parallel
        for j in range(n):                 ->    for i in range(k, k + 1): ...
            d[i, j] = f(d[i, k], d[k, j])        for i in range(k + 1, n): ...        # parallel

Iteration k writes what the others read (the pivot row of Floyd-Warshall); those before it see the old row,
those after it the new one, exactly as in the loop as written.  (Banerjee, Loop Transformations for
Restructuring Compilers, 1993; Griebl, Feautrier, Lengauer: Index Set Splitting, IJPP 2000.)  The
crossing is found from the subscripts: where one of two conflicting accesses has `i + c` and the other
something fixed in the loop.  A loop is cut if both sides then are parallel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from alpyna_hook.analysis.access import Access, nest_accesses
from alpyna_hook.analysis.dependence import carried_pairs
from alpyna_hook.analysis.parallel import Fp, parallelism
from alpyna_hook.analysis.question import Question, conflicting
from alpyna_hook.ir.affine import Affine, Env, Predicate, QDim, QParam, affine
from alpyna_hook.ir.flow import leaves_early
from alpyna_hook.ir.nodes import Binary, Call, Const, Dim, Expr, Loop, Nest, Stmt, Var, blocks_of, walk_stmts
from alpyna_hook.ir.types import INT
from alpyna_hook.transform.rebuild import fresh_counters, replaced, with_counters

MAX_COPIES = 12  # loops in the whole nest; more would be slow to analyse and to compile
MAX_STATEMENTS = 40


@dataclass(frozen=True, slots=True)
class _Setting:
    entry: Env
    banned: frozenset[Predicate]
    fp: Fp
    may_alias: frozenset[frozenset[str]]


def split_ranges(
    nest: Nest,
    entry: Env,
    banned: frozenset[Predicate] = frozenset(),
    fp: Fp = "strict",
    may_alias: frozenset[frozenset[str]] = frozenset(),
) -> Nest:
    """`nest` with loops cut where that makes them parallel; `nest` itself if there are none. Arguments as for
    `parallelism`. Loops inside a parallel loop are cut, too, if they are innermost: they become vectorisable."""
    setting = _Setting(entry, banned, fp, may_alias)
    done: set[str] = set()
    while True:
        statements = list(walk_stmts(nest.body))
        if len(statements) > MAX_STATEMENTS or sum(isinstance(s, Loop) for s in statements) > MAX_COPIES:
            return nest
        question = Question(nest_accesses(nest), entry, banned, may_alias)
        candidates = [
            (loop, crossing)
            for loop in statements
            if isinstance(loop, Loop) and loop.counter not in done
            for crossing in _crossings(question, loop)
        ]
        if not candidates:
            return nest
        found = next(((x, e) for x, e in candidates if _clean(question, x, e) and _worth(nest, x, setting)), None)
        if found is None:
            return nest
        done.add(found[0].counter)
        cut, middle = _cut(nest, *found, question)
        done |= middle
        if _sides_parallel(cut, nest, found[0], setting):
            nest = cut


def _worth(nest: Nest, loop: Loop, setting: _Setting) -> bool:
    """Whether cutting could gain anything: a sequential loop, innermost or within sequential ones only."""
    if leaves_early(loop.body):
        return False
    innermost = not any(isinstance(s, Loop) for s in walk_stmts(loop.body))
    around = () if innermost else _around(nest.body, loop, ())
    counters = (loop.counter, *around)
    verdicts = parallelism(nest, setting.entry, setting.banned, setting.fp, setting.may_alias, counters).verdicts
    return not any(verdicts[c].parallel for c in counters)


def _around(body: tuple[Stmt, ...], loop: Loop, outer: tuple[str, ...]) -> tuple[str, ...]:
    for stmt in body:
        if stmt is loop:
            return outer
        inner = (*outer, stmt.counter) if isinstance(stmt, Loop) else outer
        for block in blocks_of(stmt):
            found = _around(block, loop, inner)
            if found or any(s is loop for s in block):
                return found
    return ()


# -- where to cut --------------------------------------------------------------------------------


def _crossings(question: Question, loop: Loop) -> list[Affine]:
    """Values of the counter, fixed while the loop runs, at which a conflict is pinned; at most two."""
    domain = question.nest.loops[loop.counter]
    if domain.constant_step != 1 or domain.start is None or domain.stop is None:
        return []
    inside = [a for a in question.nest.accesses if loop.counter in a.loops]
    found: dict[Affine, None] = {}
    for a in inside:
        for b in inside:
            if conflicting(a, b, question.may_alias) and a.array == b.array and len(a.index) == len(b.index):
                for x, y in zip(a.index, b.index):
                    crossing = _pinned(loop.counter, a, x, y)
                    if crossing is not None:
                        found[crossing] = None
    return list(found) if len(found) <= 2 else []


def _pinned(counter: str, access: Access, x: Affine | None, y: Affine | None) -> Affine | None:
    """counter == crossing where x is `counter + c` and y does not vary in the loop."""
    if x is None or y is None or x.coefficient(counter) != 1:
        return None
    crossing = y - (x - affine({counter: 1}))
    outer = access.loops[: access.loops.index(counter)]
    for key, _ in crossing.terms:
        if isinstance(key, str):
            if key not in outer or key.startswith(("$", "while.")):
                return None
        elif not isinstance(key, (QParam, QDim)):
            return None
    return crossing


def _clean(question: Question, loop: Loop, crossing: Affine) -> bool:
    """Whether the loop carries nothing on either side of the crossing."""
    domain = question.nest.loops[loop.counter]
    inside = [a for a in question.nest.accesses if loop.counter in a.loops]
    for side in (replace(domain, stop=crossing), replace(domain, start=crossing + affine({}, 1))):
        loops = {**question.nest.loops, loop.counter: side}
        part = Question(replace(question.nest, loops=loops), question.entry, question.banned, question.may_alias)
        if any(answer.dependent or answer.conditions for *_, answer in carried_pairs(part, inside, loop.counter)):
            return False
    return True


# -- cutting -------------------------------------------------------------------------------------


def _cut(nest: Nest, loop: Loop, crossing: Affine, question: Question) -> tuple[Nest, set[str]]:
    """The nest with `loop` in three pieces, and the counters of the middle one, which runs at most once."""
    at, after = _expression(crossing), _expression(crossing + affine({}, 1))
    if _within(question, loop, crossing):
        ranges = [(loop.start, at), (at, after), (after, loop.stop)]
    else:
        ranges = [
            (loop.start, _call("min", at, loop.stop)),
            (_call("max", at, loop.start), _call("min", after, loop.stop)),
            (_call("max", after, loop.start), loop.stop),
        ]
    types = dict(nest.types)
    used = {s.counter for s in walk_stmts(nest.body) if isinstance(s, Loop)}
    parts: list[Stmt] = []
    middle: set[str] = set()
    for number, (start, stop) in enumerate(ranges):
        part: Stmt = replace(loop, start=start, stop=stop)
        if number:
            names = fresh_counters(part, used, types)
            part = with_counters(part, names)
            middle |= set(names.values()) if number == 1 else set()
        parts.append(part)
    body = replaced(nest.body, loop, tuple(parts))
    return replace(nest, body=body, types=tuple(sorted(types.items()))), middle


def _within(question: Question, loop: Loop, crossing: Affine) -> bool:
    """Whether the crossing surely is one of the loop's values: it is the counter of a loop of the same range."""
    domain = question.nest.loops[loop.counter]
    if len(crossing.terms) != 1 or crossing.const or crossing.terms[0][1] != 1:
        return False
    key = crossing.terms[0][0]
    outer = question.nest.loops.get(key) if isinstance(key, str) else None
    return (
        outer is not None and outer.constant_step == 1 and outer.start == domain.start and outer.stop == domain.stop
    )  # fmt: skip


def _sides_parallel(cut: Nest, before: Nest, loop: Loop, setting: _Setting) -> bool:
    """Whether the first and the last piece are parallel, scalars included."""
    known = {s.counter for s in walk_stmts(before.body) if isinstance(s, Loop)}
    new = [s for s in walk_stmts(cut.body) if isinstance(s, Loop) and s.span == loop.span and s.var == loop.var]
    pieces = [s for s in new if s.counter == loop.counter or s.counter not in known]
    ends = (pieces[0].counter, pieces[-1].counter)
    verdicts = parallelism(cut, setting.entry, setting.banned, setting.fp, setting.may_alias, ends).verdicts
    return all(verdicts[c].parallel for c in ends)


def _expression(form: Affine) -> Expr:
    """An affine form over counters and entry quantities as an expression; it lies in a loop's range, so
    nothing overflows."""
    total: Expr | None = None
    for key, c in form.terms:
        match key:
            case str():
                term: Expr = Var(key, type=INT)
            case QParam(name=name):
                term = Var(name, type=INT)
            case QDim(array=array, axis=axis):
                term = Dim(array, axis, type=INT)
            case _:
                raise ValueError("no plain entry quantity")
        if c != 1:
            term = Binary("*", Const(c, type=INT), term, type=INT)
        total = term if total is None else Binary("+", total, term, type=INT)
    if total is None:
        return Const(form.const, type=INT)
    if form.const:
        op, size = ("+", form.const) if form.const > 0 else ("-", -form.const)
        total = Binary("+" if op == "+" else "-", total, Const(size, type=INT), type=INT)
    return total


def _call(fn: str, left: Expr, right: Expr) -> Expr:
    return Call(fn, (left, right), type=INT)
