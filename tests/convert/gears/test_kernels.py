"""What GE's own kernels compute, and what they do not."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from convert.gears.kernels import LISTED, OWN, listed, own


def node(op, *inputs, **attributes):
    return helper.make_node(op, list(inputs), ["y"], **attributes)


def i64(*values):
    return np.array(values, np.int64)


def f32(*values):
    return np.array(values, np.float32)


def test_the_operators_of_our_own_graphs():
    assert set(OWN) == {"Shape", "Cast", "Gather", "Sub", "Mul", "Add", "Greater"}
    assert set(OWN) <= LISTED


COMPUTED = {
    "sizes": (node("Shape", "x"), ()),
    "int64 to int32": (node("Cast", "x", to=TensorProto.INT32), (i64(1),)),
    "int32 to float": (node("Cast", "x", to=TensorProto.FLOAT), (np.int32([1]),)),
    "rows by a vector": (node("Gather", "x", "i", axis=0), (i64(1, 2, 3), i64(2, 0))),
    "half rows": (node("Gather", "x", "i", axis=0), (np.float16([1, 2]), i64(1))),
    "columns": (node("Gather", "x", "i", axis=-1), (np.ones((2, 3), np.int32), i64(1))),
    "sum": (node("Add", "x", "y"), (i64(1, 2), i64(3))),
    "difference": (node("Sub", "x", "y"), (f32(1), f32(3))),
    "product of scalars": (node("Mul", "x", "y"), (np.int32(1), np.int32(3))),
    "comparison": (node("Greater", "x", "y"), (i64(1, 2), i64(3))),
}
LEFT = {
    "part of the sizes": (node("Shape", "x", start=2), (), "gives all sizes"),
    "bool to int32": (node("Cast", "x", to=TensorProto.INT32), (np.array([True]),), "has no bool to int32"),
    "int64 to float": (node("Cast", "x", to=TensorProto.FLOAT), (i64(1),), "has no int64 to float"),
    "float rows": (node("Gather", "x", "i", axis=0), (f32(1, 2), i64(1)), "has no float32"),
    "by a scalar": (node("Gather", "x", "i", axis=0), (i64(1, 2), np.int64(1)), "rank 1, these have rank 0"),
    "by a matrix": (node("Gather", "x", "i", axis=0), (i64(1, 2), i64([1])), "rank 1, these have rank 2"),
    "beyond the rows": (node("Gather", "x", "i", axis=0), (i64(1, 2), i64(2)), "indices from 0 to 1"),
    "from the back": (node("Gather", "x", "i", axis=0), (i64(1, 2), i64(-1)), "indices from 0 to 1"),
    "fifth axis": (node("Gather", "x", "i", axis=4), (np.ones((1,) * 5, np.int32), i64(0)), "axes 0 to 3, this is 4"),
    "two types": (node("Add", "x", "y"), (i64(1), np.int32([1])), "Add does not take int32, int64"),
    "sum of bool": (node("Add", "x", "y"), (np.array([True]), np.array([True])), "Add does not take bool"),
    "of nothing": (node("Mul", "x", "y"), (i64(), i64()), "or nothing at all"),
    "another operator": (node("ReduceMin", "x"), (i64(1),), "ReduceMin is none of Shape, Cast, Gather, Sub, Mul"),
}


@pytest.mark.parametrize("case", COMPUTED)
def test_computed(case):
    assert own(*COMPUTED[case]) is None


@pytest.mark.parametrize("case", LEFT)
def test_left_for_the_run(case):
    given, operands, reason = LEFT[case]
    assert reason in own(given, operands)


@pytest.mark.parametrize("op", ["Slice", "Concat", "Unsqueeze", "Div", "Equal", "Where", "ConstantOfShape", "Range"])
def test_shape_arithmetic_of_exporters_is_listed(op):
    assert listed(node(op, "x"), ()) is None


@pytest.mark.parametrize("op", ["ReduceMin", "ArgMax", "Min", "Mod", "Floor", "Not", "NonZero"])
def test_what_no_list_names_is_not(op):
    assert f"a kernel that computes {op} while" in listed(node(op, "x"), ())
