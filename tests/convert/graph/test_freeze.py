import numpy as np
import onnx
import pytest

from convert.graph.freeze import DYNAMIC_OPS, freeze
from detector.errors import SpecError
from detector.geometry import Size
from tests.conftest import run_onnx

CANVAS = Size(64, 96)


def test_a_frozen_graph_has_one_shape_and_no_shape_arithmetic(canonical):
    frozen = freeze(canonical, batch_size=4, canvas=CANVAS)
    assert [d.dim_value for d in frozen.graph.input[0].type.tensor_type.shape.dim] == [4, 3, 64, 96]
    assert [d.dim_value for d in frozen.graph.output[1].type.tensor_type.shape.dim] == [4, 10, 5]
    assert not {node.op_type for node in frozen.graph.node} & DYNAMIC_OPS
    onnx.checker.check_model(frozen)


def test_a_frozen_graph_is_the_same_function(canonical):
    images = np.random.default_rng(0).uniform(0, 1, (3, 3, 64, 96)).astype(np.float32)
    expected = run_onnx(canonical, images)
    found = run_onnx(freeze(canonical, batch_size=3, canvas=CANVAS), images)
    np.testing.assert_array_equal(found["labels"], expected["labels"])
    np.testing.assert_array_equal(found["dets"], expected["dets"])


def test_results_do_not_depend_on_the_batch(canonical):
    images = np.random.default_rng(1).uniform(0, 1, (4, 3, 64, 96)).astype(np.float32)
    whole = run_onnx(freeze(canonical, batch_size=4, canvas=CANVAS), images)["dets"]
    single = freeze(canonical, batch_size=1, canvas=CANVAS)
    np.testing.assert_array_equal(whole, np.concatenate([run_onnx(single, image[None])["dets"] for image in images]))


def test_a_frozen_model_cannot_be_frozen_again(canonical):
    frozen = freeze(canonical, batch_size=4, canvas=CANVAS)
    with pytest.raises(SpecError, match="batch of the input is already fixed to 4; convert the canonical file"):
        freeze(frozen, batch_size=8, canvas=CANVAS)


def test_another_models_input_is_refused(canonical):
    canonical.graph.input[0].name = "images"
    with pytest.raises(SpecError, match=r"expected one graph input 'input', got \['images'\]"):
        freeze(canonical, batch_size=1, canvas=CANVAS)


def test_an_output_without_a_batch_is_refused(canonical):
    canonical.graph.output[0].type.tensor_type.ClearField("shape")
    with pytest.raises(SpecError, match="output 'labels' has no batch axis; convert the canonical file"):
        freeze(canonical, batch_size=1, canvas=CANVAS)


def test_a_graph_that_stays_dynamic_is_refused(canonical):
    # NonZero depends on the image: no shape can be known.
    canonical.graph.node.insert(0, onnx.helper.make_node("NonZero", ["input"], ["where"]))
    canonical.graph.output.append(onnx.helper.make_tensor_value_info("where", onnx.TensorProto.INT64, ["batch", "n"]))
    with pytest.raises(SpecError, match=r"keeps shape arithmetic after folding \(NonZero\)"):
        freeze(canonical, batch_size=4, canvas=CANVAS)
