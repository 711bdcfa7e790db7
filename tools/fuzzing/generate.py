"""Random programs around one to three loop nests.

In: a seed.  Out: the text of a module; the same seed gives the same text.  Programs are typed loosely, so that
most of them run to the end and some meet an index error, a zero division, an overflow, a warning or a type
error on the way.  Sizes are small: what matters is what is left behind, not how long it takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from fuzzing.expressions import condition, expression, subscript
from fuzzing.state import Array, Counter, Program

FLOAT_TYPES = ("float64",) * 6 + ("float32",) * 3 + ("float16",)
INT_TYPES = ("int64", "int64", "int32", "uint8", "int8", "int16", "uint16", "uint32", "uint64")


def program(seed: int) -> str:
    """The text of the program with this seed."""
    p = Program(seed)
    p.line("import math, threading, types")
    p.line("import numpy as np")
    size = p.rng.choice((1, 2, 3, 4, 5, 6, 8, 8, 12, 40))
    p.line(f"n, m = {size}, {p.rng.choice((1, 2, 3, 4, 6, 9)) if size < 40 else p.rng.choice((3, 17))}")
    data(p)
    shape = p.rng.choice(("module", "module", "function", "function", "function", "method", "global", "closure"))
    if shape == "module":
        scalars(p)
        guarded(p, lambda: nests(p))
    else:
        in_function(p, shape)
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
            if kind == "f" and p.chance(0.15):  # gaps in the data
                values = f"np.where(np.arange({count}) % {p.rng.choice((2, 3, 7))} == 1, np.nan, {values})"
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


def in_function(p: Program, shape: str) -> None:
    """A function over the arrays, called one to three times, with other arrays or sizes. It may be a method, an
    inner function whose scalars are the outer one's, or one whose scalars are global."""
    params = list(p.arrays)
    method = shape == "method"
    if shape == "global":
        scalars(p)
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
    if shape == "global":
        p.line(f"global {', '.join(p.ints + p.floats)}")
    else:
        scalars(p)
    known = list(p.ints + p.floats)
    if p.chance(0.4):
        p.line(f"i = j = k = {p.rng.choice(('None', '-1', '0.5'))}")
        known += ["i", "j", "k"]
    start = len(p.lines)
    some = ", ".join(p.rng.sample(known, p.rng.randint(1, len(known))))
    p.exits = (f"return {some},", f"return [{some}], n", "return", f"raise ValueError({known[0]})")
    if shape == "closure":
        closure(p, known)
    else:
        guarded(p, lambda: nests(p))
    if method and p.chance(0.6):
        p.lines[start:] = [re.sub(r"\bn\b", "self.n", text) for text in p.lines[start:]]
    p.exits = ()
    p.line(f"return {', '.join(p.rng.sample(known, p.rng.randint(1, len(known))))},")
    p.depth = 0
    p.line("")
    target = "Box(n, m).work" if method else "work"
    for _ in range(p.rng.randint(1, 3)):
        args = [a if p.chance(0.8) else p.rng.choice([b for b in params if b.dims == a.dims]) for a in params]
        n = p.rng.choice(("n", "n", "n", "n - 1", "max(n - 2, 0)", "0", "n + 1" if p.chance(p.risk * 5) else "n"))
        call = f"{p.fresh('r')} = {target}({', '.join(a.name for a in args)}, {n}, m)"
        if p.chance(0.03):
            with_another_function(p, call)
        else:
            p.line(call)


def with_another_function(p: Program, call: str) -> None:
    """A call while a function that loops use stands for another one."""
    name, other = p.rng.choice((("math.sqrt", "math.fabs"), ("math.exp", "lambda x: x"), ("np.sqrt", "np.abs")))
    before, after = (f"kept = {name}", f"{name} = {other}"), (f"    {name} = kept", "del kept")
    for text in (*before, "try:", f"    {call}", "finally:", *after):
        p.line(text)


def closure(p: Program, known: list[str]) -> None:
    """The loops in an inner function that shares the scalars."""
    p.line("def inner():")
    p.depth += 1
    p.line(f"nonlocal {', '.join(known)}")
    guarded(p, lambda: nests(p))
    p.depth -= 1
    p.line("inner()")


def nests(p: Program) -> None:
    for _ in range(p.rng.randint(1, 2)):
        if p.chance(0.2):
            running(p)
        elif p.chance(0.12):
            sweeps(p)
        elif p.chance(0.01):
            waiting(p)
        else:
            nest(p)
        p.counters.clear()


def waiting(p: Program) -> None:
    """A loop that another thread ends."""
    flag, spin = p.fresh("flag"), p.fresh("w")
    made, test, setting = p.rng.choice((
        ("np.zeros(2)", "%s[0] == 0", "%s.fill, (1,)"), ("np.zeros(2)", "%s[1] < 1 and n >= 0", "%s.fill, (1,)"),
        ("types.SimpleNamespace(up=False)", "not %s.up", "setattr, (%s, 'up', True)"),
    ))  # fmt: skip
    p.line(f"{flag}, {spin} = {made}, 0")
    p.line(f"threading.Timer(0.02, {setting % flag}).start()")
    p.line(f"while {test % flag}:" if p.chance(0.5) else "while True:")
    endless = p.lines[-1].endswith("True:")
    p.line(f"    {spin} += 1")
    if endless:
        p.line(f"    if not ({test % flag}):")
        p.line("        break")
    p.line(f"{spin} = min({spin}, 1)")


def nest(p: Program) -> None:
    """One loop over statements."""
    depth = p.depth
    if p.loops and p.chance(0.12) and p.ints:
        while_loop(p)
    elif p.ints and p.chance(0.04):
        countdown(p)
    else:
        left = for_loop(p)
        p.depth = depth
        if p.chance(0.08):
            otherwise(p)
        if p.chance(0.15):
            read_after(p, left)
    p.depth = depth


def otherwise(p: Program) -> None:
    """The `else` branch of a loop."""
    depth = p.depth
    p.line("else:")
    p.depth += 1
    if p.counters:
        statement(p)
    else:  # a jump would have no loop
        p.line(f"{p.rng.choice(p.ints)} += {p.rng.choice((1, 7))}")
    p.depth = depth


def read_after(p: Program, name: str) -> None:
    """A statement that reads what a loop leaves behind, if it made a trip."""
    if p.chance(0.5) and (flat := [a for a in p.arrays if len(a.dims) == 1 and a.kind in "fi"]):
        p.line(f"{p.rng.choice(flat).name}[{p.rng.choice((name, '0', '-1'))}] = {name}")
    else:
        p.line(f"{p.rng.choice(p.ints)} {p.rng.choice(('=', '+='))} {name}")


def running(p: Program) -> None:
    """A loop that hands scalars on and writes one row per iteration, so that it can be resumed half-way."""
    written = [a for a in p.arrays if a.kind != "x" and a.dims[0] == "n"]
    if not written:
        nest(p)
        return
    depth, first = p.depth, p.rng.choice((0, 0, 0, 1))
    p.loops += 1
    p.line(f"for i in range({first}, n):" if first else p.rng.choice(("for i in range(n):", "for i in range(len(%s)):"))
           .replace("%s", written[0].name))  # fmt: skip
    p.depth += 1
    p.counters.append(Counter("i", "n", first, 0))
    for _ in range(p.rng.choice((1, 1, 2, 3))):
        choice, within = p.rng.random(), p.depth
        if choice < 0.3:
            p.line(f"if {condition(p)}:")
            p.depth += 1
        elif choice < 0.45:
            p.line("for j in range(m):")
            p.depth += 1
        update(p)
        p.depth = within
    for array in p.rng.sample(written, min(len(written), p.rng.choice((1, 1, 1, 2)))):
        row(p, array, first)
        if p.chance(0.2):
            update(p)
    p.depth = depth


def sweeps(p: Program) -> None:
    """A loop around neighbours that count over the same range, mostly, and write a row per iteration."""
    written = [a for a in p.arrays if a.kind != "x" and a.dims[0] == "n"]
    if not written:
        nest(p)
        return
    depth, first, last = p.depth, p.rng.choice((0, 0, 1)), p.rng.choice((0, 0, 1))
    rows = p.rng.choice(("range(n)", "range(t, n)", "range(t + 1, n)"))
    if first or last:
        rows = f"range({first}, n - {last})"
    p.loops += 3
    p.line(p.rng.choice(("for t in range(3):", "for t in range(m):", "for t in range(n):")))
    for name in p.rng.choice(("ii", "ii", "ij", "iii")):
        p.depth = depth + 1
        p.line(f"for {name} in {rows if p.chance(0.9) else 'range(1, n)'}:")
        p.depth += 1
        p.counters.append(Counter(name, "n", first, last))
        if p.chance(0.15):
            p.line(f"if {condition(p)}:")
            p.line(f"    {p.rng.choice(('continue', 'continue', 'break'))}")
        if p.chance(0.2):
            update(p)
        row(p, p.rng.choice(written), first, name)
        if p.chance(0.3):
            store(p)
        p.counters.pop()
    p.depth = depth


def update(p: Program) -> None:
    """A scalar is moved on."""
    kind = "f" if p.chance(0.6) else "i"
    op = p.rng.choice(("+=", "+=", "+=", "-=", "*=", "=") if kind == "f" else ("+=", "+=", "-=", "*=", "^=", "="))
    p.line(f"{p.rng.choice(p.floats if kind == 'f' else p.ints)} {op} {expression(p, kind, 2)}")


def row(p: Program, array: Array, first: int, name: str = "i") -> None:
    """Row i (or i - 1, where there is one) of `array` is written. name: of the loop variable."""
    kind = "i" if array.kind == "i" else "f"
    scalar = p.rng.choice(p.ints if kind == "i" else p.floats)
    value = scalar if p.chance(0.6) else expression(p, kind, 2)
    if array.kind == "b":
        value = condition(p)
    index = f"{name} - 1" if first and p.chance(0.5) else name
    depth = p.depth
    if len(array.dims) == 2:
        p.line("for k in range(m):" if name == "j" else "for j in range(m):")
        p.depth += 1
        index += ", k" if name == "j" else ", j"
    elif p.chance(0.15):
        p.line(f"if {condition(p)}:")
        p.depth += 1
    p.line(f"{array.name}[{index}] {'=' if array.kind == 'b' else p.rng.choice(('=', '=', '+='))} {value}")
    p.depth = depth


def for_loop(p: Program) -> str:
    """Its variable."""
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
        return value_loop(p, rng.choice(flat))
    else:
        low, high = 0, 0
        count = f"range({rng.choice(p.ints)} % 5)"
        text = rng.choice((f"range({rng.randint(0, 4)})", "range(3)", "range(n // 2)", "range(min(n, m))", count))
        dim = "n" if "n" in text else ""
    p.line(f"for {name} in {text}:")
    p.depth += 1
    p.counters.append(Counter(name, dim, low, high))
    block(p)
    p.counters.pop()
    return name


def value_loop(p: Program, array: Array) -> str:
    name = p.fresh("e")
    p.line(f"for {name} in {array.name}:")
    p.depth += 1
    (p.floats if array.kind == "f" else p.ints).append(name)
    block(p)
    (p.floats if array.kind == "f" else p.ints).remove(name)
    return name


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


def countdown(p: Program) -> None:
    """A loop that ends by what becomes of a scalar (which may be a bool first)."""
    name = p.rng.choice(p.ints)
    p.loops += 1
    if p.chance(0.3):
        p.line(f"{name} = {p.rng.choice(('True', 'False', 'n > 1', '0'))}")
    p.line(f"while {p.rng.choice(('%s > 0', '%s > 1', '0 < %s < 10**6')) % name}:")
    p.depth += 1
    p.ints.remove(name)
    if p.ints and p.chance(0.7):
        p.line(f"{p.rng.choice(p.ints)} {p.rng.choice(('=', '+=', '^='))} {name} % {p.rng.choice((2, 3, 10))}")
    elif p.floats:
        p.line(f"{p.rng.choice(p.floats)} {p.rng.choice(('=', '+=', '*='))} {expression(p, 'f', 2)}")
    p.ints.append(name)
    p.line(f"{name} {p.rng.choice(('//= 2', '//= 3', '-= 5', '>>= 1'))}")


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
    elif choice < 0.61 and p.counters:
        p.line(f"{p.counters[-1].name} {p.rng.choice(('+=', '=', '-='))} {expression(p, 'i', 1)}")
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
    elif choice < 0.86:
        half_used(p)
    else:
        name = p.rng.choice(p.ints)
        op = p.rng.choice(("=", "+=", "+=", "-=", "//=", "%=", "|=", "^=", "="))
        p.line(f"{name} {op} {expression(p, 'i', 2)}")


def half_used(p: Program) -> None:
    """A quotient, root or product that may warn, and a use of it that may not come about."""
    name, depth = p.rng.choice(p.floats), p.depth
    p.line(f"{name} = {p.rng.choice(('%s / %s', '%s * 1e300 * %s', 'np.sqrt(%s) - %s', '%s / (%s - 1)'))}"
           .replace("%s", "{}").format(expression(p, "f", 1), expression(p, "f", 1)))  # fmt: skip
    choice = p.rng.random()
    if choice < 0.4:
        p.line(f"if {condition(p)}:")
    elif choice < 0.6 and len(p.counters) < 3:
        p.line(f"for q in range({p.rng.choice(p.ints)} % 3):")
    elif choice < 0.8:
        p.line(f"if {name} > 0.5 {p.rng.choice(('or', 'and'))} {condition(p)}:")
    else:
        return
    p.depth += 1
    flat = [a for a in p.arrays if len(a.dims) == 1 and a.kind in "f"]
    if flat and p.chance(0.5):
        p.line(f"{p.rng.choice(flat).name}[{p.rng.choice(('0', '-1'))}] = {name}")
    else:
        p.line(f"{p.rng.choice(p.floats)} = {name} + 1")
    p.depth = depth


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
        p.line(p.rng.choice(p.exits if p.exits and p.chance(0.3) else ("break", "continue", "continue")))
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
