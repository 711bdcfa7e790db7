"""Types through control flow: unions at merges, class tags, conversions on edges, stores, rejections.

Each program is also run on a reference machine (machine.py) and compared with CPython: values and classes of all
live-outs, and array contents.
"""

from __future__ import annotations

import copy
import math
import textwrap

import numpy as np
import pytest

from alpyna_hook.analysis.inference import infer, live_out_type
from alpyna_hook.errors import InternalError, Rejection
from alpyna_hook.ir.nodes import Binary, Cast, Load, Nest, Store, walk_exprs, walk_stmts
from alpyna_hook.ir.types import REP_OF_CLASS, ArrayType, Rep, ScalarType, Type, scalar
from tests.analysis.lowering import class_of, classes, lower, typed
from tests.analysis.machine import Fault, held, run


def type_of(value: object) -> Type:
    if isinstance(value, np.ndarray):
        cls = "bool_" if value.dtype == bool else value.dtype.name
        return ArrayType(scalar(cls).rep, value.ndim, "C", value.flags.writeable)
    return scalar(class_of(value))


def execute(body: str, **values: object) -> Nest:
    """Infer the loop `body` for `values`, run it both ways, compare everything it leaves behind."""
    body = textwrap.dedent(body)
    nest = lower(body)
    result = typed(nest, **{n: type_of(v) for n, v in values.items()})
    assert isinstance(result, Nest), result
    theirs = copy.deepcopy(values)
    exec(body, {"math": math, "np": np}, theirs)
    types = dict(result.types)
    env = {
        n: copy.deepcopy(v) if isinstance(v, np.ndarray) else held(v, types[n].rep)
        for n, v in values.items() if n in types
    }  # fmt: skip
    run(result, env)
    for name, value in theirs.items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(env[name], value)
    for out in result.live_outs:
        if out.name not in theirs:
            continue
        kind = live_out_type(result, out.name)
        cls = class_of(theirs[out.name])
        assert cls in kind.classes, (out, kind, cls)
        assert bool(out.tag) == (len(kind.classes) > 1)
        assert not out.tag or sorted(kind.classes)[env[out.tag]] == cls, (out.name, kind, env[out.tag], cls)
        want = held(theirs[out.name], kind.rep)
        assert env[out.name] == want or want != want, (out.name, env[out.name], want)
    return result


A = np.array([1.5, -2.0, 3.25, 0.0])
A32 = A.astype(np.float32)
I64 = np.array([3, -1, 4, 1])
U8 = np.array([3, 200, 4, 1], np.uint8)


@pytest.mark.parametrize("start", [0.0, 0, np.float64(1), np.int64(2)])
def test_a_float_sum_is_float64_after_one_trip_whatever_it_started_from(start: object) -> None:
    if isinstance(start, np.int64):
        assert rejected("for i in range(4):\n    s += a[i]\n", s=start, a=A) == "type-unstable"
        return
    nest = execute("for i in range(4):\n    s += a[i]\n", s=start, a=A)
    assert classes(nest, "s") == "float64"
    assert not any(out.tag for out in nest.live_outs)


def test_an_int_start_of_a_float_sum_costs_nothing_in_the_loop() -> None:
    nest = execute("for i in range(4):\n    s += a[i]\n", s=0, a=A)
    assert not any(isinstance(e, Cast) for e in walk_exprs(nest.body))


def test_a_start_in_the_outer_loop_is_a_constant_of_the_final_type() -> None:
    nest = execute(
        """
        for i in range(2):
            s = 0
            for j in range(2):
                s += a[2 * i + j]
            b[i] = s
        """, a=A, b=np.zeros(2),
    )  # fmt: skip
    assert classes(nest, "s") == "float64|int@f64"
    assert not any(isinstance(e, Cast) for e in walk_exprs(nest.body))


def test_a_sum_over_float32_may_start_from_zero_or_a_float() -> None:
    for start in (0, 0.0, 0.5):
        nest = execute("for i in range(4):\n    s += a[i]\n", s=start, a=A32)
        assert classes(nest, "s") == "float32"


def test_a_conditional_assignment_leaves_a_tag() -> None:
    body = """
        for i in range(4):
            if a[i] > m:
                m = a[i]
    """
    for start in (-1e9, 1e9, 2.0):
        nest = execute(body, m=start, a=A)
        assert classes(nest, "m") == "float|float64"
    for start in (0, -10, 1000):
        assert classes(execute(body, m=start, a=I64), "m") == "int|int64"
        assert classes(execute(body, m=start, a=A), "m") == "float64|int@f64"
    for start in (0, 100, 255):
        assert classes(execute(body, m=start, a=U8), "m") == "int|uint8@u8"


def test_min_and_max_unite_the_classes_of_their_operands() -> None:
    for x in (-5.0, 0.5, 100.0):
        nest = execute("for i in range(3):\n    r = max(0, min(x, a[i]))\n", x=x, a=A)
        assert classes(nest, "r") == "float|float64|int@f64"


def test_tags_flow_through_copies_and_arithmetic() -> None:
    for a in (A, -A):
        nest = execute(
            """
            for i in range(4):
                if a[i] > 1:
                    m = a[i]
                t = m
                u = t * 2.0 if i < 3 else -t
            """, m=0.5, a=a,
        )  # fmt: skip
        assert classes(nest, "u") == "float|float64"


def test_a_tag_is_about_the_classes_at_exit() -> None:
    body = """
        for i in range(4):
            t = k[i]
            u = t
            t = a[i] if k[i] > 2 else 1.0
            v = t if i < 2 else u * 0.5
    """
    for k in (I64, -I64, I64[::-1].astype(np.int32)):
        nest = execute(body, a=A, k=k.copy())
        assert classes(nest, "t") == classes(nest, "v") == "float|float64"


def test_a_tag_is_read_before_its_scalar_is_overwritten() -> None:
    for x in (0.0, 3.0):
        execute("for i in range(4):\n    m = m if m > a[i] else a[i]\n    x, m = m, x\n", m=1.0, x=x, a=A)


def test_tags_survive_break_and_continue() -> None:
    for stop in range(5):
        execute(
            """
            for i in range(4):
                if i == stop:
                    found = a[i]
                    break
                if i == 1:
                    continue
                found = 1.5
            """, a=A, stop=stop, found=-1,
        )  # fmt: skip


def test_a_result_of_another_representation_leaves_the_loop_by_break() -> None:
    for stop in (1, 9):
        nest = execute(
            """
            for i in range(2):
                found = -1
                for j in range(4):
                    if j == stop:
                        found = a[j]
                        break
                b[i] = found
            """, a=A, stop=stop, b=np.zeros(2),
        )  # fmt: skip
        assert classes(nest, "found") == "float64|int@f64"


def test_a_sum_may_take_in_ints_and_floats() -> None:
    body = "for i in range(4):\n    if a[i] > 1:\n        t += a[i]\n    elif a[i] < 0:\n        t -= 1\n"
    for a in (A, -A, np.zeros(4), A32, -A32):
        assert classes(execute(body, t=0, a=a), "t").startswith("float")
    with pytest.raises(Fault):
        execute(body, t=1 - 2**53, a=-A)
    assert rejected("for i in range(4):\n    t = -t\n    t += a[i]\n", t=0, a=A) == "type-unstable"


def test_one_name_may_be_an_int_and_then_a_float() -> None:
    nest = execute(
        """
        for i in range(4):
            t = i * 2
            k = t // 3
            t = t * 0.5
            b[k] += t
        """, b=np.zeros(4),
    )  # fmt: skip
    assert classes(nest, "t") == "float"


def test_a_name_of_two_types_on_two_paths_is_only_rejected_where_it_is_read() -> None:
    body = """
        for i in range(2):
            if i:
                t = a[i]
            else:
                t = k[i]
            {use}
            t = 0.0
    """
    assert classes(execute(body.format(use="pass"), a=A, k=I64), "t") == "float"
    assert rejected(body.format(use="b[i] = t"), a=A, k=I64, b=A) == "type-unstable"


def test_a_live_in_int_is_used_as_an_int_before_it_becomes_a_float() -> None:
    nest = execute("for i in range(3):\n    b[int(s) % 4] = s\n    s = s + 0.5\n", s=3, b=np.zeros(4))
    assert classes(nest, "s") == "float"


def test_while_keeps_the_entry_class_where_it_may_make_no_trip() -> None:
    for limit in (0.0, 10.0):
        nest = execute("while s < limit:\n    s += a[0]\n", s=1.0, a=A, limit=limit)
        assert classes(nest, "s") == "float|float64"


def test_while_true_leaves_by_break_only() -> None:
    nest = execute("while True:\n    s = a[k]\n    k += 1\n    if s > 1:\n        break\n", s=0, k=1, a=A)
    assert classes(nest, "s") == "float64"


def test_nested_loops_may_make_no_trip() -> None:
    for n in (0, 2):
        nest = execute("for i in range(2):\n    for j in range(n):\n        s += a[j]\n", s=0.0, a=A, n=n)
        assert classes(nest, "s") == "float|float64"


def test_loop_variables_are_ints_even_over_numpy_bounds() -> None:
    nest = execute("for i in range(np.int64(1), n):\n    pass\n", n=np.int32(4))
    assert classes(nest, "i") == "int"


def test_tests_of_any_number_are_truth_values() -> None:
    execute("for i in range(4):\n    if a[i] and not k[i] - 1 or i:\n        c += 1\n", a=A, k=I64, c=0)
    execute("for i in range(4):\n    c += 1 if a[i] else 2\n", a=A, c=0)
    execute("for i in range(4):\n    c = a[i] > 1 and k[i] > 1\n", a=A, k=I64, c=0)


def test_stores_convert_to_the_element_type() -> None:
    for dtype in ("float64", "float32", "int64", "int16", "uint8", "bool", "complex64", "complex128"):
        for value in (3, 2.75, True, np.float64(1.5), np.float32(2.5), np.int16(7), np.uint64(9), np.bool_(True)):
            execute("for i in range(2):\n    b[i] = v\n", b=np.zeros(2, dtype), v=value)


def test_augmented_assignment_computes_in_the_promoted_type_and_stores_back() -> None:
    arrays = {"b": I64.copy(), "a": np.floor(A), "u": U8.copy()}
    execute("for i in range(4):\n    b[i] += a[i]\n    u[i] = u[i] // 2 + 1\n", **arrays)


def test_a_float_that_becomes_complex_may_be_assigned_a_float_again() -> None:
    z = np.arange(8) + 0.5j
    body = "    if i <= 3:\n        s = i / 0.3\n    if i > {}:\n        s += -2.75 * z[i]\n    z[i] = 1.0\n"
    for last in (5, 9):
        execute("for i in range(8):\n" + body.format(last), s=0.0, z=z.copy())


def test_complex_arithmetic() -> None:
    z = np.array([1 + 2j, -0.5j])
    execute("for i in range(2):\n    s = s * z[i] + 1\n    z[i] = s\n", s=0j, z=z)
    execute("for i in range(2):\n    s = s * z[i] + 1\n    z[i] = s\n", s=0, z=z.astype(np.complex64))


def test_numpy_integers_keep_their_width() -> None:
    execute("for i in range(4):\n    h = (h ^ 3) & 0xFFFFFFFFFFFFFFFF\n", h=np.uint64(2**63 + 5))
    nest = execute("for i in range(4):\n    h = h * 31 + u[i]\n    h = h % 7\n", h=np.uint32(1), u=U8)
    assert classes(nest, "h") == "uint32"
    nest = execute("for i in range(4):\n    s += u[i] > 3\n", s=0, u=U8)
    assert classes(nest, "s") == "int64"


def test_a_python_float_zero_division_is_checked_and_a_numpy_one_is_not() -> None:
    nest = typed(lower("for i in range(4):\n    a[i] = 1.0 / x + 1.0 / a[i]\n"), a="float64[1]", x="float")
    checks = [e.checks for e in walk_exprs(nest.body) if isinstance(e, Binary) and e.op == "/"]
    assert sorted(map(sorted, checks)) == [[], ["zero"]]


def test_accesses_start_out_checked_and_elements_have_the_representation_of_the_array() -> None:
    nest = typed(lower("for i in range(4):\n    a[i, 0] = b[i - 1] + 1\n"), a="float32[2]", b="int16[1]")
    loads = [e for e in walk_exprs(nest.body) if isinstance(e, Load)]
    stores = [s for s in walk_stmts(nest.body) if isinstance(s, Store)]
    assert [e.modes for e in loads] == [("checked",)] and stores[0].modes == ("checked", "checked")
    assert stores[0].value.type.rep is Rep.F32 and loads[0].type == scalar("int16")


def test_constants_are_converted_at_compile_time() -> None:
    nest = typed(lower("for i in range(4):\n    a[i] = 2 * a[i] + 1\n"), a="float64[1]")
    assert not any(isinstance(e, Cast) for e in walk_exprs(nest.body))


def test_a_power_that_numpy_computes_on_arrays_is_left_alone() -> None:
    # 0.1 ** np.int8(2) is 0.1 * 0.1, np.float64(0.1) ** 2 is pow(0.1, 2.0)
    assert rejected("for i in range(4):\n    a[i] = k[i] ** 0.5\n", a=A, k=I64) == "operation-unsupported"
    execute("for i in range(4):\n    b[i] = abs(a[i]) ** 0.5 + a[i] ** 2\n", a=A, b=np.zeros(4))


def rejected(body: str, **values: object) -> str:
    given = (str, ScalarType, ArrayType)
    result = typed(lower(body), **{n: v if isinstance(v, given) else type_of(v) for n, v in values.items()})
    assert isinstance(result, Rejection), result
    assert result.title and result.label and result.span.line >= 3
    return result.code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("b[i] = a[i]", "rank-mismatch"),
        ("b[i, 0, 0] = 1.0", "rank-mismatch"),
        ("b[x, 0] = 1.0", "index-type"),
        ("b[q, 0] = 1.0", "index-type"),
        ("b[i, 0] = a", "whole-array"),
        ("b[i, 0] = x[i]", "not-an-array"),
        ("b[i, 0] = math.gamma(x)", "call-unsupported"),
        ("b[i, 0] = math.hypot(x, x)", "call-unsupported"),
        ("b[i, 0] = z", "complex-to-real"),
        ("b[i, 0] = z < 1", "operation-unsupported"),
        ("b[i, 0] = q - q", "operation-unsupported"),
        ("b[i, 0] = x & 1", "operation-unsupported"),
        ("b[i, 0] = round(x, 2)", "call-unsupported"),
        ("s = 18446744073709551615", "wide-int"),
        ("c[i] = 1.0", "array-read-only"),
        ("s = k[i] if i else h[i]", "type-unstable"),
    ],
)
def test_what_cannot_be_typed_is_rejected_with_a_span(body: str, code: str) -> None:
    types: dict[str, object] = {
        "a": "float64[1]", "b": "float64[2]", "c": ArrayType(Rep.F64, 1, "C", writeable=False), "k": "int64[1]",
        "h": "int32[1]", "x": "float", "z": "complex", "q": "bool_", "s": "int",
    }  # fmt: skip
    assert rejected(f"for i in range(4):\n    {body}\n", **types) == code


def test_a_bool_is_no_range_bound_of_numpy() -> None:
    assert rejected("for i in range(n):\n    x = i\n", n=np.bool_(True)) == "index-type"
    assert rejected("for i in range(n):\n    x = i\n", n=2.0) == "index-type"


def test_a_missing_type_is_an_internal_error() -> None:
    with pytest.raises(InternalError):
        infer(lower("for i in range(n):\n    x = i\n"), {}, {})


def test_every_class_has_a_representation() -> None:
    assert all(isinstance(rep, Rep) for rep in REP_OF_CLASS.values())
