"""Files that nobody should compute with, each refused in one line."""

import numpy as np
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from convert.sound.graph import read_sound, require_sound
from detector.errors import ArtifactError

node = helper.make_node


def model_of(nodes, weights=(), functions=(), domains=(("", 13),)):
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(np.asarray(w), n) for n, w in weights])
    opsets = [helper.make_opsetid(*domain) for domain in domains]
    return helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)


def plain():
    return model_of([node("Conv", ["x", "w"], ["y"], kernel_shape=[1, 1])], [("w", np.ones((1, 1, 1, 1), np.float32))])


def refuses(model, match):
    with pytest.raises(ArtifactError, match=rf"^m\.onnx: {match}.*; export it again$"):
        require_sound(model, where="m.onnx")


def test_a_sound_graph_is_taken():
    require_sound(plain(), where="m.onnx")


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("op", ["Conv", "Add", "Where"])
def test_nan_is_no_number_of_any_weight(kind, op):
    refuses(model_of([node(op, ["x", "w"], ["y"])], [("w", np.array([1, np.nan], kind))]), "the weights 'w': NaN among")


def test_infinity_is_no_weight_and_has_its_uses_elsewhere():
    weight = np.array([[1, -np.inf]], np.float32)
    for op in ("Where", "Max", "Add", "Clip"):
        require_sound(model_of([node(op, ["x", "w"], ["y"])], [("w", weight)]), where="m.onnx")
    for op in ("Conv", "Gemm", "BatchNormalization"):
        refuses(model_of([node(op, ["x", "w"], ["y"])], [("w", weight)]), "the weights 'w': infinity among the numbers")


def test_numbers_of_constant_nodes_are_looked_at_too():
    value = numpy_helper.from_array(np.array([np.inf], np.float32))
    constant = node("Constant", [], ["w"], value=value)
    require_sound(model_of([constant, node("Max", ["x", "w"], ["y"])]), where="m.onnx")
    refuses(model_of([constant, node("MatMul", ["x", "w"], ["y"])]), "the weights 'w': infinity")
    value = numpy_helper.from_array(np.array([np.nan], np.float32))
    refuses(model_of([node("Constant", [], ["y"], value=value)]), r"node 'y' \(Constant\): the attribute 'value': NaN")


def test_attributes_are_numbers():
    refuses(model_of([node("LeakyRelu", ["x"], ["y"], alpha=float("nan"))]), ".* attribute 'alpha' is NaN")
    refuses(model_of([node("Selu", ["x"], ["y"], gamma=float("inf"))]), ".* attribute 'gamma' is infinite")
    refuses(model_of([node("Softmax", ["x"], ["y"], axis=2**62)]), ".* 'axis' is 4611686018427387904, and no tensor")
    require_sound(model_of([node("Clip", ["x"], ["y"], max=float("inf"))], domains=[("", 6)]), where="m.onnx")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda tensor: tensor.dims.append(2), r"shape \[1, 1, 1, 1, 2\] and 4 bytes, expected 8"),
        (lambda tensor: tensor.dims.__setitem__(0, 0), "4 bytes, expected 0"),
        (lambda tensor: tensor.dims.__setitem__(0, -1), r"shape \[-1, 1, 1, 1\], with a negative size"),
        (lambda tensor: tensor.dims.append(2**62), "4 bytes, expected 18446744073709551616"),
        (lambda tensor: tensor.float_data.append(1.0), "its numbers twice"),
        (lambda tensor: tensor.segment.SetInParent(), "its numbers in segments"),
        (lambda tensor: setattr(tensor, "data_type", 99), "element type 99, which ONNX does not have"),
        (lambda tensor: setattr(tensor, "data_type", 0), "element type 0"),
        (lambda tensor: tensor.ClearField("raw_data"), "0 numbers, expected 1 as float_data"),
    ],
)
def test_weights_have_as_many_numbers_as_their_shape(change, match):
    model = plain()
    change(model.graph.initializer[0])
    refuses(model, f".*'w': .*{match}")


@pytest.mark.parametrize("kind", ["INT4", "UINT4", "BFLOAT16", "FLOAT8E4M3FN", "STRING", "COMPLEX64", "BOOL"])
@pytest.mark.parametrize("shape", [[], [3], [0]])
def test_every_element_type_is_counted_as_onnx_does(kind, shape):
    number = TensorProto.DataType.Value(kind)
    count = int(np.prod(shape))
    values = [b"a"] * count if kind == "STRING" else [1] * count
    tensor = helper.make_tensor("t", number, shape, values)
    model = plain()
    model.graph.initializer.append(tensor)
    require_sound(model, where="m.onnx")
    if kind != "STRING":
        raw = numpy_helper.from_array(numpy_helper.to_array(tensor), "u")
        model.graph.initializer.append(raw)
        require_sound(model, where="m.onnx")
        raw.raw_data += b"\0"
        model.graph.initializer[-1].CopyFrom(raw)
        refuses(model, "the weights 'u': shape")


def test_declared_types_and_sizes():
    model = plain()
    model.graph.input[0].type.tensor_type.elem_type = 77
    refuses(model, "'x' is of element type 77")
    model = plain()
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = -4
    refuses(model, r"'y' has the shape \[-4, 2\], with a negative size")


def test_names_given_twice():
    model = plain()
    model.graph.initializer.append(model.graph.initializer[0])
    refuses(model, "it has 'w' twice")
    model = plain()
    model.graph.node[0].attribute.append(model.graph.node[0].attribute[0])
    refuses(model, r".*\(Conv\) has the attribute 'kernel_shape' twice")


def test_an_attribute_is_of_one_type():
    model = plain()
    model.graph.node[0].attribute[0].type = AttributeProto.TYPE_PROTOS
    refuses(model, ".* attribute 'kernel_shape' is of type TYPE_PROTOS and holds ints")


@pytest.mark.parametrize("version", [0, 99, -1])
def test_an_opset_that_does_not_exist(version):
    refuses(model_of([node("Relu", ["x"], ["y"])], domains=[("", version)]), f"there is no opset {version} of ONNX")


def test_an_opset_named_twice():
    refuses(
        model_of([node("Relu", ["x"], ["y"])], domains=[("", 13), ("ai.onnx.ml", 2), ("", 14)]), "it names the opset"
    )


def test_an_operator_of_a_domain_that_nobody_knows():
    strange = node("Relu", ["x"], ["y"], domain="evil")
    refuses(
        model_of([strange]), r"node 'y' \(Relu\) is of the domain 'evil', which is neither ONNX's nor onnxruntime's"
    )
    body = helper.make_function(
        "evil", "Relu", ["a"], ["b"], [node("Abs", ["a"], ["b"])], [helper.make_opsetid("", 13)]
    )
    require_sound(model_of([strange], functions=[body]), where="m.onnx")
    require_sound(model_of([node("Gelu", ["x"], ["y"], domain="com.microsoft")]), where="m.onnx")


def function(name, called, times=1):
    nodes = [node(called, ["a" if not index else f"t{index}"], [f"t{index + 1}"], domain="f") for index in range(times)]
    nodes[-1].output[0] = "b"
    return helper.make_function(
        "f", name, ["a"], ["b"], nodes, [helper.make_opsetid("", 13), helper.make_opsetid("f", 1)]
    )


@pytest.mark.parametrize("circle", [["A"], ["A", "B", "C"]])
def test_functions_that_call_themselves(circle):
    functions = [function(name, circle[(index + 1) % len(circle)]) for index, name in enumerate(circle)]
    refuses(model_of([node("A", ["x"], ["y"], domain="f")], functions=functions), "its function '[ABC]' calls itself")


def test_functions_that_multiply_are_counted_before_they_are_written_out():
    leaf = helper.make_function("f", "F0", ["a"], ["b"], [node("Abs", ["a"], ["b"])], [helper.make_opsetid("", 13)])
    functions = [leaf, *(function(f"F{level}", f"F{level - 1}", 10) for level in range(1, 12))]
    laughs = model_of([node("F11", ["x"], ["y"], domain="f")], functions=functions)
    refuses(laughs, "its functions make 100,000,000,000 nodes, .* set OMLINE_MAX_GRAPH_NODES")
    require_sound(model_of([node("F2", ["x"], ["y"], domain="f")], functions=functions), where="m.onnx")


def test_texts_are_utf_8(tmp_path):
    data = plain().SerializeToString().replace(b"kernel_shape", b"ker\xf0el_shape")
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ArtifactError, match=r"attribute has a name that is not UTF-8: b'ker\\xf0el_shape'"):
        read_sound(tmp_path / "m.onnx")


def test_what_is_inside_branches_is_looked_at():
    branch = helper.make_graph(
        [node("Constant", [], ["c"], value=numpy_helper.from_array(np.array([np.nan], np.float32)))],
        "branch", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [1])],
    )  # fmt: skip
    refuses(model_of([node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)]), ".*NaN among the numbers")


def test_texts_of_attributes_are_utf_8_too():
    refuses(model_of([node("Pad", ["x"], ["y"], mode=b"ed\xffge")]), ".*the attribute 'mode' is not UTF-8")


@pytest.mark.parametrize("version", [-1, 99, 2**62])
def test_an_ir_version_that_does_not_exist(version):
    model = plain()
    model.ir_version = version
    refuses(model, f"there is no IR version {version} of ONNX")


def test_only_functions_hand_attributes_on():
    model = plain()
    model.graph.node[0].attribute.add(name="group", type=AttributeProto.INT, ref_attr_name="group")
    refuses(model, r".*\(Conv\) takes an attribute from a function, and is in none")
