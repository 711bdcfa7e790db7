"""Proves checks away: subscripts in range, no overflow, no zero divisor, before the nest runs.

In: a typed nest, the entry quantities of one call (int live-ins, dimensions; a float live-in is given as
`QParam(name)` -> float), and predicates that may not be assumed.  Out: the nest with subscript modes
filled in and needless `checks` removed, and the entry predicates this rests on.

One forward walk with symbolic values (facts.py).  A scalar carried by a loop gets an *invariant*: the
body is first walked on trust, with overflow ignored, to see by how much an iteration changes the
scalar or between what it leaves it; then it is walked again with that assumed, and the assumption is
checked (induction over iterations; Cousot & Halbwachs, POPL 1978, use widening for the same end).  If it does
not hold, the scalar is unknown.  A value whose overflow check stays is unknown too: the compiled code goes
on with a wrapped one until its fault is seen, and must not touch memory outside the arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from alpyna_hook.analysis.access import assigned_names, falls_through
from alpyna_hook.analysis.facts import ONE, Case, Facts, constant, product, rep_range
from alpyna_hook.analysis.scalars import reads_of, upward_exposed
from alpyna_hook.analysis.signs import Sign
from alpyna_hook.analysis.values import Evaluator, Value
from alpyna_hook.ir.affine import Affine, Env, Predicate
from alpyna_hook.ir.nodes import Assign, Break, Continue, Expr, If, Loop, Nest, Stmt, Store, While, walk_stmts
from alpyna_hook.ir.types import Rep, ScalarType

# No run makes more loop iterations than this (36 years at one per nanosecond): a counter bumped
# by 1 per iteration does not overflow.
LIFETIME = 2**60


@dataclass(frozen=True, slots=True)
class Proved:
    """`nest` with fewer checks, equal to the original wherever all `preconditions` hold at entry."""

    nest: Nest
    preconditions: tuple[Predicate, ...]


def prove(nest: Nest, entry: Env, banned: frozenset[Predicate] = frozenset()) -> Proved:
    """Remove the checks of a typed nest that follow from its loops and from `entry`."""
    walker = _Walker(nest, Facts(entry, banned, dict(nest.types)))
    body = walker.block(nest.body)
    return Proved(replace(nest, body=body), walker.facts.preconditions())


@dataclass(frozen=True, slots=True)
class _State:
    """Values and path facts at one point."""

    env: dict[str, Value]
    path: tuple[Affine, ...]


@dataclass(frozen=True, slots=True)
class _Invariant:
    """What each iteration leaves of a carried int: `change` (lowest, highest; None unknown) per
    iteration, `limits` on its value after an iteration, `bump` per executed assignment."""

    change: tuple[Affine | None, Affine | None]
    limits: tuple[Affine | None, Affine | None]
    bump: tuple[int, int] | None


class _Walker(Evaluator):
    """The statement walk; expressions are the Evaluator's."""

    def __init__(self, nest: Nest, facts: Facts) -> None:
        super().__init__(nest, facts)
        self.breaks: list[_State] = []
        self.continues: list[_State] = []
        self.bumps: dict[str, tuple[int, int] | None] = {}

    def block(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        return tuple(self.statement(s) for s in body)

    def statement(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Assign(name=name, value=value):
                new, result = self.expr(value)
                self.note_bump(name, result)
                self.env[name] = result
                return replace(stmt, value=new)
            case Store(array=array, index=index, value=value):
                subscripts, modes = self.subscripts(array, index)
                stored = self.expr(value)[0]
                self.forget_loads()
                return replace(stmt, index=subscripts, modes=modes, value=stored)
            case If():
                return self.branch(stmt)
            case Loop():
                return self.loop(stmt)
            case While():
                return self.carried_loop(stmt, None)
            case Break():
                self.breaks.append(self.state())
                return stmt
            case Continue():
                self.continues.append(self.state())
                return stmt

    def state(self) -> _State:
        return _State(dict(self.env), self.facts.path)

    def note_bump(self, name: str, result: Value) -> None:
        """By how much an assignment changes an int, over all assignments of that name."""
        old = self.env.get(name)
        span: tuple[int, int] | None = None
        if isinstance(old, Affine) and isinstance(result, Affine):
            low, high = self.facts.constant_bounds(result - old)
            if low is not None and high is not None and max(abs(low), abs(high)) < 2**40:
                span = (low, high)
        if name in self.bumps:
            before = self.bumps[name]
            span = None if span is None or before is None else (min(span[0], before[0]), max(span[1], before[1]))
        self.bumps[name] = span

    # -- conditions ------------------------------------------------------------------------------

    def branch(self, stmt: If) -> If:
        test, _ = self.expr(stmt.test)
        before, numbered = self.state(), dict(self.numbered)
        ends: list[_State] = []
        blocks: list[tuple[Stmt, ...]] = []
        for body, truth in ((stmt.then, True), (stmt.other, False)):
            self.env, self.facts.path, self.numbered = dict(before.env), before.path, dict(numbered)
            self.suppose(test, truth)
            blocks.append(self.block(body))
            if falls_through(body):
                ends.append(self.state())
        self.numbered = numbered
        if any(isinstance(s, Store) for s in walk_stmts((stmt,))):
            self.forget_loads()
        if len(ends) == 1:
            self.env, self.facts.path = ends[0].env, ends[0].path
        else:
            self.facts.path = before.path
            self.env = self.merge(ends, len(before.path)) if ends else before.env
        return replace(stmt, test=test, then=blocks[0], other=blocks[1])

    def merge(self, states: Sequence[_State], depth: int) -> dict[str, Value]:
        """The values where paths meet; `depth` path facts are common to all."""
        merged: dict[str, Value] = {}
        for name in states[0].env:
            values = [s.env.get(name) for s in states]
            first = values[0]
            if any(v is None for v in values):
                continue
            if all(v == first for v in values):
                merged[name] = first if first is not None else Sign.ANY
            elif all(isinstance(v, Affine) for v in values):
                cases = tuple(
                    Case(v, s.path[depth:]) for v, s in zip(values, states) if isinstance(v, Affine)
                )
                merged[name] = self.facts.fresh(name, self.rep_of(name), cases=cases)
            elif all(isinstance(v, Sign) for v in values):
                sign = ~Sign.ANY
                for v in values:
                    if isinstance(v, Sign):
                        sign &= v
                merged[name] = sign
        return merged

    def rep_of(self, name: str) -> Rep:
        kind = self.facts.types.get(name)
        return kind.rep if isinstance(kind, ScalarType) and kind.rep.is_int else Rep.I64

    # -- loops -----------------------------------------------------------------------------------

    def loop(self, stmt: Loop) -> Loop:
        bounds = [self.expr(e) for e in (stmt.start, stmt.stop, stmt.step)]
        new = replace(stmt, start=bounds[0][0], stop=bounds[1][0], step=bounds[2][0])
        forms = tuple(v if isinstance(v, Affine) else self.facts.fresh("bound", Rep.I64) for _, v in bounds)
        result = self.carried_loop(new, _Range(*forms))
        assert isinstance(result, Loop)
        return result

    def carried_loop(self, stmt: Loop | While, trip: _Range | None) -> Loop | While:
        """Walk a loop; its carried ints by invariants where those can be proved."""
        names = assigned_names(stmt.body)
        read = upward_exposed(stmt.body) | (reads_of(stmt.test) if isinstance(stmt, While) else frozenset())
        before = self.state()
        carried = [n for n in sorted(names & read) if isinstance(before.env.get(n), Affine)]
        saved, trust, bumps = self.facts.snapshot(), self.trust, self.bumps
        invariants: dict[str, _Invariant] = {}
        if carried:
            self.trust = True
            invariants = self.find_invariants(stmt, trip, names, carried, before)
            self.trust = trust
            self.facts.restore(saved)
        while True:
            mark = self.facts.mark
            result, heads, ends, breaks = self.iterate(stmt, trip, names, before, invariants)
            refuted = self.refuted(invariants, heads, ends)
            if not refuted:
                break
            self.facts.restore(saved)
            invariants = {n: v for n, v in invariants.items() if n not in refuted}
        inner, self.bumps = self.bumps, bumps
        for name, span in inner.items():
            known = self.bumps.get(name, span)
            self.bumps[name] = (
                None if span is None or known is None else (min(span[0], known[0]), max(span[1], known[1]))
            )
        if any(isinstance(s, Store) for s in walk_stmts((stmt,))):
            self.forget_loads()
        self.leave(names, mark, before, [*ends, *breaks])
        return result

    def iterate(
        self, stmt: Loop | While, trip: _Range | None, names: frozenset[str], before: _State,
        invariants: dict[str, _Invariant],
    ) -> tuple[Loop | While, dict[str, Affine], list[_State], list[_State]]:  # fmt: skip
        """One walk of the body: the new loop, the carried ints at its head, states at the end and at breaks."""
        outer = self.breaks, self.continues, self.numbered
        self.breaks, self.continues, self.numbered, self.bumps = [], [], {}, {}
        self.env, self.facts.path = dict(before.env), before.path
        counter: Affine | None = None
        if isinstance(stmt, Loop) and trip is not None:
            counter = self.enter(stmt.counter, trip)
        heads: dict[str, Affine] = {}
        for name in sorted(names):
            old = before.env.get(name)
            if isinstance(old, Affine):
                heads[name] = self.head(name, old, invariants.get(name), trip, counter)
                self.env[name] = heads[name]
            else:
                self.env.pop(name, None)
        result: Loop | While
        if isinstance(stmt, While):
            test, _ = self.expr(stmt.test)
            self.suppose(test, True)
            result = replace(stmt, test=test, body=self.block(stmt.body))
        else:
            result = replace(stmt, body=self.block(stmt.body))
        ends = [*self.continues, *([self.state()] if falls_through(stmt.body) else [])]
        breaks = self.breaks
        self.breaks, self.continues, self.numbered = outer
        return result, heads, ends, breaks

    def enter(self, name: str, trip: _Range) -> Affine:
        """The counter and its range; that the loop has an iteration at all is a fact in its body."""
        facts = self.facts
        counter = facts.create(name)
        self.env[name] = counter
        sign = self.step_sign(trip.step)
        trip.sign = sign
        if sign > 0:
            facts.learn(counter - trip.start, trip.stop - ONE - counter)
            facts.path += (trip.stop - ONE - trip.start,)
        elif sign < 0:
            facts.learn(trip.start - counter, counter - trip.stop - ONE)
            facts.path += (trip.start - ONE - trip.stop,)
        low, high = rep_range(Rep.I64)
        facts.learn(counter - constant(low), constant(high) - counter)
        return counter

    def step_sign(self, step: Affine) -> int:
        if not step.terms:
            return (step.const > 0) - (step.const < 0)
        if self.facts.prove(step - ONE):
            return 1
        return -1 if self.facts.prove(step.scale(-1) - ONE) else 0

    def head(
        self, name: str, init: Affine, invariant: _Invariant | None, trip: _Range | None, counter: Affine | None
    ) -> Affine:
        """The value of a carried int at the head of an iteration."""
        facts, rep = self.facts, self.rep_of(name)
        if invariant is None:
            return facts.fresh(name, rep)
        low, high = invariant.change
        if trip is not None and counter is not None and trip.unit and low is not None and low == high and not low.terms:
            return init + (counter - trip.start).scale(low.const * trip.sign)  # an induction variable
        cases: tuple[Case, ...] = ()
        first, last = invariant.limits
        if first is not None or last is not None:
            later = facts.fresh(name, rep)
            facts.prefer(*([later - first] if first else []), *([last - later] if last else []))
            cases = (Case(init), Case(later))
        head = facts.fresh(name, rep, cases=cases)
        if low is not None:
            facts.prefer(*self.grown(head - init, low, trip, counter))
        if high is not None:
            facts.prefer(*self.grown(init - head, high.scale(-1), trip, counter))
        if invariant.bump is not None:
            down, up = min(invariant.bump[0], 0), max(invariant.bump[1], 0)
            facts.learn(head - init - constant(LIFETIME * down), init + constant(LIFETIME * up) - head)
        return head

    def grown(self, growth: Affine, least: Affine, trip: _Range | None, counter: Affine | None) -> list[Affine]:
        """Facts about `growth` after some iterations that each add `least` or more."""
        if not least.terms and least.const >= 0:
            at_least = [growth]
        else:
            at_least = []
        if trip is None or counter is None or not trip.sign:
            return at_least
        passed = (counter - trip.start).scale(trip.sign)
        if not least.terms:
            # exactly passed / |step| iterations went before
            exact = growth.scale(abs(trip.step.const)) - passed.scale(least.const)
            return at_least if trip.step.terms else [exact, *at_least]
        for each in self.facts.lower(least)[:2]:
            if self.facts.prove(each):
                return [growth]
            for most in self.facts.upper(passed)[:2]:
                total = product(most, each)
                if total is not None and self.facts.prove(each.scale(-1)):
                    return [growth - total]
        return at_least

    # -- invariants ------------------------------------------------------------------------------

    def find_invariants(
        self, stmt: Loop | While, trip: _Range | None, names: frozenset[str], carried: list[str], before: _State
    ) -> dict[str, _Invariant]:
        """Candidates, from a walk that trusts every overflow check."""
        mark = self.facts.mark
        _, heads, ends, _ = self.iterate(stmt, trip, names, before, {})
        found: dict[str, _Invariant] = {}
        for name in carried:
            values = [s.env.get(name) for s in ends]
            if not values or not all(isinstance(v, Affine) for v in values):
                continue
            head = heads[name]
            merged = self.joined([(v, s.path) for v, s in zip(values, ends) if isinstance(v, Affine)], name)
            change = self.extremes(self.joined_change(merged, values, ends, head, name), mark, None)
            limits = self.extremes(merged, mark, self.rep_of(name))
            bump = self.bumps.get(name)
            if change != (None, None) or limits != (None, None) or bump is not None:
                found[name] = _Invariant(change, limits, bump)
        return found

    def joined(self, values: list[tuple[Affine, tuple[Affine, ...]]], name: str) -> Affine:
        if len(values) == 1:
            self.facts.path = values[0][1]
            return values[0][0]
        return self.facts.fresh(name, cases=tuple(Case(v, p) for v, p in values))

    def joined_change(
        self, merged: Affine, values: Sequence[Value | None], ends: list[_State], head: Affine, name: str
    ) -> Affine:
        if len(ends) == 1:
            return merged - head
        return self.joined([(v - head, s.path) for v, s in zip(values, ends) if isinstance(v, Affine)], name)

    def extremes(self, form: Affine, mark: int, rep: Rep | None) -> tuple[Affine | None, Affine | None]:
        """The best bounds over what is known outside the loop; those of the representation itself say nothing."""
        low_limit, high_limit = rep_range(rep) if rep is not None else (-(2**62), 2**62)
        lows = [b for b in self.facts.lower(form, mark) if b.terms or b.const > low_limit]
        highs = [b for b in self.facts.upper(form, mark) if b.terms or b.const < high_limit]
        lows = [b for b in lows if abs(b.const) < 2**62]
        highs = [b for b in highs if abs(b.const) < 2**62]
        return (lows[0] if lows else None), (highs[0] if highs else None)

    def refuted(
        self, invariants: dict[str, _Invariant], heads: dict[str, Affine], ends: list[_State]
    ) -> frozenset[str]:
        """Names for which an iteration that starts within all invariants may not end within its own."""
        here = self.state()
        found = frozenset(n for n, v in invariants.items() if not self.kept(n, v, heads[n], ends))
        self.env, self.facts.path = here.env, here.path
        return found

    def kept(self, name: str, invariant: _Invariant, head: Affine, ends: list[_State]) -> bool:
        for end in ends:
            value = end.env.get(name)
            self.facts.path = end.path
            if not isinstance(value, Affine) or not self.facts.prove(
                *_within(value - head, invariant.change), *_within(value, invariant.limits)
            ):
                return False
        if invariant.bump is None:
            return True
        span = self.bumps.get(name)
        return span is not None and span[0] >= invariant.bump[0] and span[1] <= invariant.bump[1]

    def leave(self, names: frozenset[str], mark: int, before: _State, last: list[_State]) -> None:
        """After the loop: each assigned scalar is what it was, or what some iteration left."""
        after = dict(before.env)
        for name in names:
            old = before.env.get(name)
            values = [(s.env.get(name), s.path) for s in last]
            after.pop(name, None)
            if isinstance(old, Sign) and all(isinstance(v, Sign) for v, _ in values):
                sign = old
                for v, _ in values:
                    sign &= v if isinstance(v, Sign) else Sign.ANY
                after[name] = sign
            elif isinstance(old, Affine) and all(isinstance(v, Affine) for v, _ in values):
                cases = [Case(old)]
                for v, path in values:
                    if isinstance(v, Affine):
                        cases.append(Case(self.outside(name, v, path, mark)))
                after[name] = self.facts.fresh(name, self.rep_of(name), cases=tuple(cases))
        self.env, self.facts.path = after, before.path

    def outside(self, name: str, value: Affine, path: tuple[Affine, ...], mark: int) -> Affine:
        """`value` in terms of what is known outside the loop."""
        self.facts.path = path
        lows, highs = self.facts.lower(value, mark), self.facts.upper(value, mark)
        symbol = self.facts.fresh(name, self.rep_of(name))
        self.facts.prefer(*(symbol - b for b in lows), *(b - symbol for b in highs))
        return symbol

    def suppose(self, test: Expr, truth: bool) -> None:
        """Take over what `test` being `truth` says."""
        self.facts.path += tuple(self.conditions(test, truth))
        self.refine_signs(test, truth)


class _Range:
    """start, stop, step of a loop as forms; `sign` of the step is known once the loop is entered."""

    def __init__(self, start: Affine, stop: Affine, step: Affine) -> None:
        self.start, self.stop, self.step, self.sign = start, stop, step, 0

    @property
    def unit(self) -> bool:
        return not self.step.terms and abs(self.step.const) == 1


def _within(value: Affine, span: tuple[Affine | None, Affine | None]) -> list[Affine]:
    low, high = span
    return ([] if low is None else [value - low]) + ([] if high is None else [high - value])
