import onnx
import pytest
from onnx import TensorProto, helper

from convert.graph.inference import inferred
from convert.sound.types import type_problems

FLOAT, INT64, HALF = TensorProto.FLOAT, TensorProto.INT64, TensorProto.FLOAT16


def problems(op, *kinds, **attributes):
    names = [f"x{index}" if kind else "" for index, kind in enumerate(kinds)]
    given = [helper.make_tensor_value_info(name, kind, [2, 2]) for name, kind in zip(names, kinds, strict=True) if name]
    graph = helper.make_graph(
        [helper.make_node(op, names, ["y"], **attributes)], "g", given, [onnx.ValueInfoProto(name="y")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return list(type_problems(inferred(model), 13))


@pytest.mark.parametrize(
    ("op", "kinds"),
    [
        ("Mul", [FLOAT, FLOAT]),
        ("Where", [TensorProto.BOOL, INT64, INT64]),
        ("Gather", [HALF, INT64]),
        ("Concat", [INT64, INT64, INT64]),
        ("Clip", [FLOAT, None, FLOAT]),
        ("Resize", [FLOAT, None, FLOAT]),
    ],
)
def test_what_onnx_defines_is_taken(op, kinds):
    assert problems(op, *kinds, **({"axis": 0} if op == "Concat" else {})) == []


@pytest.mark.parametrize(
    ("op", "kinds", "problem"),
    [
        (
            "Mul",
            [INT64, FLOAT],
            "node 'y' (Mul) takes tensor(int64) and tensor(float) ('x1') together, which must be one",
        ),
        ("Sigmoid", [INT64], "node 'y' (Sigmoid) does not take the tensor(int64) 'x0' as its X"),
        ("Gather", [FLOAT, FLOAT], "node 'y' (Gather) does not take the tensor(float) 'x1' as its indices"),
        ("Resize", [FLOAT], "node 'y' (Resize) has neither scales nor sizes"),
    ],
)
def test_what_it_does_not_is_named(op, kinds, problem):
    assert problems(op, *kinds)[0].startswith(problem)
