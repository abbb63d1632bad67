"""One output whose columns are boxes, scores and labels."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from tests.convert.adopting import LIGHT, assert_found, refuses, run
from tests.convert.foreign import (
    FLOAT,
    PLAIN,
    boxes,
    class_scores,
    detector,
    expected,
    labels,
    scores,
    spec_of,
    three,
)

HALF = onnx.TensorProto.FLOAT16
TABLES = {
    ("box", "classes"): [boxes(), class_scores()],
    ("box", "objectness", "classes"): [boxes(), np.full((3, 1), 0.5), 2 * class_scores()],
    (2, "classes", 1, "box"): [np.full((3, 2), 9), class_scores(), np.full((3, 1), 9), boxes()],
    ("box", "score", "label"): [boxes(), scores()[:, None], labels()[:, None]],
    ("label", "score", "box"): [labels()[:, None], scores()[:, None], boxes()],
}


def combined(columns, *, first=0, kind=FLOAT, turned=False, declared=None):
    """The output; the columns with scores of classes, or the score, follow the brightness of the image."""
    parts = TABLES[columns]
    if first:
        parts = [class_scores(first) if part.shape == (3, 3) else part for part in parts]
    model = detector({"out": (np.concatenate(parts, 1), kind)}, bright="out")
    moving = np.concatenate(
        [
            np.full(part.shape, name in ("classes", "score"), np.float32)
            for name, part in zip(columns, parts, strict=True)
        ],
        1,
    )
    for tensor in model.graph.initializer:
        values = {"out_moving": moving, "out_still": 1 - moving}.get(tensor.name)
        if values is not None:
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    if turned:
        model.graph.node[-1].output[0] = "by_row"
        model.graph.node.append(helper.make_node("Transpose", ["by_row"], ["out"], perm=[0, 2, 1]))
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("out", kind, declared))
    return model


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("columns", TABLES, ids=str)
def test_every_order_of_columns_is_read(columns, turned):
    told = {**PLAIN, "columns": columns, "class_axis": 1 if turned else 2}
    assert_found(run(combined(columns, turned=turned), spec_of(told)), expected(LIGHT))


def test_half_precision_and_a_background_column():
    told = {**PLAIN, "columns": ("box", "classes"), "outputs": {"combined": "out"}, "labels": "from_1"}
    model = combined(("box", "classes"), first=1, kind=HALF)
    assert_found(run(model, spec_of(told)), expected(LIGHT))


def test_rows_of_mixed_images_are_for_one_image_only():
    told = {**PLAIN, "columns": ("image", "label", "score", "box")}
    table = np.concatenate([np.zeros((3, 1)), labels()[:, None], scores()[:, None], boxes()], 1)
    model = detector({"out": (table[None], FLOAT)}, bright="")  # [1, 1, N, 7], as SSD's DetectionOutput
    assert_found(run(model, spec_of(told), [1.0]), expected([1.0]))
    refuses(model, spec_of(told), r"rows of the images are mixed, --batch_size is 2: convert with --batch_size 1")


@pytest.mark.parametrize("way", ["sigmoid", "softmax"])
def test_scores_that_become_probabilities_do_so_exactly(way):
    logits = np.array([[3.0, -1.0, 0.5], [-2.0, 2.0, 1.5], [0.25, -0.25, 4.0]])
    objectness = np.array([[1.0], [2.0], [-1.0]])
    table = np.concatenate([boxes(), objectness, logits], 1)
    told = {**PLAIN, "columns": ("box", "objectness", "classes"), "scores": way}
    model = detector({"out": (table, FLOAT)}, bright="")
    found = run(model, spec_of(told, decode={"max_detections": 9, "score_threshold": 0.0}), [1.0])
    sigmoid = 1 / (1 + np.exp(-logits))
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wanted = (sigmoid if way == "sigmoid" else softmax) / (1 + np.exp(-objectness))
    assert np.allclose(found[1][0, :, 4], np.sort(wanted.ravel())[::-1], atol=1e-6)
    assert found[0][0].tolist() == [int(index) % 3 for index in np.argsort(-wanted.ravel())]


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (
            {"columns": ("box", "objectness", "classes")},
            r"no axis of the size of its columns: .* are 8 \(5 and 3 class",
        ),
        ({"columns": ("box", "score", "label")}, "box, score, label, are 6"),
        ({"columns": ("box", "classes"), "outputs": {"combined": "o"}}, "no output 'o' .graph.outputs.combined"),
    ],
)
def test_columns_must_add_up(graph, message):
    refuses(combined(("box", "classes")), spec_of({**PLAIN, **graph}), message)


def test_an_axis_of_as_many_boxes_as_columns_is_asked_about():
    table = np.concatenate([boxes(), class_scores()], 1)
    model = detector({"out": (np.concatenate([table, table, table[:1]]), FLOAT)}, bright="")
    refuses(model, spec_of({**PLAIN, "columns": ("box", "classes")}), "either axis .* set graph.class_axis to 1 or 2")


def test_of_several_outputs_one_must_be_named():
    refuses(detector(three()), spec_of({**PLAIN, "columns": ("box", "classes")}), "which output has the columns")


def test_without_columns_one_output_is_asked_for_with_the_line_that_answers():
    refuses(combined(("box", "classes")), spec_of(PLAIN), r"graph\.columns: \[box, classes\], \[box, objectness, class")


def test_labels_of_columns_are_ids_too():
    told = {**PLAIN, "columns": ("box", "score", "label"), "labels": "category_ids"}
    table = np.concatenate([boxes(), scores()[:, None], np.array([7, 2, 4])[labels()][:, None]], 1)
    model = detector({"out": (table, FLOAT)}, bright="")
    assert_found(run(model, spec_of(told, category_ids=(7, 2, 4)), [1.0]), expected([1.0]))
