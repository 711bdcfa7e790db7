"""Comparisons of floats that may be NaNs.

C's `<`, `<=`, `>` and `>=` raise the invalid flag where an operand is a NaN (IEEE 754-2019, 5.11); Python's and NumPy's
tell nobody. A kernel that looks at the flags takes that for a fault. Kernels compare as C does all the same, because
data without NaNs is the rule, and compilers vectorise it; a specialisation for which this went wrong is made again
with comparisons of the bits as integers (affine.NO_NAN_COMPARED, dispatch.SiteState).

In: typed expressions.  Out: C text, and the helpers it calls.
"""

from __future__ import annotations

from typing import Final

from alpyna_hook.ir.nodes import Call, Compare, Expr, Nest, walk_exprs
from alpyna_hook.ir.types import Rep, ScalarType

_ORDERED: Final = "alp_ordered"
_PICKS: Final = ("min", "max", "np.minimum", "np.maximum")

TEMPLATES: Final = {
    "ordered": """\
/* a < b and a <= b, which raise no flag where one of them is a NaN: magnitudes are ordered like their bits */
static inline int64_t alp_order(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits < 0 ? -(bits & INT64_MAX) : bits;
}

static inline bool alp_less(double a, double b)
{
    return !isnan(a) & !isnan(b) & (alp_order(a) < alp_order(b));
}

static inline bool alp_less_equal(double a, double b)
{
    return !isnan(a) & !isnan(b) & (alp_order(a) <= alp_order(b));
}""",
    "ordered_min": """\
static inline {T} alp_ordered_min_{N}({T} a, {T} b) {{ return alp_less(b, a) ? b : a; }}""",
    "ordered_max": """\
static inline {T} alp_ordered_max_{N}({T} a, {T} b) {{ return alp_less(a, b) ? b : a; }}""",
    "ordered_npmin": """\
static inline {T} alp_ordered_npmin_{N}(const alp_ufunc *u, int64_t *fp, {T} a, {T} b)
{{
    return alp_less(a, b) ? a : alp_less(b, a) ? b : alp_ufunc2_{N}(u, fp, a, b);
}}""",
    "ordered_npmax": """\
static inline {T} alp_ordered_npmax_{N}(const alp_ufunc *u, int64_t *fp, {T} a, {T} b)
{{
    return alp_less(a, b) ? b : alp_less(b, a) ? a : alp_ufunc2_{N}(u, fp, a, b);
}}""",
}


def compares_floats(nest: Nest) -> bool:
    """Whether the typed nest compares floats in a way that tells NaNs by a flag."""
    return any(map(_ordering, walk_exprs(nest.body)))


def _ordering(expr: Expr) -> bool:
    match expr:
        case Compare(op="<" | "<=" | ">" | ">=", left=left, right=right):
            return _is_float(left) and _is_float(right)
        case Call(fn=fn) if fn in _PICKS:
            return _is_float(expr)
    return False


def _is_float(expr: Expr) -> bool:
    return isinstance(expr.type, ScalarType) and expr.type.rep.is_float


def helper(name: str, rep: Rep, helpers: dict[str, None]) -> str:
    """The helper that is like `alp_NAME_REP` for floats, and raises no flag; notes what it needs in `helpers`."""
    helpers[_ORDERED] = None
    return f"alp_ordered_{name}_{rep.value}"


def compare(op: str, left: str, right: str, helpers: dict[str, None]) -> str:
    """C text of a comparison of floats that raises no flag; op is "<", "<=", ">" or ">="."""
    helpers[_ORDERED] = None
    if op[0] == ">":
        left, right = right, left
    return f"{'alp_less_equal' if op.endswith('=') else 'alp_less'}({left}, {right})"
