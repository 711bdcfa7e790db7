"""Loops of all forms on a device: ranges, views, last values, reductions, faults, and what is declined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from on_device import check, run, specialised

from alpyna_hook.transform import device as transform

pytest.importorskip("pyopencl")
pytestmark = pytest.mark.parametrize("style", ["opencl:grid", "opencl:rows", "opencl:rows, short"], indirect=True)

N = 17
GRID = np.sin(np.arange(float(N * N))).reshape(N, N)
INTS = (np.arange(N * N) * 7919 % 1009 - 500).reshape(N, N)


@pytest.fixture
def style(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Parallel loops inside sequential ones are launched again and again, or taken to be too short for that."""
    target, _, short = request.param.partition(", ")
    monkeypatch.setattr(transform, "LAUNCH_WORK", 10**9 if short else 0)
    return str(target)


Case = tuple[str, dict[str, Any]]


def case(text: str, **given: Any) -> Case:
    """A loop and the values of its live-ins, `n` apart."""
    return text, {"n": N, **given}


CASES: dict[str, Case] = {
    "triangle below": case("""
        for i in range(n):
            for j in range(i + 1):
                a[i, j] = a[i, j] * 2.0
    """, a=GRID),
    "triangle above, counted down": case("""
        for i in range(n - 1, -1, -1):
            for j in range(n - 1, i, -1):
                a[i, j] = a[i, j] + i - j
    """, a=GRID),
    "steps": case("""
        for i in range(1, n, 3):
            for j in range(n - 2, 0, -4):
                a[i, j] = a[i, j] / (i + j)
    """, a=GRID),
    "a step that is a variable": case("""
        for i in range(n - 1, 2, d):
            b[i] = b[i] + i
    """, b=GRID[0], d=-3),
    "an inner loop without a trip": case("""
        for i in range(n):
            for j in range(m):
                a[i, j] = 0.0
    """, a=GRID, m=0),
    "three axes": case("""
        for i in range(4):
            for j in range(5):
                for k in range(6):
                    c[i, j, k] = i * 100 + j * 10 + k
    """, c=np.zeros((4, 5, 6))),
    "four loops": case("""
        for i in range(3):
            for j in range(4):
                for k in range(2):
                    for h in range(3):
                        e[i, j, k, h] = i + j * k - h
    """, e=np.zeros((3, 4, 2, 3))),
    "scalars between the loops": case("""
        for i in range(n):
            x = b[i] * 2.0
            y = x + i
            for j in range(n):
                a[i, j] = x * j + y
    """, a=GRID.copy(), b=GRID[1].copy()),
    "a view with strides": case("""
        for i in range(8):
            for j in range(8):
                v[i, j] = v[i, j] * 0.5 + w[j, i]
    """, v=GRID[1:17:2, ::2][:8, :8], w=np.asfortranarray(GRID[:8, :8] + 1)),
    "a view backwards": case("""
        for i in range(n):
            v[i] = v[i] * 0.5 + i
    """, v=GRID[3, ::-1]),
    "wrapped subscripts": case("""
        for i in range(n):
            b[i] = q[i - 1] + q[-1]
    """, b=GRID[0].copy(), q=GRID[1].copy()),
    "checked subscripts": case("""
        for i in range(n):
            b[i] = q[p[i]]
    """, b=GRID[0].copy(), q=GRID[1].copy(), p=np.arange(N)[::-1] - 5),
    "small ints wrap": case("""
        for i in range(n):
            for j in range(n):
                h[i, j] = h[i, j] * 2 // 3 % 5 - 1
    """, h=INTS.astype(np.int64)),
    "bytes": case("""
        for i in range(n):
            for j in range(n):
                u[i, j] = (u[i, j] >> 1) & 15 | 64
    """, u=(INTS % 200).astype(np.uint8)),
    "bools": case("""
        for i in range(n):
            t[i] = (b[i] > 0.0) and not t[i]
    """, t=GRID[2] > 0.5, b=GRID[0].copy()),
    "single precision": case("""
        import numpy as np
        for i in range(n):
            f[i] = f[i] / g[i] + np.sqrt(g[i]) * f[i]
    """, f=GRID[0].astype(np.float32), g=(GRID[1] + 2).astype(np.float32)),
    "rounding": case("""
        import math
        for i in range(n):
            h[i] = int(b[i] * 1000.0) + round(b[i] * 10.0) + math.floor(b[i] * 7.0)
    """, h=np.zeros(N, np.int64), b=GRID[1].copy()),
    "float remainders": case("""
        for i in range(n):
            b[i] = b[i] % 0.3 + b[i] // 0.07
    """, b=GRID[1].copy()),
    "min and max": case("""
        for i in range(n):
            b[i] = max(min(b[i], 0.25), -0.5) + abs(b[i])
    """, b=GRID[1].copy()),
    "while": case("""
        for i in range(n):
            x = i + 1
            c = 0
            while x != 1:
                x = x // 2 if x % 2 == 0 else 3 * x + 1
                c += 1
            h[i] = c
    """, h=np.zeros(N, np.int64)),
    "continue": case("""
        for i in range(n):
            for j in range(n):
                if a[i, j] < 0.0:
                    continue
                a[i, j] = a[i, j] * 3.0
    """, a=GRID),
    "break inside": case("""
        for i in range(n):
            h[i] = -1
            for j in range(n):
                if a[i, j] > 0.9:
                    h[i] = j
                    break
    """, a=GRID, h=np.zeros(N, np.int64)),
    "parallel in sequential": case("""
        for k in range(n):
            for i in range(k + 1, n):
                a[i, k] = a[i, k] / (a[k, k] + 9.0)
            for i in range(k + 1, n):
                for j in range(k + 1, n):
                    a[i, j] = a[i, j] - a[i, k] * a[k, j]
    """, a=GRID),
    "host scalars": case("""
        for t in range(5):
            w = 0.5 * t + 1.0
            m = n - t % 3
            if t == 3:
                continue
            for i in range(m):
                b[i] = b[i] * w
    """, b=GRID[0].copy()),
    "a scalar that stays there": case("""
        for t in range(5):
            w = q[t] + 1.0
            for i in range(n):
                b[i] = b[i] * w
    """, b=GRID[0].copy(), q=GRID[1].copy()),
    "a store between": case("""
        for t in range(5):
            q[t] = q[t] * 2.0
            for i in range(n):
                b[i] = b[i] + q[t]
    """, b=GRID[0].copy(), q=GRID[1].copy()),
    "a sum": case("""
        for i in range(n):
            for j in range(n):
                s += h[i, j]
    """, h=INTS, s=7),
    "a difference": case("""
        for i in range(n):
            for j in range(n):
                s -= h[i, j]
    """, h=INTS, s=7),
    "a maximum": case("""
        for i in range(n):
            for j in range(n):
                if h[i, j] > s:
                    s = h[i, j]
    """, h=INTS, s=np.int64(-10 ** 6)),
    "a minimum": case("""
        for i in range(n):
            for j in range(n):
                s = min(s, int(h[i, j]))
    """, h=INTS, s=10 ** 6),
    "bits": case("""
        for i in range(n):
            for j in range(n):
                s ^= int(h[i, j])
                o |= int(h[i, j])
    """, h=INTS, s=1, o=0),
    "a count": case("""
        for t in range(3):
            s = 0
            for i in range(n):
                if h[i, t] > 0:
                    s += 1
            k[t] = s
    """, h=INTS, k=np.zeros(3, np.int64)),
    "a sum used on the way": case("""
        for t in range(3):
            s = t
            for i in range(n):
                s += int(h[i, t])
            for i in range(n):
                g[i, t] = s
    """, h=INTS, g=np.zeros((N, N), np.int64)),
    "a sum of values of a narrow type": case("""
        for t in range(3):
            s = h[t, 0]
            for i in range(n):
                s = s + h[i, t]
            k[t] = s
    """, h=(INTS % 100).astype(np.int32), k=np.zeros(3, np.int64)),
    "a last value before a loop without a trip": case("""
        for i in range(n):
            x = p[i]
            for j in range(m):
                a[i, j] = x
    """, a=GRID, p=np.arange(N), m=0),
    "last values": case("""
        for i in range(n):
            x = b[i] * 3.0
            for j in range(3):
                y = x + j
                a[i, j] = y
    """, a=GRID.copy(), b=GRID[1].copy()),
    "an int that becomes a float": case("""
        for i in range(n):
            s = 0
            for j in range(n):
                s = s + a[i, j]
            b[i] = s
    """, a=GRID.copy(), b=GRID[1].copy()),
    "strips": case("""
        for i in range(n):
            for j in range(n):
                for k in range(n):
                    c[i, j] += a[i, k] * b[k, j]
    """, a=GRID, b=GRID + 1, c=GRID * 2),
    "names of both languages": case("""
        for new in range(n):
            uint = b[new] + 1.0
            float4 = uint * 2.0
            rt = float4
            min = rt - 1.0
            this[new] = min
    """, b=GRID[0].copy(), this=GRID[1].copy()),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_results_are_those_of_cpython(name: str, style: str) -> None:
    text, given = CASES[name]
    check(text, style, given)


UPDATES: dict[str, Case] = {
    "int64": case("""
        for i in range(n):
            h[p[i]] += 1
    """, h=np.zeros(5, np.int64), p=np.arange(N) % 5),
    "int32": case("""
        for i in range(n):
            for j in range(n):
                h[p[j]] += 3
    """, h=np.zeros(5, np.uint32), p=np.arange(N) % 5),
    "per row": case("""
        for i in range(n):
            for j in range(n):
                h[i, p[j]] += 2
    """, h=np.zeros((N, 5), np.int64), p=np.arange(N) % 5),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(UPDATES))
def test_work_items_may_update_the_same_element(name: str, style: str) -> None:
    text, given = UPDATES[name]
    if style == "opencl:grid":
        check(text, style, given)
        assert "alp_atomic" in specialised(text, style, given).sources["opencl"].text
    else:
        assert "atomic" in specialised(text, style, given).without.get("opencl", "atomic")


def test_an_atomic_addition_that_overflows_is_a_fault(style: str) -> None:
    text, given = UPDATES["int64"]
    given = {**given, "h": np.array([0, 0, 2**63 - 3, 0, 0])}
    if style == "opencl:grid":
        assert run(specialised(text, style, given), given) == (2, 1)


OFFSET = np.arange(N) - 1
FAULTS: dict[str, Case] = {
    "index": case("""
        for i in range(n):
            b[i] = q[p[i]]
    """, b=GRID[0].copy(), q=GRID[1].copy(), p=np.arange(N) + 1),
    "overflow": case("""
        for i in range(n):
            h[i] = h[i] * m
    """, h=np.arange(N) * 2 ** 40, m=2 ** 22),
    "overflow of a power": case("""
        for i in range(n):
            k[i] = m ** i
    """, k=np.zeros(N, np.int64), m=31),
    "overflow of a small type": case("""
        for i in range(n):
            u[i] = int(h[i]) * 3
    """, u=np.zeros(N, np.uint8), h=np.arange(N) * 9),
    "zero division": case("""
        for i in range(n):
            h[i] = m // h[i]
    """, h=OFFSET.copy(), m=2 ** 22),
    "zero division of floats": case("""
        for i in range(n):
            b[i] = 1.0 / float(p[i])
    """, b=GRID[0].copy(), p=OFFSET),
    "division that warns": case("""
        for i in range(n):
            b[i] = 1.0 / q[i]
    """, b=GRID[0].copy(), q=OFFSET * 1.0),
    "a quotient that is lost": case("""
        for i in range(n):
            b[i] = 1.0 / (1.0 / q[i])
    """, b=GRID[0].copy(), q=OFFSET * 1.0),
    "a comparison with infinity": case("""
        for i in range(n):
            if q[i] * 1e300 > 5.0:
                b[i] = 1.0
    """, b=GRID[0].copy(), q=OFFSET * 1e+300),
    "a product": case("""
        for i in range(n):
            b[i] = q[i] * 1e300
    """, b=GRID[0].copy(), q=OFFSET * 1e+300),
    "a root": case("""
        import numpy as np
        for i in range(n):
            b[i] = np.sqrt(q[i])
    """, b=GRID[0].copy(), q=OFFSET * 1.0),
    "a sum in an inner loop": case("""
        for i in range(n):
            s = 0.0
            for j in range(n):
                s = s + a[i, j]
            b[i] = min(s, 1.0)
    """, a=GRID * 1.7e+308, b=GRID[0].copy()),
    "a value that nothing uses": case("""
        for i in range(n):
            x = 1.0 / q[i]
            b[i] = 2.0
    """, b=GRID[0].copy(), q=OFFSET * 1.0),
    "a value that shows in a later one": case("""
        for i in range(n):
            x = 1.0 / q[i]
            b[i] = x * x + 1.0
    """, b=GRID[0].copy(), q=OFFSET * 1.0),
    "a value that is lost in a later one": case("""
        for i in range(n):
            x = 1.0 / q[i]
            b[i] = 1.0 / x + x * 0.0 if x < 3.0 else 0.0
    """, b=GRID[0].copy(), q=OFFSET * 1.0),
    "a value that a later one may not use": case("""
        for i in range(n):
            x = 1.0 / q[i]
            b[i] = x + 1.0 if m < 0 else 2.0
    """, b=GRID[0].copy(), q=OFFSET * 1.0, m=2),
    "single precision": case("""
        for i in range(n):
            f[i] = f[i] * f[i]
    """, f=(GRID[0] * 1e30).astype(np.float32)),
    "a sum of ints": case("""
        for i in range(n):
            s += h[i]
    """, h=np.arange(N) * 2 ** 59, s=5),
    "in the host's part": case("""
        for t in range(3):
            x = 5 // (m - t)
            for i in range(n):
                b[i] = b[i] + x
    """, b=GRID[0].copy(), m=2),
    "between loops, without a trip": case("""
        for i in range(n):
            x = 7 // (m - i)
            for j in range(k):
                b[j + i] = 1.0 * x
    """, b=GRID[0].copy(), m=2, k=0),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_what_raises_or_warns_is_a_fault(name: str, style: str) -> None:
    text, given = FAULTS[name]
    spec = specialised(text, style, given)
    assert not spec.without, spec.without
    assert spec.sources["opencl"].faults
    assert run(spec, given) == (2, 1)


def test_a_scalar_that_only_passes_on_what_is_looked_at_needs_no_look(style: str) -> None:
    text = """
        for i in range(n):
            x = a[i, 0] * 2.0
            y = x * x + x
            b[i] = y - a[i, 1]
    """
    spec = specialised(text, style, {"n": N, "a": GRID, "b": GRID[0].copy()})
    kernel = spec.sources["opencl"].text.partition("__kernel")[2]
    assert kernel.count("alp_watch_f64(") == 1


def test_the_host_must_know_which_names_were_set(style: str) -> None:
    text = """
        for i in range(n):
            for k in range(n):
                a[i, k] = a[i, k] * 2.0
            for j in range(m):
                s = s + b[j]
        print(j)
    """
    spec = specialised(text, style, {"n": N, "m": 3, "a": GRID, "b": GRID[0], "s": 0.0, "j": 1.5})
    assert spec.without == {"opencl": "only the device knows whether j is assigned"}
