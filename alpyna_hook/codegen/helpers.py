"""Small C functions that kernels use, each emitted only where it is called.

A helper's name is `alp_NAME` or `alp_NAME_REP`; `text_of` gives its definition with the C types of
REP filled in.  A helper that can fault takes `int64_t *fault` last and ors 1 into it: faults are
sticky, so loops stay branch-free and vectorisable.  Division algorithms follow CPython's
Objects/floatobject.c (float_floor_div, float_rem), complexobject.c (_Py_c_quot) and NumPy's
npy_math (npy_floor_divide, npy_remainder, complex division in scalarmath).
"""

from __future__ import annotations

from alpyna_hook.codegen import hide, keep, nans, powers
from alpyna_hook.codegen.dialect import Dialect
from alpyna_hook.ir.types import Rep

CTYPE: dict[Rep, str] = {
    Rep.BOOL: "bool", Rep.I8: "int8_t", Rep.I16: "int16_t", Rep.I32: "int32_t", Rep.I64: "int64_t",
    Rep.U8: "uint8_t", Rep.U16: "uint16_t", Rep.U32: "uint32_t", Rep.U64: "uint64_t",
    Rep.F32: "float", Rep.F64: "double", Rep.C64: "float _Complex", Rep.C128: "double _Complex",
}  # fmt: skip

# Templates. {T} type, {U} unsigned type of the same width, {MIN} {MAX} limits, {N} the representation's
# name, {f} the math suffix ("f" for float), {R} real type of a complex.
_TEMPLATES: dict[str, str] = {
    "index": """\
/* a[i]: wraps a negative subscript once; outside the array it notes a fault and reads element 0 */
static inline int64_t alp_index(int64_t i, int64_t n, int64_t *fault)
{
    if (__builtin_expect((uint64_t)i < (uint64_t)n, 1)) /* a branch, so that the element need not wait for the test */
        return i;
    i += i < 0 ? n : 0;
    const bool outside = (uint64_t)i >= (uint64_t)n;
    *fault |= outside;
    return outside ? 0 : i;
}""",
    "block_rows": """\
/* Iterations per block: what they save should stay in the caches of the threads that run them */
static inline int64_t alp_block_rows(int64_t iterations, int64_t row_bytes, int64_t threads, int64_t bytes)
{
    int64_t rows = threads * (bytes / row_bytes > 0 ? bytes / row_bytes : 1);
    return rows < iterations ? rows : iterations > 0 ? iterations : 1;
}""",
    "whole_units": """\
/* `rows` rounded up to a multiple of `unit`; at least one */
static inline int64_t alp_whole_units(int64_t rows, int64_t unit)
{
    return rows > unit ? (rows + unit - 1) / unit * unit : unit;
}""",
    "first_rows": """\
/* Iterations, of `work` operations each, that make `operations` */
static inline int64_t alp_first_rows(double operations, double work) { return (int64_t)(operations / work); }""",
    "extent": """\
/* About how far a range reaches */
static inline double alp_extent(double a, double b) { return (b > a ? b - a : a - b) + 1.0; }""",
    "scratch": """\
/* A buffer of this thread's that outlives the call: mapping pages anew each time costs more than it saves */
static void *alp_scratch(int which, size_t bytes)
{
    static _Thread_local struct { void *p; size_t bytes; } keep[8];
    if (keep[which].bytes < bytes) {
        free(keep[which].p);
        keep[which].p = malloc(bytes);
        keep[which].bytes = keep[which].p ? bytes : 0;
    }
    return keep[which].p;
}""",
    "magnitude": """\
/* Adds |x| to a sum of magnitudes; at most 64 threads' sums of at most 2^56 then add up without wrapping */
static inline uint64_t alp_magnitude_{N}(uint64_t sum, {T} x, int64_t *fault)
{{
    sum += x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    *fault |= sum >> 56 != 0;
    return sum;
}}""",
    "exceeds": """\
/* Could a sum that starts at x and moves by at most `sum` in all leave its type? */
static inline bool alp_exceeds_{N}(uint64_t sum, {T} x)
{{
    return sum > (uint64_t){MAX} - (x < 0 ? 0 - (uint64_t)(x + 1) : (uint64_t)x);
}}""",
    "to_f64": """\
/* (double)x, in operations that vectorise where there is no vector instruction for it: both halves are exact,
   and the one addition rounds as the conversion does */
static inline double alp_to_f64(int64_t x)
{
#if defined(__x86_64__) && !defined(__AVX512DQ__)
    const uint64_t y = (uint64_t)x ^ UINT64_C(0x8000000000000000);
    union { uint64_t u; double d; } high = {(y >> 32) | UINT64_C(0x4530000000000000)};
    union { uint64_t u; double d; } low = {(y & 0xffffffff) | UINT64_C(0x4330000000000000)};
    return (high.d - (0x1p84 + 0x1p63)) + (low.d - 0x1p52);
#else
    return (double)x;
#endif
}""",
    "wrap": """\
static inline int64_t alp_wrap(int64_t i, int64_t n) { return i < 0 ? i + n : i; }""",
    "trips": """\
/* len(range(start, stop, step)) */
static inline int64_t alp_trips(int64_t start, int64_t stop, int64_t step, int64_t *fault)
{
    *fault |= step == 0;
    if (step > 0 && start < stop)
        return (int64_t)(((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1);
    if (step < 0 && start > stop)
        return (int64_t)(((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1);
    return 0;
}""",
    "span": """\
/* the same where the step is known not to be zero */
static inline int64_t alp_span(int64_t start, int64_t stop, int64_t step)
{
    if (step > 0 && start < stop)
        return (int64_t)(((uint64_t)stop - (uint64_t)start - 1) / (uint64_t)step + 1);
    if (step < 0 && start > stop)
        return (int64_t)(((uint64_t)start - (uint64_t)stop - 1) / (0 - (uint64_t)step) + 1);
    return 0;
}""",
    "add": """\
static inline {T} alp_add_{N}({T} a, {T} b, int64_t *fault)
{{
    const {T} r = ({T})(({U})a + ({U})b);
    *fault |= {ADD_OVERFLOWS};
    return r;
}}""",
    "sub": """\
static inline {T} alp_sub_{N}({T} a, {T} b, int64_t *fault)
{{
    const {T} r = ({T})(({U})a - ({U})b);
    *fault |= {SUB_OVERFLOWS};
    return r;
}}""",
    "mul": """\
static inline {T} alp_mul_{N}({T} a, {T} b, int64_t *fault)
{{
    {T} r;
    *fault |= __builtin_mul_overflow(a, b, &r);
    return r;
}}""",
    "linear": """\
/* factor * x + term, which fits if low <= x <= high */
static inline {T} alp_linear_{N}({T} x, {T} factor, {T} term, {T} low, {T} high, int64_t *fault)
{{
    *fault |= x < low || x > high;
    return ({T})(({U})factor * ({U})x + ({U})term);
}}""",
    "chunk": """\
/* Iterations that a thread takes at a time: few enough to even out their work, enough to pay for the taking */
static inline int64_t alp_chunk(int64_t trips, int64_t threads)
{
    const int64_t share = trips / (64 * threads);
    return share < 1 ? 1 : share > 1024 ? 1024 : share;
}""",
    "neg": """\
static inline {T} alp_neg_{N}({T} a, int64_t *fault)
{{
    *fault |= {NEG_OVERFLOWS};
    return ({T})(0 - ({U})a);
}}""",
    "abs": """\
static inline {T} alp_abs_{N}({T} a) {{ return a < 0 ? ({T})(0 - ({U})a) : a; }}""",
    "abs_checked": """\
static inline {T} alp_abs_checked_{N}({T} a, int64_t *fault)
{{
    *fault |= {ABS_OVERFLOWS};
    return a < 0 ? ({T})(0 - ({U})a) : a;
}}""",
    "floordiv_int": """\
/* a // b rounds towards minus infinity */
static inline {T} alp_floordiv_int_{N}({T} a, {T} b)
{{
    const {T} q = a / b;
    return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}}""",
    "floordiv_checked": """\
static inline {T} alp_floordiv_checked_{N}({T} a, {T} b, int64_t *fault)
{{
    if (b == 0 || {DIV_OVERFLOWS}) {{
        *fault |= 1;
        return 0;
    }}
    const {T} q = a / b;
    return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}}""",
    "mod_below": """\
/* a % b where a is in [-b, b) */
static inline {T} alp_mod_below_{N}({T} a, {T} b) {{ return a < 0 ? a + b : a; }}""",
    "mod_above": """\
/* a % b where a is in [0, 2b) */
static inline {T} alp_mod_above_{N}({T} a, {T} b) {{ return a >= b ? a - b : a; }}""",
    "mod_both": """\
/* a % b where a is in [-b, 2b) */
static inline {T} alp_mod_both_{N}({T} a, {T} b) {{ return a < 0 ? a + b : a >= b ? a - b : a; }}""",
    "mod_int": """\
/* a % b has the sign of b */
static inline {T} alp_mod_int_{N}({T} a, {T} b)
{{
    const {T} r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}}""",
    "mod_checked": """\
static inline {T} alp_mod_checked_{N}({T} a, {T} b, int64_t *fault)
{{
    if (b == 0 || {MINUS_ONE}) {{
        *fault |= b == 0;
        return 0;
    }}
    const {T} r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}}""",
    "div": """\
static inline {T} alp_div_{N}({T} a, {T} b, int64_t *fault)
{{
    *fault |= b == 0;
    return a / b;
}}""",
    "floordiv": """\
/* CPython's float_floor_div; NumPy's npy_floor_divide agrees where b != 0 */
static inline {T} alp_floordiv_{N}({T} a, {T} b)
{{
    if (b == 0)
        return a / b;
    {T} m = fmod{f}(a, b);
    {T} q = (a - m) / b;
    if (m != 0 && (b < 0) != (m < 0))
        q -= 1;
    if (q == 0)
        return copysign{f}(({T})0, a / b);
    const {T} r = floor{f}(q);
    return q - r > ({T})0.5 ? r + 1 : r;
}}""",
    "mod": """\
/* CPython's float_rem; NumPy's npy_remainder agrees where b != 0 */
static inline {T} alp_mod_{N}({T} a, {T} b)
{{
    {T} m = fmod{f}(a, b);
    if (m != 0)
        return (b < 0) != (m < 0) ? m + b : m;
    return b == 0 ? m : copysign{f}(({T})0, b);
}}""",
    "zero": """\
static inline {T} alp_zero_{N}({T} b, int64_t *fault)
{{
    *fault |= b == 0;
    return b;
}}""",
    "pow": """\
/* Where CPython would raise or turn complex, pow gives an infinity or a NaN out of finite operands,
   or has a zero base with a negative exponent */
static inline {T} alp_pow_{N}({T} a, {T} b, int64_t *fault)
{{
    const {T} r = pow{f}(a, b);
    *fault |= !isfinite(r) && isfinite(a) && isfinite(b);
    return r;
}}""",
    "math1": """\
/* CPython's math_1: a NaN from a number is ValueError, an infinity from a finite one OverflowError */
static inline {T} alp_math1_{N}({T} r, {T} x, int64_t *fault)
{{
    *fault |= (isnan(r) && !isnan(x)) || (isinf(r) && isfinite(x));
    return r;
}}""",
    "math2": """\
static inline {T} alp_math2_{N}({T} r, {T} x, {T} y, int64_t *fault)
{{
    *fault |= (isnan(r) && !isnan(x) && !isnan(y)) || (isinf(r) && isfinite(x) && isfinite(y));
    return r;
}}""",
    "sqrt": """\
static inline {T} alp_sqrt_{N}({T} x, int64_t *fault)
{{
    *fault |= x < 0;
    return sqrt{f}(x);
}}""",
    "min": """\
/* Python's min(a, b): the first unless the second is smaller */
static inline {T} alp_min_{N}({T} a, {T} b) {{ return b < a ? b : a; }}""",
    "max": """\
static inline {T} alp_max_{N}({T} a, {T} b) {{ return b > a ? b : a; }}""",
    "npmin": """\
/* np.minimum: where neither is less (equal, signed zeros, NaN) NumPy's own loop decides */
static inline {T} alp_npmin_{N}(const alp_ufunc *u, int64_t *fp, {T} a, {T} b)
{{
    return a < b ? a : b < a ? b : alp_ufunc2_{N}(u, fp, a, b);
}}""",
    "npmax": """\
/* np.maximum: where neither is less (equal, signed zeros, NaN) NumPy's own loop decides */
static inline {T} alp_npmax_{N}(const alp_ufunc *u, int64_t *fp, {T} a, {T} b)
{{
    return a < b ? b : b < a ? a : alp_ufunc2_{N}(u, fp, a, b);
}}""",
    "ipow": """\
static inline {T} alp_ipow_{N}({T} base, int64_t exponent)
{{
    {U} r = 1, b = ({U})base;
    for (; exponent > 0; exponent >>= 1, b *= b)
        if (exponent & 1)
            r *= b;
    return ({T})r;
}}""",
    "ipow_checked": """\
static inline {T} alp_ipow_checked_{N}({T} base, int64_t exponent, int64_t *fault)
{{
    {T} r = 1;
    *fault |= exponent < 0;
    while (exponent > 0) {{
        if (exponent & 1)
            *fault |= __builtin_mul_overflow(r, base, &r);
        exponent >>= 1;
        if (exponent > 0)
            *fault |= __builtin_mul_overflow(base, base, &base);
    }}
    return r;
}}""",
    "shl": """\
static inline {T} alp_shl_{N}({T} a, int64_t s, int64_t *fault)
{{
    const bool wide = s < 0 || s >= {BITS};
    const {T} r = ({T})(({U})a << (wide ? 0 : s));
    *fault |= wide || ({T})(r >> (wide ? 0 : s)) != a;
    return r;
}}""",
    "shl_wrap": """\
/* NumPy drops the bits that leave on the left */
static inline {T} alp_shl_wrap_{N}({T} a, int64_t s, int64_t *fault)
{{
    const bool wide = s < 0 || s >= {BITS};
    *fault |= wide;
    return ({T})(({U})a << (wide ? 0 : s));
}}""",
    "shr": """\
static inline {T} alp_shr_{N}({T} a, int64_t s, int64_t *fault)
{{
    *fault |= s < 0 || s >= {BITS};
    return a >> (s < 0 || s >= {BITS} ? 0 : s);
}}""",
    "from_i64": """\
static inline {T} alp_from_i64_{N}(int64_t x, int64_t *fault)
{{
    *fault |= {OUTSIDE_I64};
    return ({T})x;
}}""",
    "from_u64": """\
static inline {T} alp_from_u64_{N}(uint64_t x, int64_t *fault)
{{
    *fault |= x > (uint64_t){MAX};
    return ({T})x;
}}""",
    "from_f64": """\
/* float to int truncates; what does not fit (a NaN too) is a fault. The zero: gcc without trapping maths takes
   (double)(int64_t)x for trunc(x), which is -0.0 where the int is 0 */
static inline {T} alp_from_f64_{N}(double x, int64_t *fault)
{{
    const bool fits = x > {LOW} && x < {HIGH};
    *fault |= !fits;
    return fits ? ({T})(trunc(x) + 0.0) : 0;
}}""",
    "exact53": """\
/* int to float where CPython rounds correctly on its own terms: only what a double holds exactly */
static inline double alp_exact53(int64_t x, int64_t *fault)
{
    *fault |= x > INT64_C(9007199254740992) || x < -INT64_C(9007199254740992);
    return (double)x;
}""",
    "exact_sum": """\
/* a sum that Python may have computed on ints: exact below this bound, and a NaN or more is a fault */
static inline {T} alp_exact_sum_{N}({T} r, int64_t *fault)
{{
    *fault |= !(fabs{f}(r) < {EXACT});
    return r;
}}""",
    "exact53_u64": """\
static inline double alp_exact53_u64(uint64_t x, int64_t *fault)
{
    *fault |= x > UINT64_C(9007199254740992);
    return (double)x;
}""",
    "exact24": """\
/* a double where only what a float holds exactly keeps its meaning (a NaN faults too) */
static inline float alp_exact24(double x, int64_t *fault)
{
    const float r = (float)x;
    *fault |= r != x;
    return r;
}""",
    "degrees": """\
static inline double alp_degrees(double x) { return x * (180.0 / 3.141592653589793); }""",
    "radians": """\
static inline double alp_radians(double x) { return x * (3.141592653589793 / 180.0); }""",
    "complex": """\
static inline {T} alp_complex_{N}({R} re, {R} im)
{{
    {T} z;
    __real__ z = re;
    __imag__ z = im;
    return z;
}}""",
    "cabs": """\
static inline {R} alp_cabs_{N}({T} z, int64_t *fault)
{{
    const {R} r = hypot{f}(__real__ z, __imag__ z);
    *fault |= isinf(r) && isfinite(__real__ z) && isfinite(__imag__ z);
    return r;
}}""",
    "npcabs": """\
static inline {R} alp_npcabs_{N}({T} z) {{ return hypot{f}(__real__ z, __imag__ z); }}""",
    "cmul": """\
/* the plain formula, as CPython and NumPy have it (C's own operator treats infinities specially) */
static inline {T} alp_cmul_{N}({T} a, {T} b)
{{
    {T} z;
    __real__ z = __real__ a * __real__ b - __imag__ a * __imag__ b;
    __imag__ z = __real__ a * __imag__ b + __imag__ a * __real__ b;
    return z;
}}""",
    "cdiv": """\
/* Smith's algorithm as in CPython's _Py_c_quot; a zero divisor is a fault */
static inline {T} alp_cdiv_{N}({T} a, {T} b, int64_t *fault)
{{
    const {R} ar = __real__ a, ai = __imag__ a, br = __real__ b, bi = __imag__ b;
    {T} z;
    *fault |= (br == 0 && bi == 0) || br != br || bi != bi;
    if (fabs{f}(br) >= fabs{f}(bi)) {{
        const {R} ratio = bi / br, denom = br + bi * ratio;
        __real__ z = (ar + ai * ratio) / denom;
        __imag__ z = (ai - ar * ratio) / denom;
    }} else {{
        const {R} ratio = br / bi, denom = br * ratio + bi;
        __real__ z = (ar * ratio + ai) / denom;
        __imag__ z = (ai * ratio - ar) / denom;
    }}
    return z;
}}""",
    "npcdiv": """\
/* Smith's algorithm as in NumPy's loops, which multiply by the reciprocal */
static inline {T} alp_npcdiv_{N}({T} a, {T} b, int64_t *fault)
{{
    const {R} ar = __real__ a, ai = __imag__ a, br = __real__ b, bi = __imag__ b;
    {T} z;
    *fault |= (br == 0 && bi == 0) || br != br || bi != bi;
    if (fabs{f}(br) >= fabs{f}(bi)) {{
        const {R} rat = bi / br, scl = 1 / (br + bi * rat);
        __real__ z = (ar + ai * rat) * scl;
        __imag__ z = (ai - ar * rat) * scl;
    }} else {{
        const {R} rat = br / bi, scl = 1 / (bi + br * rat);
        __real__ z = (ar * rat + ai) * scl;
        __imag__ z = (ai * rat - ar) * scl;
    }}
    return z;
}}""",
    "ufunc1": """\
/* one element through NumPy's own inner loop, so that the bits are NumPy's; strides as for its scalars
   (a power loop squares where the exponent is 2 and has stride 0). Some loops clear the FP flags: those raised so
   far are kept first, and no operation of the caller's may move in between (noinline) */
static __attribute__((noinline)) {T} alp_ufunc1_{N}(const alp_ufunc *u, int64_t *fp, {T} x)
{{
    {T} y;
    char *data[2] = {{(char *)&x, (char *)&y}};
    const intptr_t one = 1, steps[2] = {{0, sizeof y}};
    *fp |= alp_fp_raised();
    u->loop(data, &one, steps, u->data);
    return y;
}}""",
    "ufunc2": """\
static __attribute__((noinline)) {T} alp_ufunc2_{N}(const alp_ufunc *u, int64_t *fp, {T} x1, {T} x2)
{{
    {T} y;
    char *data[3] = {{(char *)&x1, (char *)&x2, (char *)&y}};
    const intptr_t one = 1, steps[3] = {{0, 0, sizeof y}};
    *fp |= alp_fp_raised(); /* the loop may clear the flags, as in alp_ufunc1 */
    u->loop(data, &one, steps, u->data);
    return y;
}}""",
}

_POWERS = powers.templates()


def text_of(name: str, dialect: Dialect) -> str:
    """The definition of helper `name`, e.g. "alp_add_i64". KeyError if there is no such helper."""
    base = name.removeprefix("alp_")
    templates = {**_TEMPLATES, **_POWERS, **keep.TEMPLATES, **hide.TEMPLATES, **nans.TEMPLATES, **dialect.templates}
    if base in templates and "{T}" not in templates[base]:
        text = templates[base]
    else:
        stem, _, rep_name = base.rpartition("_")
        text = templates[stem].format(**_fields(Rep(rep_name), dialect))
    return text.replace("static inline", dialect.function)


def _fields(rep: Rep, dialect: Dialect) -> dict[str, str]:
    fields = {"T": CTYPE[rep], "N": rep.value, "f": dialect.math("", rep), "BITS": str(rep.bits)}
    fields["WIDE"] = "int64_t" if rep.is_signed else "uint64_t"
    fields["EXACT"] = f"{2**24}.0f" if rep is Rep.F32 else f"{2**53}.0"
    if rep.is_complex:
        fields["R"] = "float" if rep is Rep.C64 else "double"
    if rep.is_int:
        fields |= _int_fields(rep)
    return fields


def _int_fields(rep: Rep) -> dict[str, str]:
    bits = rep.bits
    unsigned = f"uint{bits}_t"
    if rep.is_signed:
        low, high = f"INT{bits}_MIN", f"INT{bits}_MAX"
        return {
            "U": unsigned, "MIN": low, "MAX": high,
            "ADD_OVERFLOWS": "((a ^ r) & (b ^ r)) < 0",
            "SUB_OVERFLOWS": "((a ^ b) & (a ^ r)) < 0",
            "NEG_OVERFLOWS": f"a == {low}", "ABS_OVERFLOWS": f"a == {low}",
            "DIV_OVERFLOWS": f"(b == -1 && a == {low})", "MINUS_ONE": "b == -1",
            "OUTSIDE_I64": f"x < {low} || x > {high}",
            # the open interval of doubles whose truncation fits
            "LOW": f"-{2**(bits - 1) + 1}.0" if bits < 64 else "-9223372036854777856.0",
            "HIGH": f"{2**(bits - 1)}.0",
        }  # fmt: skip
    high = f"UINT{bits}_MAX"
    return {
        "U": unsigned, "MIN": "0", "MAX": high,
        "ADD_OVERFLOWS": "r < a", "SUB_OVERFLOWS": "b > a",
        "NEG_OVERFLOWS": "a != 0", "ABS_OVERFLOWS": "0", "DIV_OVERFLOWS": "0", "MINUS_ONE": "0",
        "OUTSIDE_I64": f"x < 0 || (uint64_t)x > {high}", "LOW": "-1.0", "HIGH": f"{2**bits}.0",
    }  # fmt: skip
