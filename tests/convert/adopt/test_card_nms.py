import pytest
from onnx import TensorProto, helper

from tests.convert.adopting import LIGHT, assert_found, refuses, run
from tests.convert.foreign import FLOAT, INT64, boxes, class_scores, detector, expected, spec_of

HALF, INT32 = TensorProto.FLOAT16, TensorProto.INT32


# What the card's operator is called by: mmdeploy, and the published guides (default domain, float16).
@pytest.mark.parametrize(("domain", "kind"), [("mmdeploy", FLOAT), ("", HALF), ("omline", FLOAT)])
def test_an_export_for_the_card_runs_anywhere(domain, kind):
    model = card_model(domain, kind)
    assert_found(run(model, spec_of()), expected(LIGHT))


def card_model(domain, kind):
    model = detector({"boxes": (boxes()[:, None], kind), "raw": (class_scores(), kind)}, bright="raw")
    del model.graph.output[:]
    node = helper.make_node
    attributes = {"score_threshold": 0.05, "iou_threshold": 0.5, "max_size_per_class": 7, "max_total_size": 7}
    parts = ["b", "s", "c", "num"]
    model.graph.initializer.append(helper.make_tensor("last", INT64, [1], [2]))
    model.graph.node.extend(
        [
            node("BatchMultiClassNMS", ["boxes", "raw"], parts, domain=domain, **attributes),
            node("Unsqueeze", ["s", "last"], ["column"]),
            node("Concat", ["b", "column"], ["rows"], axis=2),
            node("Cast", ["rows"], ["dets"], to=FLOAT),
            node("Cast", ["c"], ["labels"], to=INT32),
        ]
    )
    model.graph.output.append(helper.make_tensor_value_info("dets", FLOAT, ["n", 7, 5]))
    model.graph.output.append(helper.make_tensor_value_info("labels", INT32, ["n", 7]))
    if domain:
        model.opset_import.append(helper.make_opsetid(domain, 1))
    return model


@pytest.mark.parametrize(
    ("attributes", "match"),
    [
        ({"iou_threshold": 0.5}, "lacks the attributes max_size_per_class, max_total_size, score_threshold"),
        (
            {"score_threshold": 0.0, "iou_threshold": 0.5, "max_size_per_class": 7, "max_total_size": 7,
             "change_coordinate_frame": 1},
            "has the attributes change_coordinate_frame, which have no stand-in",
        ),
    ],
)  # fmt: skip
def test_the_cards_operator_with_more_than_the_function_has_is_refused(attributes, match):
    model = card_model("mmdeploy", FLOAT)
    nms = next(node for node in model.graph.node if node.domain)
    del nms.attribute[:]
    nms.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    refuses(model, spec_of(), rf"{match}; export boxes and scores before suppression")
