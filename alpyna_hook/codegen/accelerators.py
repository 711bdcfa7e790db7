"""The dialects of devices: OpenCL C 1.2 and CUDA C++.

Both get the same typedefs and limits as C, so that the renderer writes one text for all.  The CUDA text compiles with
nvcc and, where there are no headers, with NVRTC.
"""

from __future__ import annotations

from alpyna_hook.codegen.dialect import Dialect
from alpyna_hook.ir.plan import Variant

_LIMITS = """\
#define INT8_MIN (-128)
#define INT8_MAX 127
#define INT16_MIN (-32768)
#define INT16_MAX 32767
#define INT32_MIN (-2147483647 - 1)
#define INT32_MAX 2147483647
#define INT64_MIN (-INT64_C(9223372036854775807) - 1)
#define INT64_MAX INT64_C(9223372036854775807)
#define UINT8_MAX 255
#define UINT16_MAX 65535
#define UINT32_MAX 4294967295u
#define UINT64_MAX UINT64_C(18446744073709551615)"""

_SLOT = "typedef union { int64_t i; uint64_t u; double d; float f; } alp_slot;"


def _watches(why: str, odd: str, odd_f32: str) -> dict[str, str]:
    """Helpers that stand in for the floating-point flags, by what C says of an infinity or a NaN, and why."""
    head = f"/* Stands in for the floating-point flags: an infinity or a NaN is a fault; {why} */\n"
    return {
        "watch": head + f"""\
static inline {{T}} alp_watch_{{N}}({{T}} x, int64_t *fault)
{{{{
    *fault |= {odd};
    return x;
}}}}""",
        # a flag as wide as the values: mixed widths would halve the lanes of vector code
        "watch_f32": head + f"""\
static inline float alp_watch_f32(float x, int32_t *odd)
{{
    *odd |= {odd_f32};
    return x;
}}""",
    }


# Helpers of host C that ask for gcc's builtins, or for NumPy's loops, are written otherwise.
_TEMPLATES = {
    "index": """\
/* a[i]: wraps a negative subscript once; outside the array it notes a fault and reads element 0 */
static inline int64_t alp_index(int64_t i, int64_t n, int64_t *fault)
{
    i += i < 0 ? n : 0;
    const bool outside = (uint64_t)i >= (uint64_t)n;
    *fault |= outside;
    return outside ? 0 : i;
}""",
    "to_f64": "static inline double alp_to_f64(int64_t x) { return (double)x; }",
    **_watches("x - x is 0 for all else", "!(x - x == 0)", "!(x - x == 0)"),
    "share": """\
/* First of the n iterations that are work item number k's, of `items`; the next item's first is the end */
static inline int64_t alp_share(int64_t n, int64_t k, int64_t items)
{
    const int64_t rest = n % items;
    return n / items * k + (k < rest ? k : rest);
}""",
    "mul": """\
static inline {T} alp_mul_{N}({T} a, {T} b, int64_t *fault)
{{
    const {WIDE} r = ({WIDE})a * ({WIDE})b;
    *fault |= ({T})r != r;
    return ({T})r;
}}""",
    "mul_i64": """\
static inline int64_t alp_mul_i64(int64_t a, int64_t b, int64_t *fault)
{
    const int64_t r = (int64_t)((uint64_t)a * (uint64_t)b);
    *fault |= alp_mul_high(a, b) != (r < 0 ? -1 : 0);
    return r;
}""",
    "mul_u64": """\
static inline uint64_t alp_mul_u64(uint64_t a, uint64_t b, int64_t *fault)
{
    *fault |= alp_mul_high_u(a, b) != 0;
    return a * b;
}""",
    "ipow_checked": """\
static inline {T} alp_ipow_checked_{N}({T} base, int64_t exponent, int64_t *fault)
{{
    {T} r = 1;
    *fault |= exponent < 0;
    while (exponent > 0) {{
        if (exponent & 1)
            r = alp_mul_{N}(r, base, fault);
        exponent >>= 1;
        if (exponent > 0)
            base = alp_mul_{N}(base, base, fault);
    }}
    return r;
}}""",
    "npmin": """\
/* np.minimum; which of two zeros or NaNs it takes is NumPy's to say */
static inline {T} alp_npmin_{N}({T} a, {T} b, int64_t *fault)
{{
    *fault |= !(a < b || b < a) && !(a == b && (a != 0 || 1 / a == 1 / b));
    return a < b ? a : b;
}}""",
    "npmax": """\
/* np.maximum; which of two zeros or NaNs it takes is NumPy's to say */
static inline {T} alp_npmax_{N}({T} a, {T} b, int64_t *fault)
{{
    *fault |= !(a < b || b < a) && !(a == b && (a != 0 || 1 / a == 1 / b));
    return a < b ? b : a;
}}""",
    "atomic_wrap": """\
static inline void alp_atomic_wrap_{N}(alp_global {T} *p, {T} x) {{ alp_atomic{BITS}(p, x); }}""",
    "atomic_add": """\
/* x is positive: the sum grows, and the addition that leaves the type sees it */
static inline void alp_atomic_add_{N}(alp_global {T} *p, {T} x, int64_t *fault)
{{
    const {T} old = ({T})alp_atomic{BITS}(p, x);
    *fault |= old > {MAX} - x;
}}""",
    "square": "static inline {T} alp_square_{N}({T} x) {{ return x * x; }}",
    "reciprocal": "static inline {T} alp_reciprocal_{N}({T} x) {{ return 1 / x; }}",
}

_EXACT = ("sqrt", "fabs", "floor", "ceil", "trunc", "rint")

# np.NAME -> the math library's function; those of the same name come first.
_FUNCTIONS = {
    **{fn: fn for fn in (
        "copysign", "fmod", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "cbrt", "sin", "cos", "tan",
        "sinh", "cosh", "tanh", "hypot",
    )},
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh", "arccosh": "acosh",
    "arctanh": "atanh", "power": "pow",
}  # fmt: skip

# Where an OpenCL device is a CPU, loops with functions of its library may not vectorise (PoCL 3: nbody 2.4 times slower
# for its sqrt); clang's own are single instructions. All of these are correctly rounded.
_ON_A_CPU = "\n".join((
    "#if defined(__clang__) && (defined(__x86_64__) || defined(__aarch64__))",
    *(
        f"static inline {t} __attribute__((overloadable)) alp_cpu_{fn}({t} x) {{ return __builtin_{fn}{f}(x); }}"
        for fn in _EXACT for t, f in (("double", ""), ("float", "f"))
    ),
    *(f"#define {fn} alp_cpu_{fn}" for fn in _EXACT),
    "#endif",
))  # fmt: skip

# x - x is +0, whose bits are all zero, or a NaN. Comparing it would take PoCL two instructions more for each look.
_WATCH = _watches("the bits of x - x are 0 for all else", "as_long((double)(x - x))", "as_int(x - x)")

_TO_F64 = """\
/* (double)x; on a CPU without a vector instruction for it, both halves are exact, and the one addition rounds as the
   conversion does */
static inline double alp_to_f64(int64_t x)
{
#if defined(__x86_64__) && !defined(__AVX512DQ__)
    const uint64_t y = (uint64_t)x ^ UINT64_C(0x8000000000000000);
    const double high = as_double((y >> 32) | UINT64_C(0x4530000000000000));
    return (high - (0x1p84 + 0x1p63)) + (as_double((y & 0xffffffff) | UINT64_C(0x4330000000000000)) - 0x1p52);
#else
    return (double)x;
#endif
}"""

OPENCL = Dialect(
    name="opencl",
    prelude=f"""\
#pragma OPENCL FP_CONTRACT OFF
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

typedef char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef uchar uint8_t;
typedef ushort uint16_t;
typedef uint uint32_t;
typedef ulong uint64_t;
#define INT64_C(x) x##L
#define UINT64_C(x) x##UL
{_LIMITS}
#ifdef cl_khr_int64_base_atomics
#pragma OPENCL EXTENSION cl_khr_int64_base_atomics : enable
#endif
#define alp_global __global
#define alp_atomic32(p, x) atomic_add((volatile __global uint *)(p), (uint)(x))
#define alp_atomic64(p, x) atom_add((volatile __global ulong *)(p), (ulong)(x))
#define alp_mul_high(a, b) mul_hi((int64_t)(a), (int64_t)(b))
#define alp_mul_high_u(a, b) mul_hi((uint64_t)(a), (uint64_t)(b))
{_ON_A_CPU}

{_SLOT}""",
    kernel_head="__kernel void",
    math_f32="",
    openmp=False,
    ivdep="#pragma clang loop vectorize(assume_safety)",
    unroll="#pragma unroll",
    strided="#pragma clang loop vectorize(disable) unroll_count(4)",
    space="__global ",
    bool_element="uint8_t",
    item=tuple(f"(int64_t)get_global_id({k})" for k in range(3)),
    items=tuple(f"(int64_t)get_global_size({k})" for k in range(3)),
    templates={**_TEMPLATES, **_WATCH, "to_f64": _TO_F64},
    numpy_loops=False,
    functions=_FUNCTIONS,
    reserved=frozenset(
        """uchar ushort uint ulong half quad size_t ptrdiff_t intptr_t uintptr_t event_t sampler_t image1d_t image2d_t
        image3d_t kernel global local constant private generic read_only write_only read_write pipe complex imaginary
        get_global_id get_global_size mul_hi INFINITY NAN odd rt run alp_slot""".split()
    )
    | {f"{kind}{width}" for kind in "char uchar short ushort int uint long ulong float double half".split()
       for width in (2, 3, 4, 8, 16)},
)  # fmt: skip

CUDA = Dialect(
    name="cuda",
    prelude=f"""\
#ifdef __CUDACC_RTC__
typedef signed char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
#define INT64_C(x) x##LL
#define UINT64_C(x) x##ULL
{_LIMITS}
#else
#include <stdint.h>
#endif
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fffffff)
#endif
#define alp_global
#define alp_atomic32(p, x) atomicAdd((unsigned int *)(p), (unsigned int)(x))
#define alp_atomic64(p, x) atomicAdd((unsigned long long *)(p), (unsigned long long)(x))
#define alp_mul_high(a, b) __mul64hi(a, b)
#define alp_mul_high_u(a, b) __umul64hi(a, b)

{_SLOT}""",
    kernel_head='extern "C" __global__ void',
    math_f32="f",
    openmp=False,
    ivdep="",
    # Unrolled, each work item divides 64-bit integers first to count its trips (saxpy: 280 instructions, now 80).
    single="#pragma unroll 1",
    function="static __device__ inline",
    restrict="__restrict__",
    item=tuple(f"(int64_t)blockIdx.{k} * blockDim.{k} + threadIdx.{k}" for k in "xyz"),
    items=tuple(f"(int64_t)gridDim.{k} * blockDim.{k}" for k in "xyz"),
    templates=_TEMPLATES,
    numpy_loops=False,
    functions=_FUNCTIONS,
    reserved=frozenset(
        """alignas alignof and and_eq asm bitand bitor catch class compl concept const_cast constexpr decltype delete
        dynamic_cast explicit export final friend mutable namespace new noexcept not not_eq nullptr operator or or_eq
        override private protected public reinterpret_cast requires static_assert static_cast template this thread_local
        throw try typeid typename using virtual wchar_t xor xor_eq blockIdx blockDim threadIdx gridDim warpSize dim3
        INFINITY NAN odd rt run alp_slot""".split()
    )
    | {f"{kind}{width}" for kind in "char uchar short ushort int uint long ulong float double longlong".split()
       for width in (1, 2, 3, 4)},
)  # fmt: skip

DIALECTS: dict[Variant, Dialect] = {"opencl": OPENCL, "cuda": CUDA}
