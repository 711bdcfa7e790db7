"""Dialects: what differs between C + OpenMP and the languages of devices (codegen/accelerators.py), as data.

The renderer asks a dialect for names and qualifiers; it never branches on which one it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from alpyna_hook.ir.types import Rep


@dataclass(frozen=True, slots=True)
class Dialect:
    """One target language.

    prelude        text before everything else
    kernel_head    what opens the kernel function, up to its name and parameters on a device
    math_f32       suffix of the math functions on floats ("f" in C, "" where they are overloaded)
    openmp         parallel loops are marked with OpenMP pragmas
    ivdep          pragma that tells the compiler that a loop carries no dependence; may be empty
    unroll         pragma before a loop of few, known trips around which the compiler is to vectorise; may be empty
    strided        in the place of `ivdep` before loops that jump through memory and compute little, where vector
                   code would wait for its gathers; may be empty
    single         pragma before a loop of which a work item mostly has one trip; may be empty
    function       what a helper function begins with
    space          what the type of a pointer to array elements begins with
    restrict       says that such a pointer is the only way to its elements
    bool_element   how an array of bools is declared
    item, items    per axis x, y, z: the number of this work item, and that of all work items
    templates      helpers whose text differs from that in codegen/helpers.py
    numpy_loops    kernels may call NumPy's inner loops
    libm           `pow` is the C library's, of which codegen/powers.py knows something
    functions      np.NAME -> function of the math library that stands in for NumPy's loop, where there is none
    scalar_only    statement that keeps the loop it is in from being vectorised; may be empty
    evaluate       statement that has {value} computed although nothing uses it; may be empty
    reserved       words of the language beyond those of C, and names that the kernel's text takes for itself
    """

    name: str
    prelude: str
    kernel_head: str
    math_f32: str
    openmp: bool
    ivdep: str
    unroll: str = ""
    strided: str = ""
    single: str = ""
    function: str = "static inline"
    space: str = ""
    restrict: str = "restrict"
    bool_element: str = "bool"
    item: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    templates: Mapping[str, str] = field(default_factory=dict)
    numpy_loops: bool = True
    libm: bool = False
    functions: Mapping[str, str] = field(default_factory=dict)
    scalar_only: str = ""
    evaluate: str = ""
    reserved: frozenset[str] = frozenset()

    def math(self, fn: str, rep: Rep) -> str:
        """Name of the math library function `fn` on values of `rep`."""
        return fn + (self.math_f32 if rep in (Rep.F32, Rep.C64) else "")


C = Dialect(
    name="c",
    prelude="""\
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef union { int64_t i; uint64_t u; double d; float f; void *p; } alp_slot;""",
    kernel_head="int32_t kernel(const alp_slot *in, alp_slot *out)",
    math_f32="f",
    openmp=True,
    ivdep="#pragma GCC ivdep",
    libm=True,
    scalar_only='__asm__ volatile(""); /* not to be vectorised: gcc 12 miscompiles several conditional last values */',
    evaluate='__asm__ volatile("" : : "r"({value}) : "memory"); /* of no use, but for the flags it may have raised */',
)

WIDE = "typedef __int128 alp_wide; /* entry conditions are evaluated without overflow */"

UFUNC = """\
/* NumPy's inner loop for one dtype: called where a loop calls np.exp and its like */
typedef struct {
    void (*loop)(char **args, const intptr_t *count, const intptr_t *steps, void *data);
    void *data;
} alp_ufunc;"""

FP_STATUS = """\
/* Floating-point status: NumPy scalars warn on what these flags record, so a raised flag is a fault */
#if defined(__x86_64__)
static inline void alp_fp_clear(void)
{
    __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() & ~0x3fu);
    __asm__ volatile("fnclex" ::: "memory");
}
static inline int64_t alp_fp_raised(void) /* 1 invalid, 4 divide by zero, 8 overflow, 16 underflow */
{
    uint16_t x87; /* glibc's feraiseexcept, which NumPy's loops call, sets overflow and underflow there */
    __asm__ volatile("fnstsw %0" : "=am"(x87)::"memory");
    return (__builtin_ia32_stmxcsr() | x87) & 0x1d;
}
#else
#include <fenv.h>
static inline void alp_fp_clear(void) { feclearexcept(FE_ALL_EXCEPT); }
static inline int64_t alp_fp_raised(void)
{
    const int e = fetestexcept(FE_ALL_EXCEPT);
    return (e & FE_INVALID ? 1 : 0) | (e & FE_DIVBYZERO ? 4 : 0) | (e & FE_OVERFLOW ? 8 : 0)
        | (e & FE_UNDERFLOW ? 16 : 0);
}
#endif"""
