"""Hand-made site records of a small heat-equation program, as a dispatcher would have left them."""

from __future__ import annotations

from alpyna_hook.errors import Rejection
from alpyna_hook.report.facts import Header
from alpyna_hook.runtime.records import DecisionRecord, LoopRecord, SiteRecord, SpecialisationRecord
from alpyna_hook.source import Source, Span

TEXT = '''\
import numpy as np

def relax(u, v, steps):
    for t in range(steps):
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                v[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1])
        for i in range(1, u.shape[0] - 1):
            for j in range(1, u.shape[1] - 1):
                u[i, j] = v[i, j]

def total(u, names):
    s = 0.0
    for k in range(3):
        s += u[k, k]
    for name in names:
        print(name, s)
    for name in sorted(names):
        for i in range(u.shape[0]):
            u[i, 0] = len(name)
    while s > 1e9:
        s /= <b>
'''
SOURCE = Source("heat.py", "__main__", TEXT)


def site(line: int, end_line: int, function: str, **fields: object) -> SiteRecord:
    record = SiteRecord("__main__", "heat.py", line, end_line, function, source=SOURCE)
    for name, value in fields.items():
        setattr(record, name, value)
    return record


def heat() -> list[SiteRecord]:
    """One site of each status, and one with two variants and a fault."""
    relax = site(
        4, 10, "relax", reached=True,
        loops=[
            LoopRecord(4, "t", False, "u[i, j] written at line 10 is read at line 7 in a later iteration", 0),
            LoopRecord(5, "i", True, "no dependence", 1),
            LoopRecord(6, "j", True, "no dependence", 2),
            LoopRecord(8, "i", True, "no dependence", 1),
            LoopRecord(9, "j", True, "no dependence", 2),
        ],
        specialisations=[
            SpecialisationRecord(
                {"u": "f64[2C]", "v": "f64[2C]", "steps": "i64{int}"},
                {"omp": 0.1234, "seq": 0.002},
                {"omp": "miss", "seq": "hit"},
                [
                    DecisionRecord({"u": (512, 512), "v": (512, 512), "steps": 100}, "omp",
                                   {"interp": 31.2, "seq": 0.0412, "omp": 0.0213}, 10, 0.2345),
                    DecisionRecord({"u": (8, 8), "v": (8, 8), "steps": 1}, "seq",
                                   {"interp": 51e-6, "seq": 0.4e-6}, 1200, 0.0006, 3),
                    DecisionRecord({"u": (3, 3), "v": (3, 3), "steps": 0}, "interp", {"interp": 0.3e-6}, 2),
                ],
                {"omp": "void kernel(void)\n{\n    if (a < b && c > d) return;\n}\n"},
            ),
        ],
    )  # fmt: skip
    corner = site(
        14, 15, "total", reached=True,
        loops=[LoopRecord(14, "k", False, "s carries a float sum", 0)],
        specialisations=[
            SpecialisationRecord({"u": "f64[2C]", "s": "f64{float}"}, decisions=[
                DecisionRecord({"u": (512, 512)}, "interp", {"interp": 9e-7, "seq": 1.1e-6}, 10),
            ]),
        ],
    )  # fmt: skip
    printing = site(16, 17, "total", rejection=Rejection(
        "call-unknown", "calls a function that is not known to be pure", "this call", Span(17, 8, 17, 13),
        "move the output behind the loop",
    ))  # fmt: skip
    ordered = site(18, 20, "total", rejection=Rejection(
        "iterable-unknown", "loops over something other than a range or an array", "", Span(18, 16, 18, 29),
    ))  # fmt: skip
    inner = site(19, 20, "total")
    return [relax, corner, printing, ordered, inner]


HOST = {"name": "host", "compiler": "/usr/bin/gcc gcc (GCC) 12.2.0"}
HEADER = Header("0.1.0", "3.11.2", "2.4.0", (HOST,), "strict", 2)
