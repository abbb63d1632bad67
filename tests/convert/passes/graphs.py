"""Graphs of a few nodes, and what a pass must leave as it is: the values."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from convert.graph.fold import drop_dead
from convert.lower import IR_VERSIONS


def graph(
    nodes: Sequence[onnx.NodeProto],
    feeds: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    opset: int = 16,
) -> onnx.ModelProto:
    """A model whose inputs have the types and shapes of the feeds."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    bare = helper.make_graph(
        nodes,
        "few",
        inputs,
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(bare, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSIONS[opset])
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    onnx.checker.check_model(inferred)
    del inferred.graph.value_info[:]
    return inferred


def run(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """All outputs by onnxruntime."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(feeds))


def rewritten(
    model: onnx.ModelProto,
    rewrite: Callable[[onnx.ModelProto, int], None],
    opset: int,
    feeds: Mapping[str, np.ndarray],
) -> list[onnx.NodeProto]:
    """The nodes after a pass, which are legal in the opset and give the same values of the same types."""
    # ONNX's shape inference counts one window too many where pools round up and transposed ones follow a rule.
    for output in model.graph.output:
        for dim in output.type.tensor_type.shape.dim:
            dim.Clear()
    wanted = run(model, feeds)
    result = onnx.ModelProto()
    result.CopyFrom(model)
    rewrite(result, opset)
    drop_dead(result.graph)
    result.opset_import[0].version = opset
    result.ir_version = IR_VERSIONS[opset]
    onnx.checker.check_model(result, full_check=True)
    for found, expected in zip(run(result, feeds), wanted, strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    return list(result.graph.node)


def kinds(nodes: Sequence[onnx.NodeProto]) -> list[str]:
    """Operators in order."""
    return [node.op_type for node in nodes]
