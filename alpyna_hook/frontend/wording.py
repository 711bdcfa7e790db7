"""What rejections say, where one table says it: per kind of syntax, per kind of constant, per function."""

from __future__ import annotations

from typing import TypeAlias

Words: TypeAlias = tuple[str, str, str, str]  # code, title, label, help

_BEFORE = "Do this before or after the loop."
_ELEMENTS = "Write it as a loop over numbers and array elements."

# By the class name of the AST node (so that classes of later Pythons need no import).
UNSUPPORTED: dict[str, Words] = {
    "expr": ("expression", "This kind of expression is not compiled.", "here", ""),
    "stmt": ("statement", "This kind of statement is not compiled.", "here", _BEFORE),
    "List": ("list", "The loop builds a list.", "list", _ELEMENTS),
    "Tuple": ("tuple", "The loop builds a tuple.", "tuple", _ELEMENTS),
    "Set": ("set", "The loop builds a set.", "set", _ELEMENTS),
    "Dict": ("dict", "The loop builds a dict.", "dict", _ELEMENTS),
    "ListComp": ("comprehension", "The loop contains a comprehension.", "comprehension", _ELEMENTS),
    "SetComp": ("comprehension", "The loop contains a comprehension.", "comprehension", _ELEMENTS),
    "DictComp": ("comprehension", "The loop contains a comprehension.", "comprehension", _ELEMENTS),
    "GeneratorExp": ("comprehension", "The loop contains a generator.", "generator", _ELEMENTS),
    "JoinedStr": ("constant", "A string is not a number.", "not a number", _BEFORE),
    "Lambda": ("lambda", "The loop makes a function.", "lambda", "Define the function outside the loop."),
    "NamedExpr": ("walrus", "The loop assigns inside an expression.", "assignment", "Use a statement of its own."),
    "Starred": ("starred", "A starred expression has no fixed number of items.", "starred", ""),
    "Await": ("await", "The loop awaits.", "await", ""),
    "Yield": ("yield", "The loop yields to its caller.", "yield", "Fill an array in the loop and yield it after."),
    "YieldFrom": ("yield", "The loop yields to its caller.", "yield", "Fill an array in the loop and yield it after."),
    "Return": ("return", "The loop returns from the function.", "return",
               "Leave the loop by `break` and return after it."),
    "Raise": ("raise", "The loop raises an exception itself.", "raise", "Note the case in a variable and raise after."),
    "Assert": ("assert", "The loop contains an assertion.", "assert", "Check before or after the loop."),
    "Try": ("try", "The loop handles exceptions.", "try", "Put the `try` around the loop."),
    "TryStar": ("try", "The loop handles exceptions.", "try", "Put the `try` around the loop."),
    "With": ("with", "The loop enters a context manager.", "with", "Put the `with` around the loop."),
    "AsyncWith": ("async", "The loop contains asynchronous code.", "async", ""),
    "AsyncFor": ("async", "The loop contains asynchronous code.", "async", ""),
    "Match": ("match", "The loop contains a `match` statement.", "match", "Use `if` and `elif`."),
    "Delete": ("del", "The loop deletes something.", "del", _BEFORE),
    "Import": ("import", "The loop imports a module.", "import", "Import at the top of the module."),
    "ImportFrom": ("import", "The loop imports a module.", "import", "Import at the top of the module."),
    "Global": ("declaration", "The loop contains a declaration.", "declaration", "Put it before the loop."),
    "Nonlocal": ("declaration", "The loop contains a declaration.", "declaration", "Put it before the loop."),
    "FunctionDef": ("definition", "The loop defines a function.", "definition", "Define it outside the loop."),
    "AsyncFunctionDef": ("definition", "The loop defines a function.", "definition", "Define it outside the loop."),
    "ClassDef": ("definition", "The loop defines a class.", "definition", "Define it outside the loop."),
}  # fmt: skip

_CALLS = {
    "print": "Collect the numbers in an array and print them after the loop.",
    "sum": "Write the sum as a loop.",
    "input": _BEFORE,
    "open": _BEFORE,
    "isinstance": _BEFORE,
}
_LIST_METHODS = ("append", "extend", "insert", "pop", "add", "update")
_ARRAY_METHODS = ("copy", "sum", "mean", "min", "max", "any", "all", "dot", "fill", "astype", "argmin", "argmax")
_DRAWS = ("random", "randrange", "randint", "integers", "uniform", "normal", "gauss", "standard_normal", "choice",
          "rand", "randn", "shuffle", "exponential", "poisson")  # fmt: skip
_WHOLE = "Whole-array functions are not compiled inside a loop yet: write it over elements."


def call_help(text: str, path: str) -> str:
    """What to do about a call of `text`, which imports resolve to `path` ("" if they do not)."""
    name = path.removeprefix("builtins.")
    last = text.rpartition(".")[2]
    if name in _CALLS:
        return _CALLS[name]
    if path.startswith(("random.", "numpy.random.")) or (not path and "." in text and last in _DRAWS):
        return "Draw the numbers before the loop, into an array."
    if path.startswith("time."):
        return "Take the time before and after the loop."
    if "." in text and last in _LIST_METHODS:
        return "Make an array before the loop and store into its elements."
    if path.startswith("numpy.") or (not path and "." in text and last in _ARRAY_METHODS):
        return _WHOLE
    if not path and text.isidentifier():
        return "Own functions are not inlined yet: write what it computes here. Loops in it are compiled by themselves."
    return "Calls of other functions are not compiled yet: write what it computes in the loop."


def constant_help(value: object) -> str:
    """What to do about a constant that is no number."""
    if value is None:
        return "Let a number stand for it, -1 or `math.nan` say."
    return "Use numbers in the loop, and text after it." if isinstance(value, str) else ""


def comparison_help(compared: str, invariant: bool) -> str:
    """What to do about the comparison `compared` with a string; `invariant`: the loop does not change its outcome."""
    if invariant:
        return f"Compare before the loop, and test the result in it: `chosen = {compared}`."
    return "Turn the strings into an array of numbers before the loop."


def constant_words(value: object) -> str:
    """How a sentence begins that is about this constant."""
    if value is None or value is Ellipsis or isinstance(value, bool):
        return f"`{'...' if value is Ellipsis else value}`"
    return {str: "A string", bytes: "A bytes string", float: "A float"}.get(type(value), "This constant")
