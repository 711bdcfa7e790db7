"""Subscripts that flatten several dimensions into one: `a[i * m + j]` as `a[i, j]` of rows of m.

In: a subscript as a polynomial over counters and entry quantities.  Out: the affine subscripts of the
dimensions it flattens, if each inner one surely lies within its size.  Two flattened subscripts of equal
sizes then are equal exactly if they are equal dimension by dimension (Maslov, Delinearization, PLDI
1992; Grosser, Ramanujam, Pouchet, Sadayappan, Pop: ICS 2015).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from alpyna_hook.ir.affine import Affine, QDim, QParam, Quantity, affine, pretty

Key: TypeAlias = "str | Quantity"
Poly: TypeAlias = "dict[tuple[Key, ...], int]"  # monomial (sorted keys) -> coefficient

MAX_DEGREE = 4


def poly_of(form: Affine) -> Poly:
    """An affine form as a polynomial."""
    poly: Poly = {(key,): c for key, c in form.terms}
    return {**poly, (): form.const} if form.const else poly


def add(x: Poly, y: Poly, sign: int = 1) -> Poly:
    total = dict(x)
    for key, c in y.items():
        total[key] = total.get(key, 0) + sign * c
    return {k: c for k, c in total.items() if c}


def multiply(x: Poly, y: Poly) -> Poly | None:
    """The product, None if its degree is too high."""
    total: Poly = {}
    for a, c in x.items():
        for b, d in y.items():
            key = tuple(sorted((*a, *b), key=_order))
            if len(key) > MAX_DEGREE:
                return None
            total[key] = total.get(key, 0) + c * d
    return {k: c for k, c in total.items() if c}


def dimensions(poly: Poly, bounds: Mapping[str, tuple[Affine | None, Affine | None]], order: Sequence[str]) -> (
    tuple[tuple[Affine, ...], tuple[Quantity, ...]] | None
):  # fmt: skip
    """(affine subscripts, sizes of all but the first), or None.

    bounds  counter -> its least and largest value, as affine forms over counters further out
    order   the counters, outermost first
    """
    whole = _affine(poly)
    if whole is not None:
        return (whole,), ()
    curved = [set(key) for key in poly if len(key) > 1]
    shared = set.intersection(*curved)
    for size in sorted((k for k in shared if isinstance(k, (QParam, QDim))), key=pretty):
        outer: Poly = {}
        inner: Poly = {}
        for key, c in poly.items():
            if size in key:
                rest = list(key)
                rest.remove(size)
                outer[tuple(rest)] = c
            else:
                inner[key] = c
        last, first = _affine(inner), dimensions(outer, bounds, order)
        if last is None or first is None:
            continue
        room = affine({size: 1}, -1) - last
        if nonnegative(last, bounds, order) and nonnegative(room, bounds, order):
            return (*first[0], last), (*first[1], size)
    return None


def nonnegative(
    form: Affine, bounds: Mapping[str, tuple[Affine | None, Affine | None]], order: Sequence[str]
) -> bool:  # fmt: skip
    """Whether `form` >= 0 for all values of the counters, by eliminating them innermost first."""
    for counter in reversed(order):
        c = form.coefficient(counter)
        if c:
            bound = bounds[counter][0 if c > 0 else 1]
            if bound is None:
                return False
            form = form - affine({counter: c}) + bound.scale(c)
    return form.const >= 0 and all(isinstance(k, QDim) and c > 0 for k, c in form.terms)


def _affine(poly: Poly) -> Affine | None:
    if any(len(key) > 1 for key in poly):
        return None
    return affine({key[0]: c for key, c in poly.items() if key}, poly.get((), 0))


def _order(key: Key) -> tuple[bool, str]:
    return isinstance(key, str), key if isinstance(key, str) else pretty(key)
