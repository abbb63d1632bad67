"""Scores that nothing has made a probability of."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.convert.adopting import refuses, run
from tests.convert.foreign import CANVAS, FLOAT, PLAIN, boxes, spec_of

WEIGHTS = np.array([[2.0, -1.0, 0.5]] * 3, np.float32)


def graph(*tail, scores="logits", extra=(), outputs=None):
    """A layer on the mean colour of the image gives the logits of three boxes; then what a test adds."""
    node = helper.make_node
    nodes = [
        node("ReduceMean", ["image"], ["colour"], axes=[2, 3], keepdims=0),
        node("MatMul", ["colour", "w"], ["flat"], name="head"),
        node("Unsqueeze", ["flat", "one"], ["row"]),
        node("Concat", ["row", "row", "row"], ["three"], axis=1),
        node("Mul", ["three", "gain"], ["scaled"]),
        node("Add", ["scaled", "bias"], ["logits"]),
        node("Expand", ["fixed", "to"], ["boxes"]),
        *tail,
    ]
    constants = {
        "w": WEIGHTS, "one": np.array([1]), "gain": np.array([[[1.0], [0.5], [2.0]]], np.float32),
        "bias": np.array(-1, np.float32), "fixed": boxes().astype(np.float32)[None], "to": np.array([1, 3, 4]),
        **dict(extra),
    }  # fmt: skip
    outputs = outputs or {"boxes": [1, 3, 4], scores: [1, 3, 3]}
    return helper.make_model(
        helper.make_graph(
            nodes, "theirs", [helper.make_tensor_value_info("image", FLOAT, [1, 3, *CANVAS])],
            [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 13)], ir_version=8,
    )  # fmt: skip


ASKED = r"the scores are numbers of node 'head' \(MatMul\) without a sigmoid or softmax: .* Set graph\.scores"


def told(scores, /, **graph):
    return spec_of(
        {**PLAIN, "outputs": {"boxes": "boxes", "scores": scores}, "class_axis": 2, **graph},
        decode={"max_detections": 9, "score_threshold": 0.0, "iou_threshold": 1.0},
    )


def test_numbers_of_a_layer_are_asked_about():
    refuses(graph(), told("logits"), ASKED, batch_size=1)


@pytest.mark.parametrize("op", ["Sigmoid", "Softmax", "Relu", "Clip"])
def test_what_is_no_layer_is_taken_as_it_is(op):
    run(graph(helper.make_node(op, ["logits"], ["scores"]), scores="scores"), told("scores"), [0.5])


def test_a_question_answered_is_not_asked():
    found = run(graph(), told("logits", scores="probability"), [1.0])[1][0, :, 4]
    assert found.max() == pytest.approx(11.0)  # as it is, however odd: 2 x 6 - 1


@pytest.mark.parametrize("way", ["sigmoid", "softmax"])
def test_what_was_said_is_applied_exactly(way):
    logits = np.stack([WEIGHTS.sum(0) * gain - 1 for gain in (1, 0.5, 2)])
    wanted = 1 / (1 + np.exp(-logits)) if way == "sigmoid" else np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = run(graph(), told("logits", scores=way), [1.0])[1][0, :, 4]
    np.testing.assert_allclose(found, np.sort(wanted.ravel())[::-1], atol=1e-6)


def test_softmax_includes_the_background():
    spec = spec_of(
        {**PLAIN, "outputs": {"boxes": "boxes", "scores": "logits"}, "labels": "from_1", "scores": "softmax"},
        decode={"max_detections": 6, "score_threshold": 0.0, "iou_threshold": 1.0}, classes=["circle", "square"],
    )  # fmt: skip
    logits = np.stack([WEIGHTS.sum(0) * gain - 1 for gain in (1, 0.5, 2)])
    wanted = (np.exp(logits) / np.exp(logits).sum(1, keepdims=True))[:, 1:]
    found = run(graph(), spec.model_copy(update={"graph": spec.graph.model_copy(update={"class_axis": 2})}), [1.0])
    np.testing.assert_allclose(found[1][0, :, 4], np.sort(wanted.ravel())[::-1], atol=1e-6)


@pytest.mark.parametrize("axis", [1, 2])
def test_of_a_combined_output_the_columns_of_classes_are_followed(axis):
    """The boxes come from a layer as well, of which nothing is asked."""
    tail = [
        helper.make_node("Sigmoid", ["logits"], ["sure"]),
        helper.make_node("Add", ["boxes", "three_zeros"], ["moved"]),
        helper.make_node("Mul", ["three", "nothing"], ["shift"]),
        helper.make_node("Slice", ["shift", "zero", "one", "two"], ["three_zeros"]),
    ]
    extra = [("nothing", np.array(0, np.float32)), ("zero", np.array([0])), ("two", np.array([2]))]

    def whole(scores):
        turn = [helper.make_node("Transpose", [name], [f"{name}.t"], perm=[0, 2, 1]) for name in ("moved", scores)]
        parts = ["moved", scores] if axis == 2 else ["moved.t", f"{scores}.t"]
        join = helper.make_node("Concat", parts, ["out"], axis=axis)
        shape = [1, 3, 7] if axis == 2 else [1, 7, 3]
        return graph(*tail, *turn, join, extra=extra, outputs={"out": shape})

    spec = told("").model_copy(update={"graph": None})
    spec = spec_of({**PLAIN, "columns": ("box", "classes")}, decode=spec.decode.model_dump())
    refuses(whole("logits"), spec, ASKED, batch_size=1)
    run(whole("sure"), spec, [0.5])


def test_one_score_a_box_has_no_softmax():
    model = onnx.ModelProto()
    model.CopyFrom(graph(helper.make_node("ReduceMax", ["logits"], ["scores"], axes=[2], keepdims=0)))
    del model.graph.output[1]
    model.graph.node.append(helper.make_node("ArgMax", ["logits"], ["labels"], axis=2, keepdims=0))
    model.graph.output.append(helper.make_tensor_value_info("scores", FLOAT, [1, 3]))
    model.graph.output.append(helper.make_tensor_value_info("labels", TensorProto.INT64, [1, 3]))
    refuses(model, spec_of(PLAIN), ASKED, batch_size=1)
    refuses(model, spec_of({**PLAIN, "scores": "softmax"}), "a box has one score here", batch_size=1)
    assert run(model, spec_of({**PLAIN, "scores": "sigmoid"}), [1.0])[1][0, 0, 4] == pytest.approx(
        1 / (1 + np.exp(-11))
    )
