"""The Ascend types that atc's parser makes of an ONNX node: what `OpType::` of --keep_dtype and mix lists name.

Types are those right after parsing (hicann/ge ffdcbc9f, keep_dtype_option.cc); that parser was run with the plug-ins of
hicann/ops-nn, ops-math and ops-cv (August 2026) on graphs of one operator, at opsets 11, 13 and 16. atc only logs a
type that its graph lacks, and keeps nothing. Later passes rename some operators: the later names are OLD_NAMES here.
"""

import functools
import logging
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

log = logging.getLogger(__name__)

# One ONNX node may become several operators; what a graph of constants and inputs has beside them is not told.
TYPES: Mapping[str, tuple[str, ...]] = {
    "And": ("LogicalAnd",), "ArgMax": ("ArgMaxV2",), "AveragePool": ("AvgPoolV2",),
    "BatchMultiClassNMS": ("BatchMultiClassNonMaxSuppression",), "BatchNormalization": ("BatchNorm",),
    "Clip": ("ClipByValue",), "Compress": ("GatherV2", "Squeeze", "Where"), "Concat": ("ConcatD",),
    "ConstantOfShape": ("Fill",), "Conv": ("Conv2D",), "ConvTranspose": ("Conv2DTranspose",), "CumSum": ("Cumsum",),
    "Div": ("RealDiv",), "EyeLike": ("Adds", "Cast", "Fill", "MatrixDiagV2", "Shape", "Split", "Squeeze"),
    "Gather": ("GatherV2",), "GatherND": ("GatherNd",), "Gemm": ("MatMulV2",), "GlobalMaxPool": ("ReduceMax",),
    "GreaterOrEqual": ("GreaterEqual",), "GridSample": ("GridSampler2D",), "InstanceNormalization": ("InstanceNorm",),
    "IsNaN": ("IsNan",), "LessOrEqual": ("LessEqual",), "LogSoftmax": ("LogSoftmaxV2",),
    "LpNormalization": ("Div", "Identity", "LpNormV2"), "MatMul": ("BatchMatMulV2",), "Max": ("Maximum",),
    "MaxPool": ("MaxPoolV3",), "Mean": ("AccumulateNV2", "Muls"), "Min": ("Minimum",),
    "NonMaxSuppression": ("Cast", "NonMaxSuppressionV6"), "Not": ("LogicalNot",),
    "OneHot": ("Add", "Identity", "Mod", "OneHot", "Split"), "Or": ("LogicalOr",), "Pad": ("PadV3",),
    "ReduceL1": ("LpNormV2",), "ReduceL2": ("LpNormV2",), "ReduceLogSum": ("Log", "ReduceSum"),
    "ReduceSumSquare": ("SquareSumV1",), "RoiAlign": ("Cast", "Concat", "ROIAlign", "Unsqueeze"),
    "ScatterND": ("ScatterNdUpdate", "TensorMove"), "Slice": ("StridedSliceV2",), "Softmax": ("SoftmaxV2",),
    "Split": ("SplitV",), "Sum": ("AccumulateNV2",), "ThresholdedRelu": ("Identity", "Mul", "Threshold"),
    "Unique": ("UniqueWithCountsAndSorting",), "Upsample": ("Resize",), "Where": ("SelectV2",),
    "Xor": ("BitwiseXor", "Cast"),
}  # fmt: skip
# From opset 13 on, where axes are an input.
NEWER_TYPES = {"Squeeze": "SqueezeV3", "Unsqueeze": "UnsqueezeV3"}
# Of one spatial dimension, of three.
WINDOWS = {
    "AveragePool": "AvgPool3D", "Conv": "Conv3D", "ConvTranspose": "Conv3DTranspose", "MaxPool": "MaxPool3D",
}  # fmt: skip
# Names that the operators get after parsing, or had in the published lists -> as parsed, here and above.
OLD_NAMES = {
    "ArgMax": ("ArgMaxV2",), "ArgMaxD": ("ArgMaxV2",), "AvgPool": ("AvgPoolV2",), "BatchMatMul": ("BatchMatMulV2",),
    "ConcatV2": ("ConcatD",), "ConstantOfShape": ("Fill",), "CumSum": ("Cumsum",), "CumsumD": ("Cumsum",),
    "ExpandD": ("Expand",), "FillD": ("Fill",), "GatherV2D": ("GatherV2",), "GlobalMaxPool": ("ReduceMax",),
    "IsNaN": ("IsNan",), "LogSoftmax": ("LogSoftmaxV2",), "MatMul": ("MatMulV2", "BatchMatMulV2"),
    "MaxPool": ("MaxPoolV3",), "Mean": ("AccumulateNV2",), "Not": ("LogicalNot",), "Or": ("LogicalOr",),
    "PadD": ("PadV3",), "PadV3D": ("PadV3",), "ReduceL1": ("LpNormV2",), "ReduceL2": ("LpNormV2",),
    "ReduceMaxD": ("ReduceMax",), "ReduceMeanD": ("ReduceMean",), "ReduceMinD": ("ReduceMin",),
    "ReduceProdD": ("ReduceProd",), "ReduceSumD": ("ReduceSum",), "Resize": ("ResizeNearestNeighborV2",),
    "ResizeNearestNeighborV2D": ("ResizeNearestNeighborV2",), "RoiAlign": ("ROIAlign",),
    "ScatterND": ("ScatterNdUpdate",), "Select": ("SelectV2",), "SplitD": ("Split", "SplitV"), "SplitVD": ("SplitV",),
    "Split": ("SplitV",), "Squeeze": ("SqueezeV3",), "SqueezeV3": ("Squeeze",), "StridedSlice": ("StridedSliceV2",),
    "StridedSliceD": ("StridedSliceV2",), "Sum": ("AccumulateNV2",), "TileD": ("Tile",), "TopKD": ("TopK",),
    "TopKV2": ("TopK",), "TopKV2D": ("TopK",), "TransposeD": ("Transpose",), "Unsqueeze": ("UnsqueezeV3",),
    "UnsqueezeV3": ("Unsqueeze",),
}  # fmt: skip
LISTED_FILE = Path(__file__).with_name("ascend_types.txt")
# Every graph has these; they compute nothing.
STATIC_TYPES = frozenset({"Const", "Data", "NetOutput"})


def ir_types(node: onnx.NodeProto, opset: int) -> frozenset[str]:
    """The Ascend types that the parser makes of a node.

    Args:
        node: of the graph that atc reads.
        opset: of ai.onnx, of that graph.
    """
    if opset >= 13 and node.op_type in NEWER_TYPES:
        return frozenset({NEWER_TYPES[node.op_type]})
    special = SPECIAL.get(node.op_type)
    types = special(node) if special else TYPES.get(node.op_type, (node.op_type,))
    return frozenset(types)


def main_type(node: onnx.NodeProto, opset: int) -> str:
    """The one of them that computes: what the mixed mode decides by."""
    special = SPECIAL.get(node.op_type)
    found = tuple(special(node)) if special else TYPES.get(node.op_type, (node.op_type,))
    return NEWER_TYPES.get(node.op_type, found[0]) if opset >= 13 else found[0]


@functools.cache
def all_types() -> frozenset[str]:
    """Every Ascend type that this project knows: listed by CANN, made by the parser, or an older name."""
    lines = LISTED_FILE.read_text(encoding="ascii").splitlines()
    listed = {name for line in lines if not line.startswith("#") for name in line.split()}
    made = {name for types in (*TYPES.values(), *OLD_NAMES.values()) for name in types}
    return frozenset(listed | made | set(OLD_NAMES) | set(NEWER_TYPES.values()) | set(WINDOWS.values()) | STATIC_TYPES)


def as_parsed(name: str, present: Collection[str], *, told_in: str) -> tuple[str, ...]:
    """What a name of a file stands for in a graph: itself, or with a warning what it is right after parsing.

    Args:
        name: behind `OpType::`, or of a mix list.
        present: types of the graph.
        told_in: the file's option, for the warning.

    Returns:
        Types of the graph; empty: it has nothing of the kind.
    """
    if name in present or name in STATIC_TYPES:
        return (name,)
    found = tuple(type_ for type_ in OLD_NAMES.get(name, ()) if type_ in present)
    if found:
        log.warning(
            "%s names the type %s; right after parsing, when atc looks, it is %s, which is taken for it: correct the "
            "file, atc itself would keep nothing", told_in, name, " and ".join(found),
        )  # fmt: skip
    return found


def _window(node: onnx.NodeProto) -> list[str]:
    """Of two dimensions one operator, of one with an axis put in and taken out, of three another."""
    dimensions = len(_attribute(node, "kernel_shape", (0, 0)))
    if dimensions == 3:
        return [WINDOWS[node.op_type]]
    return [*TYPES[node.op_type], *(("Squeeze", "Unsqueeze") if dimensions == 1 else ())]


def _clip(node: onnx.NodeProto) -> list[str]:
    low, high = ((*node.input, "", "")[index] for index in (1, 2))
    return ["ClipByValue"] if bool(low) == bool(high) else ["Maximum" if low else "Minimum"]


def _gemm(node: onnx.NodeProto) -> list[str]:
    scaled = any(_attribute(node, name, 1.0) != 1.0 for name in ("alpha", "beta"))
    return ["MatMulV2", *(["Add"] if len(node.input) > 2 else []), *(["Muls"] if scaled else [])]


def _argument(node: onnx.NodeProto) -> list[str]:
    name = "ArgMaxV2" if node.op_type == "ArgMax" else "ArgMin"
    return [name, *(["ExpandDims"] if _attribute(node, "keepdims", 1) else [])]


def _resize(node: onnx.NodeProto) -> list[str]:
    nearest = _attribute(node, "mode", b"nearest") == b"nearest"
    sized = len(node.input) > 3 and node.input[3]
    return [
        "ResizeNearestNeighborV2" if nearest else "Resize", "Cast", "Identity",
        *([] if sized else ["Mul", "Shape"]), *(["Slice"] if nearest else []),
    ]  # fmt: skip


def _split(node: onnx.NodeProto) -> list[str]:
    sized = len(node.input) > 1 or any(attribute.name == "split" for attribute in node.attribute)
    return ["SplitV" if sized else "Split"]


def _of_several(node: onnx.NodeProto) -> list[str]:
    return list(TYPES[node.op_type]) if len(node.input) > 1 else ["Identity"]


SPECIAL = {
    **dict.fromkeys(WINDOWS, _window),
    **dict.fromkeys(("Max", "Min"), _of_several),
    "ArgMax": _argument, "ArgMin": _argument, "Clip": _clip, "Gemm": _gemm, "Resize": _resize, "Split": _split,
}  # fmt: skip


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    return next((helper.get_attribute_value(each) for each in node.attribute if each.name == name), default)
