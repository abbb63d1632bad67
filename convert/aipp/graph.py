"""The stand-in's first nodes do what AIPP does: uint8 (batch, height, width, 3) BGR -> the network's float input.

Transpose, Gather (the swap), Cast, Sub, Sub, Mul, Cast to float16 and back: AIPP's arithmetic to the bit,
because AIPP hands on float16 whatever the precision mode. The lowered graph stays as it is: atc puts AIPP before it.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from convert.aipp.config import CHANNELS, Aipp
from convert.graph.rewrite import copy_of, set_nodes
from convert.graph.walk import rename

INPUT = "input"
PREFIX = "aipp"


def with_aipp(model: onnx.ModelProto, aipp: Aipp) -> onnx.ModelProto:
    """Put AIPP's arithmetic before a stand-in.

    Args:
        model: its input `input` is float32 (batch, 3, height, width); left unchanged.
        aipp: of `aipp_of`.

    Returns:
        The same detector; its input `input` is uint8 (batch, height, width, 3).
    """
    result = copy_of(model)
    graph = result.graph
    rename(graph, {INPUT: f"{PREFIX}.normalized"})
    value = graph.input[0]
    batch, _, height, width = value.type.tensor_type.shape.dim
    bytes_in = helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [None] * 4)
    for dim, source in zip(bytes_in.type.tensor_type.shape.dim, (batch, height, width), strict=False):
        dim.CopyFrom(source)
    bytes_in.type.tensor_type.shape.dim[3].dim_value = CHANNELS
    value.CopyFrom(bytes_in)
    set_nodes(graph, [*_nodes(graph, aipp), *graph.node])
    return result


def _nodes(graph: onnx.GraphProto, aipp: Aipp) -> list[onnx.NodeProto]:
    def constant(name: str, value: NDArray[np.generic]) -> str:
        graph.initializer.append(numpy_helper.from_array(value, f"{PREFIX}.{name}"))
        return f"{PREFIX}.{name}"

    def per_channel(name: str, values: tuple[float, ...]) -> str:
        return constant(name, np.array(values, np.float32).reshape(1, CHANNELS, 1, 1))

    made = [helper.make_node("Transpose", [INPUT], [f"{PREFIX}.planes"], perm=[0, 3, 1, 2])]

    def then(op: str, output: str, *others: str, **attributes: Any) -> None:
        made.append(helper.make_node(op, [made[-1].output[0], *others], [f"{PREFIX}.{output}"], **attributes))

    if aipp.swap:
        then("Gather", "swapped", constant("order", np.array([2, 1, 0], np.int64)), axis=1)
    then("Cast", "float", to=TensorProto.FLOAT)
    then("Sub", "centred_whole", per_channel("mean_chn", aipp.mean))
    then("Sub", "centred", per_channel("min_chn", aipp.fraction))
    then("Mul", "scaled", per_channel("var_reci_chn", aipp.reciprocal))
    then("Cast", "half", to=TensorProto.FLOAT16)
    then("Cast", "normalized", to=TensorProto.FLOAT)
    for node in made:
        node.name = node.output[0]
    return made
