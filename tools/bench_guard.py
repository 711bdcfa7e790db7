"""Measures the guard: seconds per call of a site, matched, with an empty kernel. Nothing is written.

In:  nothing (`python tools/bench_guard.py`); needs a C compiler for the empty kernels.
Out: a table on stdout: best of 7 rounds, loop overhead of the empty function call shown for comparison.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import timeit

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from alpyna_hook.runtime import guard, guard_py  # noqa: E402

SOURCE = """
#include <stdint.h>
typedef union { int64_t i; uint64_t u; double d; float f; void *p; } alp_slot;
int32_t empty(const alp_slot *in, alp_slot *out) { (void)in; out[1].i = 7; out[2].d = 1.5; return 0; }
"""


def build(folder: str) -> int:
    """Address of the empty kernel."""
    source, library = os.path.join(folder, "k.c"), os.path.join(folder, "k.so")
    with open(source, "w", encoding="utf-8") as file:
        file.write(SOURCE)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", source, "-o", library], check=True)
    function = ctypes.CDLL(library).empty
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address


class Holder:
    """Has live-ins as attributes."""

    def __init__(self, n: object, a: object) -> None:
        self.n = n
        self.a = a


def per_call(site: object, args: tuple[object, ...]) -> float:
    """Seconds per call, best of 7 rounds."""
    names = [f"a{i}" for i in range(len(args))]
    timer = timeit.Timer(f"site({', '.join(names)})", globals={"site": site, **dict(zip(names, args))})
    number, _ = timer.autorange()
    return min(timer.repeat(7, max(number // 4, 1))) / max(number // 4, 1)


def main() -> None:
    array = ("array", 12, 2, "C", True)
    params = [(0, (), array), (1, (), array), (2, (), array), (3, (), ("int",)), (4, (), ("float",))]
    pairs = [(0, 1), (0, 2), (1, 2)]
    outs = [(("int",), 1, -1, -1), (("np:12",), 2, -1, -1)]
    args = (*(np.zeros((8, 8)) for _ in range(3)), 5, 2.5)
    strided = (*(np.zeros((16, 16))[::2, ::2] for _ in range(3)), 5, 2.5)
    with tempfile.TemporaryDirectory() as folder:
        kernel = build(folder)
        implementations = {"c": guard, "python": guard_py} if guard.IMPLEMENTATION == "c" else {"python": guard_py}
        for name, module in implementations.items():
            cases = {
                "3 arrays + 2 scalars, no result": (module.Entry(params, kernel), args),
                "3 arrays + 2 scalars, disjoint, 2 results": (
                    module.Entry(params, kernel, disjoint=pairs, outs=outs), args),
                "the same, decision interp": (module.Entry(params, 0, disjoint=pairs), args),
                "the same, journal of 512 bytes": (
                    module.Entry(params, kernel, disjoint=pairs, outs=outs, journal=(0,)), args),
                "strided, disjoint, 2 results": (
                    module.Entry([*((i, (), ("array", 12, 2, "S", True)) for i in range(3)), *params[3:]], kernel,
                                 disjoint=pairs, outs=outs), strided),
                "two attributes (int, array), no result": (
                    module.Entry([(0, ("n",), ("int",)), (0, ("a",), array)], kernel), (Holder(3, args[0]),)),
            }
            for title, (entry, values) in cases.items():
                site = module.Site("bench", lambda args: None)
                site.install(entry)
                seconds = per_call(site, values)
                assert entry.calls > 0
                print(f"{name:7} {title:45} {seconds * 1e9:8.0f} ns")
    print(f"{'':7} {'an empty Python function of 5 arguments':45} {per_call(lambda *a: None, args) * 1e9:8.0f} ns")


if __name__ == "__main__":
    main()
