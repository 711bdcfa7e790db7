"""From source text to inferred nests, for tests."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping

from alpyna_hook.analysis.inference import infer
from alpyna_hook.errors import Rejection
from alpyna_hook.frontend.sites import find_sites
from alpyna_hook.ir.nodes import Nest
from alpyna_hook.ir.types import ArrayType, Rep, Type, scalar
from alpyna_hook.ir.verify import verify
from alpyna_hook.source import Source


def lower(text: str) -> Nest:
    """The first site of a module text that imports math and np."""
    source = Source("t.py", "t", "import math\nimport numpy as np\n" + textwrap.dedent(text))
    site = find_sites(ast.parse(source.text), source)[0]
    assert site.nest is not None, site.rejection
    return site.nest


def typed(nest: Nest, **types: str | Type) -> Nest | Rejection:
    """The inferred and verified nest; scalar types may be given as class names, arrays as "float64[2]"."""
    given = {name: parse(t) if isinstance(t, str) else t for name, t in types.items()}
    for live_in in nest.live_ins:
        if live_in.name in ("math.pi", "np.pi"):
            given[live_in.name] = scalar("float")
    result = infer(nest, given, {})
    if isinstance(result, Nest):
        verify(result)
    return result


def parse(text: str) -> Type:
    cls, bracket, ndim = text.partition("[")
    if not bracket:
        return scalar(cls)
    return ArrayType(scalar(cls).rep, int(ndim.rstrip("]")), "C")


def classes(nest: Nest, name: str) -> str:
    """The classes of a scalar as "float|int", with "@rep" if the representation is not its own."""
    kind = dict(nest.types)[name]
    names = "|".join(sorted(kind.classes))
    own = {scalar(c).rep for c in kind.classes}
    return names if own == {kind.rep} else f"{names}@{kind.rep.value}"


ALL = ("bool", "int", "float", "complex", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
       "uint64", "float32", "float64", "complex64", "complex128")  # fmt: skip


def class_of(value: object) -> str:
    """The name this project gives the class of a scalar."""
    import numpy as np

    return "bool_" if isinstance(value, np.bool_) else type(value).__name__


def make(cls: str, value: object) -> object:
    """`value` as a scalar of class `cls`."""
    import numpy as np

    maker = {"bool": bool, "int": int, "float": float, "complex": complex}.get(cls) or getattr(np, cls)
    return maker(value)


__all__ = ["ALL", "Mapping", "Rep", "class_of", "classes", "lower", "make", "parse", "typed"]
