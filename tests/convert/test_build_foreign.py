"""From an ONNX that someone else exported to the files of a conversion."""

import hashlib
import json

import numpy as np
import onnx
import pytest

from convert.__main__ import main
from convert.build import convert
from convert.conversion_plan import plan_conversion
from convert.graph.freeze import DYNAMIC_OPS
from detector.errors import SpecError
from detector.spec_files import load_spec
from tests.conftest import run_onnx
from tests.convert import foreign

pytestmark = pytest.mark.usefixtures("no_atc")


@pytest.fixture
def their_file(tmp_path):
    path = tmp_path / "theirs.onnx"
    onnx.save(foreign.detector(foreign.three()), path)
    return path


@pytest.fixture
def suppressing_file(tmp_path):
    """With ONNX's own NonMaxSuppression inside; its result is not looked at."""
    model = foreign.detector(foreign.three())
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([[[0.5]]], np.float32), "one_score"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([[[0, 0, 1, 1]]], np.float32), "one_box"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0], np.int64), "first"))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1], np.int64), "limit"))
    node = onnx.helper.make_node
    model.graph.node.extend(
        [
            node("NonMaxSuppression", ["one_box", "one_score", "limit"], ["kept"], name="their_nms"),
            node("ReduceMax", ["kept"], ["highest"], keepdims=0),
            node("Add", ["labels", "highest"], ["suppressed"]),
        ]
    )
    model.graph.output[2].name = "suppressed"
    path = tmp_path / "suppressing.onnx"
    onnx.save(model, path)
    return path


SUPPRESSED = {**foreign.PLAIN, "outputs": {"boxes": "boxes", "scores": "scores", "labels": "suppressed"}}


def test_a_foreign_detector_is_converted_like_ours(their_file, tmp_path):
    spec = foreign.spec_of(foreign.PLAIN)
    done = convert(plan_conversion(their_file, batch_size=2, spec=spec, output=tmp_path / "om" / "t"))
    assert [file.name for file in done.files] == ["t.atc.onnx", "t.om.json", "t.atc.sh", "t.onnx"]
    assert done.obstacle is None
    lowered = onnx.load(tmp_path / "om" / "t.atc.onnx")
    assert not {node.op_type for node in lowered.graph.node} & DYNAMIC_OPS
    assert {node.domain for node in lowered.graph.node} == {""}
    onnx.checker.check_model(lowered, full_check=True)


def test_the_product_is_bound_to_the_foreign_file(their_file, tmp_path):
    done = convert(
        plan_conversion(their_file, batch_size=1, spec=foreign.spec_of(foreign.PLAIN), output=tmp_path / "t")
    )
    digest = hashlib.sha256(their_file.read_bytes()).hexdigest()
    weights = load_spec(done.model).checkpoint
    assert (weights.file, weights.sha256, weights.dialect) == ("theirs.onnx", digest, "onnx")


def test_class_scores_are_lowered_to_the_cards_operator(tmp_path):
    outputs = {"boxes": (foreign.boxes(), foreign.FLOAT), "scores": (foreign.class_scores(1), foreign.FLOAT)}
    onnx.save(foreign.detector(outputs), tmp_path / "theirs.onnx")
    spec = foreign.spec_of({**foreign.PLAIN, "labels": "from_1"})
    convert(plan_conversion(tmp_path / "theirs.onnx", batch_size=2, spec=spec, output=tmp_path / "t"))
    nms = [node for node in onnx.load(tmp_path / "t.atc.onnx").graph.node if node.op_type == "BatchMultiClassNMS"]
    values = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in nms[0].attribute}
    assert values == {
        "score_threshold": pytest.approx(0.05),
        "iou_threshold": 0.5,
        "max_size_per_class": 5,
        "max_total_size": 5,
    }
    assert [node.domain for node in nms] == [""]


def test_own_suppression_cannot_be_lowered(suppressing_file, tmp_path):
    plan = plan_conversion(
        suppressing_file, batch_size=1, spec=foreign.spec_of(SUPPRESSED), output=tmp_path / "om" / "t"
    )
    with pytest.raises(
        SpecError,
        match=r"suppressing\.onnx cannot be lowered for atc: operator NonMaxSuppression \(node 'their_nms'\) gives as "
        r"many rows .*: export boxes and scores before suppression; --target cpu makes the stand-in for onnxruntime",
    ):
        convert(plan)
    assert not (tmp_path / "om").exists()


def test_own_suppression_has_a_stand_in_that_stands_alone(suppressing_file, their_file, tmp_path):
    convert(plan_conversion(their_file, batch_size=2, spec=foreign.spec_of(foreign.PLAIN), output=tmp_path / "t"))
    plan = plan_conversion(
        suppressing_file, batch_size=2, spec=foreign.spec_of(SUPPRESSED), target="cpu", output=tmp_path / "t"
    )
    done = convert(plan)
    assert "NonMaxSuppression" in done.obstacle
    assert (done.files, done.command) == ((tmp_path / "t.onnx",), ())
    assert sorted(path.name for path in tmp_path.glob("t.*")) == ["t.onnx"]  # nothing of the other model stays
    found = run_onnx(onnx.load(done.model), foreign.images_of(1.0, 0.5))
    wanted = foreign.expected([1.0, 0.5])
    np.testing.assert_array_equal(found["labels"], wanted[0])
    np.testing.assert_allclose(found["dets"], wanted[1], rtol=1e-6)


def test_a_stand_in_that_stands_alone_says_so(suppressing_file, tmp_path, caplog, capsys):
    (tmp_path / "my.yaml").write_text(
        json.dumps(foreign.spec_of(SUPPRESSED).model_dump(mode="json", exclude_none=True))
    )
    main(
        ["--onnx", str(suppressing_file), "--spec", str(tmp_path / "my.yaml"), "--batch_size", "1", "--target", "cpu",
         "--output", str(tmp_path / "t")]
    )  # fmt: skip
    assert "t.onnx stands alone: there are no files for atc, operator NonMaxSuppression" in caplog.text
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["command"] == []


def test_control_flow_that_does_not_fold_cannot_be_lowered(tmp_path):
    model = foreign.detector(foreign.three())
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["labels"], ["same"])],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("same", foreign.INT64, None)],
    )
    other = onnx.GraphProto.FromString(branch.SerializeToString())
    other.node[0].output[0] = other.output[0].name = "also_same"
    model.graph.node.extend(
        [
            onnx.helper.make_node("ReduceMax", ["light"], ["brightest"], keepdims=0),
            onnx.helper.make_node("Cast", ["brightest"], ["is_bright"], to=onnx.TensorProto.BOOL),
            onnx.helper.make_node("If", ["is_bright"], ["suppressed"], then_branch=branch, else_branch=other),
        ]
    )
    model.graph.output[2].name = "suppressed"
    onnx.save(model, tmp_path / "theirs.onnx")
    with pytest.raises(
        SpecError, match=r"folding \(If\), so it is not static; export it at a fixed input size, or simpl"
    ):
        convert(plan_conversion(tmp_path / "theirs.onnx", batch_size=2, spec=foreign.spec_of(SUPPRESSED)))
    plan = plan_conversion(
        tmp_path / "theirs.onnx", batch_size=2, spec=foreign.spec_of(SUPPRESSED), target="cpu", output=tmp_path / "t"
    )
    found = run_onnx(onnx.load(convert(plan).model), foreign.images_of(1.0, 0.5))
    np.testing.assert_array_equal(found["labels"], foreign.expected([1.0, 0.5])[0])
