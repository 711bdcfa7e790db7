"""Loop distribution: splits a loop in several where that exposes a parallel one.

In: a typed nest after `prove`, with the entry and assumptions of dependence analysis.  Out: an equal nest.

    for i in range(1, n):                  for i in range(1, n):
        a[i] = a[i - 1] + b[i]       ->        a[i] = a[i - 1] + b[i]
        c[i] = d[i] * 2.0                  for i in range(1, n):        # parallel
                                               c[i] = d[i] * 2.0

The `codegen` algorithm of Allen and Kennedy (Kennedy & Allen, Optimizing Compilers for Modern
Architectures, sections 2.4.3 and 5.2): strongly connected components of the statements' dependence graph
at one loop level become loops of their own, in topological order; neighbours of one kind are fused again.
Statements that share a scalar which the loop assigns stay together (no scalar is expanded to an array),
and a loop is only split if some statement gets under a parallel loop further out and none loses one.
The order of faults may change; a fault rolls the whole nest back, so that cannot be seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alpyna_hook.analysis.access import Access, assigned_names, nest_accesses
from alpyna_hook.analysis.dependence import depends
from alpyna_hook.analysis.parallel import Fp, Verdict, parallelism
from alpyna_hook.analysis.question import Direction, Question, common_loops, conflicting
from alpyna_hook.analysis.scalars import reads_of
from alpyna_hook.ir.affine import Env, Predicate
from alpyna_hook.ir.flow import leaves_early, own_level
from alpyna_hook.ir.nodes import (
    Assign, Const, Continue, Load, Loop, Nest, Stmt, Store, Var, blocks_of, exprs_of, walk, walk_exprs, walk_stmts,
)  # fmt: skip
from alpyna_hook.transform.rebuild import fresh_counters, replaced, with_counters

MAX_LEAVES = 24  # statements; more would take too long to compare pair by pair


@dataclass(frozen=True, slots=True)
class _Setting:
    entry: Env
    banned: frozenset[Predicate]
    fp: Fp
    may_alias: frozenset[frozenset[str]]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A statement that is moved as a whole, with the loops inside the split one that enclose it."""

    stmt: Stmt
    parents: tuple[Loop, ...]

    def reads(self) -> frozenset[str]:
        """Scalars read by the statement or the bounds of its loops."""
        names = frozenset(e.name for e in walk_exprs((self.stmt,)) if isinstance(e, Var))
        return names.union(*(reads_of(e) for loop in self.parents for e in exprs_of(loop)))


def distribute(
    nest: Nest,
    entry: Env,
    banned: frozenset[Predicate] = frozenset(),
    fp: Fp = "strict",
    may_alias: frozenset[frozenset[str]] = frozenset(),
) -> Nest:
    """`nest` with loops split where it pays; `nest` itself where it does not. Arguments as for `parallelism`."""
    setting = _Setting(entry, banned, fp, may_alias)
    done: set[str] = set()
    while True:
        loop = next((x for x in _sequential(nest, setting) if x.counter not in done), None)
        if loop is None:
            return nest
        done.add(loop.counter)
        split = _split(nest, loop, setting)
        if split is not None:
            nest = split


def _verdicts(nest: Nest, setting: _Setting) -> Mapping[str, Verdict]:
    return parallelism(nest, setting.entry, setting.banned, setting.fp, setting.may_alias).verdicts


def _sequential(nest: Nest, setting: _Setting) -> list[Loop]:
    """Loops of at least two statements that are not parallel, outermost first, none inside a parallel one."""
    if not any(isinstance(s, Loop) and _working(_leaves(s.body, ())) > 1 for s in walk_stmts(nest.body)):
        return []
    verdicts = _verdicts(nest, setting)
    found: list[Loop] = []

    def visit(stmts: Sequence[Stmt]) -> None:
        for stmt in stmts:
            if isinstance(stmt, Loop):
                if verdicts[stmt.counter].parallel:
                    continue
                found.append(stmt)
            for block in blocks_of(stmt):
                visit(block)

    visit(nest.body)
    return found


def _split(nest: Nest, loop: Loop, setting: _Setting) -> Nest | None:
    """`nest` with `loop` distributed, None if that is not possible or does not pay."""
    leaves = _leaves(loop.body, ())
    if _working(leaves) < 2 or len(leaves) > MAX_LEAVES or not _repeatable(loop) or leaves_early(loop.body):
        return None
    if any(isinstance(s, Continue) for s in own_level(loop.body)):
        return None
    graph = _Graph(nest, loop, leaves, setting)
    groups = graph.components()
    if len(groups) < 2:
        return None
    finest, counters = _replace_loop(nest, loop, groups, leaves)
    verdicts = _verdicts(finest, setting)
    parallel = {group: verdicts[counter].parallel for group, counter in zip(groups, counters)}
    fused = _fuse(groups, parallel, graph)
    if len(fused) < 2:
        return None
    result, _ = _replace_loop(nest, loop, fused, leaves)
    return result if _pays(nest, result, setting) else None


def _leaves(body: tuple[Stmt, ...], parents: tuple[Loop, ...]) -> list[_Leaf]:
    """Statements under the loop, through inner loops that can be split themselves."""
    found: list[_Leaf] = []
    for stmt in body:
        through = isinstance(stmt, Loop) and _repeatable(stmt) and not leaves_early(stmt.body)
        if isinstance(stmt, Loop) and through and not any(isinstance(s, Continue) for s in own_level(stmt.body)):
            found += _leaves(stmt.body, (*parents, stmt))
        else:
            found.append(_Leaf(stmt, parents))
    return found


def _repeatable(loop: Loop) -> bool:
    """Whether the bounds, evaluated once per part, come out the same each time."""
    bounds = [e for bound in exprs_of(loop) for e in walk(bound)]
    names = assigned_names(loop.body)
    return not any(isinstance(e, Load) or (isinstance(e, Var) and e.name in names) for e in bounds)


# -- the dependence graph ------------------------------------------------------------------------


class _Graph:
    """Dependences between leaves at one loop level; leaves by their number in program order.

    edges    (a, b): an instance of a must stay before one of b
    carried  those of them that hold between different iterations of the loop
    """

    def __init__(self, nest: Nest, loop: Loop, leaves: list[_Leaf], setting: _Setting) -> None:
        self.leaves = leaves
        self.question = Question(nest_accesses(nest), setting.entry, setting.banned, setting.may_alias)
        self.edges: set[tuple[int, int]] = set()
        self.carried: set[tuple[int, int]] = set()
        inside = [a for a in self.question.nest.accesses if loop.counter in a.loops]
        owner = {id(s): k for k, leaf in enumerate(leaves) for s in walk_stmts((leaf.stmt,))}
        mine: list[list[Access]] = [[] for _ in leaves]
        for access in inside:
            if id(access.stmt) in owner:
                mine[owner[id(access.stmt)]].append(access)
        for a in range(len(leaves)):
            for b in range(len(leaves)):
                if a != b:
                    self.compare(a, b, mine, loop.counter)
        self.tie_scalars()

    def compare(self, a: int, b: int, mine: list[list[Access]], counter: str) -> None:
        for src in mine[a]:
            for dst in mine[b]:
                if not conflicting(src, dst, self.question.may_alias):
                    continue
                common = common_loops(src, dst)
                level = common.index(counter)
                for depth in range(level, len(common)):
                    before: list[Direction] = ["="] * depth
                    if self.assumed(src, dst, [*before, "<"]):
                        self.edges.add((a, b))
                        if depth == level:
                            self.carried.add((a, b))
                if a < b and self.assumed(src, dst, ["="] * len(common)):
                    self.edges.add((a, b))

    def assumed(self, src: Access, dst: Access, directions: Sequence[Direction]) -> bool:
        answer = depends(self.question, src, dst, directions)
        return answer.dependent or bool(answer.conditions)

    def tie_scalars(self) -> None:
        """Leaves that share a scalar which one of them assigns stay in one loop."""
        written = [assigned_names((leaf.stmt,)) for leaf in self.leaves]
        touched = [w | leaf.reads() for w, leaf in zip(written, self.leaves)]
        for a in range(len(self.leaves)):
            for b in range(len(self.leaves)):
                if a != b and written[a] & touched[b]:
                    self.edges |= {(a, b), (b, a)}
                    self.carried |= {(a, b), (b, a)}

    def components(self) -> list[frozenset[int]]:
        """Strongly connected components in topological order, program order where that is free."""
        count = len(self.leaves)
        reach = [{b for a, b in self.edges if a == k} | {k} for k in range(count)]
        for middle in range(count):  # Warshall
            for row in reach:
                if middle in row:
                    row |= reach[middle]
        component = {k: frozenset(x for x in reach[k] if k in reach[x]) for k in range(count)}
        left = sorted(set(component.values()), key=min)
        order: list[frozenset[int]] = []
        while left:
            order.append(next(c for c in left if self.ready(c, left)))
            left.remove(order[-1])
        return order

    def ready(self, component: frozenset[int], left: Sequence[frozenset[int]]) -> bool:
        """Whether nothing in `left` has to come before `component`."""
        waiting = frozenset[int]().union(*left) - component
        return not any(a in waiting and b in component for a, b in self.edges)

    def crosses(self, first: frozenset[int], second: frozenset[int]) -> bool:
        """Whether the two in one loop would make it carry a dependence."""
        return any((a in first and b in second) or (a in second and b in first) for a, b in self.carried)


def _fuse(groups: list[frozenset[int]], parallel: Mapping[frozenset[int], bool], graph: _Graph) -> list[frozenset[int]]:
    """Components of one kind in one loop again, parallel ones only if it stays parallel: greedy typed fusion
    (Kennedy & McKinley, LCPC 1993). A bare `i = counter` goes where its loop is needed anyway."""
    free = [g for g in groups if all(_trivial(graph.leaves[k].stmt) for k in g)]
    left = [g for g in groups if g not in free]
    result: list[frozenset[int]] = []
    kind: bool | None = None
    while left:
        ready = [g for g in left if graph.ready(g, left)]
        same = [g for g in ready if parallel[g] is kind and not (kind and graph.crosses(result[-1], g))]
        if same:
            chosen = same[0]
            result[-1] |= chosen
        else:
            chosen = ready[0]
            result.append(chosen)
            kind = parallel[chosen]
        left.remove(chosen)
    for group in free:
        parents = graph.leaves[min(group)].parents
        homes = [k for k, g in enumerate(result) if any(graph.leaves[x].parents[: len(parents)] == parents for x in g)]
        if homes:
            result[homes[0]] |= group
        else:
            result.append(group)
    return result


def _trivial(stmt: Stmt) -> bool:
    """`i = counter`, `tag = 1`: no work worth a loop."""
    return isinstance(stmt, Assign) and isinstance(stmt.value, (Var, Const))


def _working(leaves: Sequence[_Leaf]) -> int:
    return sum(not _trivial(leaf.stmt) for leaf in leaves)


# -- rebuilding ----------------------------------------------------------------------------------


def _replace_loop(
    nest: Nest, loop: Loop, groups: list[frozenset[int]], leaves: list[_Leaf]
) -> tuple[Nest, list[str]]:
    """`nest` with one copy of `loop` per group, holding that group's leaves; and the counters of the copies."""
    parts: list[Stmt] = []
    types = dict(nest.types)
    used = {s.counter for s in walk_stmts(nest.body) if isinstance(s, Loop)}
    counters: list[str] = []
    for number, group in enumerate(groups):
        kept = {id(leaves[k].stmt) for k in group}
        part = replace(loop, body=_filtered(loop.body, kept, {id(leaf.stmt) for leaf in leaves}))
        names = {s.counter: s.counter for s in walk_stmts((part,)) if isinstance(s, Loop)}
        if number:
            names = fresh_counters(part, used, types)
        counters.append(names[loop.counter])
        parts.append(with_counters(part, names))
    body = replaced(nest.body, loop, tuple(parts))
    return replace(nest, body=body, types=tuple(sorted(types.items()))), counters


def _filtered(body: tuple[Stmt, ...], kept: set[int], leaves: set[int]) -> tuple[Stmt, ...]:
    result: list[Stmt] = []
    for stmt in body:
        if id(stmt) in kept:
            result.append(stmt)
        elif id(stmt) not in leaves and isinstance(stmt, Loop):
            inner = _filtered(stmt.body, kept, leaves)
            if inner:
                result.append(replace(stmt, body=inner))
    return tuple(result)


# -- does it pay? --------------------------------------------------------------------------------


def _pays(before: Nest, after: Nest, setting: _Setting) -> bool:
    """Some statement gets under a parallel loop further out, and none loses one. Statements outside of the innermost
    loops do not count: they are no work beside these, and a loop that stays whole can be resumed (blocks.py) and
    stopped (stops.py)."""
    old, new = _depths(before, setting), _depths(after, setting)
    deepest = max((level for level, _ in old.values()), default=0)
    gains = [k for k, (level, best) in old.items() if level == deepest and new[k][1] < best]
    return bool(gains) and all(new[k][1] <= best for k, (_, best) in old.items())


def _depths(nest: Nest, setting: _Setting) -> dict[object, tuple[int, int]]:
    """Of each statement that stores or computes: the loops around it, and the depth of the outermost parallel one."""
    verdicts = _verdicts(nest, setting)
    found: dict[object, tuple[int, int]] = {}
    nowhere = 99

    def note(key: object, loops: int, best: int) -> None:
        known = found.get(key, (loops, best))
        found[key] = max(loops, known[0]), min(best, known[1])

    def visit(body: Sequence[Stmt], loops: int, depth: int, best: int) -> None:
        for stmt in body:
            match stmt:
                case Store(array=name, span=span):
                    note((name, span), loops, best)
                case Assign(name=name, span=span) if not _trivial(stmt):
                    note((name, span), loops, best)
                case Loop(counter=counter, body=inner):
                    visit(inner, loops + 1, depth + 1, min(best, depth if verdicts[counter].parallel else nowhere))
                case _:
                    for block in blocks_of(stmt):
                        visit(block, loops, depth + 1, best)

    visit(nest.body, 0, 0, nowhere)
    return found
