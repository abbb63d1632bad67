import onnx
import pytest
from onnx import TensorProto, helper

from convert.adopt.adopt import read_foreign
from detector.errors import ArtifactError
from tests.convert.adopting import LIGHT, assert_found, refuses, run
from tests.convert.foreign import (
    CANVAS,
    FLOAT,
    INT64,
    PLAIN,
    boxes,
    class_scores,
    detector,
    dets,
    expected,
    labels,
    scores,
    spec_of,
    three,
)


def test_unnamed_outputs_are_asked_for():
    model = detector({"a": (dets(), FLOAT), "b": (labels(), INT64)}, bright="a")
    refuses(
        model,
        spec_of(),
        r"which outputs are the detections\? It has 'a' float \[2, 3, 5\], 'b' int64 \[2, 3\]; say so in the spec, "
        r"graph\.outputs: \{dets: …, labels: …\}, \{boxes: …, scores: …, labels: …\} or, before suppression",
    )


def test_two_sets_of_outputs_are_asked_about():
    both = {**three(), "dets": (dets(), FLOAT)}
    refuses(detector(both), spec_of(PLAIN), "which outputs are the detections")
    told = {**PLAIN, "outputs": {"dets": "dets", "labels": "labels"}}
    assert_found(run(detector(both, bright="dets"), spec_of(told)), expected(LIGHT))


def test_outputs_that_are_left_out_are_named(caplog):
    model = detector({"dets": (dets(), FLOAT), "labels": (labels(), INT64), "masks": (scores(), FLOAT)}, bright="dets")
    with caplog.at_level("INFO"):
        run(model, spec_of())
    assert "theirs.onnx: left out: 'masks' float [2, 3]" in caplog.text


def test_an_output_that_the_spec_names_must_be_there():
    spec = spec_of({"outputs": {"dets": "bboxes", "labels": "labels"}})
    model = detector({"dets": (dets(), FLOAT), "labels": (labels(), INT64)})
    refuses(
        model, spec, r"has no output 'bboxes' \(graph\.outputs\.dets in the spec\); it has 'dets' float \[2, 3, 5\]"
    )


@pytest.mark.parametrize(
    ("missing", "match"),
    [
        ({}, (r"set graph\.boxes \(xyxy, xywh, cxcywh or yxyx\), graph\.units \(pixels or fraction \(of the canvas\)\)"
             r", graph\.labels \(from_0, from_1 or category_ids\) in the spec")),
        ({"boxes": "xyxy", "units": "pixels"}, r"boxes, labels, scores do not say .*: set graph\.labels \(from_0"),
    ],
)  # fmt: skip
def test_what_numbers_mean_is_asked(missing, match):
    refuses(detector(three()), spec_of(missing), match)


def test_category_ids_must_be_listed():
    spec = spec_of({**PLAIN, "labels": "category_ids"})
    refuses(detector(three()), spec, "the spec theirs has no category_ids: list one per class")


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"boxes": (dets(), FLOAT)}, r"'boxes' float \[2, 3, 5\] cannot be the boxes: expected float \[batch, N, 4\]"),
        ({"labels": (boxes(), INT64)}, (r"'labels' int64 \[2, 3, 4\] cannot be the labels of 'boxes' float \[2, 3, 4\]"
                                       r": expected int32, int64 or float \[batch, N\]")),
        ({"scores": (class_scores(), FLOAT)}, (r"cannot be the scores .*expected float \[batch, N\]; scores of every "
                                              "class are taken without an output of labels")),
    ],
)  # fmt: skip
def test_outputs_of_other_shapes_are_refused(changed, match):
    refuses(detector(three(**changed)), spec_of(PLAIN), match)


def test_class_scores_of_another_number_of_classes_are_refused():
    model = detector({"boxes": (boxes(), FLOAT), "scores": (class_scores(classes=7), FLOAT)})
    refuses(
        model,
        spec_of({**PLAIN, "labels": "from_1"}),
        r"'scores' float \[2, 3, 7\] has no axis of 4 classes beside the boxes 'boxes' float \[2, 3, 4\]: the "
        r"spec theirs names 3 and the background \(graph\.labels: from_1\)",
    )


def test_class_scores_whose_axes_look_alike_are_asked_about():
    model = detector({"boxes": (boxes(), FLOAT), "scores": (class_scores(), FLOAT)})
    refuses(
        model, spec_of(PLAIN), r"either axis of output 'scores' float \[2, 3, 3\] .*: set graph\.class_axis to 1 or 2"
    )
    assert_found(run(model, spec_of({**PLAIN, "class_axis": 2})), expected(LIGHT))


def test_a_fixed_canvas_must_be_the_specs():
    refuses(
        detector(three(), shape=("n", 3, 640, 640)),
        spec_of(PLAIN),
        r"input 'images' is fixed to 640x640 \(height x width\), the canvas of theirs is 64x96: set canvas to "
        r"\[640, 640\] in the spec",
    )
    assert_found(run(detector(three(), shape=("n", 3, *CANVAS)), spec_of(PLAIN)), expected(LIGHT))


def test_a_fixed_batch_must_be_the_one_asked_for():
    model = detector(three(), shape=(4, 3, "h", "w"))
    refuses(model, spec_of(PLAIN), "'images' has a fixed batch of 4; --batch_size is 2: convert with --batch_size 4")
    assert_found(run(detector(three(), shape=(2, 3, *CANVAS)), spec_of(PLAIN)), expected(LIGHT))


def test_nhwc_is_refused():
    model = detector(three(), shape=("n", "h", "w", 3))
    refuses(
        model, spec_of(PLAIN), r"input 'images' \[\?, \?, \?, 3\] is NHWC; bins, and atc's --input_format, are NCHW"
    )


def test_another_input_than_an_image_is_refused():
    model = detector(three(), shape=("n", 1, "h", "w"))
    refuses(
        model, spec_of(PLAIN), r"input 'images' \[\?, 1, \?, \?\] is no image: expected \[batch, 3, height, width\]"
    )


def test_uint8_is_refused():
    model = detector(three(), input_kind=TensorProto.UINT8)
    refuses(model, spec_of(PLAIN), "input 'images' is uint8; bins hold normalized float32: export the network without")


def test_a_second_input_is_refused():
    model = detector(three())
    model.graph.input.append(helper.make_tensor_value_info("im_shape", FLOAT, ["n", 2]))
    refuses(model, spec_of(PLAIN), r"takes 2 inputs \('images', 'im_shape'\): bins hold the image alone")


def test_an_input_that_the_spec_names_must_be_there():
    refuses(
        detector(three()), spec_of({**PLAIN, "input": "image"}), r"has no input 'image' \(graph\.input in the spec\)"
    )


def test_weights_in_another_file_are_refused(tmp_path):
    model = detector(three())
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=0)
    with pytest.raises(
        ArtifactError, match=r"m\.onnx: weights lie in another file \(m\.data\).*make one file: python -c"
    ):
        read_foreign(path)


def test_an_invalid_graph_is_refused():
    model = detector(three())
    model.graph.node[0].op_type = "Cats"
    refuses(model, spec_of(PLAIN), "theirs.onnx is not valid ONNX: No Op registered for Cats", error=ArtifactError)
