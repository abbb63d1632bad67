"""Suppression on the host for detectors of others: neither the card's operator is needed, nor its opsets."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from convert.build import convert
from convert.conversion_plan import plan_conversion
from convert.lint.check import lint
from detector.errors import SpecError
from detector.nms.function import NMS_OP
from postprocess.outputs.suppress import suppress
from tests.conftest import run_onnx
from tests.convert import foreign

pytestmark = pytest.mark.usefixtures("no_atc")


def before_suppression(opset):
    outputs = {"boxes": (foreign.boxes(), foreign.FLOAT), "scores": (foreign.class_scores(), foreign.FLOAT)}
    model = foreign.detector(outputs, opset=min(opset, 17))
    if opset >= 18:
        mean = next(node for node in model.graph.node if node.op_type == "ReduceMean")
        kept = [attribute for attribute in mean.attribute if attribute.name != "axes"]
        del mean.attribute[:]
        mean.attribute.extend(kept)
        mean.input.append("axes")
        model.graph.initializer.append(numpy_helper.from_array(np.array([1, 2, 3]), "axes"))
        model.opset_import[0].version = opset
        model.ir_version = 8
    return model


def built(model, folder, **atc):
    onnx.save(model, folder / "theirs.onnx")
    spec = foreign.spec_of({**foreign.PLAIN, "class_axis": 2}, atc={"nms": "host", **atc})
    return convert(plan_conversion(folder / "theirs.onnx", batch_size=2, spec=spec, output=folder / "t"))


@pytest.mark.parametrize("opset", [13, 16, 17, 18])
def test_any_opset_of_atc_is_lowered(opset, tmp_path):
    done = built(before_suppression(opset), tmp_path)
    assert done.obstacle is None
    assert [file.name for file in done.files] == ["t.atc.onnx", "t.om.json", "t.atc.sh", "t.onnx"]
    lowered = onnx.load(tmp_path / "t.atc.onnx")
    onnx.checker.check_model(lowered, full_check=True)
    assert NMS_OP not in {node.op_type for node in lowered.graph.node}
    assert [value.name for value in lowered.graph.output] == ["boxes", "scores"]
    assert not lint(lowered).failures
    assert done.spec.atc.candidates == 3
    found = run_onnx(onnx.load(done.model), foreign.images_of(1.0, 0.5))
    assert {name: value.shape for name, value in found.items()} == {"boxes": (2, 3, 4), "scores": (2, 3, 3)}
    np.testing.assert_array_equal(found["boxes"][0], foreign.boxes().astype(np.float32))
    rows = [
        suppress(boxes, scores, done.spec.decode, done.spec.canvas)
        for boxes, scores in zip(found["boxes"], found["scores"], strict=True)
    ]
    labels, dets = foreign.expected([1.0, 0.5])
    np.testing.assert_array_equal([each[0] for each in rows], labels)
    np.testing.assert_allclose([each[1] for each in rows], dets, rtol=1e-6)


def test_scores_that_do_not_exceed_the_threshold_are_no_candidates(tmp_path):
    done = built(before_suppression(13), tmp_path)  # others' scores are 0.01, the threshold is 0.05
    scores = run_onnx(onnx.load(done.model), foreign.images_of(1.0, 1.0))["scores"][0]
    np.testing.assert_array_equal(scores, np.where(foreign.class_scores() > 0.05, foreign.class_scores(), 0))


def test_what_only_a_later_opset_says_is_taken_at_that_opset(tmp_path):
    model = before_suppression(17)
    model.ir_version = 8
    light = next(node for node in model.graph.node if node.op_type == "ReduceMean")
    light.output[0] = "unnormed"
    at = list(model.graph.node).index(light)
    nodes = [
        helper.make_node("LayerNormalization", ["unnormed", "zero_of_norm", "zero_of_norm"], ["normed"], name="norm"),
        helper.make_node("Add", ["unnormed", "normed"], ["light"], name="as_before"),
    ]
    for offset, node in enumerate(nodes):
        model.graph.node.insert(at + 1 + offset, node)
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "zero_of_norm"))
    done = built(model, tmp_path, opset=17)
    lowered = onnx.load(tmp_path / "t.atc.onnx")
    assert lowered.opset_import[0].version == 17
    assert "LayerNormalization" in {node.op_type for node in lowered.graph.node}
    assert not lint(lowered).failures
    assert done.obstacle is None


def test_a_graph_that_ends_in_detections_has_no_candidates(tmp_path):
    onnx.save(foreign.detector(foreign.three()), tmp_path / "theirs.onnx")
    spec = foreign.spec_of(foreign.PLAIN, atc={"nms": "host"})
    plan = plan_conversion(tmp_path / "theirs.onnx", batch_size=2, spec=spec, output=tmp_path / "t")
    with pytest.raises(SpecError, match=r"this graph ends in detections: set atc\.nms to 'device', or export it with"):
        convert(plan)
