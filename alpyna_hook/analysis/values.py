"""Symbolic values of expressions, and the checks they make needless.

In: a typed expression at one point of a nest.  Out: the expression with fewer checks and its value: an
`Affine` form for an int, a `Sign` for a float.  The statement walk is in bounds.py, the proofs in facts.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, TypeAlias

from alpyna_hook.analysis.access import assigned_names, compare_constraints
from alpyna_hook.analysis.facts import ONE, Case, Facts, constant, product
from alpyna_hook.analysis.predicates import is_entry, quantity
from alpyna_hook.analysis.signs import Sign, known_by, sign_of_binary, sign_of_call
from alpyna_hook.ir.affine import Affine, PCompare, PFinite, QBinary, QConst, QDim, QParam, affine
from alpyna_hook.ir.nodes import (
    Binary,
    Call,
    Cast,
    Check,
    Compare,
    Const,
    Dim,
    Expr,
    Load,
    Logical,
    Mode,
    Nest,
    Select,
    Unary,
    Var,
)
from alpyna_hook.ir.types import Rep, ScalarType

Value: TypeAlias = Affine | Sign

_NEGATED = {"<": ">=", "<=": ">", "==": "!=", "!=": "==", ">": "<=", ">=": "<"}
_SWAPPED = {"<": ">", "<=": ">=", "==": "==", "!=": "!=", ">": "<", ">=": "<="}
_EXACT53 = constant(2**53)


class Evaluator:
    """Expressions at the present point; `env` holds the values of scalars.

    trust     take every overflow check for passed (a first look at a loop body, never the result)
    numbered  values of operations that are no affine form, so that the same operation is one symbol
    """

    def __init__(self, nest: Nest, facts: Facts) -> None:
        self.facts = facts
        self.trust = False
        self.env: dict[str, Value] = {}
        self.numbered: dict[object, Affine] = {}
        self.assigned = assigned_names(nest.body)
        self.parameters = {v.name for v in nest.live_ins if v.role == "scalar"} - self.assigned
        for v in nest.live_ins:
            kind = facts.types.get(v.name)
            if v.role == "scalar" and isinstance(kind, ScalarType):
                self.env[v.name] = affine({QParam(v.name): 1}) if kind.rep.is_int else Sign.ANY

    # -- entry points ----------------------------------------------------------------------------

    def expr(self, e: Expr) -> tuple[Expr, Value]:
        """`e` with fewer checks, and its value."""
        match e:
            case Const(value=v):
                return e, self.of_constant(v)
            case Var(name=name):
                value = self.env.get(name)
                return e, self.unknown(e, name) if value is None else value
            case Dim(array=array, axis=axis):
                return e, affine({QDim(array, axis): 1})
            case Load():
                return self.load(e)
            case Unary():
                return self.unary(e)
            case Binary():
                return self.binary(e)
            case Compare(left=x, right=y):
                return replace(e, left=self.expr(x)[0], right=self.expr(y)[0]), Sign.ANY
            case Logical(op=op, left=x, right=y):
                left = self.expr(x)[0]
                right = self.under(left, op == "and", y)[0]
                return replace(e, left=left, right=right), Sign.ANY
            case Select():
                return self.select(e)
            case Call():
                return self.call(e)
            case Cast():
                return self.cast(e)

    def subscripts(self, array: str, index: tuple[Expr, ...]) -> tuple[tuple[Expr, ...], tuple[Mode, ...]]:
        """The subscripts, and how each is made safe."""
        parts, modes = [], []
        for axis, e in enumerate(index):
            new, mode = self.subscript(array, axis, e)
            parts.append(new)
            modes.append(mode)
        return tuple(parts), tuple(modes)

    def subscript(self, array: str, axis: int, e: Expr) -> tuple[Expr, Mode]:
        """That a subscript is in range mostly implies that its arithmetic does not overflow: so try that first."""
        if not isinstance(e, (Binary, Unary)) or self.trust:
            new, value = self.expr(e)
            return new, self.mode(array, axis, value)
        saved, numbered = self.facts.snapshot(), dict(self.numbered)
        self.trust = True
        guess = self.expr(e)[1]
        self.trust = False
        mode = self.mode(array, axis, guess)
        new, value = self.expr(e)
        if value != guess:
            self.facts.restore(saved)
            self.numbered = numbered
            new, value = self.expr(e)
            mode = self.mode(array, axis, value)
        return new, mode

    def mode(self, array: str, axis: int, value: Value) -> Mode:
        if self.trust or not isinstance(value, Affine):
            return "checked"
        size = affine({QDim(array, axis): 1})
        below = size - ONE - value
        if self.facts.prove(value, below):
            return "direct"
        return "wrap" if self.facts.prove(value + size, below) else "checked"

    def under(self, test: Expr, truth: bool, e: Expr) -> tuple[Expr, Value]:
        """`expr(e)` where `test` is known to be `truth`."""
        path, env, numbered = self.facts.path, dict(self.env), dict(self.numbered)
        self.facts.path += tuple(self.conditions(test, truth))
        self.refine_signs(test, truth)
        result = self.expr(e)
        self.facts.path, self.env, self.numbered = path, env, numbered
        return result

    # -- leaves ----------------------------------------------------------------------------------

    def of_constant(self, v: bool | int | float | complex) -> Value:
        if isinstance(v, int):
            return constant(int(v))
        if isinstance(v, float):
            return Sign((v >= 0) * Sign.NONNEGATIVE | (v != 0) * Sign.NONZERO)
        return Sign.ANY

    def unknown(self, e: Expr, hint: str, key: object = None) -> Value:
        """Any value of the type of `e`; the same symbol for the same `key`."""
        if e.type is None or not e.type.rep.is_int:
            return Sign.ANY
        if key is None:
            return self.facts.fresh(hint, e.type.rep)
        if key not in self.numbered:
            self.numbered[key] = self.facts.fresh(hint, e.type.rep)
        return self.numbered[key]

    def load(self, e: Load) -> tuple[Expr, Value]:
        index, modes = self.subscripts(e.array, e.index)
        new = replace(e, index=index, modes=modes)
        key: object = None
        if e.type is not None and e.type.rep.is_int:
            key = ("load", e.array, tuple(self.expr(x)[1] for x in index))
        return new, self.unknown(e, e.array, key)

    def forget_loads(self) -> None:
        """After a store: any array may share memory with any other."""
        self.numbered = {k: v for k, v in self.numbered.items() if not (isinstance(k, tuple) and k[0] == "load")}

    # -- operations ------------------------------------------------------------------------------

    def checked(self, e: Expr, form: Affine | None, key: object) -> tuple[bool, Value]:
        """(the result surely fits its type, its value); a value that may have wrapped is unknown."""
        if form is not None and e.type is not None and e.type.rep.is_int:
            if self.trust or self.facts.fits(form, e.type.rep):
                return True, form
        return False, self.unknown(e, "value", key)

    def unary(self, e: Unary) -> tuple[Expr, Value]:
        operand, value = self.expr(e.operand)
        new = replace(e, operand=operand)
        if e.op == "not":
            return new, Sign.ANY
        if isinstance(value, Sign):
            sign = value if e.op == "+" else value & Sign.NONZERO
            return new, self.unknown(e, "value") if e.type is not None and e.type.rep.is_int else sign
        form = {"+": value, "-": value.scale(-1), "~": value.scale(-1) - ONE}[e.op]
        if e.op == "~" and (e.type is None or not e.type.rep.is_signed):
            return new, self.unknown(e, "value")
        fits, result = self.checked(e, form, (e.op, value))
        return _without(new, "overflow", fits), result

    def binary(self, e: Binary) -> tuple[Expr, Value]:
        left, x = self.expr(e.left)
        right, y = self.expr(e.right)
        new = replace(e, left=left, right=right)
        if not isinstance(x, Affine) or not isinstance(y, Affine):
            if e.op in ("/", "//", "%"):
                new = _without(new, "zero", self.float_nonzero(right, y))
            if e.op == "**" and isinstance(y, Affine):
                new = _without(new, "negative", self.prove_now(new, "negative", y))
            if isinstance(x, Sign) and isinstance(y, Sign) and not _is_int(e):
                return new, sign_of_binary(e, x, y)
            return new, self.unknown(e, "value")
        if not _is_int(e):
            if e.op in ("/", "//", "%"):
                new = _without(new, "zero", "zero" in e.checks and self.int_nonzero(y))
            return new, Sign.ANY
        form: Affine | None = None
        match e.op:
            case "+":
                form = x + y
            case "-":
                form = x - y
            case "*":
                form = self.multiply(x, y)
            case "//" | "%":
                return self.divide(new, x, y)
            case "<<" | ">>":
                return self.shift(new, x, y)
            case "&" | "|" | "^":
                return new, self.bitwise(new, x, y)
            case "**":
                new = _without(new, "negative", self.prove_now(new, "negative", y))
                if not y.terms and 0 <= y.const <= 3:
                    form = constant(1)
                    for _ in range(y.const):
                        form = self.multiply(form, x)
        fits, result = self.checked(e, form, (e.op, x, y))
        return _without(new, "overflow", fits), result

    def prove_now(self, e: Binary, check: Check, *goals: Affine) -> bool:
        return check in e.checks and not self.trust and self.facts.prove(*goals)

    def int_nonzero(self, y: Affine) -> bool:
        if self.trust:
            return True
        if self.facts.prove(y - ONE) or self.facts.prove(y.scale(-1) - ONE):
            return True
        return bool(y.terms) and is_entry(y) and self.facts.assume(PCompare("!=", quantity(y), QConst(0)))

    def float_nonzero(self, e: Expr, value: Value) -> bool:
        if self.trust or (isinstance(value, Sign) and value & Sign.NONZERO):
            return True
        match e:
            case Cast(operand=x) if _is_int(x):
                form = self.expr(x)[1]
                return isinstance(form, Affine) and self.int_nonzero(form)
            case Cast(operand=x, type=ScalarType(rep=Rep.F64)):
                return self.float_nonzero(x, self.expr(x)[1])
            case Unary(op="-" | "+", operand=x):
                return self.float_nonzero(x, self.expr(x)[1])
            case Var(name=name, type=ScalarType(rep=Rep.F64 | Rep.F32)) if name in self.parameters:
                return self.facts.assume(PFinite(name, nonzero=True))
            case _:
                return False

    def multiply(self, x: Affine, y: Affine) -> Affine:
        """x * y: exact if one is a number or both are entry forms, else a symbol with bounds."""
        if not x.terms:
            return y.scale(x.const)
        if not y.terms:
            return x.scale(y.const)
        if is_entry(x) and is_entry(y):
            exact = product(x, y)
            if exact is not None:
                return exact
        key = ("*", *sorted((x, y), key=str))
        if key in self.numbered:
            return self.numbered[key]
        facts = self.facts
        z = facts.fresh("product")
        self.numbered[key] = z
        if x == y:
            facts.learn(z)
        for a, b in ((x, y), (y, x)):
            # a * b with b >= 0: between b's largest times the bounds of a, and 0
            if not facts.prove(b):
                continue
            for top in facts.upper(b)[:2]:
                for bound in facts.upper(a)[:2]:
                    high = product(bound, top)
                    if high is not None and facts.prove(bound):
                        facts.learn(high - z)
                for bound in facts.lower(a)[:2]:
                    low = product(bound, top)
                    if low is not None and bound.terms and facts.prove(bound.scale(-1)):
                        facts.learn(z - low)
                    elif low is not None and not bound.terms and bound.const < 0:
                        facts.learn(z - low)
            if facts.prove(a):
                facts.learn(z)
                break
        return z

    def divide(self, e: Binary, x: Affine, y: Affine) -> tuple[Expr, Value]:
        """Floor division and remainder. A positive divisor neither faults nor overflows."""
        facts = self.facts
        if not facts.prove(y - ONE):
            e = _without(e, "zero", "zero" in e.checks and self.int_nonzero(y))
            if e.op == "%" and not y.terms and y.const < 0:
                r = facts.fresh("rest", _rep(e))
                facts.prefer(r.scale(-1), r - y - ONE)
                return _without(e, "overflow", True), r
            return e, self.unknown(e, "value", (e.op, x, y))
        e = _without(_without(e, "zero", True), "overflow", True)
        if e.op == "%" and y.terms:
            e = replace(e, wraps=self.wraps(x, y))
        key = (e.op, x, y)
        if key in self.numbered:
            return e, self.numbered[key]
        if e.op == "//" and is_entry(x) and not y.terms:
            return e, affine({QBinary("//", quantity(x), quantity(y)): 1}) if x.terms else constant(x.const // y.const)
        if not y.terms:  # x == c*q + r, 0 <= r < c
            quotient = ("//", x, y)
            if quotient not in self.numbered:
                q = facts.fresh("floor", _rep(e))
                facts.prefer(x - q.scale(y.const), q.scale(y.const) + constant(y.const - 1) - x)
                self.numbered[quotient] = q
            q = self.numbered[quotient]
            if e.op == "//":
                return e, q
            r = facts.fresh("rest", _rep(e), cases=(Case(x - q.scale(y.const)),))
            facts.prefer(r, constant(y.const - 1) - r)
        else:
            r = facts.fresh("rest" if e.op == "%" else "floor", _rep(e))
            nonnegative = facts.prove(x)
            if e.op == "%":
                facts.prefer(r, y - ONE - r)
            if nonnegative:
                facts.prefer(r, x - r)
        self.numbered[key] = r
        return e, r

    def wraps(self, x: Affine, y: Affine) -> Literal["", "below", "above", "both"]:
        """`Binary.wraps` of x % y, which is how periodic boundaries are written: (i + 1) % n."""
        prove, below, twice = self.facts.prove, y - ONE - x, y.scale(2) - ONE - x
        if prove(x, twice):
            return "above"
        return "below" if prove(x + y, below) else "both" if prove(x + y, twice) else ""

    def shift(self, e: Binary, x: Affine, y: Affine) -> tuple[Expr, Value]:
        width = constant(_rep(e).bits - 1)
        e = _without(e, "negative", self.prove_now(e, "negative", y, width - y))
        key = (e.op, x, y)
        if not y.terms and 0 <= y.const < _rep(e).bits:
            if e.op == ">>":
                halves = replace(e, op="//", checks=frozenset())
                return e, self.divide(halves, x, constant(2**y.const))[1]
            fits, result = self.checked(e, x.scale(2**y.const), key)
            return _without(e, "overflow", fits), result
        result = self.unknown(e, "value", key)
        if e.op == ">>" and isinstance(result, Affine) and self.facts.prove(x):
            self.facts.prefer(result, x - result)
        return e, result

    def bitwise(self, e: Binary, x: Affine, y: Affine) -> Value:
        key = (e.op, x, y)
        if key in self.numbered:
            return self.numbered[key]
        result = self.unknown(e, "bits", key)
        if not isinstance(result, Affine):
            return result
        facts = self.facts
        low_x, high_x = facts.constant_bounds(x)
        low_y, high_y = facts.constant_bounds(y)
        positive = [v for v, low in ((x, low_x), (y, low_y)) if low is not None and low >= 0]
        if e.op == "&" and positive:
            facts.prefer(result, *(v - result for v in positive))
        elif len(positive) == 2 and high_x is not None and high_y is not None:
            facts.prefer(result, constant((1 << max(high_x, high_y).bit_length()) - 1) - result)
        return result

    def select(self, e: Select) -> tuple[Expr, Value]:
        test, _ = self.expr(e.test)
        then, x = self.under(test, True, e.then)
        other, y = self.under(test, False, e.other)
        new = replace(e, test=test, then=then, other=other)
        if isinstance(x, Affine) and isinstance(y, Affine) and _is_int(e):
            if x == y:
                return new, x
            cases = (Case(x, tuple(self.conditions(test, True))), Case(y, tuple(self.conditions(test, False))))
            return new, self.facts.fresh("choice", _rep(e), cases=cases)
        if isinstance(x, Sign) and isinstance(y, Sign):
            return new, x & y
        return new, self.unknown(e, "choice")

    def call(self, e: Call) -> tuple[Expr, Value]:
        parts = [self.expr(a) for a in e.args]
        new = replace(e, args=tuple(p for p, _ in parts))
        values = [v for _, v in parts]
        name = e.fn.rpartition(".")[2]
        if _is_int(e) and all(isinstance(v, Affine) for v in values):
            forms = [v for v in values if isinstance(v, Affine)]
            return self.int_call(new, name, forms)
        if _is_int(e):
            return new, self.unknown(e, name)
        if len(values) == 1 and isinstance(values[0], Sign):
            if (name == "sqrt" and values[0] & Sign.NONNEGATIVE) or (
                name in ("log", "log2", "log10") and values[0] == Sign.POSITIVE
            ):
                new = replace(new, checks=new.checks - {"domain"})
            return new, sign_of_call(name, values[0])
        if name in ("min", "max") and all(isinstance(v, Sign) for v in values):
            first, second = values
            assert isinstance(first, Sign) and isinstance(second, Sign)
            return new, first & second
        return new, Sign.ANY

    def int_call(self, e: Call, name: str, forms: list[Affine]) -> tuple[Expr, Value]:
        facts = self.facts
        match name, forms:
            case ("min" | "max"), [x, y]:
                key = (name, x, y)
                if key not in self.numbered:
                    sign = 1 if name == "min" else -1
                    gap = (y - x).scale(sign)  # >= 0 if x is the result
                    z = facts.fresh(name, cases=(Case(x, (gap,)), Case(y, (gap.scale(-1),))))
                    facts.prefer((x - z).scale(sign), (y - z).scale(sign))
                    self.numbered[key] = z
                return e, self.numbered[key]
            case ("abs" | "absolute" | "fabs"), [x]:
                z = facts.fresh("abs", cases=(Case(x, (x,)), Case(x.scale(-1), (x.scale(-1) - ONE,))))
                facts.prefer(z)
                fits, result = self.checked(e, z, (name, x))
                return (replace(e, checks=e.checks - {"overflow"}) if fits else e), result
            case ("int" | "round" | "trunc" | "floor" | "ceil"), [x]:
                return e, self.checked(e, x, (name, x))[1]
            case _:
                return e, self.unknown(e, name)

    def cast(self, e: Cast) -> tuple[Expr, Value]:
        operand, value = self.expr(e.operand)
        new = replace(e, operand=operand)
        if e.type is None:
            return new, Sign.ANY
        if e.type.rep.is_int:
            if isinstance(value, Sign):
                if operand.type is not None and operand.type.rep is Rep.BOOL:
                    return new, self.facts.fresh("flag", Rep.BOOL)
                return new, self.unknown(e, "value")
            fits, result = self.checked(e, value, ("cast", e.type.rep, value))
            if fits and not self.trust:
                new = replace(new, checks=new.checks - {"range", "overflow"})
            return new, result
        if isinstance(value, Affine):
            if "exact53" in e.checks and not self.trust and self.facts.prove(_EXACT53 - value, value + _EXACT53):
                new = replace(new, checks=new.checks - {"exact53"})
            low, _ = self.facts.constant_bounds(value)
            sign = Sign.ANY if low is None or low < 0 else Sign.POSITIVE if low else Sign.NONNEGATIVE
            return new, sign if e.type.rep.is_float else Sign.ANY
        if e.type.rep.is_float and operand.type is not None and operand.type.rep.is_float:
            narrows = e.type.rep.bits < operand.type.rep.bits
            return new, value & Sign.NONNEGATIVE if narrows else value
        return new, Sign.ANY

    # -- conditions ------------------------------------------------------------------------------

    def conditions(self, test: Expr, truth: bool) -> list[Affine]:
        """Forms that are >= 0 where `test` has come out as `truth`."""
        match test:
            case Unary(op="not", operand=x):
                return self.conditions(x, not truth)
            case Logical(op=op, left=x, right=y) if (op == "and") == truth:
                return self.conditions(x, truth) + self.conditions(y, truth)
            case Compare(op=op, left=x, right=y) if _is_int(x) and _is_int(y):
                left, right = self.expr(x)[1], self.expr(y)[1]
                if not isinstance(left, Affine) or not isinstance(right, Affine):
                    return []
                return self.compared(op if truth else _NEGATED[op], left, right)
            case _:
                return []

    def compared(self, op: str, left: Affine, right: Affine) -> list[Affine]:
        if op == "!=":
            # x != c at an end of its range moves that end
            if not self.trust and (left - right).terms:
                low, high = self.facts.constant_bounds(left - right)
                if low == 0:
                    return [left - right - ONE]
                if high == 0:
                    return [right - left - ONE]
            return []
        forms = []
        for c in compare_constraints(op, left, right):
            forms += [c.form, c.form.scale(-1)] if c.op == "==" else [c.form]
        return forms

    def refine_signs(self, test: Expr, truth: bool) -> None:
        """`if x > 0.0:` and its relatives, for float scalars."""
        match test:
            case Unary(op="not", operand=x):
                self.refine_signs(x, not truth)
            case Logical(op=op, left=x, right=y) if (op == "and") == truth:
                self.refine_signs(x, truth)
                self.refine_signs(y, truth)
            case Compare(op=op, left=x, right=y):
                relation = op if truth else _NEGATED[op]
                if isinstance(y, Var):
                    x, y, relation = y, x, _SWAPPED[relation]
                if not truth and not isinstance(y, Const):
                    return  # y may be NaN: then `not x <= y` says nothing
                limit = self.expr(y)[1]
                old = self.env.get(x.name) if isinstance(x, Var) else None
                if isinstance(x, Var) and isinstance(old, Sign) and isinstance(limit, Sign):
                    self.env[x.name] = old | known_by(relation, limit, y)
            case _:
                pass


def _is_int(e: Expr) -> bool:
    return e.type is not None and e.type.rep.is_int


def _rep(e: Expr) -> Rep:
    assert e.type is not None
    return e.type.rep


def _without(e: Unary | Binary, check: Check, proved: bool) -> Binary:
    if not proved or check not in e.checks:
        return e  # type: ignore[return-value]
    return replace(e, checks=e.checks - {check})  # type: ignore[return-value]
