"""Data dependences between array accesses: cheap tests first, exact integer sets for the rest.

In: the accesses of a nest, the entry quantities of one call, predicates that may not be assumed.
Out: for a pair of accesses and a *direction* per common loop, one of
    independent     no two such iterations touch the same element
    conditional     independent if a predicate holds, which is true at this entry
    dependent       anything else

Tests, in order of cost (Goff, Kennedy, Tseng: Practical Dependence Testing, PLDI 1991; Kennedy &
Allen, Optimizing Compilers for Modern Architectures, ch. 3): ZIV, strong SIV, GCD, Banerjee per dimension.
What they leave open becomes the dependence polyhedron (Pugh, The Omega Test, CACM 1992), tested for
integer points by isl; projected on the entry quantities, its complement is the predicate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from alpyna_hook.analysis.access import Access, LoopDomain, NestAccesses, nest_accesses
from alpyna_hook.analysis.predicates import every, holds, negative, nonnegative, some, value_of
from alpyna_hook.ir.affine import Affine, Env, Predicate, QDim, Quantity, affine
from alpyna_hook.ir.nodes import Nest

if TYPE_CHECKING:
    import islpy

# Relation of the source's iteration to the sink's, per common loop, in time (not in counter value):
# "<" earlier, "=" the same, ">" later, "*" any.
Direction: TypeAlias = Literal["<", "=", ">", "*"]

# isl gives up on one question after so many of its operations (about 50 ms); that is a dependence.
MAX_OPERATIONS = 400_000
MAX_CONJUNCTS = 4
MAX_DISJUNCTS = 6


@dataclass(frozen=True, slots=True)
class Answer:
    """dependent: whether a dependence has to be assumed; conditions: what independence rests on;
    distance: of the dependence in iterations, if the same everywhere."""

    dependent: bool
    conditions: tuple[Predicate, ...] = ()
    distance: int | None = None


INDEPENDENT = Answer(False)
DEPENDENT = Answer(True)


@dataclass(frozen=True)
class Question:
    """What all questions about one nest share."""

    nest: NestAccesses
    entry: Env
    banned: frozenset[Predicate] = frozenset()
    may_alias: frozenset[frozenset[str]] = frozenset()
    cache: dict[object, Answer] = field(default_factory=dict, compare=False)

    def usable(self, predicate: Predicate) -> bool:
        return predicate not in self.banned and holds(predicate, self.entry)

    def step_sign(self, counter: str) -> tuple[int, tuple[Predicate, ...]]:
        """Sign of a loop's step, 0 if unknown, with what it rests on."""
        step = self.nest.loops[counter].step
        if step is None:
            return 0, ()
        if not step.terms:
            return (step.const > 0) - (step.const < 0), ()
        value = value_of(step, self.entry)
        if value:
            sign = 1 if value > 0 else -1
            condition = nonnegative(step.scale(sign) - affine({}, 1))
            if isinstance(condition, bool):
                return (sign, ()) if condition else (0, ())
            if self.usable(condition):
                return sign, (condition,)
        return 0, ()


def conflicting(a: Access, b: Access, may_alias: frozenset[frozenset[str]]) -> bool:
    """Whether the two can touch one element at all and one of them writes."""
    if not (a.is_write or b.is_write):
        return False
    return a.array == b.array or frozenset((a.array, b.array)) in may_alias


def common_loops(a: Access, b: Access) -> tuple[str, ...]:
    """The loops around both, outermost first."""
    count = 0
    for x, y in zip(a.loops, b.loops):
        if x != y:
            break
        count += 1
    return a.loops[:count]


def depends(question: Question, src: Access, dst: Access, directions: Sequence[Direction]) -> Answer:
    """Whether `dst` may touch an element that `src` touched, in iterations related by `directions`
    (one per common loop, outermost first; missing ones are "*")."""
    if src.array != dst.array or len(src.index) != len(dst.index):
        return DEPENDENT
    common = common_loops(src, dst)
    relation = dict(zip(common, directions))
    key = (src.index, src.modes, src.loops, src.guards, dst.index, dst.modes, dst.loops, dst.guards, tuple(directions))
    if key in question.cache:
        return question.cache[key]
    answer = _cheap(question, src, dst, relation)
    if answer is None:
        answer = _exact(question, src, dst, relation)
    question.cache[key] = answer
    return answer


# -- cheap tests ---------------------------------------------------------------------------------


def _cheap(question: Question, src: Access, dst: Access, relation: Mapping[str, Direction]) -> Answer | None:
    """ZIV, strong SIV, GCD and Banerjee, dimension by dimension, then a search for a witness; None if
    all that cannot tell."""
    equal = frozenset(c for c, d in relation.items() if d == "=")
    distances: dict[str, int] = {}
    dimensions: list[tuple[Affine, list[_Term]]] = []
    unknown = 0
    for axis in range(len(src.index)):
        x, y = _plain(src, axis), _plain(dst, axis)
        if x is None or y is None:
            if src.index[axis] is None or dst.index[axis] is None:
                unknown += 1  # equal for all we know
            else:
                dimensions.append((affine({}), [_WRAPS]))
            continue
        known, moving = _split(question, x, y, equal)
        dimensions.append((known, moving))
        if not known.terms and (known.const % math.gcd(*(c for *_, c in moving)) if moving else known.const):
            return INDEPENDENT  # GCD (ZIV without moving terms): no integer solution
        found = _strong_siv(question, known, moving, relation)
        if isinstance(found, Answer):
            return found
        if found is not None:
            counter = moving[0][1]
            if distances.setdefault(counter, found) != found:
                return INDEPENDENT  # two dimensions ask for different distances
    if unknown == len(src.index):
        return DEPENDENT
    if any(_apart(question, src, dst, relation, known, moving) for known, moving in dimensions):
        return INDEPENDENT
    if _witness(question, src, dst, relation, dimensions, distances):
        distance = next((distances[c] for c, d in relation.items() if d in "<>" and c in distances), None)
        return Answer(True, distance=distance)
    return None


_Term: TypeAlias = tuple[str, str, int]  # side ("src" or "dst"), counter or symbol, coefficient
_WRAPS: _Term = ("", "", 0)  # stands for a dimension whose subscript may or may not wrap


def _apart(
    question: Question, src: Access, dst: Access, relation: Mapping[str, Direction], known: Affine,
    moving: Sequence[_Term],
) -> bool:
    """Banerjee's inequalities with symbolic, triangular bounds (Kennedy & Allen, section 3.3.3): whether
    source and sink subscript differ by the same sign throughout their loops and this direction."""
    if not moving or moving[0] == _WRAPS:
        return False
    bounds = _Bounds(question, src, dst, relation)
    return any(
        bounds.positive({**{("", k): sign * c for k, c in known.terms},
                         **{(side, k): sign * c for side, k, c in moving}}, sign * known.const)
        for sign in (1, -1)
    )  # fmt: skip


_Sided: TypeAlias = "dict[tuple[str, str | Quantity], int]"  # linear form; side "" for what both share


class _Bounds:
    """Bounds of the two iterations' counters, for the elimination of one counter after the other."""

    def __init__(self, question: Question, src: Access, dst: Access, relation: Mapping[str, Direction]) -> None:
        self.question, self.relation = question, relation
        self.loops = {"src": src.loops, "dst": dst.loops, "": src.loops}
        self.equal = frozenset(c for c, d in relation.items() if d == "=")

    def positive(self, form: _Sided, const: int, tries: int = 8) -> bool:
        """Whether form + const >= 1 for all iterations (sufficient)."""
        form = {k: c for k, c in form.items() if c}
        counters = [(side, k) for side, k in form if isinstance(k, str)]
        if not counters:
            # sizes are >= 0; other parameters must cancel
            return const >= 1 and all(isinstance(k, QDim) and c > 0 for (_, k), c in form.items())
        side, key = max(counters, key=self.depth)
        c = form.pop((side, key))
        for bound_side, bound in self.bounds(side, str(key), c > 0)[:tries]:
            reduced = dict(form)
            for k, f in bound.terms:
                where = ("" if not isinstance(k, str) or k in self.equal else bound_side, k)
                reduced[where] = reduced.get(where, 0) + c * f
            if self.positive(reduced, const + c * bound.const, tries - 1):
                return True
        return False

    def depth(self, key: tuple[str, str | Quantity]) -> tuple[int, bool]:
        side, counter = key
        loops = self.loops[side]
        return (loops.index(str(counter)) if counter in loops else 99, side == "dst")

    def bounds(self, side: str, counter: str, lower: bool) -> list[tuple[str, Affine]]:
        """(side of the counters in it, bound) of one counter, from its range and from the direction."""
        loop = self.question.nest.loops.get(counter)
        step = None if loop is None else loop.constant_step
        if loop is None or step is None or counter not in self.loops[side]:
            return []
        found: list[tuple[str, Affine]] = []
        direction = self.relation.get(counter, "*")
        if side == "dst" and direction in "<>" and ((direction == "<") == (step > 0)) == lower:
            apart = abs(step) if lower else -abs(step)
            found.append(("src", affine({counter: 1}, apart)))
        bound = loop.start if lower == (step > 0) else loop.stop
        if bound is not None:
            inside = 0 if bound is loop.start else (-1 if step > 0 else 1)
            found.append((side, bound + affine({}, inside)))
        return found


def _witness(
    question: Question, src: Access, dst: Access, relation: Mapping[str, Direction],
    dimensions: Sequence[tuple[Affine, list[_Term]]], distances: Mapping[str, int],
) -> bool:
    """Whether this very entry has a dependent pair, tried in the middle of the loops that have a direction,
    for a simple shape: step 1, no guards, at most one free counter per side and dimension. It saves
    most carried loops the exact test."""
    if src.guards or dst.guards:
        return False
    fixed: dict[str, dict[str | Quantity, int]] = {"src": {}, "dst": {}}
    ranges: dict[tuple[str, str], range] = {}
    for counter, direction in relation.items():
        values = _range_now(question.nest.loops[counter], question.entry, fixed["src"])
        apart = distances.get(counter, 1) if direction in "<>" else 0
        if values is None or len(values) <= apart or direction == "*":
            return False
        early = values[(len(values) - 1 - apart) // 2]
        late = early + apart
        fixed["src"][counter], fixed["dst"][counter] = (late, early) if direction == ">" else (early, late)
    for side, access in (("src", src), ("dst", dst)):
        for counter in access.loops:
            values = _range_now(question.nest.loops[counter], question.entry, fixed[side])
            if values is None or not values or fixed[side].get(counter, values[0]) not in values:
                return False
            ranges[side, counter] = values
    used: set[tuple[str, str]] = set()
    for known, moving in dimensions:
        gap = _value_now(known, question.entry, fixed["src"])
        if gap is None:
            return False
        gap += sum(c * fixed[side][key] for side, key, c in moving if side and key in fixed[side])
        free = [t for t in moving if not t[0] or t[1] not in fixed[t[0]]]
        if not _solvable(gap, free, ranges) or not used.isdisjoint(t[:2] for t in free):
            return False
        used.update(t[:2] for t in free)
    return True


def _solvable(gap: int, free: Sequence[_Term], ranges: Mapping[tuple[str, str], range]) -> bool:
    """Whether gap + free terms == 0 has a solution within the ranges; False if that is not plain."""
    if not free:
        return gap == 0
    if len(free) > 2 or any(t[:2] not in ranges for t in free):
        return False
    if len(free) == 1:
        side, key, c = free[0]
        return gap % c == 0 and -gap // c in ranges[side, key]
    (side, key, c), (side2, key2, c2) = free
    if c + c2 or side == side2 or gap % c:
        return False
    shift, a, b = gap // c, ranges[side, key], ranges[side2, key2]  # key + shift == key2
    return max(a.start + shift, b.start) < min(a.stop + shift, b.stop)


def _range_now(loop: LoopDomain, entry: Env, fixed: Mapping[str | Quantity, int]) -> range | None:
    if loop.start is None or loop.stop is None or loop.constant_step != 1:
        return None
    start, stop = _value_now(loop.start, entry, fixed), _value_now(loop.stop, entry, fixed)
    return None if start is None or stop is None else range(start, stop)


def _value_now(form: Affine, entry: Env, fixed: Mapping[str | Quantity, int]) -> int | None:
    """Value of a form at this entry with some counters fixed, None if something in it is not known."""
    rest = affine({k: c for k, c in form.terms if k not in fixed}, form.const)
    value = value_of(rest, entry)
    return None if value is None else value + sum(c * fixed[k] for k, c in form.terms if k in fixed)


def _plain(access: Access, axis: int) -> Affine | None:
    """The subscript if it is the element's place itself (never wraps), or wraps always (a constant)."""
    form = access.index[axis]
    if form is None or access.modes[axis] == "direct":
        return form
    if not form.terms:
        return form if form.const >= 0 else form + affine({QDim(access.array, axis): 1})
    return None


def _split(
    question: Question, x: Affine, y: Affine, equal: frozenset[str]
) -> tuple[Affine, list[_Term]]:
    """x(source) - y(sink) as a part known to be the same on both sides, and terms (side, key, coefficient)."""
    known: dict[str | Quantity, int] = {}
    moving: list[_Term] = []
    for side, form, sign in (("src", x, 1), ("dst", y, -1)):
        for key, c in form.terms:
            if isinstance(key, str) and not _shared(question.nest, key, equal):
                moving.append((side, key, sign * c))
            else:
                known[key] = known.get(key, 0) + sign * c
    return affine(known, x.const - y.const), moving


def _shared(nest: NestAccesses, key: str, equal: frozenset[str]) -> bool:
    """Whether a counter or symbol has one value for both accesses."""
    if key.startswith("$"):
        return equal.issuperset(nest.symbols[key])
    return key in equal


def _strong_siv(
    question: Question, known: Affine, moving: list[_Term], relation: Mapping[str, Direction]
) -> Answer | int | None:
    """a*i + c against a*i' + d: the distance in iterations, an answer if it contradicts the direction."""
    if known.terms or len(moving) != 2:
        return None
    (side, key, c), (side2, key2, c2) = moving
    if key != key2 or side == side2 or c + c2 or key.startswith("$") or key not in relation:
        return None
    step = question.nest.loops[key].constant_step
    # c*i + known == c*i'  =>  i' - i = known / c
    if known.const % c or (step is not None and known.const // c % step):
        return INDEPENDENT
    if relation[key] == "*":
        return None
    if known.const == 0:
        return INDEPENDENT if relation[key] in "<>" else None
    if step is None:
        return None
    iterations = known.const // c // step
    if (iterations > 0) != (relation[key] == "<"):
        return INDEPENDENT
    return abs(iterations)


# -- exact test ----------------------------------------------------------------------------------


def _exact(question: Question, src: Access, dst: Access, relation: Mapping[str, Direction]) -> Answer:
    """The dependence polyhedron, by isl; any trouble there is a dependence."""
    import islpy

    text, parameters, conditions = _Polyhedron(question, src, dst, relation).build()
    context = _context()
    context.reset_operations()
    context.set_max_operations(MAX_OPERATIONS)
    try:
        pairs = islpy.Set.read_from_str(context, text)
        if pairs.is_empty():
            return Answer(False, conditions)
        if not parameters:
            return DEPENDENT
        now = _at_entry(pairs, parameters, question.entry)
        if now is None or not now.is_empty():
            return DEPENDENT
        predicate = _complement(pairs, parameters, question)
    except islpy.Error:
        return DEPENDENT
    finally:
        context.set_max_operations(0)
    return DEPENDENT if predicate is None else Answer(False, (*conditions, predicate))


_CONTEXTS: list[islpy.Context] = []


def _context() -> islpy.Context:
    """One isl context for the process: making one costs more than a typical test."""
    import islpy

    if not _CONTEXTS:
        context = islpy.Context.alloc() if hasattr(islpy.Context, "alloc") else islpy.Context()
        context.set_on_error(1)  # ISL_ON_ERROR_CONTINUE: no message on stderr
        _CONTEXTS.append(context)
    return _CONTEXTS[0]


class _Polyhedron:
    """Text of the isl set { [source and sink iterations] : related, in their domains, same element }."""

    def __init__(self, question: Question, src: Access, dst: Access, relation: Mapping[str, Direction]) -> None:
        self.question, self.src, self.dst, self.relation = question, src, dst, relation
        self.equal = frozenset(c for c, d in relation.items() if d == "=")
        self.names: dict[tuple[str, str], str] = {}
        self.parameters: dict[Quantity, str] = {}
        self.conjuncts: list[str] = []
        self.conditions: dict[Predicate, None] = {}
        self.witnesses = 0

    def build(self) -> tuple[str, dict[Quantity, str], tuple[Predicate, ...]]:
        self.order()
        for side, access in (("src", self.src), ("dst", self.dst)):
            for counter in access.loops:
                if side == "src" or counter not in self.equal:
                    self.domain(side, self.question.nest.loops[counter])
            for guard in access.guards:
                form = self.text(side, guard.form)
                relation = {">=": ">= 0", "==": "= 0", "!=": "!= 0"}[guard.op]
                self.conjuncts.append(f"{form} {relation}")
        for axis, (x, y) in enumerate(zip(self.src.index, self.dst.index)):
            if x is not None and y is not None:
                self.conjuncts.append(self.same_element(axis, x, y))
        for leaf, name in self.parameters.items():
            if isinstance(leaf, QDim):
                self.conjuncts.append(f"{name} >= 0")
        head = f"[{', '.join(self.parameters.values())}] -> {{ [{', '.join(self.names.values())}] : "
        body = " and ".join(self.conjuncts) or "true"
        return head + body + " }", self.parameters, tuple(self.conditions)

    def order(self) -> None:
        for counter, direction in self.relation.items():
            if direction in "=*":
                continue
            sign, why = self.question.step_sign(counter)
            self.conditions.update(dict.fromkeys(why))
            src, dst = self.variable("src", counter), self.variable("dst", counter)
            if sign == 0:
                self.conjuncts.append(f"({src} < {dst} or {src} > {dst})")
            else:
                self.conjuncts.append(f"{src} {'<' if (sign > 0) == (direction == '<') else '>'} {dst}")

    def variable(self, side: str, key: str) -> str:
        if _shared(self.question.nest, key, self.equal):
            side = "src"
        return self.names.setdefault((side, key), f"v{len(self.names)}")

    def text(self, side: str, form: Affine) -> str:
        parts = [str(form.const)]
        for key, c in form.terms:
            if isinstance(key, str):
                name = self.variable(side, key)
            else:
                name = self.parameters.setdefault(key, f"p{len(self.parameters)}")
            parts.append(f"{c}*{name}")
        return "(" + " + ".join(parts) + ")"

    def domain(self, side: str, loop: LoopDomain) -> None:
        name = self.variable(side, loop.counter)
        sign, why = self.question.step_sign(loop.counter)
        if sign == 0:
            return
        self.conditions.update(dict.fromkeys(why))
        first, last = (">=", "<") if sign > 0 else ("<=", ">")
        step = loop.constant_step
        if loop.start is not None:
            start = self.text(side, loop.start)
            self.conjuncts.append(f"{name} {first} {start}")
            if step is not None and abs(step) != 1:
                self.witnesses += 1
                w = f"w{self.witnesses}"
                self.conjuncts.append(f"(exists {w} : {name} = {start} + {step}*{w})")
        if loop.stop is not None:
            self.conjuncts.append(f"{name} {last} {self.text(side, loop.stop)}")

    def same_element(self, axis: int, x: Affine, y: Affine) -> str:
        left = self.places("src", self.src, axis, x)
        right = self.places("dst", self.dst, axis, y)
        options = [" and ".join(filter(None, (a, b, f"{p} = {q}"))) for a, p in left for b, q in right]
        return options[0] if len(options) == 1 else "(" + " or ".join(f"({o})" for o in options) + ")"

    def places(self, side: str, access: Access, axis: int, form: Affine) -> list[tuple[str, str]]:
        """(condition, element) pairs: a subscript that may wrap is in one of two places."""
        plain = _plain(access, axis)
        if plain is not None:
            return [("", self.text(side, plain))]
        low = self.text(side, form)
        high = self.text(side, form + affine({QDim(access.array, axis): 1}))
        return [(f"{low} >= 0", low), (f"{low} < 0", high)]


def _at_entry(pairs: islpy.Set, parameters: Mapping[Quantity, str], entry: Env) -> islpy.Set | None:
    import islpy

    for number, leaf in enumerate(parameters):
        value = value_of(affine({leaf: 1}), entry)
        if value is None:
            return None
        pairs = pairs.fix_val(islpy.dim_type.param, number, islpy.Val.int_from_si(pairs.get_ctx(), value))
    return pairs


def _complement(pairs: islpy.Set, parameters: Mapping[Quantity, str], question: Question) -> Predicate | None:
    """The entry conditions under which no dependent pair exists, if they are few and true now.

    The conflict set is a union of conjunctions; its complement, by De Morgan, is a conjunction of
    disjunctions of negated constraints. Integer divisions are dropped, which only enlarges the conflict.
    """
    import islpy

    leaves = list(parameters)
    conflict = pairs.params().remove_divs()
    assumed = islpy.Set.universe(conflict.get_space())
    for number, leaf in enumerate(leaves):
        if isinstance(leaf, QDim):
            assumed = assumed.lower_bound_val(islpy.dim_type.param, number, islpy.Val.zero(pairs.get_ctx()))
    pieces = conflict.gist(assumed).coalesce().remove_redundancies().get_basic_sets()
    if len(pieces) > MAX_CONJUNCTS:
        return None
    parts: list[Predicate] = []
    for piece in pieces:
        part = _avoids(piece, leaves, question)
        if part is None:
            return None
        parts.append(part)
    whole = every(sorted(parts, key=str))
    return whole if question.usable(whole) else None


def _avoids(piece: islpy.BasicSet, leaves: Sequence[Quantity], question: Question) -> Predicate | None:
    """That the entry quantities lie outside `piece`; if that is long, only the shortest part true now."""
    import islpy

    options: list[Predicate] = []
    for constraint in piece.get_constraints():
        terms: dict[str | Quantity, int] = {
            leaf: constraint.get_coefficient_val(islpy.dim_type.param, k).to_python() for k, leaf in enumerate(leaves)
        }
        form = affine(terms, constraint.get_constant_val().to_python())
        if constraint.is_equality():
            options += [p for p in (negative(form), negative(form.scale(-1))) if not isinstance(p, bool)]
        else:
            option = negative(form)
            options += [] if isinstance(option, bool) else [option]
    options.sort(key=lambda p: (len(str(p)), str(p)))  # isl's order varies from run to run
    usable = [p for p in options if question.usable(p)]
    if not usable:
        return None
    whole = some(options)
    if len(options) <= MAX_DISJUNCTS and whole not in question.banned:
        return whole
    return usable[0]


# -- what code generation asks -------------------------------------------------------------------


def interchange_legal(
    nest: Nest, outer: str, inner: str, entry: Env | None = None, may_alias: frozenset[frozenset[str]] = frozenset()
) -> bool:
    """Whether the directly nested loops `outer` and `inner` may change places: no dependence has
    direction (<, >) (Kennedy & Allen, theorem 5.2). Arrays only: carried scalars are the caller's
    affair. No precondition is assumed, so the answer holds for every entry."""
    question = Question(nest_accesses(nest), entry or {}, _NOTHING_ASSUMED, may_alias)
    inside = [a for a in question.nest.accesses if inner in a.loops]
    for src in inside:
        for dst in inside:
            if not conflicting(src, dst, may_alias):
                continue
            common = common_loops(src, dst)
            depth = common.index(outer)
            directions: list[Direction] = ["="] * depth
            directions += ["<" if c == outer else ">" if c == inner else "*" for c in common[depth:]]
            answer = depends(question, src, dst, directions)
            if answer.dependent or answer.conditions:
                return False
    return True


def innermost_independent(
    nest: Nest, counter: str, entry: Env | None = None, may_alias: frozenset[frozenset[str]] = frozenset()
) -> bool:
    """Whether no array dependence is carried by `counter` at all (no precondition assumed): a C
    compiler may be told that its iterations are independent in memory."""
    question = Question(nest_accesses(nest), entry or {}, _NOTHING_ASSUMED, may_alias)
    inside = [a for a in question.nest.accesses if counter in a.loops]
    return not any(
        answer.dependent or answer.conditions for *_, answer in carried_pairs(question, inside, counter)
    )


class _Everything(frozenset[Predicate]):
    """A `banned` set that bans all."""

    def __contains__(self, item: object) -> bool:
        return True


_NOTHING_ASSUMED: frozenset[Predicate] = _Everything()


def carried_pairs(
    question: Question, accesses: Sequence[Access], counter: str
) -> list[tuple[Access, Access, Answer]]:
    """(source, sink, answer) for each pair of `accesses` (all inside `counter`) that could be
    carried by that loop and is not plainly independent; first the certain dependences."""
    found: list[tuple[Access, Access, Answer]] = []
    seen: set[object] = set()
    for src in accesses:
        for dst in accesses:
            if not conflicting(src, dst, question.may_alias):
                continue
            depth = src.loops.index(counter)
            key = (src.array, src.index, src.modes, src.loops[: depth + 1], src.guards,
                   dst.array, dst.index, dst.modes, dst.guards, src.is_write, dst.is_write, src.loops, dst.loops)
            if key in seen:
                continue
            seen.add(key)
            directions: list[Direction] = ["="] * depth
            directions.append("<")
            answer = depends(question, src, dst, directions)
            if answer.dependent or answer.conditions:
                found.append((src, dst, answer))
                if answer.dependent:
                    return found[-1:]
    return found
