"""Random expressions, conditions and subscripts over the names of a program that is being written."""

from __future__ import annotations

from fuzzing.state import Array, Program

INT_CONSTANTS = (0, 1, 1, 2, 2, 3, 5, 7, -1, -2, -3, 10, 127, 255, 1000, 2**31, 2**53 + 1, 2**62)
FLOAT_CONSTANTS = (0.0, 0.5, 1.0, 1.5, 2.0, -1.0, 0.1, 3.25, -2.75, 1e-3, 1e10, 1e200, 1e-300)
MATH_ONE = (
    "sqrt", "sin", "cos", "tan", "exp", "log", "log2", "log10", "log1p", "expm1", "fabs", "floor", "ceil", "trunc",
    "atan", "asin", "acos", "sinh", "cosh", "tanh", "erf", "gamma", "degrees", "radians", "isnan", "isinf", "isfinite",
)  # fmt: skip
MATH_TWO = ("atan2", "hypot", "pow", "fmod", "copysign")
NP_ONE = ("sqrt", "sin", "cos", "exp", "log", "abs", "floor", "ceil", "tanh", "square", "sign", "isnan", "negative")
NP_TWO = ("maximum", "minimum", "arctan2", "hypot", "power")


def condition(p: Program) -> str:
    rng = p.rng
    kind = rng.choice("if")
    one, two = expression(p, kind, 1), expression(p, kind, 1)
    text = f"{one} {rng.choice(('<', '<=', '>', '>=', '==', '!='))} {two}"
    choice = rng.random()
    if choice < 0.1:
        return f"{expression(p, kind, 0)} {rng.choice(('<', '<='))} {one} {rng.choice(('<', '<='))} {two}"
    if choice < 0.25:
        return f"{text} {rng.choice(('and', 'or'))} {condition(p)}"
    if choice < 0.32:
        return f"not ({text})"
    return text


def subscript(p: Program, array: Array) -> str:
    return ", ".join(index(p, dim) for dim in array.dims)


def index(p: Program, dim: str) -> str:
    """A subscript for a dimension: in range, mostly."""
    rng = p.rng
    fitting = [c for c in p.counters if c.dim == dim]
    if p.chance(p.risk):
        return expression(p, "i", 1)
    choice = rng.random()
    if fitting and choice < 0.8:
        c = rng.choice(fitting)
        offset = rng.randint(-c.low, c.high) if p.chance(0.9) else rng.randint(-c.low - 2, c.high)
        if offset:
            return f"{c.name} {'+' if offset > 0 else '-'} {abs(offset)}"
        return rng.choice((c.name, c.name, c.name, c.name, f"{dim} - 1 - {c.name}", f"-{c.name} - 1", f"-{c.name}"))
    inner = [a for a in p.arrays if a.kind == "x" and a.dims == ("n",)]
    if dim == "n" and inner and fitting and choice < 0.9:
        return f"{rng.choice(inner).name}[{rng.choice(fitting).name}]"
    if p.counters and p.chance(0.4):
        c = rng.choice(p.counters)
        return f"{rng.choice((c.name, f'({c.name} * 3 + 1)', f'({c.name} - 2)'))} % {dim}"
    return rng.choice(("0", "0", "-1"))


def expression(p: Program, kind: str, depth: int) -> str:
    """An expression whose value is mostly of `kind`: i (integer), f (real) or b (truth value)."""
    if kind == "b":
        return f"({condition(p)})" if p.chance(0.7) else p.rng.choice(("True", "False"))
    if depth <= 0 or p.chance(0.25):
        return leaf(p, kind)
    return integer(p, depth) if kind == "i" else real(p, depth)


def leaf(p: Program, kind: str) -> str:
    rng = p.rng
    if kind == "i":
        arrays = [a for a in p.arrays if a.kind in "ix"]
        choices = [c.name for c in p.counters] * 2 + p.ints
    else:
        arrays = [a for a in p.arrays if a.kind == "f" or (a.kind in "bc" and p.chance(0.2))]
        choices = p.floats + [c.name for c in p.counters][:1]
    choice = rng.random()
    if arrays and choice < 0.5:
        array = rng.choice(arrays)
        return f"{array.name}[{subscript(p, array)}]"
    if choices and choice < 0.85:
        return rng.choice(choices)
    if kind == "i" and p.arrays and choice < 0.87:
        return f"len({rng.choice(p.arrays).name})"
    if kind == "f" and choice < 0.87:
        return rng.choice(("math.pi", "np.pi", "math.inf", "math.e"))
    small = p.chance(0.9)
    if kind == "i":
        return str(rng.choice(INT_CONSTANTS[:11] if small else INT_CONSTANTS)).replace("-", "- ").replace("- ", "-")
    return repr(rng.choice(FLOAT_CONSTANTS[:9] if small else FLOAT_CONSTANTS))


def integer(p: Program, depth: int) -> str:
    rng = p.rng
    one = expression(p, "i", depth - 1)
    choice = rng.random()
    if choice < 0.45:
        op = rng.choice("++-*")
        return f"({one} {op} {bounded(p, depth - 1) if op == '*' else expression(p, 'i', depth - 1)})"
    if choice < 0.62:
        divisor = str(rng.choice((2, 3, 5, 7, -2, -3, 16))) if p.chance(0.8) else leaf(p, "i")
        return f"({one} {rng.choice(('//', '%'))} {divisor})"
    if choice < 0.70:
        return f"({one} {rng.choice('&|^')} {expression(p, 'i', depth - 1)})"
    if choice < 0.74:
        return f"({one} {rng.choice(('<<', '>>'))} {rng.choice(('1', '2', '3', '7'))})"
    if choice < 0.80:
        return f"{rng.choice(('-', '~', '+', '-'))}{one}" if not one.startswith(("-", "+")) else f"abs({one})"
    if choice < 0.90:
        fn = rng.choice(("abs", "min", "max", "min", "max", "int", "round"))
        return f"{fn}({one}, {expression(p, 'i', depth - 1)})" if fn in ("min", "max") else f"{fn}({one})"
    if choice < 0.94:
        return f"({one} if {condition(p)} else {expression(p, 'i', depth - 1)})"
    if choice < 0.97:
        return f"int({expression(p, 'f', depth - 1)})"
    return f"{bounded(p, 0)} ** {rng.choice((2, 2, 3))}"


def bounded(p: Program, depth: int) -> str:
    """An integer expression without the program's int scalars: `s = s * s` would double its digits for ever."""
    held, p.ints = p.ints, []
    text = expression(p, "i", depth)
    p.ints = held
    return text


def real(p: Program, depth: int) -> str:
    rng = p.rng
    one = expression(p, "f" if p.chance(0.85) else "i", depth - 1)
    choice = rng.random()
    if choice < 0.55:
        return f"({one} {rng.choice('++--**')} {expression(p, 'f', depth - 1)})"
    if choice < 0.64:
        divisor = str(rng.choice((2, 3.0, 7, 0.3))) if p.chance(0.6) else leaf(p, "f")
        return f"({one} {rng.choice(('/', '/', '/', '//', '%'))} {divisor})"
    if choice < 0.70:
        return f"{leaf(p, 'f')} ** {rng.choice((2, 2, 3, 0.5, -1, 1.5, -2))}"
    if choice < 0.75:
        fn = rng.choice(("abs", "min", "max", "float", "round", "bool"))
        return f"{fn}({one}, {expression(p, 'f', depth - 1)})" if fn in ("min", "max") else f"{fn}({one})"
    if choice < 0.86:
        if p.chance(0.75):
            return f"math.{rng.choice(MATH_ONE)}({one})"
        return f"math.{rng.choice(MATH_TWO)}({one}, {expression(p, 'f', depth - 1)})"
    if choice < 0.91:
        if p.chance(0.75):
            return f"np.{rng.choice(NP_ONE)}({one})"
        return f"np.{rng.choice(NP_TWO)}({one}, {expression(p, 'f', depth - 1)})"
    if choice < 0.95:
        return f"({one} if {condition(p)} else {expression(p, 'f', depth - 1)})"
    if choice < 0.97:
        return f"np.{rng.choice(('float64', 'float32', 'float64'))}({one})"
    return f"-{leaf(p, 'f')}" if p.chance(0.5) else f"pow({leaf(p, 'f')}, {rng.choice(('2', '0.5', '3'))})"
