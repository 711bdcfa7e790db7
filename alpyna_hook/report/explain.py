"""`alpyna explain FILE`: what Alpyna would make of each loop of a file, without running it.

In: command-line arguments.  Out: text on stdout, and an exit status: 0, 1 for a file that Python could not
compile, 2 for a file that cannot be read (as `python FILE` has it) or bad usage.

Types are only known at run time, so verdicts are given for assumed ones (report/assume.py), and say so.
"""

from __future__ import annotations

import argparse
import ast
import os
import sys
import textwrap
import tokenize
import traceback
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.exits import EXIT
from alpyna_hook.frontend.sites import Site, find_sites
from alpyna_hook.ir.affine import Env
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.plan import Variant
from alpyna_hook.ir.types import ArrayType, ObjectType, ScalarType, Type
from alpyna_hook.report import facts
from alpyna_hook.report.assume import Assumed, assume
from alpyna_hook.report.predicates import pretty_predicate
from alpyna_hook.settings import FP_MODES, current
from alpyna_hook.source import Source, Span
from alpyna_hook.specialisation import Specialisation

if TYPE_CHECKING:
    from alpyna_hook.cost.machine import Profile

WIDTH = 116


def main(argv: Sequence[str]) -> int:
    """Run `explain` with these arguments (without the command's name); returns the exit status."""
    options = _parse(argv)
    loaded = _load(options.file)
    if isinstance(loaded, int):
        return loaded
    tree, source = loaded
    try:
        _print_sites(tree, source, options)
        sys.stdout.flush()
    except BrokenPipeError:  # `alpyna explain x.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="alpyna explain",
        description="Show each loop nest of FILE: what it reads and leaves behind, which loops are parallel and "
        "why (or why not), and what cannot be compiled.",
    )
    parser.add_argument("file", metavar="FILE", help="a Python file; it is read, not run")
    parser.add_argument("--source", action="store_true", help="print each nest and the C code generated for it")
    parser.add_argument("--line", type=int, metavar="N", help="only loops that include this line")
    parser.add_argument(
        "--sizes", type=_sizes, default={}, metavar="NAMES",
        help='price each loop for these sizes: ints and shapes by name, as in "n=500,a=500x300"; others are assumed',
    )
    parser.add_argument("--fp", choices=FP_MODES, default=current().fp, help="floating point contract")
    return parser.parse_args(list(argv))


def _sizes(text: str) -> dict[str, tuple[int, ...]]:
    """"n=500,a=500x300" as {"n": (500,), "a": (500, 300)}."""
    try:
        pairs = [part.split("=") for part in text.split(",") if part.strip()]
        return {name.strip(): tuple(int(size) for size in sizes.split("x")) for name, sizes in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form n=500,a=500x300") from None


def _load(path: str) -> tuple[ast.Module, Source] | int:
    """The file's tree and source, or the exit status after a message like Python's own."""
    try:
        with tokenize.open(path) as file:
            text = file.read()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(text, path)
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes; a declared encoding that is not so
        print("".join(traceback.format_exception_only(type(error), error)), end="", file=sys.stderr)
        return 1
    except OSError as error:
        reason = f"[Errno {error.errno}] {error.strerror}"
        print(f"alpyna: can't open file {os.path.abspath(path)!r}: {reason}", file=sys.stderr)
        return 2
    module = os.path.splitext(os.path.basename(path))[0]
    return tree, Source(path, module, text)


def _print_sites(tree: ast.Module, source: Source, options: argparse.Namespace) -> None:
    found = find_sites(tree, source)
    sites = [s for s in found if options.line is None or s.line <= options.line <= s.end_line]
    accepted = sum(site.nest is not None for site in sites)
    where = f"{source.filename}{'' if options.line is None else f', line {options.line}'}"
    if not sites:
        print(f"{where}: no loops")
        return
    print(f"{where}: {_count(accepted, 'loop nest')} can be compiled, {len(sites) - accepted} rejected")
    if accepted:
        print("(types are known at run time only: those below are assumed from use)")
    seen: set[tuple[str, Span]] = set()
    for site in sites:
        print()
        print(f"{source.filename}:{site.line}-{site.end_line} in {site.function}")
        if site.nest is not None:
            print("\n".join(_accepted(site, site.nest, source, options)))
        elif site.rejection is not None:
            reason = (site.rejection.code, site.rejection.span)
            text = "rejected, as the loop around it" if reason in seen else site.rejection.render(source)
            print(textwrap.indent(text, "    "))
            seen.add(reason)
            if options.source:
                print(_block("Python", nest_text(site.node)))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _accepted(site: Site, nest: Nest, source: Source, options: argparse.Namespace) -> list[str]:
    """What is known of one nest."""
    assumed = assume(nest, options.sizes)
    python = [_block("Python", nest_text(site.node))] if options.source else []
    names = (out for out in nest.live_outs if out.name != EXIT)
    leaves = ", ".join(out.name + ("" if out.definite else " (if assigned)") for out in names)
    return [
        *python,
        *_field("takes", _live_ins(nest, assumed)),
        *_field("leaves", leaves or "no names behind"),
        *_analysed(nest, assumed, source, options),
    ]


def _field(label: str, text: str) -> list[str]:
    return _wrapped(text, f"    {label:<10}", " " * 14)


def _wrapped(text: str, head: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=indent, break_long_words=False)


def _live_ins(nest: Nest, assumed: Assumed) -> str:
    """"a, b: float64[:, :]; n: int": names grouped by assumed type."""
    groups: dict[str, list[str]] = {}
    for live_in in nest.live_ins:
        if live_in.role != "function":
            groups.setdefault(type_words(assumed.types[live_in.name]), []).append(live_in.name)
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in groups.items()) or "nothing"


def type_words(kind: Type) -> str:
    """A type for people: "float64[:, :]", "int"."""
    match kind:
        case ArrayType(elem=elem, ndim=ndim):
            return f"{_DTYPE.get(elem.value, elem.value)}[{', '.join(':' * ndim)}]"
        case ScalarType(classes=classes):
            return " or ".join(sorted(classes))
        case ObjectType(name=name):
            return name


_DTYPE = {"f64": "float64", "f32": "float32", "i64": "int64", "i32": "int32", "b1": "bool"}


def _analysed(nest: Nest, assumed: Assumed, source: Source, options: argparse.Namespace) -> list[str]:
    """One line per loop, what is checked at entry, and the generated code; or why these types are rejected."""
    from alpyna_hook import log, pipeline

    threads = current().threads
    lines = tuple(source.text.splitlines())
    devices = _profile().devices if options.sizes else {}
    request = pipeline.Request(
        nest, assumed.types, assumed.entry, {}, frozenset(), frozenset(), options.fp, threads, lines,
        devices=tuple(f"{variant}:{device.style}" for variant, device in devices.items()),
    )  # fmt: skip
    try:
        special = pipeline.specialise(request)
    except Exception as bug:  # of ours: the other loops are still worth explaining
        log.bug(f"explaining line {nest.span.line}", bug)
        return ["    not analysed: internal error"]
    if isinstance(special, Rejection):
        return ["    rejected for these types:", textwrap.indent(special.render(source), "      ")]
    text: list[str] = []
    for loop in special.loops:
        head = f"    line {loop.line:<5}{'  ' * loop.depth + loop.var:<12}"
        verdict = f"{'parallel' if loop.parallel else 'sequential'}: {loop.why}"
        text += _wrapped(verdict, head, " " * len(head))
    best: Variant = "omp" if "omp" in special.plans else "seq"
    conditions = [pretty_predicate(p) for p in special.plans[best].preconditions]
    if conditions:
        text += _field("if", "; ".join(conditions))
    if options.sizes:
        text += _field("predicted", _prices(special, request.entry))
    if options.source:
        text.append(_block(f"C ({best})", special.sources[best].text))
    return text


def _profile() -> Profile:
    from alpyna_hook.cost import profiles

    return profiles.current(current().cache_dir, current().threads)


def _prices(special: Specialisation, entry: Env) -> str:
    """Seconds of one call by variant, and what the oracle would choose once all is compiled."""
    from alpyna_hook.cost.decide import History, Oracle

    oracle = Oracle(_profile(), current().threads)
    candidates = {str(variant): candidate for variant, candidate in special.candidates.items()}
    decision = oracle.decide(candidates, entry, dict.fromkeys(candidates, "compiled"), History())
    prices = ", ".join(f"{variant} {facts.seconds(s)}" for variant, s in decision.predicted.items())
    return f"{prices}; the choice: {decision.variant} ({oracle.profile.origin} machine profile)"


def _block(title: str, text: str) -> str:
    return f"    {title}:\n{textwrap.indent(text.rstrip(), '      ')}"


def nest_text(node: ast.AST) -> str:
    """The loop as Python source, printed by astor; by `ast.unparse` where astor cannot (new syntax)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # astor 0.8.1 names ast.Num and friends
        try:
            import astor

            text: Any = astor.to_source(node)
            if isinstance(text, str) and ast.dump(ast.parse(text).body[0]) == ast.dump(node):
                return text
        except Exception:  # not installed, or a node it does not know
            pass
    return ast.unparse(node) + "\n"
