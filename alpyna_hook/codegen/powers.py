"""Powers with a constant exponent: libm's own result, mostly without the call.

In: a double and an exponent of `EXPONENTS`.  Out: C text whose value is, bit for bit, what `pow(x, exponent)` of the
C library gives, which is what CPython computes (Objects/floatobject.c, float_pow) and NumPy for scalars (npy_pow).

Why that is possible.  Since version 2.28 glibc's `pow` is that of ARM's optimized routines
(sysdeps/ieee754/dbl-64/e_pow.c).  Its last operation rounds scale + scale * tmp, a value v that is off from the exact
power by the errors before; that file bounds the whole error, the last rounding included, by

    ulperr_exp + |ln(result)| * relerr_log * 2**53  ulp,   ulperr_exp = 0.511, relerr_log = 1.5 * 2**-68 (no FMA: worst)

so that for results between 2**-200 and 2**200, |ln| <= 138.7, v is within 0.511 - 0.5 + 0.0064 = 0.0174 ulp of the
exact power.  Let the exact power be high + low, where high is the double next to it, with low known to 2**-50 of
itself.  If |low| <= ulp(high) / 2 / 1.05 = 0.4762 ulp(high), then |v - high| < 0.4936 ulp(high): v rounds to high too,
and pow(x, y) == high.  (Where high is a power of two, the ulp is that of the side on which the exact power lies.)
`high + low * 1.05 == high` is that test.  A library whose error is smaller, a correctly rounded one above all, passes
with it.  About one value in twenty fails the test and is left to the call. Where `pow` is or may be another one, all
are: devices/toolchain.py then defines ALP_FOREIGN_LIBM.

The exact power as high + low:
    x**2     high = x * x; low is the error of that product: exact, by FMA or by Dekker's splitting (T. J. Dekker, A
             floating-point technique for extending the available precision, 1971)
    x**3, 4  the product of x**2 as a pair with x, or with itself; what is left out is below 2**-103 of the result
    x**0.5   high = sqrt(x); x - high**2 is exact, low is that over 2 * high, but for 2**-106 of the result
    x**-1    high = 1 / x; 1 - high * x is exact, low is that times high (S. Boldo, M. Daumas, Representable correcting
             terms for possibly underflowing floating point operations, 2003, for both)
No step over- or underflows in the ranges that are tested first.

tools/check_powers.py compares all this with libm on as many random numbers as one likes; tests/codegen/test_powers.py
runs it on fewer.
"""

from __future__ import annotations

from alpyna_hook.ir.nodes import Cast, Const, Expr, Unary
from alpyna_hook.ir.types import Rep

# exponent -> name, and the |x| between which the result is between 2**-200 and 2**200
EXPONENTS: dict[float, tuple[str, str, str]] = {
    2.0: ("square", "0x1p-100", "0x1p100"),
    3.0: ("cube", "0x1p-66", "0x1p66"),
    4.0: ("fourth", "0x1p-50", "0x1p50"),
    0.5: ("root", "0x1p-400", "0x1p400"),
    -1.0: ("inverse", "0x1p-200", "0x1p200"),
}

_PAIRS = {
    "square": """\
        const double high = x * x;
        const double low = alp_product_error(x, x, high);""",
    "cube": """\
        const double p = x * x, q = p * x, t = alp_product_error(p, x, q) + alp_product_error(x, x, p) * x;
        const double high = q + t;
        const double low = t - (high - q);""",
    "fourth": """\
        const double p = x * x, q = p * p, t = alp_product_error(p, p, q) + 2 * p * alp_product_error(x, x, p);
        const double high = q + t;
        const double low = t - (high - q);""",
    "root": """\
        const double high = sqrt(x);
        const double q = high * high;
        const double low = ((x - q) - alp_product_error(high, high, q)) / (2 * high);""",
    "inverse": """\
        const double high = 1 / x;
        const double q = high * x;
        const double low = ((1 - q) - alp_product_error(high, x, q)) * high;""",
}

PRODUCT_ERROR = """\
/* Whether the C library is known to round powers as codegen/powers.py says */
#if defined(__GLIBC__) && (defined(__x86_64__) || defined(__aarch64__)) && !defined(ALP_FOREIGN_LIBM)
#define ALP_KNOWN_POW 1
#endif

/* x * y - p, exactly, where p is the product rounded */
static inline double alp_product_error(double x, double y, double p)
{
#if defined(__FMA__) || defined(__FP_FAST_FMA) || defined(__ARM_FEATURE_FMA)
    return __builtin_fma(x, y, -p);
#else
    const double split = 0x1p27 + 1, a = split * x, b = split * y;
    const double x1 = a - (a - x), x2 = x - x1, y1 = b - (b - y), y2 = y - y1;
    return ((x1 * y1 - p) + x1 * y2 + x2 * y1) + x2 * y2;
#endif
}"""


def exponent_of(expr: Expr) -> float | None:
    """The value of a constant exponent of which there is a helper."""
    match expr:
        case Cast(operand=operand):
            return exponent_of(operand)
        case Unary(op="-", operand=Const(value=int() | float() as value)) if -value in EXPONENTS:
            return -float(value)
        case Const(value=int() | float() as value) if value in EXPONENTS:
            return float(value)
    return None


def helpers_of(exponent: float, checked: bool) -> tuple[str, ...]:
    """Names of the helpers in the order of their definitions; the last one is the one to call."""
    name = f"alp_{EXPONENTS[exponent][0]}"
    return ("alp_product_error", *(("alp_pow_f64", f"{name}_checked") if checked else (name,)))


def templates() -> dict[str, str]:
    """The helpers' names, without "alp_", and their C definitions."""
    found = {"product_error": PRODUCT_ERROR}
    for exponent in EXPONENTS:
        name = EXPONENTS[exponent][0]
        found[name] = _definition(exponent, f"alp_{name}(double x)", f"pow(x, {exponent!r})")
        head = f"alp_{name}_checked(double x, int64_t *fault)"
        found[f"{name}_checked"] = _definition(exponent, head, f"alp_pow_{Rep.F64.value}(x, {exponent!r}, fault)")
    return found


def _definition(exponent: float, head: str, call: str) -> str:
    name, least, greatest = EXPONENTS[exponent]
    size = "x" if name == "root" else "fabs(x)"
    return f"""\
/* pow(x, {exponent!r}): see codegen/powers.py for why this is libm's result */
static inline double {head}
{{
#ifdef ALP_KNOWN_POW
    if ({size} > {least} && {size} < {greatest}) {{
{_PAIRS[name]}
        if (high + low * 1.05 == high)
            return high;
    }}
#endif
    return {call};
}}"""
