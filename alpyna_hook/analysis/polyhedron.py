"""The exact dependence test: integer points of the dependence polyhedron, by isl.

In: two accesses and the directions asked for.  Out: an `Answer`: independent if the polyhedron is empty; if
it is empty only for some entry quantities, those among them now, the predicate that says so; dependent
else, also where isl takes too long.  (Pugh, The Omega Test, CACM 1992; Verdoolaege, isl, ICMS 2010.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from alpyna_hook.analysis.access import Access, LoopDomain
from alpyna_hook.analysis.predicates import every, negative, some, value_of
from alpyna_hook.analysis.question import DEPENDENT, Answer, Direction, Question, plain, shared
from alpyna_hook.ir.affine import Affine, Env, Predicate, QDim, Quantity, affine

if TYPE_CHECKING:
    import islpy

# isl gives up on one question after so many of its operations (about 50 ms); that is a dependence.
MAX_OPERATIONS = 400_000
MAX_CONJUNCTS = 4
MAX_DISJUNCTS = 6


def exact_answer(question: Question, src: Access, dst: Access, relation: Mapping[str, Direction]) -> Answer:
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
        if shared(self.question.nest, key, self.equal):
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
        place = plain(access, axis)
        if place is not None:
            return [("", self.text(side, place))]
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
