import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from convert.adopt.adopt import adopt
from convert.graph.fold import fold_constants
from convert.graph.freeze import with_fixed_input
from convert.lower import lower, obstacle
from detector.errors import ArtifactError
from tests.conftest import run_onnx
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
    images_of,
    labels,
    scores,
    spec_of,
    three,
)

HALF, INT32 = TensorProto.FLOAT16, TensorProto.INT32


@pytest.mark.parametrize("kind", [INT64, INT32, FLOAT])
def test_dets_and_labels_need_no_more_than_their_names(kind):
    model = detector({"dets": (dets(), FLOAT), "labels": (labels(), kind)}, bright="dets")
    assert_found(run(model, spec_of()), expected(LIGHT))


def test_the_order_of_the_outputs_does_not_matter():
    model = detector({"labels": (labels(), INT64), "dets": (dets(), FLOAT)}, bright="dets")
    assert_found(run(model, spec_of()), expected(LIGHT))


def test_outputs_of_other_names_are_told_by_the_spec():
    model = detector({"o1": (labels(), INT64), "o2": (dets(), FLOAT)}, bright="o2")
    assert_found(run(model, spec_of({"outputs": {"dets": "o2", "labels": "o1"}})), expected(LIGHT))


@pytest.mark.parametrize("units", ["pixels", "fraction"])
@pytest.mark.parametrize("form", ["xyxy", "xywh", "cxcywh", "yxyx"])
def test_boxes_of_every_form(form, units):
    model = detector(three(boxes=(boxes(form, units=units), FLOAT)))
    assert_found(run(model, spec_of({**PLAIN, "boxes": form, "units": units})), expected(LIGHT))


def test_labels_from_1():
    model = detector(three(labels=(labels(1), INT64)))
    assert_found(run(model, spec_of({**PLAIN, "labels": "from_1"})), expected(LIGHT))


def test_rows_of_the_background_are_left_out():
    extra = three(
        boxes=(np.concatenate([boxes(), [[1, 1, 9, 9]]]), FLOAT),
        scores=(np.append(scores(), 0.9), FLOAT),
        labels=(np.append(labels(1), 0), INT64),
    )
    assert_found(run(detector(extra), spec_of({**PLAIN, "labels": "from_1"})), expected(LIGHT))


def test_labels_that_are_category_ids_leave_out_what_is_no_class():
    ids = (70, 3, 18)
    given = np.array([*(ids[label] for label in labels()), 12])
    extra = three(
        boxes=(np.concatenate([boxes(), [[1, 1, 9, 9]]]), FLOAT),
        scores=(np.append(scores(), 0.9), FLOAT),
        labels=(given, INT64),
    )
    spec = spec_of({**PLAIN, "labels": "category_ids"}, category_ids=ids)
    assert_found(run(detector(extra), spec), expected(LIGHT))


@pytest.mark.parametrize("rows", [2, 3])
def test_the_best_rows_are_kept(rows):
    model = detector(three())
    found = run(model, spec_of(PLAIN, decode={"max_detections": rows}))
    assert_found(found, expected(LIGHT, rows))


def test_rows_of_equal_score_keep_their_order():
    model = detector(three(scores=(np.full(3, 0.5), FLOAT)))
    assert run(model, spec_of(PLAIN))[0].tolist() == [[1, 0, 2, -1, -1]] * 2


@pytest.mark.parametrize("unused", [0.0, -1.0])
def test_unused_rows_of_any_content_become_zero(unused):
    model = detector(
        three(
            boxes=(np.concatenate([boxes(), [[7, 7, 8, 8]]]), FLOAT),
            scores=(np.append(scores(), unused), FLOAT),
            labels=(np.append(labels(), 99), INT64),
        )
    )
    assert_found(run(model, spec_of(PLAIN)), expected(LIGHT))


def test_boxes_that_are_not_finite_stay_visible():
    broken = boxes()
    broken[0, 2] = np.nan
    assert np.isnan(run(detector(three(boxes=(broken, FLOAT))), spec_of(PLAIN))[1]).any()


def test_any_number_of_rows():
    declared = {"boxes": ["n", "rows", 4], "scores": ["n", "rows"], "labels": ["n", "rows"]}
    assert_found(run(detector(three(), declared=declared), spec_of(PLAIN)), expected(LIGHT))


def test_outputs_that_do_not_say_their_shape():
    model = detector(three())
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    assert_found(run(model, spec_of(PLAIN)), expected(LIGHT))


def test_torchvisions_one_image_without_batch_axis():
    model = detector(three(labels=(labels(1), INT64)), shape=(3, "h", "w"), batched=False)
    spec = spec_of({**PLAIN, "labels": "from_1"})
    assert_found(run(model, spec, [0.5]), expected([0.5]))
    refuses(
        model,
        spec,
        r"input 'images' has no batch axis, which is a batch of 1; --batch_size is 2: convert with --batch_size 1",
    )


def test_outputs_without_batch_axis_need_a_batch_of_1():
    model = detector(three(), batched=False)
    # The mean keeps a leading axis of the image: only one image can be reshaped to no batch.
    assert_found(run(model, spec_of(PLAIN), [0.5]), expected([0.5]))
    refuses(model, spec_of(PLAIN), r"output '\w+' \w+ \[.*\] has no batch axis, which is a batch of 1")


def test_float16_at_both_ends():
    model = detector({"dets": (dets(), HALF), "labels": (labels(), INT32)}, bright="dets", input_kind=HALF)
    assert_found(run(model, spec_of()), expected(LIGHT))


@pytest.mark.parametrize("opset", [11, 12, 16, 17])
def test_opsets(opset):
    assert_found(run(detector(three(), opset=opset), spec_of(PLAIN)), expected(LIGHT))


@pytest.mark.parametrize("name", ["input", "dets", "adopted.best", "adopted.labels.shape"])
def test_tensors_and_nodes_may_be_called_as_ours(name):
    model = detector(three())
    for node in model.graph.node:  # an inner tensor
        for side in (node.input, node.output):
            side[:] = [name if each == "pixels" else each for each in side]
    for node, taken in zip(model.graph.node, ["labels", "dets", "adopted.labels", "adopted.used"], strict=False):
        node.name = taken
    assert_found(run(model, spec_of(PLAIN)), expected(LIGHT))


def test_a_model_can_be_adopted_twice():
    spec = spec_of(PLAIN)
    once = adopt(detector(three()), spec, where="theirs.onnx", batch_size=2)
    assert_found(run(once, spec_of()), expected(LIGHT))


def test_functions_of_the_exporter_are_written_out():
    model = detector(three())
    mean = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    opset = [helper.make_opsetid("", 13)]
    model.functions.append(
        helper.make_function("pkg.torch", "Light", ["x"], ["y"],
                             [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2, 3], keepdims=1)], opset)
    )  # fmt: skip
    del mean.attribute[:]
    mean.op_type, mean.domain = "Light", "pkg.torch"
    model.opset_import.append(helper.make_opsetid("pkg.torch", 1))
    model.ir_version = 8
    assert_found(run(model, spec_of(PLAIN)), expected(LIGHT))
    assert {node.domain for node in adopt(model, spec_of(PLAIN), where="", batch_size=2).graph.node} == {""}


def test_a_graph_that_makes_one_of_all_images_is_refused():
    model = detector(three())
    mean = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    mean.attribute[0].CopyFrom(helper.make_attribute("axes", [0, 1, 2, 3]))
    refuses(model, spec_of(PLAIN), r"output 'boxes' float \[1, 3, 4\] has a fixed batch of 1; --batch_size is 2")


def test_inputs_that_are_weights_are_none():
    model = detector(three())
    weight = model.graph.initializer[0]
    model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, list(weight.dims)))
    assert_found(run(model, spec_of(PLAIN)), expected(LIGHT))


def test_our_own_model_under_other_names(canonical, spec):
    images = np.random.default_rng(0).uniform(0, 1, (2, 3, *CANVAS)).astype(np.float32)
    wanted = run_onnx(canonical, images)
    wanted["labels"][wanted["dets"][..., 4] == 0] = -1  # this one leaves them unmasked, as the card does
    theirs = renamed(canonical)
    told = spec.model_copy(update={"graph": spec_of({"outputs": {"dets": "o1", "labels": "o2"}}).graph})
    adopted = adopt(theirs, told, where="theirs.onnx", batch_size=2)
    found = run_onnx(adopted, images)
    np.testing.assert_array_equal(found["labels"], wanted["labels"])
    np.testing.assert_array_equal(found["dets"], wanted["dets"])


def renamed(model):
    """A canonical model with its spec gone and its outputs called otherwise, dets first."""
    theirs = onnx.ModelProto()
    theirs.CopyFrom(model)
    del theirs.metadata_props[:]
    names = {"dets": "o1", "labels": "o2", "input": "images"}
    for node in theirs.graph.node:
        for side in (node.input, node.output):
            side[:] = [names.get(name, name) for name in side]
    values = sorted(theirs.graph.output, key=lambda value: value.name)
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in values]
    del theirs.graph.output[:]
    theirs.graph.output.extend(copies)
    for value in (*theirs.graph.input, *theirs.graph.output):
        value.name = names[value.name]
    return theirs


def test_nodes_in_any_order_are_sorted():
    model = detector(three())
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(model.graph.node)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    assert_found(run(model, spec_of(PLAIN)), expected(LIGHT))


def test_nodes_in_a_circle_are_refused():
    model = detector(three())
    model.graph.node[0].input[0] = "light"
    refuses(model, spec_of(PLAIN), "its nodes go in a circle around", error=ArtifactError)


def test_every_node_has_a_name_of_its_own():
    model = detector(three())
    for index, node in enumerate(model.graph.node):
        node.name = ("", "twice", "images")[index % 3]
    adopted = adopt(model, spec_of(PLAIN), where="theirs.onnx", batch_size=1)
    names = [node.name for node in adopted.graph.node]
    assert len(set(names)) == len(names)
    assert not {"", "input"}.intersection(names)


def test_an_opset_beyond_the_cards_nms_is_lowered_where_there_is_none():
    model = detector(three(), opset=17)
    model.opset_import[0].version = 18
    mean = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    axes = mean.attribute[0].ints
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(axes), "axes"))
    mean.input.append("axes")
    del mean.attribute[0]
    adopted = adopt(model, spec_of(PLAIN), where="theirs.onnx", batch_size=1)
    frozen = fold_constants(with_fixed_input(adopted, batch_size=1, canvas=spec_of().canvas))
    lowered = lower(frozen)
    assert lowered.opset_import[0].version == 11
    found, exact = run_onnx(lowered, images_of(0.5)), run_onnx(frozen, images_of(0.5))
    np.testing.assert_array_equal(found["dets"], exact["dets"])


def test_with_the_cards_nms_it_is_not():
    model = detector({"boxes": (boxes(), FLOAT), "scores": (class_scores(), FLOAT)}, opset=17)
    spec = spec_of({**PLAIN, "class_axis": 2})
    adopted = adopt(model, spec, where="theirs.onnx", batch_size=1)
    assert "takes 8 to 16; export it with opset 16, or set atc.nms to 'host'" in obstacle(adopted)
