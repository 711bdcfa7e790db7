"""Random programs around one to three loop nests.

In: a seed.  Out: the text of a module; the same seed gives the same text.  Programs are typed loosely, so that
most of them run to the end and some meet an index error, a zero division, an overflow, a warning or a type
error on the way.  Sizes are small: what matters is what is left behind, not how long it takes.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

FLOAT_TYPES = ("float64", "float64", "float64", "float32", "float16")
INT_TYPES = ("int64", "int64", "int32", "uint8", "int8", "int16", "uint16", "uint32", "uint64")
INT_CONSTANTS = (0, 1, 1, 2, 2, 3, 5, 7, -1, -2, -3, 10, 127, 255, 1000, 2**31, 2**53 + 1, 2**62)
FLOAT_CONSTANTS = (0.0, 0.5, 1.0, 1.5, 2.0, -1.0, 0.1, 3.25, -2.75, 1e-3, 1e10, 1e200, 1e-300)
MATH_ONE = (
    "sqrt", "sin", "cos", "tan", "exp", "log", "log2", "log10", "log1p", "expm1", "fabs", "floor", "ceil", "trunc",
    "atan", "asin", "acos", "sinh", "cosh", "tanh", "erf", "gamma", "degrees", "radians", "isnan", "isinf", "isfinite",
)  # fmt: skip
MATH_TWO = ("atan2", "hypot", "pow", "fmod", "copysign")
NP_ONE = ("sqrt", "sin", "cos", "exp", "log", "abs", "floor", "ceil", "tanh", "square", "sign", "isnan", "negative")
NP_TWO = ("maximum", "minimum", "arctan2", "hypot", "power")


@dataclass(frozen=True)
class Array:
    """An array the program may subscript. kind: f, i, b, c or x (ints meant as subscripts); dims: "n"/"m"."""

    name: str
    kind: str
    dims: tuple[str, ...]


@dataclass(frozen=True)
class Counter:
    """A loop variable that runs through [low, dim - high)."""

    name: str
    dim: str
    low: int
    high: int


class Program:
    """The state of one program while it is written."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lines: list[str] = []
        self.depth = 0
        self.arrays: list[Array] = []
        self.ints: list[str] = []
        self.floats: list[str] = []
        self.counters: list[Counter] = []
        self.taken = 0
        self.loops = 0
        self.risk = self.rng.choice((0.0, 0.0, 0.02, 0.1))

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def fresh(self, stem: str) -> str:
        self.taken += 1
        return f"{stem}{self.taken}"


def program(seed: int) -> str:
    """The text of the program with this seed."""
    p = Program(seed)
    p.line("import math")
    p.line("import numpy as np")
    size = p.rng.choice((1, 2, 3, 4, 5, 6, 8, 8, 12, 40))
    p.line(f"n, m = {size}, {p.rng.choice((1, 2, 3, 4, 6, 9)) if size < 40 else p.rng.choice((3, 17))}")
    data(p)
    shape = p.rng.choice(("module", "module", "function", "function", "function", "method"))
    if shape == "module":
        scalars(p)
        guarded(p, lambda: nests(p))
    else:
        in_function(p, method=shape == "method")
    return "\n".join(p.lines) + "\n"


# ---- data ---------------------------------------------------------------------------------------


def data(p: Program) -> None:
    """Arrays, some of them views of each other, all with their first values."""
    for _ in range(p.rng.randint(2, 4)):
        dims = ("n",) if p.chance(0.6) else ("n", "m") if p.chance(0.8) else ("m", "n")
        kind = p.rng.choice("ffffiiiibxxc" if p.chance(0.3) else "ffffiiix")
        name = p.fresh({"f": "a", "i": "k", "b": "b", "x": "ix", "c": "z"}[kind])
        p.line(f"{name} = {array_text(p, kind, dims)}")
        p.arrays.append(Array(name, kind, dims))
    if p.chance(0.3):
        overlap(p)


def array_text(p: Program, kind: str, dims: tuple[str, ...]) -> str:
    count = " * ".join(dims)
    if kind == "x":
        values = f"(np.arange({count}) * {p.rng.choice((1, 3, 5, 7))} + {p.rng.randint(0, 4)}) % n"
        values += p.rng.choice(("", "", " - n", " - n // 2", " + 1" if p.chance(p.risk * 5) else ""))
        text = f"({values}).astype(np.{p.rng.choice(('int64', 'int64', 'int32', 'uint8', 'int16'))})"
        text = text.replace("uint8", "int8") if " - n" in values else text
    elif kind == "b":
        text = f"np.arange({count}) % {p.rng.choice((2, 3))} == 0"
    else:
        step, shift = p.rng.choice(("1", "3", "0.37", "1.5")), p.rng.choice((0, 0, 1, 3))
        modulus, offset = p.rng.choice((5, 7, 11, 100)), p.rng.choice((0, 0, 3))
        values = f"(np.arange({count}) * {step} - {shift}) % {modulus} - {offset}"
        if kind == "c":
            text = f"({values} + 0.5j).astype(np.{p.rng.choice(('complex128', 'complex64'))})"
        else:
            text = f"({values}).astype(np.{p.rng.choice(FLOAT_TYPES if kind == 'f' else ('int64',))})"
            if kind == "i" and (dtype := p.rng.choice(INT_TYPES)) != "int64":
                text += f".astype(np.{dtype})"
    return layout(p, f"({text})", dims)


def layout(p: Program, text: str, dims: tuple[str, ...]) -> str:
    """Some arrays get other strides, or are read-only."""
    if len(dims) == 1:
        return text + p.rng.choice(("", "", "", "", "[::-1]", ".repeat(2)[::2]"))
    text += f".reshape({', '.join(dims)})"
    extra = (".copy('F')", "[:, ::-1]", "[::-1]", ".repeat(2, axis=1)[:, ::2]", f".T.reshape({', '.join(dims)})")
    return text + (p.rng.choice(extra) if p.chance(0.3) else "")


def overlap(p: Program) -> None:
    """Two more names for parts of one new array, or one more name for an array that is there."""
    if p.chance(0.3):
        old = p.rng.choice(p.arrays)
        name = p.fresh("same")
        p.line(f"{name} = {old.name}")
        p.arrays.append(Array(name, old.kind, old.dims))
        return
    kind, dtype = p.rng.choice((("f", "float64"), ("i", "int64"), ("f", "float32")))
    base, one, two = p.fresh("base"), p.fresh("v"), p.fresh("w")
    p.line(f"{base} = (np.arange(3 * n + 3) % 13 - 4).astype(np.{dtype})")
    first, second = p.rng.choice(
        (("[:n]", "[1:n + 1]"), ("[1:n + 1]", "[:n]"), ("[:n]", "[n:2 * n]"), ("[:2 * n:2]", "[1:2 * n + 1:2]"),
         ("[:n]", "[n - 1::-1]"), ("[:2 * n:2]", "[:n]"), ("[:n]", "[2:n + 2]"))
    )  # fmt: skip
    p.line(f"{one} = {base}{first}")
    p.line(f"{two} = {base}{second}")
    p.arrays += [Array(one, kind, ("n",)), Array(two, kind, ("n",))]


def scalars(p: Program) -> None:
    """Scalars that the loops read and write."""
    for _ in range(p.rng.randint(1, 2)):
        name = p.fresh("p")
        first = str(p.rng.choice((0, 0, 1, 2, -3, 10)))
        if p.chance(0.2):
            first = p.rng.choice((f"np.int64({first})", f"np.int32({first})", "True", "np.uint8(3)", "2**40"))
        p.line(f"{name} = {first}")
        p.ints.append(name)
    for _ in range(p.rng.randint(1, 2)):
        name = p.fresh("s")
        first = repr(p.rng.choice((0.0, 0.0, 1.0, -2.5, 1e-3)))
        if p.chance(0.3):
            first = p.rng.choice((f"np.float64({first})", f"np.float32({first})", "0", "1", "math.inf", "-0.0"))
        p.line(f"{name} = {first}")
        p.floats.append(name)


# ---- program shapes -----------------------------------------------------------------------------


def guarded(p: Program, body: Callable[[], None]) -> None:
    """`body` as it is, or inside try, or under np.errstate."""
    if p.chance(0.2):
        p.line("try:")
        p.depth += 1
        body()
        p.depth -= 1
        p.line("except (ArithmeticError, IndexError, ValueError, TypeError) as error:")
        p.line("    print('caught', type(error).__name__, error)")
    elif p.chance(0.15):
        p.line(f"with np.errstate(all={p.rng.choice(('ignore', 'raise', 'warn'))!r}):")
        p.depth += 1
        body()
        p.depth -= 1
    else:
        body()


def in_function(p: Program, method: bool) -> None:
    """A function (or method) over the arrays, called one to three times, with other arrays or sizes."""
    params = list(p.arrays)
    p.line("")
    if method:
        p.line("class Box:")
        p.line("    def __init__(self, n, m):")
        p.line("        self.n = n")
        p.line("        self.m = m")
        p.line("")
        p.depth += 1
    names = ", ".join([a.name for a in params])
    p.line(f"def work({'self, ' if method else ''}{names}, n, m):")
    p.depth += 1
    scalars(p)
    known = list(p.ints + p.floats)
    start = len(p.lines)
    guarded(p, lambda: nests(p))
    if method and p.chance(0.6):
        p.lines[start:] = [re.sub(r"\bn\b", "self.n", text) for text in p.lines[start:]]
    p.line(f"return {', '.join(p.rng.sample(known, p.rng.randint(1, len(known))))},")
    p.depth = 0
    p.line("")
    target = "Box(n, m).work" if method else "work"
    for _ in range(p.rng.randint(1, 3)):
        args = [a if p.chance(0.8) else p.rng.choice([b for b in params if b.dims == a.dims]) for a in params]
        n = p.rng.choice(("n", "n", "n", "n - 1", "max(n - 2, 0)", "0", "n + 1" if p.chance(p.risk * 5) else "n"))
        p.line(f"{p.fresh('r')} = {target}({', '.join(a.name for a in args)}, {n}, m)")


def nests(p: Program) -> None:
    for _ in range(p.rng.randint(1, 2)):
        nest(p)
        p.counters.clear()


def nest(p: Program) -> None:
    """One loop over statements."""
    depth = p.depth
    if p.loops and p.chance(0.12) and p.ints:
        while_loop(p)
    else:
        for_loop(p)
    p.depth = depth


def for_loop(p: Program) -> None:
    rng = p.rng
    name = ("i", "j", "k", "l")[len(p.counters) % 4]
    p.loops += 1
    outer = [c for c in p.counters if c.dim == "n"]
    dim = rng.choice("nnm" if not p.counters else "nmm")
    low, high = rng.choice(((0, 0), (0, 0), (0, 0), (1, 1), (1, 0), (0, 1)))
    choice = rng.random()
    stop = dim if not high else f"{dim} - {high}"
    if choice < 0.55:
        text = f"range({low}, {stop})" if low else f"range({stop})"
    elif choice < 0.65:
        text = f"range({stop} - 1, {low - 1}, -1)"
    elif choice < 0.72:
        text = f"range({low}, {stop}, {rng.choice((2, 3))})"
    elif choice < 0.80 and outer:
        dim, low, high = "n", 0, 0
        text = rng.choice((f"range({outer[-1].name} + 1)", f"range({outer[-1].name}, n)", f"range({outer[-1].name})"))
    elif choice < 0.85 and p.arrays:
        array = rng.choice(p.arrays)
        dim, low, high = array.dims[0], 0, 0
        text = rng.choice((f"range(len({array.name}))", f"range({array.name}.shape[0])"))
    elif choice < 0.90 and (flat := [a for a in p.arrays if len(a.dims) == 1 and a.kind in "fix"]):
        value_loop(p, rng.choice(flat))
        return
    else:
        low, high = 0, 0
        text = rng.choice((f"range({rng.randint(0, 4)})", "range(3)", "range(n // 2)", "range(min(n, m))"))
        dim = "n" if "n" in text else ""
    p.line(f"for {name} in {text}:")
    p.depth += 1
    p.counters.append(Counter(name, dim, low, high))
    block(p)
    p.counters.pop()


def value_loop(p: Program, array: Array) -> None:
    name = p.fresh("e")
    p.line(f"for {name} in {array.name}:")
    p.depth += 1
    (p.floats if array.kind == "f" else p.ints).append(name)
    block(p)
    (p.floats if array.kind == "f" else p.ints).remove(name)


def while_loop(p: Program) -> None:
    name = p.fresh("w")
    p.loops += 1
    p.line(f"{name} = {p.rng.choice((0, 0, 1, 7))}")
    p.line(f"while {name} < {p.rng.choice(('n', '5', 'm'))}{p.rng.choice(('', ' and ' + condition(p)))}:")
    p.depth += 1
    p.line(f"{name} += {p.rng.choice((1, 1, 2))}")
    p.counters.append(Counter(name, "", 0, 0))
    block(p)
    p.counters.pop()


# ---- statements ---------------------------------------------------------------------------------


def block(p: Program) -> None:
    for _ in range(p.rng.choice((1, 1, 2, 2, 3))):
        statement(p)


def statement(p: Program) -> None:
    choice = p.rng.random()
    if choice < 0.22 and len(p.counters) < 3 and p.loops < 5:
        nest(p)
    elif choice < 0.34:
        branch(p)
    elif choice < 0.60 and p.arrays:
        store(p)
    elif choice < 0.64:
        names = p.ints if p.chance(0.5) else p.floats
        if len(names) > 1 and p.chance(0.7):
            one, two = p.rng.sample(names, 2)
            p.line(f"{one}, {two} = {two}, {one}")
        else:
            p.line(f"{p.rng.choice(p.floats)} = {expression(p, 'f', 2)}")
    elif choice < 0.82:
        name = p.rng.choice(p.floats)
        op = p.rng.choice(("=", "+=", "+=", "-=", "*=", "/=", "="))
        p.line(f"{name} {op} {expression(p, 'f', 2)}")
    else:
        name = p.rng.choice(p.ints)
        op = p.rng.choice(("=", "+=", "+=", "-=", "//=", "%=", "|=", "^=", "="))
        p.line(f"{name} {op} {expression(p, 'i', 2)}")


def store(p: Program) -> None:
    array = p.rng.choice([a for a in p.arrays if a.kind != "x" or p.chance(0.1)] or p.arrays)
    kind = {"f": "f", "i": "i", "x": "i", "b": "b", "c": "f"}[array.kind]
    op = p.rng.choice(("=", "=", "+=", "-=", "*="))
    if array.kind == "b":
        op = "="
    if array.kind == "i" and p.chance(0.05):
        kind = "f"
    p.line(f"{array.name}[{subscript(p, array)}] {op} {expression(p, kind, 3)}")


def branch(p: Program) -> None:
    p.line(f"if {condition(p)}:")
    depth = p.depth
    p.depth += 1
    if p.chance(0.2):
        p.line(p.rng.choice(("break", "continue", "continue")))
    else:
        statement(p)
    p.depth = depth
    if p.chance(0.2):
        p.line(f"elif {condition(p)}:")
        p.depth += 1
        statement(p)
        p.depth = depth
    if p.chance(0.3):
        p.line("else:")
        p.depth += 1
        statement(p)
        p.depth = depth


# ---- expressions --------------------------------------------------------------------------------


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
