"""Powers with a constant exponent (alpyna_hook/codegen/powers.py) against libm's pow, bit for bit.

    python tools/check_powers.py [--count N] [--seed S]

Takes N random doubles per exponent, of all magnitudes and signs, and more of those where the shortcut applies. Prints,
per exponent, how many results differ (none may), how many the shortcut gave, and pow's largest error in ulp where the
result is between 2**-200 and 2**200: the proof rests on its being below 0.5174. Exit status 1 if not.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from alpyna_hook.codegen import helpers, powers  # noqa: E402
from alpyna_hook.codegen.dialect import C  # noqa: E402
from alpyna_hook.devices import host, toolchain  # noqa: E402
from alpyna_hook.devices.base import NoCache  # noqa: E402

_COUNTED = """
static uint64_t state;
static uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#ifdef __SIZEOF_FLOAT128__
typedef __float128 wide;
#else
typedef long double wide;
#endif

static long calls;
static double counted_pow(double x, double y)
{
    calls++;
    return pow(x, y);
}

/* |r - x ** y| in units of the last place of r */
static double error_of(double r, double x, double y)
{
    int e;
    frexp(r, &e);
    const wide w = x;
    wide d;
    if (y == 0.5)
        d = (r * (wide)r - w) / (2 * (wide)r);
    else if (y == -1)
        d = r - 1 / w;
    else
        d = r - (y == 2 ? w * w : y == 3 ? w * w * w : w * w * (w * w));
    const double u = ldexp((double)d, 53 - e);
    return u < 0 ? -u : u;
}
"""

_CHECK = """
void check_{name}(int64_t count, uint64_t seed, int64_t *wrong, int64_t *quick, double *worst)
{{
    volatile double exponent = {exponent!r};
    const double y = exponent;
    state = seed;
    for (int64_t i = 0; i < count; i++) {{
        uint64_t bits = draw();
        if (i % 8) /* the exponent near that of 1 */
            bits = (bits & UINT64_C(0x800fffffffffffff)) | (1023 - 110 + draw() % 220) << 52;
        double x;
        memcpy(&x, &bits, sizeof x);
        const long before = calls;
        const double fast = alp_{name}(x);
        const bool called = calls != before;
        const double slow = pow(x, y);
        if (memcmp(&fast, &slow, sizeof fast) && !(isnan(fast) && isnan(slow)))
            ++*wrong;
        *quick += !called;
        if (fabs(slow) > 0x1p-200 && fabs(slow) < 0x1p200) {{
            const double e = error_of(slow, x, y);
            *worst = e > *worst ? e : *worst;
        }}
    }}
}}
"""


class Checked(NamedTuple):
    """Of `count` results: how many differ from libm's, how many needed no call, and libm's largest error in ulp."""

    wrong: int
    quick: int
    worst_ulp: float


def check(count: int, seed: int) -> dict[float, Checked]:
    """Exponent -> what was found. RuntimeError without a C compiler."""
    tool = toolchain.find(None, NoCache(), 60.0)
    if isinstance(tool, str):
        raise RuntimeError(tool)
    names = {exponent: powers.helpers_of(exponent, checked=False) for exponent in powers.EXPONENTS}
    used = dict.fromkeys(name for parts in names.values() for name in parts)
    texts = [helpers.text_of(name, C).replace("return pow(", "return counted_pow(") for name in used]
    checks = [_CHECK.format(name=parts[-1].removeprefix("alp_"), exponent=y) for y, parts in names.items()]
    head = "".join(f"#include <{name}.h>\n" for name in ("math", "stdbool", "stdint", "string"))
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "powers.so")
        flags = host.kernel_flags(tool, openmp=False, precise_fp=True)
        made = toolchain.run(
            toolchain.command_line(tool, flags, output), "\n".join([head, _COUNTED, *texts, *checks]), 60.0
        )
        if made.returncode != 0:
            raise RuntimeError(made.output)
        library = ctypes.CDLL(output)
    return {y: _run(library[f"check_{parts[-1].removeprefix('alp_')}"], count, seed) for y, parts in names.items()}


def _run(function: ctypes._CFuncPtr, count: int, seed: int) -> Checked:
    wrong, quick, worst = ctypes.c_int64(), ctypes.c_int64(), ctypes.c_double()
    function(ctypes.c_int64(count), ctypes.c_uint64(seed), *map(ctypes.byref, (wrong, quick, worst)))
    return Checked(wrong.value, quick.value, worst.value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=10**8)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    found = check(args.count, args.seed)
    for exponent, result in found.items():
        print(
            f"x ** {exponent:4}: {result.wrong} of {args.count} differ, {result.quick} without a call, "
            f"pow's error at most {result.worst_ulp:.4f} ulp"
        )
    return int(any(result.wrong or result.worst_ulp > 0.5174 for result in found.values()))


if __name__ == "__main__":
    sys.exit(main())
