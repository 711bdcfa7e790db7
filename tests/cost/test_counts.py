"""Counts: what a nest does, by class, with symbolic trip counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build import F64, dot, load, loop, matmul, nest, num, op, saxpy, store, tiny, triangle, var, vector

from alpyna_hook.cost.branches import EXTREME_TAKEN, PREDICTED
from alpyna_hook.cost.counts import LoopCount, count, loops
from alpyna_hook.errors import InternalError
from alpyna_hook.ir.affine import QConst, QDim, QParam, evaluate, pretty
from alpyna_hook.ir.nodes import Assign, Binary, Break, Call, Compare, If, LiveIn, Logical, Nest, Var, While
from alpyna_hook.ir.types import BOOL, FLOAT, INT, scalar


def only(counts) -> LoopCount:
    (loop_count,) = loops(counts.root)
    return loop_count


def test_saxpy_counts_two_flops_two_loads_and_a_store_per_trip():
    body = only(count(saxpy())).body
    assert dict(body.ops) == {"add.f64": 1, "mul.f64": 1}
    assert [(a.array, a.store) for a in body.accesses] == [("x", False), ("y", False), ("y", True)]
    assert all(dict(a.strides) == {"i": QConst(8)} for a in body.accesses)
    assert dict(body.interp) == {"range_iter": 1, "load1": 2, "np_arith": 2, "store1": 1}


def test_a_unit_stride_loop_without_carried_values_is_vectorisable_and_a_sum_is_not():
    assert only(count(saxpy())).vectorisable
    assert not only(count(dot())).vectorisable


def test_a_float_sum_is_bound_by_the_latency_of_one_addition_per_trip():
    assert only(count(dot())).body.chain == (("add.f64", 1.0),)


def test_strides_are_bytes_per_counter_with_the_arrays_own_dimensions():
    i_loop, j_loop, k_loop = loops(count(matmul()).root)
    a, b = k_loop.body.accesses
    env = {QDim("a", 1): 50, QDim("b", 1): 70}
    assert {c: evaluate(q, env) for c, q in a.strides} == {"i": 400, "k": 8}
    assert {c: evaluate(q, env) for c, q in b.strides} == {"j": 8, "k": 560}


def test_a_value_carried_through_the_previous_element_is_a_chain_with_store_forwarding():
    i = var("i")
    value = op("+", load("p", op("-", i, num(1))), load("a", i))
    scan = nest(loop("i", 1, var("n"), store("p", (i,), value)), {"p": vector(), "a": vector()}, n=INT)
    body = only(count(scan)).body
    assert dict(body.chain) == {"add.f64": 1, "forward": 1}


def test_an_accumulator_element_that_stays_put_is_kept_in_a_register():
    i, j = var("i"), var("j")
    value = op("+", load("y", i), load("a", i, j))
    rows = nest(
        loop("i", 0, var("n"), loop("j", 0, var("n"), store("y", (i,), value))),
        {"y": vector(), "a": vector(ndim=2)}, n=INT,
    )  # fmt: skip
    inner = list(loops(count(rows).root))[1]
    assert inner.body.chain == (("add.f64", 1.0),)


def test_a_load_of_what_a_later_trip_stores_is_no_chain():
    i = var("i")
    value = op("+", load("p", op("+", i, num(1))), load("a", i))
    shift = nest(loop("i", 0, var("n"), store("p", (i,), value)), {"p": vector(), "a": vector()}, n=INT)
    assert only(count(shift)).body.chain == ()


def test_an_indirect_subscript_has_unknown_strides():
    i = var("i")
    where = load("idx", i, elem=INT)
    value = op("+", load("h", where), num(1.0))
    arrays = {"idx": vector("int64"), "h": vector()}
    histogram = nest(loop("i", 0, var("n"), store("h", (where,), value)), arrays, n=INT)
    by_array = {(a.array, a.store): a.strides for a in only(count(histogram)).body.accesses}
    assert by_array["h", True] is None and by_array["h", False] is None
    assert by_array["idx", False] is not None


def test_an_int_stepped_by_a_constant_is_an_induction_with_that_slope():
    k = var("k")
    walk = (store("x", (k,), var("alpha", FLOAT)), Assign("k", op("+", k, num(2))))
    stepped = nest(loop("i", 0, var("n"), *walk), {"x": vector()}, n=INT, k=INT, alpha=FLOAT)
    assert dict(only(count(stepped)).body.accesses[0].strides) == {"i": QConst(16)}


def test_index_arithmetic_is_free_in_compiled_code_but_not_in_the_interpreter():
    i = var("i")
    shifted = nest(
        loop("i", 0, var("n"), store("x", (op("+", op("*", num(2), i), num(1)),), var("alpha", FLOAT))),
        {"x": vector()}, n=INT, alpha=FLOAT,
    )  # fmt: skip
    body = only(count(shifted)).body
    assert body.ops == ()
    assert dict(body.interp)["int_arith"] == 2


def test_branches_count_half_and_forbid_vector_code_where_they_store():
    i = var("i")
    positive = Compare(">", load("x", i), num(0.0), type=BOOL)
    guarded = nest(
        loop("i", 0, var("n"), If(positive, (store("x", (i,), var("alpha", FLOAT)),), ())),
        {"x": vector()}, n=INT, alpha=FLOAT,
    )  # fmt: skip
    found = only(count(guarded))
    assert [a.weight for a in found.body.accesses if a.store] == [0.5]
    assert dict(found.body.ops)["branch"] == 1
    assert not found.vectorisable


def guarded_store(test_op: str, mirrored: bool, value: float) -> Nest:
    """for i: if x[i] OP y[i]: y[i] = x[i] * value; the comparison may be written the other way round"""
    i = var("i")
    tested, kept = op("*", load("x", i), num(2.0)), op("*", load("x", i), num(value))
    sides = (load("y", i), tested) if mirrored else (tested, load("y", i))
    branch = If(Compare(test_op, *sides, type=BOOL), (store("y", (i,), kept),), ())
    return nest(loop("i", 0, var("n"), branch), {"x": vector(), "y": vector()}, n=INT)


@pytest.mark.parametrize("test_op", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_running_extreme_is_seldom_replaced_and_its_test_is_predicted(test_op: str, mirrored: bool):
    body = only(count(guarded_store(test_op, mirrored, 2.0))).body
    assert [a.weight for a in body.accesses if a.store] == [EXTREME_TAKEN]
    assert PREDICTED < dict(body.ops)["branch"] < 0.5
    for other in (guarded_store("==", mirrored, 2.0), guarded_store(test_op, mirrored, 3.0)):
        body = only(count(other)).body
        assert [a.weight for a in body.accesses if a.store] == [0.5] and dict(body.ops)["branch"] == 1


def test_a_running_extreme_may_be_a_variable():
    best = var("best", FLOAT)
    value = load("x", var("i"))
    branch = If(Compare("<", value, best, type=BOOL), (Assign("best", value),), ())
    body = only(count(nest(loop("i", 0, var("n"), branch), {"x": vector()}, n=INT, best=FLOAT))).body
    assert dict(body.ops)["branch"] < 0.5


def test_trip_counts_of_while_and_of_data_dependent_ranges_are_unknown_leaves():
    test = Compare("<", var("x", FLOAT), num(9.0), type=BOOL)
    grow = Assign("x", op("*", var("x", FLOAT), num(2.0)))
    counts = count(nest(While(test, (grow,)), {}, x=FLOAT))
    assert counts.unknown == (QParam("@while0"),) and counts.trip_leaves == ()
    first, last = load("ptr", var("i"), elem=INT), load("ptr", op("+", var("i"), num(1)), elem=INT)
    inner = loop("k", first, last, store("x", (var("k"),), num(0.0)))
    rows = nest(loop("i", 0, var("n"), inner), {"ptr": vector("int64"), "x": vector()}, n=INT)
    assert count(rows).unknown == (QParam("@while0"),)


def test_a_loop_with_a_break_runs_part_of_its_range():
    found = Compare("==", load("x", var("i")), num(0.0), type=BOOL)
    search = nest(loop("i", 0, var("n"), If(found, (Break(),), ())), {"x": vector()}, n=INT)
    assert only(count(search)).trip_share == 0.5


def test_deciding_leaves_are_those_of_trip_counts_only():
    assert count(saxpy()).trip_leaves == (QParam("n"),)
    assert count(triangle()).trip_leaves == (QParam("n"),)
    assert count(tiny()).trip_leaves == ()


def test_checks_make_a_nest_able_to_fault():
    i = var("i")
    watched = op("/", var("alpha", FLOAT), load("x", i), checks=frozenset({"zero"}))
    division = nest(loop("i", 0, var("n"), store("x", (i,), watched)), {"x": vector()}, n=INT, alpha=FLOAT)
    counts = count(division)
    assert counts.can_fault and dict(only(counts).body.ops)["check"] == 1
    assert not count(saxpy()).can_fault


def test_written_arrays_are_known_with_their_size():
    counts = count(saxpy())
    assert [(a.name, a.written) for a in counts.arrays] == [("x", False), ("y", True)]
    assert evaluate(counts.arrays[1].size, {QDim("y", 0): 10}) == 80


def test_untyped_ir_is_refused():
    untyped = nest(loop("i", 0, var("n"), Assign("s", Binary("*", Var("x"), Var("x")))), {}, n=INT, x=FLOAT, s=FLOAT)
    with pytest.raises(InternalError):
        count(untyped)


def test_numpy_scalar_arithmetic_is_told_from_python_arithmetic():
    p, x = var("p", F64), var("x", FLOAT)
    body = (Assign("t", op("*", x, x)), Assign("u", op("*", p, x)))
    counts = count(nest(loop("i", 0, var("n"), *body), {}, n=INT, p=F64, x=FLOAT, t=FLOAT, u=F64))
    interp = dict(only(counts).body.interp)
    assert interp["float_arith"] == 1 and interp["np_arith"] == 1


def stepping(test_op: str, bound, step: int, start=None) -> Nest:
    """[k = start]; while k OP bound: x[k] = alpha; k += step"""
    k = var("k")
    test = Compare(test_op, k, bound, type=BOOL)
    body = (store("x", (k,), var("alpha", FLOAT)), Assign("k", op("+", k, num(step))))
    one = nest(While(test, body), {"x": vector()}, n=INT, k=INT, alpha=FLOAT)
    live = (*one.live_ins, LiveIn("k", "k")) if start is None else one.live_ins
    before = () if start is None else (Assign("k", num(start)),)
    return replace(one, body=(*before, *one.body), live_ins=live)


@pytest.mark.parametrize(
    ("test_op", "bound", "step", "start", "stop"),
    [("<", "n", 1, 0, "n"), ("<=", "n", 2, None, "(n + 1)"), (">", 0, -1, None, "0"), (">=", 0, -3, None, "-1")],
)
def test_a_while_over_an_induction_variable_is_a_range(test_op, bound, step, start, stop):
    limit = var(bound) if isinstance(bound, str) else num(bound)
    counts = count(stepping(test_op, limit, step, start))
    found = only(counts)
    assert found.start == (QParam("k") if start is None else QConst(start))
    assert (pretty(found.stop), found.step) == (stop, QConst(step))
    assert counts.unknown == () and not found.vectorisable


@pytest.mark.parametrize(("test_op", "step"), [("<", -1), (">", 1), ("==", 1)])
def test_a_while_that_steps_away_from_its_bound_has_an_unknown_trip_count(test_op, step):
    assert count(stepping(test_op, var("n"), step)).unknown == (QParam("@while0"),)


def test_a_while_with_another_condition_besides_runs_part_of_its_range():
    k = var("k")
    escape = Compare("<", var("x", FLOAT), num(4.0), type=BOOL)
    test = Logical("and", Compare("<", k, var("n"), type=BOOL), escape, type=BOOL)
    body = (Assign("x", op("*", var("x", FLOAT), var("x", FLOAT))), Assign("k", op("+", k, num(1))))
    one = nest(While(test, body), {}, n=INT, k=INT, x=FLOAT)
    one = replace(one, body=(Assign("k", num(0)), *one.body))
    assert only(count(one)).trip_share == 0.5


def test_a_bound_that_the_loop_changes_bounds_nothing():
    k, n = var("k"), var("n")
    body = (Assign("n", op("-", n, k)), Assign("k", op("+", k, num(1))))
    one = nest(While(Compare("<", k, n, type=BOOL), body), {}, n=INT, k=INT)
    one = replace(one, live_ins=(LiveIn("n", "n"), LiveIn("k", "k")))
    assert count(one).unknown == (QParam("@while0"),)


def test_a_periodic_subscript_moves_like_what_is_wrapped():
    i = var("i")
    around = nest(
        loop("i", 0, var("n"), store("y", (i,), load("x", op("%", op("+", i, num(1)), var("n"))))),
        {"x": vector(), "y": vector()}, n=INT,
    )  # fmt: skip
    (read, _) = only(count(around)).body.accesses
    assert dict(read.strides) == {"i": QConst(8)}


def test_a_periodic_neighbour_with_a_name_moves_like_what_is_wrapped():
    i, n = var("i"), var("n")
    wrapped = Binary("%", op("+", i, num(1)), n, type=INT)
    body = loop("i", 0, n, Assign("up", wrapped), store("y", (i,), load("x", var("up"))))
    load_x, store_y = only(count(nest(body, {"x": vector(), "y": vector()}, n=INT, up=INT))).body.accesses
    assert load_x.strides == store_y.strides == (("i", QConst(8)),)
    assert load_x.bent == {"i"} and not store_y.bent


def test_a_name_that_data_decide_later_is_no_neighbour_any_more():
    i, n = var("i"), var("n")
    wrapped = Binary("%", op("+", i, num(1)), n, type=INT)
    chosen = Assign("up", load("idx", i, elem=INT))
    body = loop("i", 0, n, Assign("up", wrapped), chosen, store("y", (i,), load("x", var("up"))))
    counts = count(nest(body, {"x": vector(), "y": vector(), "idx": vector("int64")}, n=INT, up=INT))
    assert next(a for a in only(counts).body.accesses if a.array == "x").strides is None


def test_a_clamped_subscript_moves_by_its_stride_but_not_in_whole_vectors():
    i, n = var("i"), var("n")
    clamped = Call("min", (op("+", i, num(1)), op("-", n, num(1))), type=INT)
    one = nest(loop("i", 0, n, store("y", (i,), load("x", clamped))), {"x": vector(), "y": vector()}, n=INT)
    body = only(count(one)).body
    load_x, _ = body.accesses
    assert load_x.strides == (("i", QConst(8)),) and load_x.bent == {"i"}
    assert dict(body.ops)["min.int"] == 1


@pytest.mark.parametrize("divisor, expected", [(2, "bit.int"), (-8, "bit.int"), (10, "mul.int"), (None, "idiv.int")])
def test_division_by_a_constant_is_no_division(divisor: int | None, expected: str):
    right = var("m") if divisor is None else num(divisor)
    value = Binary("//", load("x", var("i"), elem=INT), right, type=INT)
    one = nest(loop("i", 0, var("n"), store("x", (var("i"),), value)), {"x": vector("int64")}, n=INT, m=INT)
    assert dict(only(count(one)).body.ops) == {expected: 1}


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("float64", "float64", "np_arith"), ("float64", INT, "np_arith"), ("float64", "uint8", "np_mixed"),
        ("int64", INT, "np_int_arith"), ("int64", FLOAT, "np_int_float"), ("float32", FLOAT, "np_arith"),
        (FLOAT, INT, "float_arith"), ("complex128", FLOAT, "np_arith"), (scalar("int64"), "uint8", "np_mixed"),
    ],
)  # fmt: skip
def test_arithmetic_of_numpy_scalars_is_priced_by_what_numpy_converts(left, right, expected: str):
    kinds = [scalar(t) if isinstance(t, str) else t for t in (left, right)]
    product = Binary("*", var("p", kinds[0]), var("q", kinds[1]), type=F64)
    one = nest(loop("i", 0, var("n"), Assign("t", product)), {}, n=INT, p=kinds[0], q=kinds[1], t=F64)
    assert dict(only(count(one)).body.interp)[expected] == 1


@pytest.mark.parametrize(
    ("fn", "args", "expected"),
    [("min", 2, "builtin2_call"), ("abs", 1, "builtin_call"), ("int", 1, "int_call"), ("math.exp", 1, "math_call")],
)
def test_builtins_are_priced_by_what_they_do(fn: str, args: int, expected: str):
    call = Call(fn, tuple(var("x", FLOAT) for _ in range(args)), type=FLOAT)
    one = nest(loop("i", 0, var("n"), Assign("t", call)), {}, n=INT, x=FLOAT, t=FLOAT)
    assert dict(only(count(one)).body.interp)[expected] == 1


def test_a_range_to_or_from_data_runs_half_of_the_way_from_or_to_zero():
    i, j, n = var("i"), var("j"), var("n")
    data = load("w", i, elem=INT)

    def inner(start, stop, step: int) -> tuple[LoopCount, tuple]:
        work = loop("j", start, stop, store("x", (j,), num(0.0)), step=step)
        counts = count(nest(loop("i", 0, n, work), {"w": vector("int64"), "x": vector()}, n=INT))
        return list(loops(counts.root))[1], counts.unknown

    for start, stop, step in ((n, data, -1), (data, n, 1)):
        found, unknown = inner(start, stop, step)
        assert found.trip_share == 0.5 and not unknown and QParam("n") in (found.start, found.stop)
    assert inner(num(0), data, 1)[1] and inner(data, data, 1)[1]
