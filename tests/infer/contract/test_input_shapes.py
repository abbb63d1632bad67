from typing import Any

import numpy as np
import pytest

from detector.errors import PipelineError
from infer.contract.input_shapes import batch_size, settle
from infer.contract.options import Options
from infer.session import Tensor

FLOAT = np.dtype("float32")
IMAGES = Tensor("images", (-1, 3, -1, -1), FLOAT)
SIZES = Tensor("sizes:0", (-1, 2), FLOAT)


def shapes(inputs: list[Tensor], **options: Any) -> list[tuple[int, ...]]:
    return [tensor.shape for tensor in settle(inputs, Options(**options))]


def test_a_static_model_needs_no_option():
    assert shapes([Tensor("x", (2, 3), FLOAT)]) == [(2, 3)]


def test_the_batch_is_set_where_it_is_dynamic():
    assert shapes([SIZES, Tensor("fixed", (1, 4), FLOAT)], dym_batch=8) == [(8, 2), (1, 4)]


def test_height_comes_before_width():
    assert shapes([Tensor("x", (1, 3, -1, -1), FLOAT)], dym_hw="800,1344") == [(1, 3, 800, 1344)]


def test_an_input_is_named_up_to_the_last_colon():
    assert shapes([IMAGES, SIZES], dym_shape="images:1,3,8,9;sizes:0:1,2") == [(1, 3, 8, 9), (1, 2)]


def test_dims_name_the_static_inputs_too():
    fixed = Tensor("fixed", (1, 4), FLOAT)
    assert shapes([SIZES, fixed], dym_dims="sizes:0:5,2;fixed:1,4") == [(5, 2), (1, 4)]
    with pytest.raises(PipelineError, match=r"--dymDims must name every input, 'fixed' \[1, 4\] float32 is missing"):
        shapes([SIZES, fixed], dym_dims="sizes:0:5,2")


def test_dims_are_compared_in_the_models_order():
    pair = [Tensor("a", (-1, 2), FLOAT), Tensor("b", (-1, 2), FLOAT)]
    assert shapes(pair, dym_dims="b:5,2;a:5,2") == [(5, 2), (5, 2)]
    assert shapes(pair, dym_shape="b:5,2;a:3,2") == [(3, 2), (5, 2)]
    with pytest.raises(PipelineError, match=r"dynamic_dims parameter is not correct: .* order, 'a' .*, 'b'"):
        shapes(pair, dym_dims="b:5,2;a:3,2")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"dym_dims": "x:2,3"}, "dynamic_dims parameter is not specified for model conversion: --dymDims"),
        ({"dym_shape": "x:2,3"}, "parameter is not specified for model conversion: --dymShape"),
        ({"auto_set_dymdims_mode": True}, "dynamic_dims parameter .*: --auto_set_dymdims_mode"),
        ({"auto_set_dymshape_mode": True}, "--auto_set_dymshape_mode"),
    ],
)
def test_a_model_of_one_shape_takes_no_other(options: dict[str, Any], name: str):
    with pytest.raises(PipelineError, match=rf"{name} needs a model with open axes, got 'x' \[2, 3\].*; leave it out"):
        settle([Tensor("x", (2, 3), FLOAT)], Options(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model": "a b.onnx"},
            (
                r"dymshape not set! .*: run `python -m convert --onnx 'a b.onnx' --batch_size 8` and give its product, "
                "or give --dymShape 'images:N,3,N,N'"
            ),
        ),
        ({"dym_batch": 4}, r"'images' \[4, 3, -1, -1\] float32 has open axes"),
        ({"dym_hw": "8,9"}, "needs an input with two dynamic axes"),
        ({"dym_hw": "8"}, 'legal format of dymHW string is "int,int"'),
        ({"dym_hw": "0,8"}, "legal format of dymHW"),
        ({"dym_shape": "images:1,3,8,9"}, "must name every input, 'sizes:0'"),
        ({"dym_shape": "images:1,3,8;sizes:0:1,2"}, r"gives images the shape \[1, 3, 8\], the model takes"),
        ({"dym_shape": "images:1,4,8,9;sizes:0:1,2"}, r"gives images the shape \[1, 4, 8, 9\]"),
        ({"dym_dims": "image:1,3,8,9"}, "--dymDims names 'image', which is no input"),
        ({"dym_dims": "images:1,3,08,9"}, "'images:1,3,08,9' is not a shape"),
        ({"dym_dims": "images:1,3,8,9;"}, "'' is not a shape"),
        ({"dym_shape": "images:1,3,8,9;images:1,3,8,9"}, "'images' is given two shapes"),
        ({"dym_batch": 4, "dym_hw": "8,9"}, "--dymBatch and --dymHW contradict each other"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(options: dict[str, Any], message: str):
    with pytest.raises(PipelineError, match=message):
        settle([IMAGES, SIZES], Options(**options))


def test_a_batch_for_a_static_model_is_refused():
    with pytest.raises(
        PipelineError, match=r"--dymBatch 4 needs a model whose first axis is dynamic, got 'x' \[2, 3\]"
    ):
        settle([Tensor("x", (2, 3), FLOAT)], Options(dym_batch=4))


@pytest.mark.parametrize(
    ("options", "size"),
    [({}, -1), ({"dym_batch": 4}, 4), ({"dym_shape": "images:2,3,8,9"}, 2), ({"dym_dims": "sizes:0:7,2"}, -1)],
)
def test_the_batch_size_is_that_of_the_first_input(options: dict[str, Any], size: int):
    assert batch_size([IMAGES, SIZES], Options(**options)) == size


def test_a_scalar_input_counts_as_one_sample():
    assert batch_size([Tensor("x", (), FLOAT)], Options()) == 1


def test_what_one_execution_is_fed_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OMLINE_MAX_INPUT_BYTES", "600")
    assert shapes([Tensor("x", (-1, 25), FLOAT)], dym_batch=6) == [(6, 25)]
    with pytest.raises(
        OSError, match="700 bytes of input per execution, at most 600 are taken; set OMLINE_MAX_INPUT_B"
    ):
        shapes([Tensor("x", (-1, 25), FLOAT)], dym_batch=7)
