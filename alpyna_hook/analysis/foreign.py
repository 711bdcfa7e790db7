"""Loops over CuPy arrays: which of them mean for numbers what they mean for CuPy.

In: an untyped nest, the types of its live-ins, some of which are CuPy's arrays.  Out: the nest, to be typed as if these
arrays were NumPy's; or the `Rejection` that says what would not be the same.

To CuPy `a[i]` is an array without dimensions, and a view of `a`: it changes when `a[i]` is stored to, and `x += 1`
changes `a` if `x` is such a view. Arithmetic makes a new array: dtypes as NumPy 2 promotes them (CuPy 14, NEP 50), no
warnings, no ZeroDivisionError. So this pass follows which class each value may have, and lets only this pass:

- sums, differences and products of floats, and of integers of one dtype; true division of floats; comparisons, unary
  minus, abs, min and max of such operands. Where NumPy would warn of an integer's overflow and CuPy does not, the loop
  is a fault, and runs in CuPy;
- Python numbers beside them if these are weak there: any beside float64, constants and the call's own floats beside
  float32 (runtime/foreign.py sees to it that these are in its range), ints beside integers (one out of range is a
  fault). NumPy scalars if they have the array's own dtype;
- tests of truth, float(), int(), bool() and math's functions, which go by way of `__float__` and give Python numbers;
- names for new arrays, and for views of arrays that the loop does not write. `x op= e` if no second name can see it;
- stores that only widen, or narrow within a kind. A number is put in by `fill`, which makes -0.0 a +0.0: so does the
  nest.

Rules are CuPy's source (cupy/_core/_routines_math.pyx, _routines_indexing.pyx, core.pyx, version 14).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from alpyna_hook.analysis.exprtypes import fold_sign
from alpyna_hook.errors import Rejection
from alpyna_hook.ir.abi import LARGEST_SINGLE
from alpyna_hook.ir.nodes import (
    Assign, Binary, Call, Cast, Compare, Const, Dim, Expr, If, Load, Logical, Loop, Nest, Select, Stmt, Store, Unary,
    Var, While, walk_stmts,
)  # fmt: skip
from alpyna_hook.ir.types import NP_CLASS_OF_REP, REP_OF_CLASS, ArrayType, Rep, ScalarType, Type
from alpyna_hook.source import Span

# What a value may be:
#   "int0", "int!", "int"   a Python int: a constant from 0 to 127, one that float32 holds exactly, any
#   "float!", "float~", "float"  a Python float: a constant in float32's range that is not -0.0, any in that range, any
#   "bool", "other"         Python's other classes
#   "np:CLASS", "np"        a NumPy scalar, its class known or not
#   "cupy:CLASS"            a CuPy array without dimensions
Kind: TypeAlias = str
Kinds: TypeAlias = frozenset[Kind]
Rule: TypeAlias = Callable[[Kind, Kind], Kind]  # of the operands -> of the result, "" if it is not modelled

_INTS: Final = frozenset(("int0", "int!", "int"))
_FLOATS: Final = frozenset(("float!", "float~", "float"))
_FILLED: Final = frozenset(("float~", "float", "np:float32", "np:float64"))  # may be -0.0, which is filled in as +0.0
_CUPY: Final = "cupy:"
_BY_FLOAT: Final = frozenset(
    f"math.{name}" for name in (
        "sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh "
        "fabs erf erfc cbrt degrees radians fmod pow copysign nextafter"
    ).split()
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """silent: no NumPy scalar takes part, so that nothing warns."""

    nest: Nest
    silent: bool


def is_foreign(kind: Type | None) -> bool:
    """Whether it is an array of another library."""
    return isinstance(kind, ArrayType) and bool(kind.place)


def judge(nest: Nest, types: Mapping[str, Type]) -> Judged | Rejection:
    """The nest, if what it does with other libraries' arrays is understood. types: of the live-ins."""
    judge = _Judge(nest, types)
    try:
        judge.run()
    except _Refused as refused:
        return refused.rejection
    return Judged(replace(nest, body=judge.stores(nest.body)), judge.silent)


class _Refused(Exception):
    def __init__(self, title: str, span: Span, help: str = "") -> None:
        super().__init__(title)
        self.rejection = Rejection("foreign-array", title, "not surely the same in compiled code", span, help)


@dataclass
class _Judge:
    """names: what each scalar may be, whenever. `final`: all that is known, so refuse."""

    nest: Nest
    types: Mapping[str, Type]
    names: dict[str, set[Kind]] = field(default_factory=dict)
    silent: bool = True
    final: bool = False

    def run(self) -> None:
        """Fills `names` to a fixpoint, then looks at everything once more and refuses what is not understood."""
        attributes = {live.name for live in self.nest.live_ins if live.path}
        for name, kind in self.types.items():
            if isinstance(kind, ScalarType):
                found = {_live_in(cls, name not in attributes) for cls in kind.classes}
                self.silent &= not any(k.startswith("np") for k in found)
                self.names[name] = found
        counters = {s.counter for s in walk_stmts(self.nest.body) if isinstance(s, Loop)}
        self.names |= {counter: {"int"} for counter in counters}
        before = -1
        while before != (before := sum(map(len, self.names.values()))):
            self._block(self.nest.body)
        self.final = True
        self._block(self.nest.body)
        self._views()
        self._in_place()
        for out in self.nest.live_outs:
            if _cupy(self.names.get(out.name, ())):
                raise _Refused(
                    f"`{out.name}`, which the loop leaves behind, would be a CuPy array.", self.nest.span,
                    f"Take a Python number where it is assigned, float(...), or use `{out.name}` in the loop only.",
                )  # fmt: skip

    # -- statements ------------------------------------------------------------------------------

    def _block(self, body: tuple[Stmt, ...]) -> None:
        for stmt in walk_stmts(body):
            match stmt:
                case Assign(name=name, value=value):
                    self.names.setdefault(name, set()).update(self.kinds(value))
                case Store(array=array, index=index, value=value, span=span):
                    self._index(array, index, span)
                    self._stored(array, self.kinds(value), span)
                case Loop(start=a, stop=b, step=c):
                    for bound in (a, b, c):
                        self._on_host(self.kinds(bound), "A bound of a range", bound.span)
                case While(test=test) | If(test=test):
                    self.kinds(test)

    def _index(self, array: str, index: tuple[Expr, ...], span: Span) -> None:
        for part in index:
            kinds = self.kinds(part)
            self._on_host(kinds, "A subscript", span)
            if is_foreign(self.types.get(array)) and kinds & {"bool", "np:bool_", "other"}:
                self._refuse("A subscript of a CuPy array may be no int.", span)

    def _on_host(self, kinds: Kinds, what: str, span: Span) -> None:
        if _cupy(kinds):
            self._refuse(f"{what} is an element of a CuPy array.", span, "Take a Python number, int(...).")

    def _stored(self, array: str, kinds: Kinds, span: Span) -> None:
        kind = self.types.get(array)
        if not isinstance(kind, ArrayType):
            return
        if not is_foreign(kind):
            if _cupy(kinds):
                title = f"An element of a CuPy array is stored into `{array}`, a NumPy array, which raises TypeError."
                self._refuse(title, span, "Take a Python number, float(...).")
            return
        wrong = sorted(k for k in kinds if not _storable(k, kind.elem))
        if wrong:
            self._refuse(f"How {_words(wrong[0])} is stored into `{array}`, a CuPy array, is not modelled.", span)
        if _cupy(kinds) and kinds & _FILLED:
            self._refuse(f"What is stored into `{array}`, a CuPy array, is CuPy's own on some paths only.", span)

    def stores(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        """`body`, where numbers that may be -0.0 become +0.0 on their way into CuPy's arrays."""
        return tuple(map(self._with_fill, body))

    def _with_fill(self, stmt: Stmt) -> Stmt:
        match stmt:
            case Store(array=array, value=value, span=span) if is_foreign(self.types.get(array)):
                if self.kinds(value) & _FILLED:
                    zero = Const(0.0, span)
                    return replace(stmt, value=Select(Compare("==", value, zero, span), zero, value, span))
            case Loop(body=body) | While(body=body):
                return replace(stmt, body=self.stores(body))
            case If(then=then, other=other):
                return replace(stmt, then=self.stores(then), other=self.stores(other))
        return stmt

    # -- names -----------------------------------------------------------------------------------

    def _views(self) -> None:
        """A name for an element of an array that the loop writes would change with it."""
        written = {s.array for s in walk_stmts(self.nest.body) if isinstance(s, Store)}
        for stmt in walk_stmts(self.nest.body):
            if not isinstance(stmt, Assign):
                continue
            for part in _same_object(stmt.value):
                if isinstance(part, Load) and part.array in written and is_foreign(self.types.get(part.array)):
                    raise _Refused(
                        f"An element of `{part.array}`, a CuPy array, is a view of it, and the loop stores into it.",
                        stmt.span, "Take a Python number, float(...), or compute with it where it is read.",
                    )  # fmt: skip

    def _in_place(self) -> None:
        """`x op= e` on an array without dimensions: right only if `x` keeps its dtype and no other name is for it."""
        assigns = [s for s in walk_stmts(self.nest.body) if isinstance(s, Assign)]
        for stmt in assigns:
            held = _cupy(self.names.get(stmt.name, ()))
            if not stmt.in_place or not held:
                continue
            shared = any(
                isinstance(part, Var) and part.name == stmt.name or other.name == stmt.name and isinstance(part, Load)
                for other in assigns for part in _same_object(other.value)
            )  # fmt: skip
            borrowed = any(
                isinstance(part, Var) and _cupy(self.names.get(part.name, ()))
                for other in assigns if other.name == stmt.name for part in _same_object(other.value)
            )  # fmt: skip
            if len(held) > 1 or shared or borrowed:
                raise _Refused(
                    f"`{stmt.name}` is changed in place, and may be the same CuPy array as something else.", stmt.span,
                    f"Write `{stmt.name} = {stmt.name} ...`.",
                )  # fmt: skip

    # -- expressions -----------------------------------------------------------------------------

    def kinds(self, expr: Expr) -> Kinds:
        """What the value of `expr` may be."""
        match expr:
            case Const(value=value):
                return frozenset((_constant(value),))
            case Var(name=name):
                return frozenset(self.names.get(name, ()))
            case Dim():
                return frozenset(("int",))
            case Load(array=array, index=index, span=span):
                return self._element(array, index, span)
            case Unary():
                return self._unary(expr)
            case Binary(op=op, left=left, right=right):
                return self._pairs(expr, self.kinds(left), self.kinds(right), lambda a, b: _binary(op, a, b))
            case Compare(left=left, right=right):
                return self._pairs(expr, self.kinds(left), self.kinds(right), _compared)
            case Logical(left=left, right=right):
                return self.kinds(left) | self.kinds(right)
            case Select(test=test, then=then, other=other):
                self.kinds(test)
                return self.kinds(then) | self.kinds(other)
            case Call():
                return self._call(expr)
            case Cast(operand=operand):
                return self.kinds(operand)

    def _element(self, array: str, index: tuple[Expr, ...], span: Span) -> Kinds:
        self._index(array, index, span)
        kind = self.types.get(array)
        if not isinstance(kind, ArrayType):
            return frozenset(("other",))
        if not kind.place:
            self.silent = False
        return frozenset((f"{kind.place or 'np'}:{NP_CLASS_OF_REP[kind.elem]}",))

    def _unary(self, expr: Unary) -> Kinds:
        folded = fold_sign(expr)
        if isinstance(folded, Const):
            return frozenset((_constant(folded.value),))
        kinds = self.kinds(expr.operand)
        if expr.op == "not":
            return frozenset(("bool",))
        found = set()
        for kind in kinds:
            if not kind.startswith(_CUPY):
                found.add({"int0": "int!", "float!": "float~"}.get(kind, kind))
            elif expr.op == "-" and _signed(kind):
                found.add(kind)
            else:
                self._refuse(f"`{expr.op}` of {_words(kind)} is not modelled.", expr.span)
        return frozenset(found)

    def _pairs(self, expr: Binary | Compare | Call, left: Kinds, right: Kinds, rule: Rule) -> Kinds:
        found = set()
        what = expr.fn if isinstance(expr, Call) else expr.op
        for a in sorted(left):
            for b in sorted(right):
                result = rule(a, b)
                if result:
                    found.add(result)
                else:
                    self._refuse(f"`{what}` of {_words(a)} and {_words(b)} is not modelled.", expr.span)
        return frozenset(found)

    def _call(self, expr: Call) -> Kinds:
        args = [self.kinds(arg) for arg in expr.args]
        foreign = frozenset().union(*map(_cupy, args))
        owner, _, name = expr.fn.rpartition(".")
        if expr.fn in ("min", "max") and len(args) == 2:
            self._pairs(expr, args[0], args[1], _compared)
            return args[0] | args[1]
        if expr.fn == "abs" and len(args) == 1:
            wrong = [k for k in foreign if not _numeric(k)]
            if not wrong:
                return frozenset(k if ":" in k else k.rstrip("!0~") for k in args[0])
        elif expr.fn in ("float", "int") and all(map(_numeric, foreign)) or expr.fn == "bool":
            return frozenset((expr.fn,))
        elif expr.fn in _BY_FLOAT and all(map(_numeric, foreign)):
            return frozenset(("float",))
        if foreign:
            self._refuse(f"`{expr.fn}` of {_words(min(foreign))} is not modelled.", expr.span)
        if owner == "np":
            self.silent = False
            return frozenset((f"np:{name}" if name in REP_OF_CLASS else "np",))
        return frozenset(("other",))

    def _refuse(self, title: str, span: Span, help: str = "") -> None:
        if self.final:
            raise _Refused(title, span, help)


def _live_in(cls: str, given: bool) -> Kind:
    """given: it is the very argument of the call, not an attribute of one."""
    if cls in NP_CLASS_OF_REP.values():
        return f"np:{cls}"
    if cls == "float" and given:
        return "float~"
    return cls if cls in ("int", "float", "bool") else "other"


def _constant(value: bool | int | float | complex) -> Kind:
    match value:
        case bool():
            return "bool"
        case int():
            return "int0" if 0 <= value < 128 else "int!" if abs(value) <= 1 << 24 else "int"
        case float():
            plain = abs(value) <= LARGEST_SINGLE and not (value == 0.0 and math.copysign(1.0, value) < 0.0)
            return "float!" if plain else "float"
    return "other"


def _cupy(kinds: Iterable[Kind]) -> Kinds:
    return frozenset(k for k in kinds if k.startswith(_CUPY))


def _rep(kind: Kind) -> Rep:
    """Of a kind whose class is known."""
    return REP_OF_CLASS[kind.partition(":")[2]]


def _numeric(kind: Kind) -> bool:
    return _rep(kind).is_float or _rep(kind).is_int


def _signed(kind: Kind) -> bool:
    return _rep(kind).is_float or _rep(kind).is_signed


def _binary(op: str, left: Kind, right: Kind) -> Kind:
    if not _cupy((left, right)):
        return _on_host(op, left, right)
    if op not in ("+", "-", "*", "/"):
        return ""
    common = _common(left, right)
    return "" if not common or (op == "/" and not _rep(common).is_float) else common


def _common(left: Kind, right: Kind) -> Kind:
    """The class that CuPy carries an operation of the two out in; one of them is its own. "": not modelled."""
    if not left.startswith(_CUPY):
        left, right = right, left
    rep = _rep(left)
    if rep is Rep.BOOL:
        return ""
    if ":" in right:
        other = _rep(right)
        if other is rep:
            return left
        both = right.startswith(_CUPY) and rep.is_float and other.is_float
        return f"{_CUPY}float64" if both else ""
    if rep is Rep.F64:
        fits = right in _INTS | _FLOATS
    elif rep is Rep.F32:
        fits = right in ("int0", "int!", "float!", "float~")
    else:
        fits = right in _INTS
    return left if fits else ""


def _compared(left: Kind, right: Kind) -> Kind:
    """The class of a comparison. CuPy's rules for ints out of the other's range are not NumPy's."""
    if not _cupy((left, right)):
        return "np:bool_" if "np" in left[:2] + right[:2] else "bool"
    if not _common(left, right) or (left + right).count("np:"):
        return ""
    for foreign, number in ((left, right), (right, left)):
        if number in _INTS and _rep(foreign).is_int:
            wide = _rep(foreign) in (Rep.I32, Rep.I64)
            if number != "int0" and not (number == "int!" and wide or _rep(foreign) is Rep.I64):
                return ""
    return f"{_CUPY}bool_"


def _on_host(op: str, left: Kind, right: Kind) -> Kind:
    """Of two values, none of them CuPy's, as far as it matters."""
    if "other" in (left, right):
        return "other"
    if left.startswith("np") or right.startswith("np"):
        own = left if left.startswith("np:") else right
        weak = right if own is left else left
        exact = ":" in own and _rep(own).is_float and op in ("+", "-", "*", "/")
        return own if exact and (weak == own or weak in _INTS | _FLOATS) else "np"
    if op == "**":
        return "other"
    if left in _FLOATS or right in _FLOATS or op == "/":
        return "float"
    return "bool" if left == right == "bool" and op in ("&", "|", "^") else "int"


def _storable(kind: Kind, elem: Rep) -> bool:
    """Whether what CuPy makes of such a value in an array of `elem` is what NumPy makes of it, or a fault."""
    if kind == "bool":
        return elem is Rep.BOOL
    if kind in _INTS:
        return elem.is_int or elem is Rep.F64 or (elem is Rep.F32 and kind != "int")
    if kind in _FLOATS:
        return elem is Rep.F64 or (elem is Rep.F32 and kind != "float")
    if ":" not in kind:
        return False
    have = _rep(kind)
    if have is elem or not kind.startswith(_CUPY):
        return have is elem
    if have.is_float:
        return elem.is_float
    return have.is_int and (elem.is_float or elem.is_int and have.is_signed == elem.is_signed)


def _same_object(expr: Expr) -> tuple[Expr, ...]:
    """The parts of `expr` whose value is the very object that `expr` gives."""
    match expr:
        case Load() | Var():
            return (expr,)
        case Select(then=a, other=b) | Logical(left=a, right=b) | Call(fn="min" | "max", args=(a, b)):
            return (*_same_object(a), *_same_object(b))
    return ()


def _words(kind: Kind) -> str:
    owner, _, cls = kind.partition(":")
    if owner == "cupy":
        return f"a CuPy {cls.rstrip('_')}"
    if owner == "np":
        return f"a NumPy {cls.rstrip('_')}" if cls else "a NumPy scalar"
    return "a value" if owner == "other" else f"a Python {owner.rstrip('!0~')}"
