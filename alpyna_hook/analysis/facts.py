"""A base of linear facts about the ints of a nest, and proofs of `form >= 0` from them.

In: facts `form >= 0` over loop counters, symbols and entry quantities.  Out: whether a goal follows,
given some predicates over entry quantities alone that are true at this entry.

Every int value is an `Affine` form; what is not affine becomes a fresh symbol with facts that bound
it, or with *cases* ("it equals this or that": min, max, abs, conditional expressions, merged paths).
A proof eliminates symbols, latest first, by adding a multiple of a fact (one step of Fourier-Motzkin,
directed by the goal; Schrijver, Theory of Linear and Integer Programming, ch. 12.2), and splits on
cases.  Facts only ever speak about symbols created earlier than the one they are filed under, so the
search ends; a budget keeps it short.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alpyna_hook.analysis.predicates import holds, is_entry, nonnegative
from alpyna_hook.ir.affine import Affine, Env, Predicate, QBinary, QConst, QDim, QParam, Quantity, affine, pretty
from alpyna_hook.ir.types import Rep, ScalarType, Type

BUDGET = 400  # elimination steps for one goal
MAX_BOUNDS = 4  # alternatives kept when a bound is searched for
MAX_DIM = 2**63 - 1

Forms = tuple[Affine, ...]  # entry forms that must be >= 0

ONE = affine({}, 1)
ZERO = affine({}, 0)


def constant(value: int) -> Affine:
    return affine({}, value)


def rep_range(rep: Rep) -> tuple[int, int]:
    """Smallest and largest value of an int or bool representation."""
    if rep is Rep.BOOL:
        return 0, 1
    if rep.is_signed:
        return -(2 ** (rep.bits - 1)), 2 ** (rep.bits - 1) - 1
    return 0, 2**rep.bits - 1


@dataclass(frozen=True, slots=True)
class Case:
    """One value a symbol may have, and what else holds if it has it."""

    form: Affine
    facts: Forms = ()


class Facts:
    """The fact base of one nest.

    path      facts of the present place in the program (enclosing conditions)
    accepted  entry forms already taken as preconditions: they cost nothing any more
    """

    def __init__(self, entry: Env, banned: frozenset[Predicate], types: Mapping[str, Type]) -> None:
        self.entry, self.banned, self.types = entry, banned, types
        self.path: Forms = ()
        self.accepted: dict[Affine, Predicate] = {}
        self.others: dict[Predicate, None] = {}  # preconditions that are no inequality
        self._order: dict[str, int] = {}
        self._facts: dict[str, list[Affine]] = {}
        self._cases: dict[str, tuple[Case, ...]] = {}
        self._budget = 0
        self._clock = 0

    # -- symbols ---------------------------------------------------------------------------------

    @property
    def mark(self) -> int:
        """Symbols created from now on are younger than this."""
        return self._clock

    def create(self, name: str, facts: Iterable[Affine] = (), cases: tuple[Case, ...] = ()) -> Affine:
        """The symbol `name` (replacing an older one), as a form."""
        self._order[name] = self._clock
        self._clock += 1
        self._facts[name] = [f for f in facts if f.coefficient(name)]
        self._cases[name] = cases
        return affine({name: 1})

    def fresh(self, hint: str, rep: Rep | None = None, cases: tuple[Case, ...] = ()) -> Affine:
        """A new symbol of that representation."""
        symbol = self.create(f"${hint}.{self._clock}", cases=cases)
        if rep is not None:
            low, high = rep_range(rep)
            self.learn(symbol - constant(low), constant(high) - symbol)
        return symbol

    def learn(self, *facts: Affine) -> None:
        """Facts that hold wherever their youngest symbol has a value; the best ones first."""
        for fact in facts:
            symbol = self.youngest(fact)
            if symbol is not None and fact not in self._facts[symbol]:
                self._facts[symbol].append(fact)

    def prefer(self, *facts: Affine) -> None:
        """`learn`, but tried before the facts known so far."""
        for fact in reversed(facts):
            symbol = self.youngest(fact)
            if symbol is not None:
                self._facts[symbol].insert(0, fact)

    def youngest(self, form: Affine) -> str | None:
        names = [k for k, _ in form.terms if isinstance(k, str)]
        return max(names, key=self._order.__getitem__) if names else None

    # -- proofs ----------------------------------------------------------------------------------

    def prove(self, *goals: Affine) -> bool:
        """Whether all `goals` are >= 0 here; if so, what that rests on is accepted."""
        needed: dict[Affine, None] = {}
        for goal in goals:
            self._budget = BUDGET
            proof = self._proof(goal, self.path)
            if proof is None:
                return False
            needed.update(dict.fromkeys(proof))
        for form in needed:
            self.accept(form)
        return True

    def accept(self, form: Affine) -> None:
        predicate = nonnegative(form)
        if not isinstance(predicate, bool):
            self.accepted.setdefault(form, predicate)

    def assume(self, predicate: Predicate) -> bool:
        """Take a predicate that is no inequality, if it is true now and allowed."""
        if predicate in self.banned or not holds(predicate, self.entry):
            return False
        self.others.setdefault(predicate)
        return True

    def fits(self, form: Affine, rep: Rep) -> bool:
        """Whether `form` is surely in the range of `rep`."""
        low, high = rep_range(rep)
        return self.prove(form - constant(low), constant(high) - form)

    def _proof(self, goal: Affine, path: Forms) -> Forms | None:
        symbol = self.youngest(goal)
        if symbol is None:
            return self._entry_proof(goal, path)
        best: Forms | None = None
        for reduced in self._eliminate(goal, symbol, path):
            self._budget -= 1
            if self._budget < 0:
                return best
            best = _cheaper(best, self._proof(reduced, path))
            if best == ():
                return best
        if self._cases[symbol]:
            best = _cheaper(best, self._by_cases(goal, symbol, path))
        return best

    def _by_cases(self, goal: Affine, symbol: str, path: Forms) -> Forms | None:
        needed: Forms = ()
        for case in self._cases[symbol]:
            self._budget -= 1
            proof = self._proof(substitute(goal, symbol, case.form), path + case.facts)
            if proof is None:
                return None
            needed += tuple(p for p in proof if p not in needed)
        return needed

    def _eliminate(self, goal: Affine, symbol: str, path: Forms) -> list[Affine]:
        """Goals over older symbols, each of which implies `goal`."""
        c = goal.coefficient(symbol)
        reduced: dict[Affine, None] = {}
        local = [f for f in path if f.coefficient(symbol) and self.youngest(f) == symbol]
        for fact in (*local, *self._facts[symbol]):
            k = fact.coefficient(symbol)
            if (k > 0) == (c > 0):
                g = math.gcd(k, c)
                # integers: f * goal >= 0 is the same as f * goal + (f - 1) >= 0
                factor = abs(k) // g
                reduced[goal.scale(factor) + constant(factor - 1) - fact.scale(abs(c) // g)] = None
        return list(reduced)

    def _entry_proof(self, goal: Affine, path: Forms) -> Forms | None:
        low = self._static_low(goal)
        if low is not None and low >= 0:
            return ()
        if not goal.terms:
            # Only where control never comes (path facts contradict the entry) could this still hold.
            return () if any(self._never(f) for f in path) else None
        if any(self._follows(goal, known) for known in (*self.accepted, *(f for f in path if is_entry(f)))):
            return ()
        predicate = nonnegative(goal)
        if isinstance(predicate, bool):
            return () if predicate else None
        if predicate in self.banned or not holds(predicate, self.entry):
            return None
        return (goal,)

    def _follows(self, goal: Affine, known: Affine) -> bool:
        """Whether `goal` >= 0 whenever `known` >= 0, by a multiple of it and the types of the leaves."""
        factors = {1} | {g // k for key, k in known.terms if (g := goal.coefficient(key)) % k == 0 and g // k > 0}
        for factor in factors:
            low = self._static_low(goal - known.scale(factor))
            if low is not None and low >= 0:
                return True
        return False

    def _never(self, fact: Affine) -> bool:
        if not is_entry(fact):
            return False
        low = self._static_low(fact.scale(-1) - ONE)
        return low is not None and low >= 0

    def _static_low(self, form: Affine) -> int | None:
        """A lower bound of an entry form from the types of its leaves."""
        total = form.const
        for key, c in form.terms:
            if isinstance(key, str):
                return None
            span = self._static(key)
            if span is None:
                return None
            total += min(c * span[0], c * span[1])
        return total

    def _static(self, q: Quantity) -> tuple[int, int] | None:
        match q:
            case QConst(value=v):
                return v, v
            case QDim():
                return 0, MAX_DIM
            case QParam(name=name):
                kind = self.types.get(name)
                if isinstance(kind, ScalarType) and (kind.rep.is_int or kind.rep is Rep.BOOL):
                    return rep_range(kind.rep)
                return None
            case QBinary(op="*", left=left, right=right):
                a, b = self._static(left), self._static(right)
                if a is None or b is None:
                    return None
                corners = [x * y for x in a for y in b]
                return min(corners), max(corners)
            case QBinary(op="//", left=left, right=QConst(value=divisor)) if divisor > 0:
                a = self._static(left)
                return None if a is None else (a[0] // divisor, a[1] // divisor)
            case QBinary(op="+" | "-" as op, left=left, right=right):
                a, b = self._static(left), self._static(right)
                if a is None or b is None:
                    return None
                return (a[0] + b[0], a[1] + b[1]) if op == "+" else (a[0] - b[1], a[1] - b[0])
            case _:
                return None

    # -- bounds ----------------------------------------------------------------------------------

    def lower(self, form: Affine, mark: int = 0) -> list[Affine]:
        """Forms over symbols older than `mark` (0: entry forms) that `form` is never below."""
        self._budget = BUDGET
        return self._lower(form, mark, self.path)

    def upper(self, form: Affine, mark: int = 0) -> list[Affine]:
        """Forms over symbols older than `mark` that `form` is never above."""
        return [f.scale(-1) for f in self.lower(form.scale(-1), mark)]

    def _lower(self, form: Affine, mark: int, path: Forms) -> list[Affine]:
        symbol = self.youngest(form)
        if symbol is None or self._order[symbol] < mark:
            return [form]
        c = form.coefficient(symbol)
        found: dict[Affine, None] = {}
        local = [f for f in path if f.coefficient(symbol) and self.youngest(f) == symbol]
        for fact in (*local, *self._facts[symbol]):
            k = fact.coefficient(symbol)
            self._budget -= 1
            if self._budget > 0 and (k > 0) == (c > 0) and c % k == 0:
                found.update(dict.fromkeys(self._lower(form - fact.scale(c // k), mark, path)))
        if self._cases[symbol]:
            found.update(dict.fromkeys(self._lower_of_cases(form, symbol, mark, path)))
        return list(found)[:MAX_BOUNDS]

    def _lower_of_cases(self, form: Affine, symbol: str, mark: int, path: Forms) -> list[Affine]:
        """Lower bounds of one case that also bound all the others."""
        values = [(substitute(form, symbol, case.form), path + case.facts) for case in self._cases[symbol]]
        found = []
        for value, facts in values:
            for bound in self._lower(value, mark, facts):
                others = [(v - bound, f) for v, f in values if v is not value]
                if all(self._proof(goal, f) == () for goal, f in others):
                    found.append(bound)
        return found

    def constant_bounds(self, form: Affine) -> tuple[int | None, int | None]:
        """The best numbers below and above `form` that need no precondition."""
        lows = [b.const for b in self.lower(form) if not b.terms]
        highs = [b.const for b in self.upper(form) if not b.terms]
        return max(lows, default=None), min(highs, default=None)

    # -- results ---------------------------------------------------------------------------------

    def preconditions(self) -> tuple[Predicate, ...]:
        """What was accepted, without what follows from the rest."""
        kept = dict(self.accepted)
        for form in list(kept):
            if any(other != form and self._follows(form, other) for other in kept):
                del kept[form]
        return (*kept.values(), *self.others)

    def snapshot(self) -> tuple[dict[Affine, Predicate], dict[Predicate, None]]:
        return dict(self.accepted), dict(self.others)

    def restore(self, saved: tuple[dict[Affine, Predicate], dict[Predicate, None]]) -> None:
        self.accepted, self.others = dict(saved[0]), dict(saved[1])


def _cheaper(a: Forms | None, b: Forms | None) -> Forms | None:
    if a is None or b is None:
        return b if a is None else a
    return b if _cost(b) < _cost(a) else a


def _cost(forms: Forms) -> int:
    """Few predicates, of few terms, without products."""
    return sum(4 + len(f.terms) + 4 * sum(isinstance(k, QBinary) for k, _ in f.terms) for f in forms)


def substitute(form: Affine, symbol: str, value: Affine) -> Affine:
    """`form` with `symbol` replaced by `value`."""
    c = form.coefficient(symbol)
    rest = affine({k: v for k, v in form.terms if k != symbol}, form.const)
    return rest + value.scale(c)


def product(left: Affine, right: Affine) -> Affine | None:
    """The product of two entry forms, expanded into monomials; None if it is of high degree."""
    if len(left.terms) * len(right.terms) > 6:
        return None
    total = constant(left.const * right.const)
    total = total + affine(dict(right.terms)).scale(left.const) + affine(dict(left.terms)).scale(right.const)
    for a, c in left.terms:
        for b, d in right.terms:
            if isinstance(a, str) or isinstance(b, str):
                return None
            factors = sorted((*_factors(a), *_factors(b)), key=pretty)
            if len(factors) > 3:
                return None
            total = total + affine({_monomial(factors): c * d})
    return total


def _factors(q: Quantity) -> tuple[Quantity, ...]:
    if isinstance(q, QBinary) and q.op == "*":
        return (*_factors(q.left), *_factors(q.right))
    return (q,)


def _monomial(factors: Sequence[Quantity]) -> Quantity:
    q = factors[0]
    for factor in factors[1:]:
        q = QBinary("*", q, factor)
    return q
